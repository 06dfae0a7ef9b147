//! Lists of key and value per row: attributes of logs and spans, labels of series.

use isinglass_plugin::{Dictionary, Lengths, Offsets, Verdicts, blocks};

use crate::limits::Limits;
use crate::messages::quoted;
use crate::reason;

/// Keys per step of the inner loop.
const STEP: usize = 4;

/// A row and the key that it has twice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeats<'a> {
    pub(crate) row: usize,
    pub(crate) key: &'a str,
}

/// The three columns of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a> {
    pub(crate) offsets: Offsets<'a>,
    pub(crate) keys: Dictionary<'a>,
    pub(crate) values: Lengths<'a>,
}

impl<'a> Attributes<'a> {
    /// If the batch has them.
    pub(crate) fn of(
        offsets: Option<Offsets<'a>>,
        keys: Option<Dictionary<'a>>,
        values: Option<Lengths<'a>>,
    ) -> Option<Self> {
        Some(Self { offsets: offsets?, keys: keys?, values: values? })
    }

    /// Refuses rows that have a key too long.
    pub(crate) fn check_keys(self, limits: &Limits, verdicts: &mut Verdicts) {
        let max = limits.attribute_key_bytes_max;
        self.keys.rows_where(
            |key| key.len() > max as usize,
            |at, key| {
                verdicts.refuse(self.offsets.row_of(at), reason::ATTRIBUTE_KEY_TOO_LONG, || {
                    let (key, got) = (quoted(key), key.len());
                    format!(
                        "attribute key {key} has {got} bytes, the limit is {max} (attribute_key_bytes_max)"
                    )
                });
            },
        );
    }

    /// Refuses rows that have a value too long.
    pub(crate) fn check_values(self, limits: &Limits, verdicts: &mut Verdicts) {
        let max = limits.attribute_value_bytes_max;
        blocks::each_over(self.values.values(), max, |at| {
            verdicts.refuse(self.offsets.row_of(at), reason::ATTRIBUTE_VALUE_TOO_LONG, || {
                let key = quoted(self.keys.get(at).unwrap_or_default());
                let got = self.values.values()[at];
                format!(
                    "the value of attribute {key} has {got} bytes, the limit is {max} (attribute_value_bytes_max)"
                )
            });
        });
    }

    /// Refuses rows that have a key twice.
    pub(crate) fn check_repeats(self, verdicts: &mut Verdicts) {
        each_repeat(self.offsets, self.keys, |Repeats { row, key }| {
            verdicts.refuse(row, reason::DUPLICATE_ATTRIBUTE_KEYS, || {
                format!("attribute {} occurs twice", quoted(key))
            });
        });
    }
}

/// Calls `found` for every row that has a key twice.
///
/// Up to 64 distinct keys are a set in a register; more are a table of the row
/// that had the key last.
pub(crate) fn each_repeat<'a>(
    offsets: Offsets<'_>,
    keys: Dictionary<'a>,
    mut found: impl FnMut(Repeats<'a>),
) {
    let mut report = |row, list: &[u32]| {
        let repeated = list.iter().enumerate().find(|(at, key)| list[..*at].contains(key));
        let key = repeated.map(|(_, key)| keys.distinct().get(*key as usize)).unwrap_or_default();
        found(Repeats { row, key });
    };
    let lists = offsets.ranges().map(|range| &keys.keys()[range]).enumerate();
    if keys.distinct().len() <= 64 {
        for (row, list) in lists {
            if set_of(list).count_ones() as usize != list.len() {
                report(row, list);
            }
        }
    } else {
        let mut last_rows = vec![usize::MAX; keys.distinct().len()];
        for (row, list) in lists {
            if mark(&mut last_rows, row, list) {
                report(row, list);
            }
        }
    }
}

/// The keys as bits.
#[inline]
fn set_of(list: &[u32]) -> u64 {
    let bit = |key: &u32| 1_u64 << (key & 63);
    let bits = |keys: &[u32; STEP]| keys.iter().fold(0, |set, key| set | bit(key));
    // The last step may overlap the one before: a bit set twice is the same.
    match list.last_chunk::<STEP>() {
        Some(last) => list.as_chunks().0.iter().fold(bits(last), |set, keys| set | bits(keys)),
        None => list.iter().fold(0, |set, key| set | bit(key)),
    }
}

/// Marks the keys as seen in `row`; whether one was already.
#[inline]
fn mark(last_rows: &mut [usize], row: usize, list: &[u32]) -> bool {
    let mut repeated = false;
    let mut mark = |key: u32| repeated |= std::mem::replace(&mut last_rows[key as usize], row) == row;
    let (steps, rest) = list.as_chunks::<STEP>();
    for step in steps {
        step.iter().for_each(|key| mark(*key));
    }
    rest.iter().for_each(|key| mark(*key));
    repeated
}
