//! Native histograms of both sides: by how much their sums and buckets rose.
//!
//! Only the difference of the buckets is kept, at the coarsest resolution that any of them had.

use super::same;
use super::side::Base;
use crate::derived::Exponential;
use crate::replay::histogram::Histogram;

/// What a native histogram has besides its count.
#[derive(Debug, Clone, Default)]
pub(super) struct Native {
    pub(super) stored: Sums,
    pub(super) replayed: Sums,
    /// By how much more the stored buckets rose.
    difference: Option<Exponential>,
}

/// Of one side.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    /// By how much the sum rose.
    pub(super) increase: f64,
    last: Option<Histogram>,
}

impl Native {
    /// Takes the next one of a side, and what its count rose against.
    pub(super) fn take(&mut self, histogram: &Histogram, stored: bool, base: Option<Base>) {
        let (side, times) = match stored {
            true => (&mut self.stored, 1.0),
            false => (&mut self.replayed, -1.0),
        };
        let last = side.last.replace(histogram.clone());
        let before = match base {
            Some(Base::Zero) => None,
            Some(Base::Last) => last,
            Some(Base::Unknown) | None => return,
        };
        side.increase += histogram.sum - before.as_ref().map_or(0.0, |last| last.sum);
        let now = histogram.counts();
        let difference = self.difference.get_or_insert_with(|| Exponential::with(8, 0.0, []));
        difference.absorb_times(&now, times);
        if let Some(before) = before {
            difference.absorb_times(&before.counts(), -times);
        }
    }

    /// The most observations that one side has more in a bucket.
    pub(super) fn misplaced(&self) -> f64 {
        self.difference.as_ref().map_or(0.0, Exponential::largest)
    }

    /// Whether sums and buckets rose the same, of histograms whose counts rose by `count`.
    pub(super) fn is_same(&self, count: f64) -> bool {
        same(self.stored.increase, self.replayed.increase) && same(count + self.misplaced(), count)
    }
}
