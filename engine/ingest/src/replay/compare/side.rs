//! By how much a series rose, on one side.

use isinglass_model::batch::STALE_NAN_BITS;

use crate::replay::Sample;

/// How a series rose.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Side {
    pub(super) samples: u64,
    pub(super) increase: f64,
    /// How often it began at 0.
    pub(super) lives: u64,
    last: Option<(f64, i64)>,
    pub(super) first: Option<(i64, f64)>,
    ended: bool,
}

/// What a sample within the range rose against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// The one before.
    Last,
    /// It began there.
    Zero,
    /// Of one that began before and had no sample since, nobody knows what it had.
    Unknown,
}

impl Side {
    /// Takes the next sample. One from before the range says only where the range begins, and
    /// one that ends a series rises by nothing: `None`.
    pub(super) fn take(&mut self, sample: Sample, from_ms: i64) -> Option<Base> {
        let within = sample.time_ms >= from_ms;
        if within {
            self.samples += 1;
            self.first.get_or_insert((sample.time_ms, sample.value));
        }
        if sample.value.to_bits() == STALE_NAN_BITS {
            (self.last, self.ended) = (None, true);
            return None;
        }
        let goes_on = |(value, start): &(f64, i64)| {
            *start == sample.start_ms && (*start != 0 || sample.value >= *value)
        };
        let (base, value) = match self.last.filter(goes_on) {
            Some((value, _)) => (Base::Last, value),
            None => {
                self.lives += u64::from(within);
                let began_here = self.ended || self.last.is_some() || sample.start_ms >= from_ms;
                if began_here { (Base::Zero, 0.0) } else { (Base::Unknown, sample.value) }
            }
        };
        if within {
            self.increase += sample.value - value;
        }
        self.last = Some((sample.value, sample.start_ms));
        within.then_some(base)
    }
}
