//! Rows of which two belong together, such as the two sides of a call: kept until the other one
//! comes, or for a time.
//!
//! Plugins keep nothing, so this is what the host keeps for them, per tenant and binding: any
//! number of instances, reloads and crashes of a plugin give the same pairs. What comes in are
//! halves and the time, what goes out are increments like those of any batch.
//!
//! ```text
//! halves, now ─▶ pending (by key; the oldest first out) ─▶ pair, or alone after the wait
//!                                                            │
//! label sets (shared by all halves that have them) ──────────┴─▶ sums ─▶ Deltas
//! ```

mod aged;
mod half;
mod pending;
mod sets;
mod sums;

use std::time::Duration;

use isinglass_model::deltas::{Deltas, DerivedMetric, Halves, Pairing};

use super::counters::Exemplar;
use half::Half;
use pending::{Met, Pending};
use sets::{SetId, Sets};
use sums::{Outcome, Sums};

/// The halves of one tenant and deriver.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pending: Pending,
    sets: Sets,
}

/// What halves came to.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// Increments; rows of exemplars are indexes into `points`.
    pub(crate) deltas: Vec<Deltas>,
    pub(crate) points: Vec<Exemplar>,
}

/// Finds the time and ids of a row of the input.
pub(crate) type PointOf<'a> = &'a dyn Fn(u32, f64) -> Option<Exemplar>;

/// Where no batch is taken: all points are known.
const NO_ROWS: PointOf<'static> = &|_, _| None;

impl Pairs {
    /// Takes the halves of a batch at a time that does not go back.
    pub(crate) fn take(
        &mut self,
        pairing: &Pairing,
        metrics: &[DerivedMetric],
        halves: &Halves,
        point_of: PointOf<'_>,
        now: Duration,
    ) -> Joined {
        let mut sums = Sums::new(pairing, metrics, point_of);
        self.expire_into(pairing, now, &mut sums);
        let mut known: Vec<Option<SetId>> = vec![None; halves.set_count as usize];
        for at in 0..halves.len() {
            let of_batch = halves.sets[at] as usize;
            let set = *known[of_batch].get_or_insert_with(|| self.sets.intern(halves, of_batch));
            self.take_one(Half::of(halves, at, set, pairing.exemplars, now), pairing, &mut sums);
        }
        self.pending.settle(point_of);
        let joined = sums.finish(&self.sets, metrics);
        self.sets.sweep(pairing.pending_max as usize);
        joined
    }

    /// Ends the wait of those that waited long enough.
    pub(crate) fn expire(&mut self, pairing: &Pairing, metrics: &[DerivedMetric], now: Duration) -> Joined {
        let mut sums = Sums::new(pairing, metrics, NO_ROWS);
        self.expire_into(pairing, now, &mut sums);
        sums.finish(&self.sets, metrics)
    }

    /// Ends the wait of all.
    pub(crate) fn drain(&mut self, pairing: &Pairing, metrics: &[DerivedMetric]) -> Joined {
        self.expire(pairing, metrics, Duration::MAX)
    }

    /// Takes what arrived later: it had been kept apart for nothing.
    pub(crate) fn absorb(&mut self, mut later: Self, pairing: &Pairing, metrics: &[DerivedMetric]) -> Joined {
        let mut sums = Sums::new(pairing, metrics, NO_ROWS);
        while let Some(half) = later.pending.take_oldest(Duration::MAX) {
            let set = self.sets.adopt(later.sets.get(half.set));
            self.take_one(Half { set, ..half }, pairing, &mut sums);
        }
        let joined = sums.finish(&self.sets, metrics);
        self.sets.sweep(pairing.pending_max as usize);
        joined
    }

    fn take_one(&mut self, half: Half, pairing: &Pairing, sums: &mut Sums<'_>) {
        let set = half.set;
        match self.pending.meet(&half, pairing.pending_max as usize) {
            Met::Other(other) => {
                let (first, second) = if half.is_second() { (&other, &half) } else { (&half, &other) };
                sums.add(Outcome::Counts, Some(first), Some(second));
                self.sets.release(other.set);
            }
            Met::Nobody => self.sets.hold(set),
            Met::NoPlace => sums.add_lone(Outcome::Dropped, &half),
        }
    }

    fn expire_into(&mut self, pairing: &Pairing, now: Duration, sums: &mut Sums<'_>) {
        let wait = Duration::from_millis(pairing.wait_ms.into());
        while let Some(half) = self.pending.take_oldest(now.saturating_sub(wait)) {
            let outcome = if half.counts_alone() { Outcome::Counts } else { Outcome::Unpaired };
            sums.add_lone(outcome, &half);
            self.sets.release(half.set);
        }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }
}

/// What the host makes of halves that come one batch after the other, all of them within the wait,
/// and of those that are alone when it is over: for the author of a plugin.
pub fn paired(pairing: &Pairing, metrics: &[DerivedMetric], batches: &[Halves]) -> Vec<Deltas> {
    let mut pairs = Pairs::default();
    let take = |halves| pairs.take(pairing, metrics, halves, &|_, _| None, Duration::ZERO).deltas;
    let mut all: Vec<Deltas> = batches.iter().flat_map(take).collect();
    all.extend(pairs.drain(pairing, metrics).deltas);
    all
}

#[cfg(test)]
mod tests;
