//! The distinct values of a label, taken out of the index to be walked over without a lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::expression::{Expression, Walk};
use super::table::SeriesTable;
use super::texts::Texts;

/// Values are put in order once queries have walked over this many times their number:
/// sorting a million costs what walking over them some dozen times does.
const WALKS_PER_SORT: u64 = 16;

/// So many values are walked over in the time that it takes to fetch one from where it is.
const WALKED_PER_FETCHED: usize = 8;

/// The values of one name.
pub(super) struct ValuesOf {
    /// The number of the name.
    pub(super) name: u32,
    texts: Texts,
    /// Numbers of the first so many values, in order of their texts.
    sorted: Arc<[u32]>,
    /// Where those that start as asked for are in `sorted`.
    range: std::ops::Range<usize>,
}

impl ValuesOf {
    /// The values of a name, of which those that start with `start` are wanted; `None` if no
    /// series has the name.
    pub(super) fn take(table: &SeriesTable, name: &str, start: &str) -> Option<Self> {
        let (number, texts, sorted, walked) = table.labels(|labels| {
            let number = labels.name_number(name)?;
            let name = labels.name_at(number)?;
            Some((number, name.values.clone(), Arc::clone(&name.sorted), Arc::clone(&name.walked)))
        })?;
        let mut values = Self { name: number, range: 0..sorted.len(), texts, sorted };
        if !start.is_empty() {
            let tail = (values.len() - values.sorted.len()) as u64;
            if walked.fetch_add(tail, Ordering::Relaxed) >= tail.saturating_mul(WALKS_PER_SORT) && tail > 0 {
                values.sort(table);
                walked.store(0, Ordering::Relaxed);
            }
            values.range = values.range_of(start);
        }
        Some(values)
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn get(&self, value: u32) -> Option<&str> {
        self.texts.get(value)
    }

    /// How many values have to be walked over to find those that start as asked for.
    pub(super) fn started(&self) -> usize {
        self.range.len() + self.len() - self.sorted.len()
    }

    /// Numbers of the values that an expression matches, which starts as asked for; ascending.
    pub(super) fn matching(&self, expression: &Expression) -> Vec<u32> {
        let mut found = Vec::new();
        if self.range.len() > self.sorted.len() / WALKED_PER_FETCHED {
            self.add_matching(expression, 0, &mut found);
            return found;
        }
        let range = &self.sorted[self.range.clone()];
        let mut walk = Walk::new(expression, range.len());
        let is_match = |value: &u32| self.get(*value).is_some_and(|text| walk.is_match(text));
        found.extend(range.iter().copied().filter(is_match));
        found.sort_unstable();
        self.add_matching(expression, self.sorted.len(), &mut found);
        found
    }

    /// The same of values from one on.
    pub(super) fn add_matching(&self, expression: &Expression, first: usize, found: &mut Vec<u32>) {
        let mut walk = Walk::new(expression, self.len().saturating_sub(first));
        self.texts.runs(first).for_each(|run| walk.add(&run, found));
    }

    /// Numbers of all values but these.
    pub(super) fn without(&self, values: &[u32]) -> Vec<u32> {
        let mut others = vec![true; self.len()];
        for value in values {
            if let Some(other) = others.get_mut(*value as usize) {
                *other = false;
            }
        }
        (0..).zip(others).filter(|(_, other)| *other).map(|(value, _)| value).collect()
    }

    /// All values in the order of their texts.
    pub(super) fn in_order(mut self, table: &SeriesTable) -> Self {
        if self.sorted.len() < self.len() {
            self.sort(table);
        }
        self
    }

    pub(super) fn sorted(&self) -> impl Iterator<Item = (u32, &str)> {
        self.sorted.iter().map(|value| (*value, self.get(*value).unwrap_or_default()))
    }

    /// Puts all values in order, and gives the order to the index for the next query.
    fn sort(&mut self, table: &SeriesTable) {
        let mut all: Vec<u32> = self.sorted.to_vec();
        all.extend(self.sorted.len() as u32..self.len() as u32);
        // A stable sort merges the part that is in order already.
        all.sort_by(|a, b| self.texts.get(*a).cmp(&self.texts.get(*b)));
        self.sorted = all.into();
        self.range = 0..self.sorted.len();
        table.labels_mut(|labels| {
            if let Some(name) = labels.name_at_mut(self.name)
                && name.sorted.len() < self.sorted.len()
            {
                name.sorted = Arc::clone(&self.sorted);
            }
        });
    }

    fn range_of(&self, start: &str) -> std::ops::Range<usize> {
        let text = |value: &u32| self.get(*value).unwrap_or_default();
        let from = self.sorted.partition_point(|value| text(value) < start);
        let to = self.sorted[from..].partition_point(|value| text(value).starts_with(start));
        from..from + to
    }
}
