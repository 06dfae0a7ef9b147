//! Which (series, UTC day) pairs are recorded in the table `series` or on their way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isinglass_model::series::SeriesRef;
use parking_lot::RwLock;

use super::grow::Grow;

/// Days kept per tenant. Beyond that the oldest is forgotten, and its pairs would
/// be recorded a second time: a repeated row, never a missing one.
const DAYS_MAX: usize = 4_096;

/// The days of one tenant.
#[derive(Default)]
pub(crate) struct Days {
    days: RwLock<BTreeMap<i32, Arc<DaySet>>>,
}

/// The series recorded on one day, a bit each.
pub(crate) struct DaySet {
    words: Grow<AtomicU64>,
}

impl Days {
    /// The sets of the days from the first to the last of a span.
    pub(crate) fn within(&self, first: i32, last: i32) -> Vec<(i32, Arc<DaySet>)> {
        self.days.read().range(first..=last.max(first)).map(|(day, set)| (*day, Arc::clone(set))).collect()
    }

    /// The set of a day, empty if it is new.
    pub(crate) fn of(&self, day: i32) -> Arc<DaySet> {
        if let Some(set) = self.days.read().get(&day) {
            return Arc::clone(set);
        }
        let mut days = self.days.write();
        while days.len() >= DAYS_MAX && !days.contains_key(&day) {
            days.pop_first();
        }
        Arc::clone(days.entry(day).or_insert_with(|| Arc::new(DaySet { words: Grow::new() })))
    }
}

impl DaySet {
    /// Whether the series is in it.
    #[inline]
    pub(crate) fn contains(&self, series: SeriesRef) -> bool {
        let (word, bit) = place(series);
        self.words.get(word).is_some_and(|word| word.load(Ordering::Acquire) & bit != 0)
    }

    /// Adds the series; whether it was absent.
    pub(crate) fn insert(&self, series: SeriesRef) -> bool {
        let (word, bit) = place(series);
        self.words.at(word).is_none_or(|word| word.fetch_or(bit, Ordering::AcqRel) & bit == 0)
    }
}

fn place(series: SeriesRef) -> (usize, u64) {
    ((series.0 / 64) as usize, 1 << (series.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_new_once() {
        let days = Days::default();
        assert!(days.of(1).insert(SeriesRef(70)));
        assert!(!days.of(1).insert(SeriesRef(70)));
        assert!(days.of(1).contains(SeriesRef(70)));
        assert!(!days.of(1).contains(SeriesRef(71)));
        assert!(!days.of(2).contains(SeriesRef(70)));
    }

    #[test]
    fn the_number_of_days_is_bounded() {
        let days = Days::default();
        for day in 0..5_000 {
            days.of(day).insert(SeriesRef(0));
        }
        assert_eq!(days.days.read().len(), DAYS_MAX);
        assert!(days.of(4_999).contains(SeriesRef(0)));
    }
}
