//! From labels to series and back.
//!
//! A (name, value) pair is stored once and has a number; a series is a list of such
//! numbers. Each value has a posting: the refs of the series with it. So has each name,
//! which answers for series that lack a label.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hashbrown::HashMap;
use isinglass_model::labels::{LabelSet, Temporality};
use roaring::RoaringBitmap;

use super::chunked::Chunked;
use super::lists::Lists;
use super::posting::Posting;
use super::sharded::Sharded;
use super::texts::Texts;

/// One value of a label name.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    pub(super) name: u32,
    /// The number of the value among those of the name.
    pub(super) value: u32,
}

/// A label name.
#[derive(Default)]
pub(super) struct Name {
    pub(super) text: Arc<str>,
    /// Its distinct values.
    pub(super) values: Texts,
    pub(super) postings: Chunked<Posting>,
    /// The series that have it.
    pub(super) series: Arc<RoaringBitmap>,
    /// Numbers of the first so many values in the order of their texts; made by the
    /// queries that need it.
    pub(super) sorted: Arc<[u32]>,
    /// Values that queries walked over because they were not sorted.
    pub(super) walked: Arc<AtomicU64>,
}

/// The index over labels. A series comes in whole or not at all, and never leaves.
#[derive(Default)]
pub(super) struct Inverted {
    names: Vec<Name>,
    by_name: HashMap<Arc<str>, u32, ahash::RandomState>,
    pairs: Chunked<Pair>,
    by_pair: Sharded,
    hasher: ahash::RandomState,
    lists: Lists,
    all: Arc<RoaringBitmap>,
    /// The series that came last, and its pairs. The next is usually of the same sender and
    /// differs in a label or two, so most of its pairs need not be looked up.
    last: Option<LabelSet>,
    last_pairs: Vec<u32>,
}

impl Inverted {
    /// Every series.
    pub(super) fn all(&self) -> &Arc<RoaringBitmap> {
        &self.all
    }

    pub(super) fn names(&self) -> &[Name] {
        &self.names
    }

    pub(super) fn name_number(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(super) fn name(&self, name: &str) -> Option<&Name> {
        self.name_at(self.name_number(name)?)
    }

    pub(super) fn name_at(&self, number: u32) -> Option<&Name> {
        self.names.get(number as usize)
    }

    pub(super) fn name_at_mut(&mut self, number: u32) -> Option<&mut Name> {
        self.names.get_mut(number as usize)
    }

    /// The series that have this value.
    pub(super) fn posting(&self, name: &str, value: &str) -> Option<&Posting> {
        let number = self.name_number(name)?;
        let pair = self.pairs.get(self.find_pair(number, value)? as usize)?;
        self.name_at(number)?.postings.get(pair.value as usize)
    }

    /// Adds a series; the position of its labels.
    pub(super) fn insert(&mut self, series: u32, labels: LabelSet) -> u32 {
        let pairs = self.pairs_of(&labels);
        for pair in &pairs {
            let Some(pair) = self.pairs.get(*pair as usize).copied() else { continue };
            let Some(name) = self.name_at_mut(pair.name) else { continue };
            Arc::make_mut(&mut name.series).insert(series);
            if let Some(posting) = name.postings.get_mut(pair.value as usize) {
                posting.insert(series);
            }
        }
        Arc::make_mut(&mut self.all).insert(series);
        let position = self.lists.push(pairs.iter().copied(), labels.temporality());
        self.last_pairs = pairs;
        self.last = Some(labels);
        position
    }

    /// The numbers of a label set's pairs, new or not.
    fn pairs_of(&mut self, labels: &LabelSet) -> Vec<u32> {
        let last = self.last.take();
        let mut known = last.iter().flat_map(LabelSet::iter).zip(std::mem::take(&mut self.last_pairs));
        let mut numbers = Vec::with_capacity(16);
        for (name, value) in labels.iter() {
            numbers.push(match known.next() {
                Some((pair, number)) if pair == (name, value) => number,
                _ => self.pair_of(name, value),
            });
        }
        numbers
    }

    /// The pairs of a series, in the order of their names' texts.
    pub(super) fn pairs(&self, position: u32) -> impl Iterator<Item = Pair> + Clone + '_ {
        let (numbers, _) = self.lists.get(position);
        numbers.iter().filter_map(|number| self.pairs.get(*number as usize).copied())
    }

    /// The number of a series' value of a name.
    pub(super) fn value_of(&self, position: u32, name: u32) -> Option<u32> {
        self.pairs(position).find(|pair| pair.name == name).map(|pair| pair.value)
    }

    pub(super) fn labels(&self, position: u32) -> Option<LabelSet> {
        LabelSet::of_sorted(self.texts(position), self.temporality(position)).ok()
    }

    fn texts(&self, position: u32) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs(position).filter_map(|pair| {
            let name = self.name_at(pair.name)?;
            Some((&*name.text, name.values.get(pair.value)?))
        })
    }

    fn temporality(&self, position: u32) -> Temporality {
        self.lists.get(position).1
    }

    /// Whether these are the labels at a position.
    pub(super) fn is(&self, position: u32, labels: &LabelSet) -> bool {
        self.temporality(position) == labels.temporality()
            && self.texts(position).cmp(labels.iter()) == Ordering::Equal
    }

    fn hash(&self, name: u32, value: &str) -> u64 {
        self.hasher.hash_one((name, value))
    }

    fn find_pair(&self, name: u32, value: &str) -> Option<u32> {
        let values = &self.name_at(name)?.values;
        self.by_pair.find(self.hash(name, value), |number| {
            let pair = self.pairs.get(number as usize);
            pair.is_some_and(|pair| pair.name == name && values.get(pair.value) == Some(value))
        })
    }

    /// The number of a pair, new or not.
    fn pair_of(&mut self, name: &str, value: &str) -> u32 {
        let name = self.name_of(name);
        if let Some(known) = self.find_pair(name, value) {
            return known;
        }
        let hash = self.hash(name, value);
        let number = u32::try_from(self.pairs.len()).unwrap_or(u32::MAX);
        let Self { names, pairs, by_pair, hasher, .. } = self;
        if let Some(of) = names.get_mut(name as usize) {
            pairs.push(Pair { name, value: of.values.push(value) });
            of.postings.push(Posting::default());
        }
        by_pair.insert(hash, number, |known| {
            let pair = pairs.get(known as usize).copied().unwrap_or(Pair { name: 0, value: 0 });
            let text = names.get(pair.name as usize).and_then(|name| name.values.get(pair.value));
            hasher.hash_one((pair.name, text.unwrap_or_default()))
        });
        number
    }

    fn name_of(&mut self, name: &str) -> u32 {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let text: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&text), number);
        self.names.push(Name { text, ..Name::default() });
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(labels: &[(&str, &str)]) -> LabelSet {
        LabelSet::new(&mut labels.to_vec(), Temporality::Delta).unwrap()
    }

    #[test]
    fn labels_are_found_again() {
        let mut index = Inverted::default();
        let sets = [
            set(&[("a", "1"), ("b", "2")]),
            set(&[("a", "2"), ("b", "1")]),
            set(&[]),
            set(&[("b", "2"), ("ü", "2")]),
        ];
        for (at, labels) in (0..).zip(&sets) {
            let position = index.insert(at * 10, labels.clone());
            assert_eq!(position, at);
        }
        for (at, labels) in (0..).zip(&sets) {
            assert_eq!(index.labels(at).as_ref(), Some(labels));
            let same: Vec<bool> = sets.iter().map(|other| index.is(at, other)).collect();
            assert!(same.iter().enumerate().all(|(other, same)| *same == (other as u32 == at)));
        }
        let both = [0, 30].into_iter().collect();
        assert!(index.posting("b", "2").unwrap().meets(&both));
        assert!(index.posting("a", "3").is_none() && index.posting("c", "1").is_none());
        assert!(index.name("b").unwrap().series.iter().eq([0, 10, 30]));
        assert!(index.all().iter().eq([0, 10, 20, 30]));
    }
}
