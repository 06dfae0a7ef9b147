//! Halves: rows of a deriver that wait for another one, as cases write them.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use isinglass_model::deltas::{DerivedLabel, HalfKey, Halves};
use serde::Deserialize;
use toml::value::Datetime;

use super::compare::{by_key, rounded};
use super::rows;

/// Which side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    First,
    Second,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Half {
    /// Of the case, from 1.
    row: usize,
    side: Side,
    /// In hex; `None`: any is right.
    key: Option<String>,
    #[serde(default)]
    marked: bool,
    #[serde(default)]
    counts_alone: bool,
    #[serde(default)]
    value: f64,
    #[serde(default = "one")]
    weight: f64,
    /// `None`: any is right.
    time: Option<Datetime>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    labels_alone: BTreeMap<String, String>,
    /// What a plugin gave in the place of `time`, nanoseconds since 1970.
    #[serde(skip)]
    nanos: Option<i64>,
}

fn one() -> f64 {
    1.0
}

impl Half {
    /// Whether a case of so many rows can expect it.
    pub(super) fn check(&self, rows: usize) -> anyhow::Result<()> {
        let row = self.row;
        ensure!((1..=rows).contains(&row), "row {row} is not there, the case has {rows}");
        if let Some(key) = &self.key {
            let bytes = i32::try_from(size_of::<HalfKey>())?;
            rows::id(key, bytes)
                .ok()
                .with_context(|| format!("{key:?} is no key of {bytes} bytes in hex"))?;
        }
        self.time.as_ref().map_or(Ok(0), rows::nanos).map(drop)
    }

    fn nanos(&self) -> Option<i64> {
        self.nanos.or_else(|| rows::nanos(self.time.as_ref()?).ok())
    }

    fn order(&self) -> (usize, Side, &Option<String>) {
        (self.row, self.side, &self.key)
    }
}

/// The halves of a batch; `rows` are the numbers of its rows in the case.
pub(super) fn read(halves: &Halves, rows: &[usize]) -> Vec<Half> {
    let half = |at: usize| {
        let set = halves.sets[at] as usize;
        let flag = |flag: u8| halves.flags[at] & flag != 0;
        Half {
            row: rows.get(halves.rows[at] as usize).map_or(0, |row| row + 1),
            side: if flag(Halves::SECOND) { Side::Second } else { Side::First },
            key: Some(halves.keys[at].iter().map(|byte| format!("{byte:02x}")).collect()),
            marked: flag(Halves::MARKED),
            counts_alone: flag(Halves::ALONE),
            value: halves.values[at],
            weight: halves.weights.get(at).copied().unwrap_or(1.0),
            time: None,
            labels: labels(&halves.labels, set),
            labels_alone: labels(&halves.alone, set),
            nanos: Some(halves.times.get(at).copied().unwrap_or(0)),
        }
    };
    (0..halves.len()).map(half).collect()
}

/// Without those that have no value.
fn labels(all: &[DerivedLabel], set: usize) -> BTreeMap<String, String> {
    let label = |label: &DerivedLabel| (label.name.clone(), label.of(set).to_owned());
    all.iter().map(label).filter(|(_, value)| !value.is_empty()).collect()
}

/// In an order that does not depend on how rows were shown.
pub(super) fn in_order(mut halves: Vec<Half>) -> Vec<Half> {
    halves.sort_by(|a, b| a.order().cmp(&b.order()));
    halves
}

/// What differs.
pub(super) fn halves(wanted: &[Half], got: &[Half]) -> Vec<String> {
    let (wanted, got) = (numbered(wanted), numbered(got));
    let key = |(half, nth): &(&Half, usize)| {
        let side = if half.side == Side::Second { "second" } else { "first" };
        let again = if *nth > 0 { format!(" ({})", nth + 1) } else { String::new() };
        format!("of row {}, {side}{again}", half.row)
    };
    by_key("half", &wanted, &got, key, |(wanted, _), (got, _)| {
        let texts = |labels: &BTreeMap<String, String>| format!("{labels:?}");
        let mut fields = vec![
            ("marked", wanted.marked.to_string(), got.marked.to_string()),
            ("counts_alone", wanted.counts_alone.to_string(), got.counts_alone.to_string()),
            ("value", rounded(wanted.value), rounded(got.value)),
            ("weight", rounded(wanted.weight), rounded(got.weight)),
            ("labels", texts(&wanted.labels), texts(&got.labels)),
            ("labels_alone", texts(&wanted.labels_alone), texts(&got.labels_alone)),
        ];
        if let (Some(wanted), Some(got)) = (&wanted.key, &got.key) {
            fields.push(("key", wanted.to_lowercase(), got.clone()));
        }
        if let (Some(wanted), Some(got)) = (wanted.nanos(), got.nanos()) {
            fields.push(("time", wanted.to_string(), got.to_string()));
        }
        fields
    })
}

/// Each with how many of the same row and side come before it.
fn numbered(halves: &[Half]) -> Vec<(&Half, usize)> {
    let mut before = BTreeMap::<(usize, Side), usize>::new();
    let number = |half| {
        let of: &Half = half;
        let count = before.entry((of.row, of.side)).or_default();
        *count += 1;
        (of, *count - 1)
    };
    halves.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn half(text: &str) -> Half {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_a_case_does_not_say_is_not_looked_at() {
        let given = half("row = 1\nside = \"first\"\nvalue = 2\nlabels = { a = \"b\" }");
        let got = Half { key: Some("00".repeat(24)), nanos: Some(5), ..given.clone() };
        assert!(halves(from_ref(&given), from_ref(&got)).is_empty());
        let other = Half { key: Some("01".repeat(24)), ..given.clone() };
        let lines = halves(&[other], from_ref(&got));
        assert!(lines[0].starts_with("key of half of row 1, first\n    expected  0101"), "{lines:?}");
        let other = half("row = 1\nside = \"first\"\nvalue = 2\nlabels = { a = \"c\" }\nmarked = true");
        let lines = halves(&[other], from_ref(&got));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(halves(&[], &[got.clone(), got.clone()]).len(), 2, "each by itself");
        let second = half("row = 1\nside = \"second\"");
        assert_eq!(halves(&[second], &[]).len(), 1);
        let timed =
            half("row = 1\nside = \"first\"\nvalue = 2\nlabels = { a = \"b\" }\ntime = 1970-01-01T00:00:01Z");
        assert_eq!(halves(&[timed], &[got]).len(), 1);
    }
}
