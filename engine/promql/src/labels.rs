//! Label sets in one shared allocation.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// A label set: names are unique and sorted, no value is empty. Cheap to clone.
///
/// Packed as `name length u16 LE, value length u32 LE, name, value` for each label, so that equal
/// sets have equal bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[u8]>);

const HEAD: usize = 6;

impl Labels {
    /// No labels.
    pub fn empty() -> Self {
        Self(Arc::from([].as_slice()))
    }

    /// Labels in any order; of a name given twice the last one counts, empty values are left out.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(labels: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = Builder::default();
        for (name, value) in labels {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// Labels that are sorted by name, without repeats and empty values.
    pub fn of_sorted<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut bytes = Vec::with_capacity(128);
        for (name, value) in labels {
            push(&mut bytes, name, value);
        }
        Self(bytes.into())
    }

    /// Labels that are packed already, which is copied and not looked at: sorted by name, without
    /// repeats and empty values.
    pub fn of_packed(packed: &[u8]) -> Self {
        let labels = Self(packed.into());
        debug_assert!(labels == Self::of_sorted(labels.iter()), "bytes that are no labels");
        labels
    }

    /// The labels by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.bytes().filter_map(|(name, value)| Some((text(name)?, text(value)?)))
    }

    /// The labels by name, as bytes: what only compares need not look whether they are texts.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (name, value, next) = entry(rest)?;
            rest = next;
            Some((name, value))
        })
    }

    /// The value of a label, empty where it is absent.
    pub fn get(&self, name: &str) -> &str {
        for (candidate, value) in self.bytes() {
            match candidate.cmp(name.as_bytes()) {
                Ordering::Less => {}
                Ordering::Equal => return text(value).unwrap_or_default(),
                Ordering::Greater => break,
            }
        }
        ""
    }

    /// The metric name, empty where there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels whose names pass.
    pub fn retain(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        let mut kept = Vec::with_capacity(self.0.len());
        let mut rest = &self.0[..];
        while let Some((name, _, next)) = entry(rest) {
            if text(name).is_some_and(&mut keep) {
                kept.extend_from_slice(&rest[..rest.len() - next.len()]);
            }
            rest = next;
        }
        Self(kept.into())
    }

    /// A builder that starts with these labels.
    pub fn builder(&self) -> Builder {
        Builder { labels: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// The packed bytes: equal for equal sets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn push(bytes: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(!value.is_empty(), "an empty value is an absent label");
    // Longer names and values are refused at intake; here they would be cut.
    let name = cut(name, usize::from(u16::MAX));
    let value = cut(value, u32::MAX as usize);
    bytes.extend_from_slice(&u16::try_from(name.len()).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(value.as_bytes());
}

fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max { text } else { &text[..text.floor_char_boundary(bytes_max)] }
}

fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let name = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let value = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
    let (name, rest) = rest.split_at_checked(name)?;
    let (value, rest) = rest.split_at_checked(value)?;
    Some((name, value, rest))
}

/// They were texts when the set was made.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

impl Ord for Labels {
    /// As Prometheus sorts results: label by label, name before value, and a set before those it
    /// is the beginning of.
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As Prometheus writes a label set: `{__name__="up", job="x"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            if isinglass_lang::promql::is_plain_label_name(name) {
                write!(f, "{comma}{name}={}", isinglass_lang::promql::quoted(value))?;
            } else {
                let name = isinglass_lang::promql::quoted(name);
                write!(f, "{comma}{name}={}", isinglass_lang::promql::quoted(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Labels that change.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    labels: Vec<(String, String)>,
}

impl Builder {
    /// Sets a label; an empty value takes it away.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.labels.binary_search_by(|(candidate, _)| candidate.as_str().cmp(name)) {
            Ok(at) if value.is_empty() => drop(self.labels.remove(at)),
            Ok(at) => value.clone_into(&mut self.labels[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.labels.insert(at, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Takes labels away.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// The set.
    pub fn build(&self) -> Labels {
        Labels::of_sorted(self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &[(&str, &str)], written: &str) {
        let set = Labels::new(labels.iter().copied());
        assert_eq!(set.to_string(), written);
        assert_eq!(set.builder().build(), set);
        for (name, value) in set.iter() {
            assert_eq!(set.get(name), value);
        }
    }

    #[test]
    fn label_sets() {
        check(&[], "{}");
        check(&[("job", "x"), ("__name__", "up")], r#"{__name__="up", job="x"}"#);
        check(&[("b", ""), ("a", "1"), ("a", "2")], r#"{a="2"}"#);
        check(&[("a.b", "\"\n")], r#"{"a.b"="\"\n"}"#);
    }

    #[test]
    fn order_is_label_by_label() {
        let of = |labels: &[(&str, &str)]| Labels::new(labels.iter().copied());
        assert!(of(&[]) < of(&[("a", "1")]));
        assert!(of(&[("a", "1")]) < of(&[("a", "1"), ("b", "0")]));
        assert!(of(&[("a", "1"), ("b", "9")]) < of(&[("a", "2")]));
        assert!(of(&[("a", "9")]) < of(&[("b", "0")]));
    }
}
