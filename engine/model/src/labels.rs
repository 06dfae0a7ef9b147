//! Label sets in one allocation.

use std::cmp::Ordering;
use std::fmt;

/// The label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// How the values of a series relate to time; part of its identity, because a
/// delta and a cumulative stream of the same name must not be mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Temporality {
    /// Gauges, and everything that arrives over remote write.
    #[default]
    Unspecified = 0,
    /// Each value counts from the previous one.
    Delta = 1,
    /// Each value counts from the start time.
    Cumulative = 2,
}

impl Temporality {
    /// The text in the `temporality` column; `None` for unspecified.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Unspecified => None,
            Self::Delta => Some("delta"),
            Self::Cumulative => Some("cumulative"),
        }
    }

    /// Reads the byte of a packed label set.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Unspecified,
            1 => Self::Delta,
            2 => Self::Cumulative,
            _ => return None,
        })
    }
}

/// A sorted label set with unique names, packed as
/// `temporality u8, then per label: name length u16 LE, value length u32 LE, name, value`.
///
/// The packed bytes are the identity of a series: equal bytes, equal series.
/// They are also what the WAL's series section stores.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(Box<[u8]>);

const HEAD: usize = 6;

/// Why labels cannot form a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelSetError {
    /// A label name occurs twice; its first characters.
    #[error("label name {0:?} occurs twice")]
    Duplicate(String),
    /// A name or value too long to be packed at all.
    #[error("label {name:?} has {got} bytes, more than can be stored")]
    TooLong {
        /// Its (shortened) name.
        name: String,
        /// Bytes of name or value.
        got: usize,
    },
    /// Packed bytes that are not a label set.
    #[error("packed label set is damaged at byte {0}")]
    Damaged(usize),
}

impl LabelSet {
    /// Packs `labels`, which it sorts by name. Labels with an empty value are
    /// left out: to Prometheus they are the same as absent ones.
    pub fn new(labels: &mut [(&str, &str)], temporality: Temporality) -> Result<Self, LabelSetError> {
        labels.sort_unstable_by(|a, b| a.0.cmp(b.0));
        if let Some(pair) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(LabelSetError::Duplicate(pair[0].0.chars().take(64).collect()));
        }
        Self::of_sorted(labels.iter().copied(), temporality)
    }

    /// Packs labels that are sorted by name, each name once.
    pub fn of_sorted<'a>(
        labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        temporality: Temporality,
    ) -> Result<Self, LabelSetError> {
        debug_assert!(labels.clone().is_sorted_by(|one, next| one.0 < next.0), "labels that are not sorted");
        let lens = labels.clone().map(|(name, value)| HEAD + name.len() + value.len());
        let mut bytes = Vec::with_capacity(1 + lens.sum::<usize>());
        bytes.push(temporality as u8);
        for (name, value) in labels.filter(|(_, value)| !value.is_empty()) {
            let too_long = |got| LabelSetError::TooLong { name: name.chars().take(64).collect(), got };
            let name_len = u16::try_from(name.len()).map_err(|_| too_long(name.len()))?;
            let value_len = u32::try_from(value.len()).map_err(|_| too_long(value.len()))?;
            bytes.extend_from_slice(&name_len.to_le_bytes());
            bytes.extend_from_slice(&value_len.to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value.as_bytes());
        }
        Ok(Self(bytes.into()))
    }

    /// Takes packed bytes back, checking every length, UTF-8 and the order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LabelSetError> {
        bytes.first().copied().and_then(Temporality::from_byte).ok_or(LabelSetError::Damaged(0))?;
        let mut at = 1;
        let mut last: Option<&[u8]> = None;
        while at < bytes.len() {
            let (name, value, next) = entry(bytes, at).ok_or(LabelSetError::Damaged(at))?;
            let text = std::str::from_utf8(name).is_ok() && std::str::from_utf8(value).is_ok();
            if !text || last.is_some_and(|last| last >= name) {
                return Err(LabelSetError::Damaged(at));
            }
            last = Some(name);
            at = next;
        }
        Ok(Self(bytes.into()))
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its temporality.
    pub fn temporality(&self) -> Temporality {
        Temporality::from_byte(self.0[0]).unwrap_or_default()
    }

    /// The labels in the order of their names, `__name__` among them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut at = 1;
        std::iter::from_fn(move || {
            let (name, value, next) = entry(&self.0, at)?;
            at = next;
            // Checked when the set was made.
            Some((
                std::str::from_utf8(name).unwrap_or_default(),
                std::str::from_utf8(value).unwrap_or_default(),
            ))
        })
    }

    /// The value of one label.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (candidate, value) in self.iter() {
            match candidate.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(value),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The metric name, empty if there is none.
    pub fn metric(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or_default()
    }

    /// Number of labels, `__name__` included.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.0.len() == 1
    }
}

fn entry(bytes: &[u8], at: usize) -> Option<(&[u8], &[u8], usize)> {
    let head = bytes.get(at..at + HEAD)?;
    let name_len = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let value_len = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
    let name_at = at + HEAD;
    let value_at = name_at + name_len;
    let end = value_at.checked_add(value_len)?;
    Some((bytes.get(name_at..value_at)?, bytes.get(value_at..end)?, end))
}

impl fmt::Display for LabelSet {
    /// As PromQL writes it: `name{a="b", c="d"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric())?;
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().filter(|(name, _)| *name != METRIC_NAME).enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.temporality())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(labels: &[(&str, &str)], text: &str) {
        let set = LabelSet::new(&mut labels.to_vec(), Temporality::Unspecified).unwrap();
        assert_eq!(set.to_string(), text);
        assert_eq!(LabelSet::from_bytes(set.as_bytes()).unwrap(), set);
    }

    #[test]
    fn packs_sorted_and_without_empty_values() {
        check(&[("z", "1"), ("__name__", "up"), ("a", "x\"y"), ("e", "")], r#"up{a="x\"y", z="1"}"#);
        check(&[], "{}");
    }

    #[test]
    fn refuses_duplicates() {
        let error = LabelSet::new(&mut [("a", "1"), ("a", "2")], Temporality::Delta).unwrap_err();
        assert_eq!(error, LabelSetError::Duplicate("a".into()));
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let set = LabelSet::new(&mut [("a", "1"), ("b", "22")], Temporality::Cumulative).unwrap();
        for cut in 0..set.as_bytes().len() {
            let whole = LabelSet::from_bytes(&set.as_bytes()[..cut]).is_ok();
            assert_eq!(whole, cut == 1 || cut == 9, "cut at {cut}");
        }
    }
}
