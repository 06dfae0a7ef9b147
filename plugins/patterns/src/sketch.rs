//! Masked lines and how often each came.

use std::collections::BTreeMap;

use isinglass_plugin::State;

use crate::drain::{Pattern, merge};
use crate::names::merge_names;

/// Distinct masked lines that are kept: those with the smallest hashes. So which are kept,
/// and their numbers, do not depend on order or parts; beyond it they are a sample.
const KEPT_MAX: usize = 4_096;

/// A collection of masked lines that can be written, read and added to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// By hash and text.
    kept: BTreeMap<(u64, String), u64>,
    /// All lines, also of those that are not kept.
    lines: u64,
}

impl Sketch {
    /// Adds a masked line.
    pub fn add(&mut self, masked: &str) {
        self.lines += 1;
        self.count((hash(masked), masked.to_owned()), 1);
    }

    /// All lines that were added.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    fn count(&mut self, key: (u64, String), lines: u64) {
        if self.kept.len() >= KEPT_MAX
            && !self.kept.contains_key(&key)
            && self.kept.last_key_value().is_some_and(|(last, _)| *last < key)
        {
            return;
        }
        *self.kept.entry(key).or_default() += lines;
        if self.kept.len() > KEPT_MAX {
            self.kept.pop_last();
        }
    }

    /// Patterns of the lines, the most frequent first.
    pub fn mine(&self) -> Vec<Pattern> {
        merge(self.most_frequent())
    }

    /// Patterns of names of spans, the most frequent first; none of names that stay as they are.
    pub fn mine_names(&self) -> Vec<Pattern> {
        merge_names(self.most_frequent())
    }

    fn most_frequent(&self) -> Vec<(&str, u64)> {
        let mut lines: Vec<(&str, u64)> =
            self.kept.iter().map(|((_, text), lines)| (text.as_str(), *lines)).collect();
        lines.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        lines
    }
}

impl State for Sketch {
    fn write(&self, out: &mut Vec<u8>) {
        if self.lines == 0 {
            return;
        }
        out.extend_from_slice(&self.lines.to_le_bytes());
        for ((_, text), lines) in &self.kept {
            out.extend_from_slice(&lines.to_le_bytes());
            out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (lines, mut rest) = bytes.split_first_chunk()?;
        let mut sketch = Self { lines: u64::from_le_bytes(*lines), ..Self::default() };
        while !rest.is_empty() {
            let (lines, after) = rest.split_first_chunk()?;
            let (len, after) = after.split_first_chunk()?;
            let (text, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            let text = std::str::from_utf8(text).ok()?;
            sketch.count((hash(text), text.to_owned()), u64::from_le_bytes(*lines));
            rest = after;
        }
        Some(sketch)
    }

    fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        for (key, lines) in other.kept {
            self.count(key, lines);
        }
    }
}

/// FNV-1a, mixed at the end: the smallest hashes are a sample.
fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}
