//! Which times of a tenant's metrics changed since when, so that an answer that was computed
//! before can be told from one that still holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Samples of so many milliseconds change together. Results of queries are kept for about as long
/// spans, so that a sample that comes now makes only the last of them be computed again.
const SLOT_MS: i64 = 600_000;

/// Slots that are remembered by themselves, a week of them. Beyond, those that changed first are
/// forgotten, and count as changed when the last of them was.
const SLOTS_MAX: usize = 1_024;

/// A batch that spans more slots than this changes everything.
const SLOTS_OF_A_BATCH_MAX: i64 = 256;

/// When which slots changed, in numbers that only rise. No two tenants, and no two lives of one,
/// ever have the same.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    last: u64,
    slots: BTreeMap<i64, u64>,
    /// Every slot that is not remembered changed at the latest then.
    others: u64,
}

/// Changes that one of them can count.
const CHANGES_OF_ONE: u64 = 1 << 40;

impl Default for Changes {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let first = NEXT.fetch_add(CHANGES_OF_ONE, Ordering::Relaxed);
        Self { last: first, slots: BTreeMap::new(), others: first }
    }
}

impl Changes {
    /// Samples between two times came, milliseconds since the epoch, both included.
    pub(crate) fn came(&mut self, from_ms: i64, to_ms: i64) {
        let (from, to) = (from_ms.div_euclid(SLOT_MS), to_ms.div_euclid(SLOT_MS));
        if to.saturating_sub(from) > SLOTS_OF_A_BATCH_MAX {
            return self.everything();
        }
        self.last += 1;
        for slot in from..=to {
            self.slots.insert(slot, self.last);
        }
        if self.slots.len() > SLOTS_MAX {
            self.forget_half();
        }
    }

    /// Those that changed first. Half of them at once, so that it is rarely done.
    fn forget_half(&mut self) {
        let mut changes: Vec<_> = self.slots.values().copied().collect();
        let (_, middle, _) = changes.select_nth_unstable(SLOTS_MAX / 2);
        let middle = *middle;
        self.slots.retain(|_, change| *change > middle);
        self.others = self.others.max(middle);
    }

    /// Samples went, or nobody knows which changed.
    pub(crate) fn everything(&mut self) {
        self.last += 1;
        self.others = self.last;
        self.slots.clear();
    }

    /// The last change of any sample between two times, milliseconds since the epoch, both
    /// included. Where it is the same in two views of a tenant, both have the same samples there.
    pub(crate) fn within(&self, from_ms: i64, to_ms: i64) -> u64 {
        let (from, to) = (from_ms.div_euclid(SLOT_MS), to_ms.div_euclid(SLOT_MS));
        if from > to {
            return self.others;
        }
        let slots = self.slots.range(from..=to).map(|(_, change)| *change);
        slots.max().unwrap_or_default().max(self.others)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_slots_that_samples_came_to_change() {
        let mut changes = Changes::default();
        changes.came(0, 10);
        let before = changes.clone();
        changes.came(SLOT_MS, 2 * SLOT_MS);
        let same = |from, to| before.within(from, to) == changes.within(from, to);
        assert!(same(0, SLOT_MS - 1) && same(-SLOT_MS, -1) && same(3 * SLOT_MS, i64::MAX));
        assert!(!same(0, SLOT_MS) && !same(2 * SLOT_MS, 2 * SLOT_MS) && !same(i64::MIN, i64::MAX));
        let before = changes.clone();
        changes.everything();
        assert_ne!(before.within(0, 0), changes.within(0, 0));
    }

    proptest! {
        /// Whatever is forgotten, a change is never missed.
        #[test]
        fn no_change_is_missed(
            batches in prop::collection::vec((-2_000_i64..2_000, 0_i64..300), 1..60),
            asked in (-2_000_i64..2_000, 0_i64..50),
            seen in 0_usize..60,
        ) {
            let asked = (asked.0 * SLOT_MS, (asked.0 + asked.1) * SLOT_MS);
            let mut changes = Changes::default();
            let (mut before, mut touched) = (changes.within(asked.0, asked.1), false);
            for (number, (from, slots)) in batches.iter().enumerate() {
                if number == seen {
                    (before, touched) = (changes.within(asked.0, asked.1), false);
                }
                let batch = (from * SLOT_MS, (from + slots) * SLOT_MS);
                changes.came(batch.0, batch.1);
                touched |= batch.0 <= asked.1 && asked.0 <= batch.1;
            }
            prop_assert!(changes.slots.len() <= SLOTS_MAX);
            if touched {
                prop_assert_ne!(changes.within(asked.0, asked.1), before);
            }
        }
    }
}
