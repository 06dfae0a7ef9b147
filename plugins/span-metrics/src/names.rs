//! Names of spans without what differs from span to span, such as the numbers of orders.
//!
//! A plugin is a pure function of a batch, so that there is no tree that learns from the names seen so
//! far, as Drain has: a token is replaced for what it looks like. The same name always becomes the
//! same, whatever came before.

use isinglass_plugin::{Deltas, Dictionary, Groups, Keys, host};

/// What stands for a token that was replaced.
const PLACE: &str = "<_>";
/// Hexadecimal digits from which on a token without a letter above f is an id.
const HEX_MIN: usize = 8;

/// What becomes of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sanitizing {
    Off,
    /// Names stay; spans whose name would change are counted.
    DryRun,
    On,
}

/// The names of a batch as labels.
#[derive(Debug)]
pub(crate) enum Names<'a> {
    AsTheyAre(Dictionary<'a>),
    Sanitized {
        column: Dictionary<'a>,
        /// By key of the column.
        texts: Vec<String>,
        /// A number per row: the same for the same text.
        ids: Vec<u32>,
    },
}

impl<'a> Names<'a> {
    pub(crate) fn of(column: Dictionary<'a>, sanitizing: Sanitizing) -> Self {
        if sanitizing == Sanitizing::Off {
            return Self::AsTheyAre(column);
        }
        let texts = column.per_distinct(sanitized);
        let changed: Vec<bool> = column.distinct().iter().zip(&texts).map(|(from, to)| from != to).collect();
        let count = column.keys().iter().filter(|key| changed[**key as usize]).count();
        if count > 0 {
            host::count("sanitized_span_names", count as u64);
        }
        if sanitizing == Sanitizing::DryRun || count == 0 {
            return Self::AsTheyAre(column);
        }
        let mut known: Vec<(&str, u32)> = (0..).zip(&texts).map(|(key, text)| (text.as_str(), key)).collect();
        known.sort_unstable();
        let mut id_of_key = vec![0; texts.len()];
        for same in known.chunk_by(|one, other| one.0 == other.0) {
            same.iter().for_each(|(_, key)| id_of_key[*key as usize] = same[0].1);
        }
        let ids = column.keys().iter().map(|key| id_of_key[*key as usize]).collect();
        Self::Sanitized { column, texts, ids }
    }

    /// To group by.
    pub(crate) fn keys(&self) -> Keys<'_> {
        match self {
            Self::AsTheyAre(column) => (*column).into(),
            Self::Sanitized { texts, ids, .. } => Keys::new(ids, texts.len() as u64),
        }
    }

    /// Adds the label.
    pub(crate) fn label(&self, deltas: &mut Deltas, groups: &Groups) {
        match self {
            Self::AsTheyAre(column) => deltas.label("span_name", *column, groups),
            Self::Sanitized { column, texts, .. } => {
                // Once per distinct value, in their order.
                let mut texts = texts.iter();
                deltas
                    .renamed_label("span_name", *column, groups, |_| texts.next().map_or("", String::as_str));
            }
        }
    }
}

/// A name with each token replaced that looks like an id.
fn sanitized(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for part in name.split_inclusive(|c: char| !is_of_token(c)) {
        let token = part.trim_end_matches(|c: char| !is_of_token(c));
        text.push_str(if is_id(token) { PLACE } else { token });
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
            assert_eq!(sanitized(name), wanted, "{name}");
        }
    }
}
