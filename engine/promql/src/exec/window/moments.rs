//! Variances by Welford's algorithm, rounding errors kept.

use crate::histogram::Compensated;

/// Count, mean and squared distances of values.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    count: f64,
    mean: Compensated,
    squares: Compensated,
}

impl Moments {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let from_old = value - self.mean.total();
        self.mean.add(from_old / self.count);
        self.squares.add(from_old * (value - self.mean.total()));
    }

    /// The variance of the whole, not of a sample.
    pub(crate) fn variance(&self) -> f64 {
        self.squares.total() / self.count
    }

    /// Takes the values of another one in (Chan et al.).
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        let apart = other.mean.total() - self.mean.total();
        self.squares.add(other.squares.total());
        self.squares.add(apart * apart * self.count * other.count / count);
        self.mean.add(apart * other.count / count);
        self.count = count;
    }
}

/// The variance of floats.
pub(super) fn variance(values: &[f64]) -> f64 {
    let mut moments = Moments::default();
    values.iter().for_each(|value| moments.add(*value));
    moments.variance()
}
