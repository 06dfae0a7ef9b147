//! What a bucket holds during arithmetic: a count, with or without the part lost to rounding.

use super::kahan::Compensated;

/// The content of a bucket that others are added to.
pub(super) trait Cell: Copy + Default {
    /// Adds a count.
    fn add(&mut self, count: f64);
    /// Adds another cell.
    fn absorb(&mut self, other: Self);
    /// Whether it may be left out of a histogram.
    fn is_empty(&self) -> bool;
}

impl Cell for f64 {
    #[inline]
    fn add(&mut self, count: f64) {
        *self += count;
    }

    #[inline]
    fn absorb(&mut self, other: f64) {
        *self += other;
    }

    #[inline]
    fn is_empty(&self) -> bool {
        *self == 0.0
    }
}

impl Cell for Compensated {
    #[inline]
    fn add(&mut self, count: f64) {
        Compensated::add(self, count);
    }

    #[inline]
    fn absorb(&mut self, other: Compensated) {
        Compensated::add(self, other.sum);
        Compensated::add(self, other.lost);
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.sum == 0.0 && self.lost == 0.0
    }
}
