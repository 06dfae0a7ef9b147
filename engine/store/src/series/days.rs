//! Which (series, UTC day) pairs are recorded in the table `series` or on their way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isinglass_model::series::SeriesRef;
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use super::grow::Grow;

/// Days kept per tenant. Beyond that the oldest is forgotten, and its pairs would
/// be recorded a second time: a repeated row, never a missing one.
const DAYS_MAX: usize = 4_096;

/// To look up a series costs so many times what it costs to copy a word of 64.
const WORDS_PER_SERIES: u64 = 8;

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
    /// Of some series those recorded on one of the days from the first to the last of a span.
    pub(crate) fn recorded(&self, of: RoaringBitmap, first: i32, last: i32) -> RoaringBitmap {
        let (mut left, mut found) = (of, RoaringBitmap::new());
        // Most series that are asked for are still written, so the last day knows them.
        for (_, set) in self.within(first, last).into_iter().rev() {
            let recorded = set.among(&left);
            if recorded.len() == left.len() {
                return if found.is_empty() { left } else { found | left };
            }
            left -= &recorded;
            found |= recorded;
        }
        found
    }

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

    /// Of some series those in it.
    fn among(&self, series: &RoaringBitmap) -> RoaringBitmap {
        let words = series.max().map_or(0, |last| place(SeriesRef(last)).0 + 1);
        if series.len().saturating_mul(WORDS_PER_SERIES) < words as u64 {
            let within = series.iter().filter(|series| self.contains(SeriesRef(*series)));
            return RoaringBitmap::from_sorted_iter(within).unwrap_or_default();
        }
        self.bitmap(words) & series
    }

    /// The series of the first so many words.
    fn bitmap(&self, words: usize) -> RoaringBitmap {
        let mut bytes = vec![0; words * size_of::<u64>()];
        for (first, bucket) in self.words.buckets() {
            let places = bytes.chunks_exact_mut(size_of::<u64>()).skip(first);
            for (word, place) in bucket.iter().zip(places) {
                place.copy_from_slice(&word.load(Ordering::Acquire).to_le_bytes());
            }
        }
        RoaringBitmap::from_lsb0_bytes(0, &bytes)
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
    fn series_of_several_days() {
        let days = Days::default();
        let on = |day: i32, series: u32| (series.wrapping_mul(0x9e37_79b9) >> 20) as i32 % 5 == day;
        for day in 0..4 {
            let set = days.of(day);
            (0..200_000).filter(|series| on(day, *series)).for_each(|series| {
                set.insert(SeriesRef(series));
            });
        }
        // All, few of them, and some that nobody knows of.
        for step in [1, 100, 10_000, 199_999] {
            let asked: RoaringBitmap = (0..300_000).step_by(step).collect();
            for span in [(0, 0), (1, 3), (0, 9), (-3, -1), (7, 9), (3, 1)] {
                let written = |series: &u32| {
                    *series < 200_000 && (span.0..=span.1.max(span.0)).any(|day| day < 4 && on(day, *series))
                };
                let wanted: RoaringBitmap = asked.iter().filter(written).collect();
                assert_eq!(days.recorded(asked.clone(), span.0, span.1), wanted, "every {step}th, {span:?}");
            }
        }
        assert!(days.recorded(RoaringBitmap::new(), 0, 9).is_empty());
        let first: RoaringBitmap = (0..200_000).filter(|series| on(2, *series)).collect();
        assert_eq!(days.recorded(first.clone(), 2, 2), first);
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
