//! Words of a text, and which of them are worth an index.
//!
//! A token is a maximal run of the bytes `A-Z`, `a-z`, `0-9` and `_`; every other byte
//! stands between tokens, also those of letters beyond ASCII. One that looks like an
//! identifier has at least [`ID_BYTES_MIN`] bytes and a digit among them. Words like
//! `error` are in every thousand lines, so an index of them finds nothing; identifiers are
//! in a few.
//!
//! The writer of files, the function `has_token` and the planner of scans all cut texts
//! here: were they to disagree, rows would be missing from answers.

use std::ops::Range;

use memchr::memmem::Finder;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of the shortest token that looks like an identifier.
pub const ID_BYTES_MIN: usize = 6;

const TOKEN: u8 = 1;
const DIGIT: u8 = 2;

/// What each byte is to a token.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => TOKEN | DIGIT,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => TOKEN,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

fn is_of_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] != 0
}

/// Calls `each` with the place of every token that looks like an identifier.
///
/// Looks at the last of the bytes that a token must have first: where one of them is of no
/// token, all before it are passed over.
#[inline]
fn id_tokens(text: &[u8], mut each: impl FnMut(Range<usize>)) {
    let class = |byte: &u8| CLASSES[usize::from(*byte)];
    let mut start = 0;
    while let Some(least) = text.get(start..start + ID_BYTES_MIN) {
        if let Some(between) = least.iter().rposition(|byte| class(byte) == 0) {
            start += between + 1;
            continue;
        }
        let rest = &text[start + ID_BYTES_MIN..];
        let more = rest.iter().position(|byte| class(byte) == 0).unwrap_or(rest.len());
        let end = start + ID_BYTES_MIN + more;
        if text[start..end].iter().any(|byte| class(byte) & DIGIT != 0) {
            each(start..end);
        }
        start = end + 1;
    }
}

/// Calls `each` with the hash, XXH3 of 64 bits with seed 0, of every token of a text that
/// looks like an identifier, in their order, repetitions included.
#[inline]
pub fn id_hashes(text: &str, mut each: impl FnMut(u64)) {
    id_tokens(text.as_bytes(), |place| each(xxh3_64(&text.as_bytes()[place])));
}

/// Hashes of the identifiers that every text has as tokens in which `part` stands. A token
/// that touches an end of the part may go on beyond it: it counts only where the text is
/// known not to (`from_start`: the part begins where a token may begin, `to_end`: it ends
/// where one may end).
pub fn id_hashes_of_part(part: &str, from_start: bool, to_end: bool) -> Vec<u64> {
    let mut hashes = Vec::new();
    id_tokens(part.as_bytes(), |place| {
        if (from_start || place.start > 0) && (to_end || place.end < part.len()) {
            hashes.push(xxh3_64(&part.as_bytes()[place]));
        }
    });
    hashes
}

/// Finds a text inside others where neither of its ends lies within a token: `abc1` is in
/// `id=abc1;` and not in `id=abc12;`. It may consist of several tokens and what is between.
#[derive(Debug, Clone)]
pub struct TokenFinder<'t> {
    finder: Finder<'t>,
    /// Whether the text begins and ends with a token.
    bound: (bool, bool),
}

impl<'t> TokenFinder<'t> {
    /// A finder of `token`. The empty text is nowhere.
    pub fn new(token: &'t str) -> Self {
        let is_bound = |byte: Option<&u8>| byte.is_some_and(|byte| is_of_token(*byte));
        let bytes = token.as_bytes();
        Self { finder: Finder::new(bytes), bound: (is_bound(bytes.first()), is_bound(bytes.last())) }
    }

    /// Whether a text of so many bytes is long enough.
    pub fn fits_in(&self, bytes: usize) -> bool {
        bytes >= self.finder.needle().len()
    }

    /// Where its bytes begin in others, also those that overlap, whatever stands around them.
    pub fn places<'b>(&'b self, bytes: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
        let is_empty = self.finder.needle().is_empty();
        let mut from = 0;
        std::iter::from_fn(move || {
            let place = from + self.finder.find(bytes.get(from..).filter(|_| !is_empty)?)?;
            from = place + 1;
            Some(place)
        })
    }

    /// Whether it stands in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        let (text, length) = (text.as_bytes(), self.finder.needle().len());
        if length == 0 {
            return false;
        }
        let mut from = 0;
        while let Some(found) = self.finder.find(&text[from..]) {
            let start = from + found;
            let end = start + length;
            let starts = !self.bound.0 || start == 0 || !is_of_token(text[start - 1]);
            let ends = !self.bound.1 || end == text.len() || !is_of_token(text[end]);
            if starts && ends {
                return true;
            }
            // Where it begins with a token, the next place is behind the one that it is in now.
            let run = text[start..].iter().take_while(|byte| is_of_token(**byte)).count();
            from = start + if self.bound.0 { run } else { 1 };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        id_tokens(text.as_bytes(), |place| found.push(&text[place]));
        found
    }

    #[test]
    fn tokens_that_look_like_identifiers() {
        for (text, wanted) in [
            ("", vec![]),
            ("user logged in", vec![]),
            ("user u12345 u1234", vec!["u12345"]),
            (r#"{"user_id":"u123456"}"#, vec!["u123456"]),
            ("key=value_1,abc-def9ab", vec!["value_1", "def9ab"]),
            ("3f2a9c1e-77aa-4b3c-9d10-0a1b2c3d4e5f", vec!["3f2a9c1e", "0a1b2c3d4e5f"]),
            ("at 10.20.30.40 2026-11-21T15:09:15.123Z", vec![]),
            ("0af7651916cd43dd8448eb211c80319c", vec!["0af7651916cd43dd8448eb211c80319c"]),
            ("用户abc123登录é1234567", vec!["abc123", "1234567"]),
        ] {
            assert_eq!(ids(text), wanted, "{text}");
        }
    }

    #[test]
    fn only_what_is_bounded_counts() {
        let count = |part: &str, from_start, to_end| id_hashes_of_part(part, from_start, to_end).len();
        for (part, wanted) in [
            ("abc123", [0, 0, 0, 1]),
            ("=abc123", [0, 0, 1, 1]),
            ("abc123 ", [0, 1, 0, 1]),
            (" abc123 ", [1, 1, 1, 1]),
            ("abc123 abc124 abc125", [1, 2, 2, 3]),
        ] {
            let got =
                [(false, false), (true, false), (false, true), (true, true)].map(|(a, b)| count(part, a, b));
            assert_eq!(got, wanted, "{part}");
        }
    }

    #[test]
    fn whole_tokens_are_found() {
        for (text, token, wanted) in [
            ("id=abc1;", "abc1", true),
            ("id=abc12;", "abc1", false),
            ("id=abc12 abc1", "abc1", true),
            ("xabc1 abc1x _abc1", "abc1", false),
            ("abc1", "abc1", true),
            ("ABC1", "abc1", false),
            ("a 3f-2a b", "3f-2a", true),
            ("a 3f-2ab", "3f-2a", false),
            ("user=7", "user=", true),
            ("superuser=7", "user=", false),
            ("[x]", "[", true),
            ("", "", false),
            ("a", "", false),
            ("aaaa aaa aa", "aa", true),
            ("éabc1é", "abc1", true),
            ("--x--x", "-x", true),
            ("--xy-x", "-x", true),
        ] {
            assert_eq!(TokenFinder::new(token).is_in(text), wanted, "{token:?} in {text:?}");
        }
    }

    #[test]
    fn places_overlap() {
        let check = |token, bytes: &str, wanted: &[usize]| {
            assert_eq!(
                TokenFinder::new(token).places(bytes.as_bytes()).collect::<Vec<_>>(),
                wanted,
                "{token}"
            );
        };
        check("aa", "xaaay_aa", &[1, 2, 6]);
        check("aa", "a", &[]);
        check("", "aa", &[]);
        assert!(TokenFinder::new("aa").fits_in(2) && !TokenFinder::new("aa").fits_in(1));
    }

    proptest::proptest! {
        /// A text that has a token has each of its identifiers.
        #[test]
        fn what_is_found_is_indexed(text in "[a1_ é-]{0,40}", token in "[a1_ é-]{0,12}") {
            let mut hashes = Vec::new();
            id_hashes(&text, |hash| hashes.push(hash));
            let padded: Vec<bool> = (0..=text.len())
                .filter(|at| text[..].is_char_boundary(*at) && text[*at..].starts_with(&token) && !token.is_empty())
                .map(|at| {
                    let before = text[..at].bytes().last().is_some_and(is_of_token);
                    let after = text[at + token.len()..].bytes().next().is_some_and(is_of_token);
                    let cut = |inside: Option<u8>, outside| inside.is_some_and(is_of_token) && outside;
                    !cut(token.bytes().next(), before) && !cut(token.bytes().last(), after)
                })
                .collect();
            let found = TokenFinder::new(&token).is_in(&text);
            proptest::prop_assert_eq!(found, padded.contains(&true));
            if found {
                let ids = id_hashes_of_part(&token, true, true);
                proptest::prop_assert!(ids.iter().all(|id| hashes.contains(id)));
            }
            if text.contains(&token) {
                let ids = id_hashes_of_part(&token, false, false);
                proptest::prop_assert!(ids.iter().all(|id| hashes.contains(id)));
            }
        }
    }
}
