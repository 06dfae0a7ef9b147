//! Drain (He et al., 2017): patterns that are alike become one.
//!
//! A tree of fixed depth: number of words, then the first word, where one that varies is
//! as any other. In a leaf a line belongs to the pattern that it shares most words with,
//! if these are enough; what differs becomes `<_>`.

use std::collections::BTreeMap;

use crate::ANY;

/// Words that lead to a leaf.
const DEPTH: usize = 1;
/// Part of the words that must be the same, without those that vary in both.
const SIMILARITY: f64 = 0.6;

/// A pattern and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// With `<_>` for all that varies.
    pub text: String,
    /// How many lines it has.
    pub lines: u64,
}

/// Words of a pattern and its lines.
struct Cluster<'a> {
    words: Vec<&'a str>,
    lines: u64,
}

/// Merges patterns. The order of `lines` decides where they could go to several.
pub(crate) fn merge<'a>(lines: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<Pattern> {
    let mut leaves: BTreeMap<(usize, Vec<&str>), Vec<Cluster<'_>>> = BTreeMap::new();
    for (line, count) in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let path = words.iter().take(DEPTH).map(|word| if word.contains(ANY) { ANY } else { word }).collect();
        let leaf = leaves.entry((words.len(), path)).or_default();
        let best = leaf.iter_mut().map(|cluster| (cluster.similarity(&words), cluster));
        let best = best.filter(|(similarity, _)| *similarity >= SIMILARITY);
        // The first of those that are equally good.
        match best.reduce(|best, next| if next.0 > best.0 { next } else { best }) {
            Some((_, cluster)) => cluster.add(&words, count),
            None => leaf.push(Cluster { words, lines: count }),
        }
    }
    // Once all that varies side by side is one, two may be the same.
    let mut patterns: BTreeMap<String, u64> = BTreeMap::new();
    for cluster in leaves.into_values().flatten() {
        *patterns.entry(cluster.text()).or_default() += cluster.lines;
    }
    let mut patterns: Vec<Pattern> =
        patterns.into_iter().map(|(text, lines)| Pattern { text, lines }).collect();
    patterns.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.text.cmp(&b.text)));
    patterns
}

impl<'a> Cluster<'a> {
    #[expect(clippy::cast_precision_loss, reason = "numbers of words")]
    fn similarity(&self, words: &[&str]) -> f64 {
        let pairs = || self.words.iter().zip(words).filter(|(ours, theirs)| **ours != ANY || **theirs != ANY);
        let same = pairs().filter(|(ours, theirs)| ours == theirs).count();
        match pairs().count() {
            0 => 1.0,
            all => same as f64 / all as f64,
        }
    }

    fn add(&mut self, words: &[&'a str], lines: u64) {
        for (ours, theirs) in self.words.iter_mut().zip(words) {
            if ours != theirs {
                *ours = ANY;
            }
        }
        self.lines += lines;
    }

    fn text(&self) -> String {
        let mut words = self.words.clone();
        words.dedup_by(|next, word| *next == ANY && *word == ANY);
        words.join(" ")
    }
}
