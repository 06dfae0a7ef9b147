//! Names of spans without what differs from span to span, such as the numbers of orders.
//!
//! Their words lie between spaces and slashes, and what stands for one ends at its end:
//! `GET /users/<_>` is not the pattern of `GET /users/7/orders`.

use std::collections::BTreeMap;

use crate::ANY;
use crate::drain::Pattern;
use crate::known::Known;

/// Hexadecimal digits from which on a token without a letter above f is an id.
const HEX_MIN: usize = 8;
/// Different words in one place of names that are otherwise alike; beyond them it varies.
const WORDS_MAX: usize = 20;

/// A name with each token replaced that looks like an id, whatever other names there are.
pub fn mask_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for part in name.split_inclusive(|c: char| !is_of_token(c)) {
        let token = part.trim_end_matches(|c: char| !is_of_token(c));
        text.push_str(if is_id(token) { ANY } else { token });
        text.push_str(&part[token.len()..]);
    }
    text
}

fn is_of_token(c: char) -> bool {
    c.is_alphanumeric() || c == '-' || c == '_'
}

/// A number, a UUID, a hash: digits alone, or enough hexadecimal ones with a digit among them.
fn is_id(token: &str) -> bool {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    let hex = token.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = token.bytes().filter(|byte| *byte == b'-').count();
    digits > 0 && (digits == token.len() || (hex >= HEX_MIN && hex + dashes == token.len()))
}

/// What is between words.
fn is_between(c: char) -> bool {
    c == ' ' || c == '/'
}

/// Whether a pattern is one of some names and not of all.
fn has_own_word(pattern: &str) -> bool {
    pattern.split(is_between).any(|word| !word.is_empty() && word != ANY)
}

fn between(name: &str) -> String {
    name.chars().filter(|c| is_between(*c)).collect()
}

/// A pattern of names.
#[derive(Debug, Clone, PartialEq)]
pub struct NamePattern {
    text: String,
    between: String,
    words: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Any,
    Like(Known),
}

impl NamePattern {
    /// Reads one of a configuration; the error is what is wrong with it.
    pub fn read(text: String) -> Result<Self, String> {
        if !has_own_word(&text) {
            return Err(format!("has {text:?}, which has no word of its own"));
        }
        let word = |word: &str| match word {
            ANY => Word::Any,
            word => Word::Like(Known::of(word.to_owned())),
        };
        let words = text.split(is_between).map(word).collect();
        Ok(Self { between: between(&text), words, text })
    }

    /// As it was read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a name is of this pattern.
    pub fn fits(&self, name: &str) -> bool {
        let mut words = name.split(is_between);
        let fit = self.words.iter().all(|pattern| match (pattern, words.next()) {
            (Word::Any, Some(word)) => !word.is_empty(),
            (Word::Like(known), Some(word)) => known.fits(word),
            (_, None) => false,
        });
        fit && words.next().is_none() && name.chars().filter(|c| is_between(*c)).eq(self.between.chars())
    }
}

/// Patterns of names, by a tree as that of Drain: names with the same spaces and slashes, then word
/// by word, where a place with too many words varies. Names that are a pattern of their own are not
/// in it; nor does the order of names matter.
pub(crate) fn merge_names<'a>(names: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<Pattern> {
    let mut shapes: BTreeMap<String, Vec<Name<'_>>> = BTreeMap::new();
    for (name, spans) in names {
        let words = name.split(is_between).collect();
        shapes.entry(between(name)).or_default().push(Name { words, spans, varies: false });
    }
    let mut patterns: BTreeMap<String, u64> = BTreeMap::new();
    for (between, names) in shapes {
        for name in collapsed(names) {
            let text = name.text(&between);
            if has_own_word(&text) {
                *patterns.entry(text).or_default() += name.spans;
            }
        }
    }
    let mut patterns: Vec<Pattern> =
        patterns.into_iter().map(|(text, lines)| Pattern { text, lines }).collect();
    patterns.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.text.cmp(&b.text)));
    patterns
}

struct Name<'a> {
    words: Vec<&'a str>,
    spans: u64,
    /// Whether a word was replaced.
    varies: bool,
}

impl Name<'_> {
    fn text(&self, between: &str) -> String {
        let mut between = between.chars();
        let mut text = String::new();
        for word in &self.words {
            text.push_str(word);
            text.extend(between.next());
        }
        text
    }
}

/// Names of which those differ in one place only where few words are. All have as many words.
fn collapsed(names: Vec<Name<'_>>) -> Vec<Name<'_>> {
    let places = names.first().map_or(0, |name| name.words.len());
    let mut groups = vec![names];
    for place in 0..places {
        groups = groups.into_iter().flat_map(|group| branches(group, place)).collect();
    }
    groups.into_iter().flatten().filter(|name| name.varies).collect()
}

/// Names by their word in one place, which is none of them if there are too many.
fn branches(names: Vec<Name<'_>>, place: usize) -> Vec<Vec<Name<'_>>> {
    let mut by_word: BTreeMap<&str, Vec<Name<'_>>> = BTreeMap::new();
    for name in names {
        by_word.entry(name.words[place]).or_default().push(name);
    }
    if by_word.len() <= WORDS_MAX {
        return by_word.into_values().collect();
    }
    let mut names: Vec<Name<'_>> = by_word.into_values().flatten().collect();
    for name in &mut names {
        (name.words[place], name.varies) = (ANY, true);
    }
    vec![names]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_id_is_replaced() {
        for (name, wanted) in [
            ("GET /orders/123/items/7", "GET /orders/<_>/items/<_>"),
            ("GET /v2/orders", "GET /v2/orders"),
            ("job 0b1fe2a4-7d4c-4e0e-9d0a-5f1b2c3d4e5f done", "job <_> done"),
            ("blob/deadbeef01", "blob/<_>"),
            ("facade", "facade"),
            ("deadbeef", "deadbeef"),
            ("SELECT table_1", "SELECT table_1"),
            ("/a//b/", "/a//b/"),
            ("", ""),
            ("42", "<_>"),
            ("наказ 17", "наказ <_>"),
        ] {
            assert_eq!(mask_name(name), wanted, "{name}");
        }
    }

    #[test]
    fn what_fits() {
        for (pattern, name, fits) in [
            ("GET /users/<_>", "GET /users/bob", true),
            ("GET /users/<_>", "GET /users/", false),
            ("GET /users/<_>", "GET /users/bob/orders", false),
            ("GET /users/<_>", "PUT /users/bob", false),
            ("GET /users/<_>", "GET users/bob", false),
            ("GET /users/<_>", "GET /users bob", false),
            ("GET /<_>/<_>.json", "GET /é/index.json", true),
            ("GET /<_>/<_>.json", "GET /é/.json", false),
            ("done", "done", true),
            ("done", "not done", false),
        ] {
            assert_eq!(
                NamePattern::read(pattern.to_owned()).unwrap().fits(name),
                fits,
                "{pattern:?} of {name:?}"
            );
        }
        let fault = NamePattern::read("<_> /<_>".to_owned()).unwrap_err();
        assert_eq!(fault, "has \"<_> /<_>\", which has no word of its own");
    }

    fn mined(names: &[String]) -> Vec<(String, u64)> {
        let patterns = merge_names(names.iter().map(|name| (name.as_str(), 1)));
        patterns.into_iter().map(|pattern| (pattern.text, pattern.lines)).collect()
    }

    #[test]
    fn a_place_with_many_words_varies() {
        let users = |count: usize, rest: &str| -> Vec<String> {
            (0..count)
                .map(|at| format!("GET /users/{}{rest}", ["bob", "eve"][at % 2].repeat(at + 1)))
                .collect()
        };
        let routes = ["GET /users", "GET /orders", "PUT /orders", "GET /orders/<_>"].map(str::to_owned);
        let few = [users(20, ""), routes.to_vec()].concat();
        assert_eq!(mined(&few), []);
        let mut many = [users(21, ""), users(30, "/orders"), routes.to_vec()].concat();
        let expected = [("GET /users/<_>/orders".to_owned(), 30), ("GET /users/<_>".to_owned(), 21)];
        assert_eq!(mined(&many), expected);
        many.reverse();
        assert_eq!(mined(&many), expected);
        // What is mined fits what it was mined from.
        let pattern = NamePattern::read(expected[0].0.clone()).unwrap();
        assert!(users(30, "/orders").iter().all(|name| pattern.fits(name)));
    }
}
