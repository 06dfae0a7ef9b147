//! Average and variance.

use super::{Bucket, Compensated, Histogram};

impl Histogram {
    /// The average observation; NaN without observations.
    pub fn avg(&self) -> f64 {
        self.sum / self.count
    }

    /// The estimated variance of the observations, each taken as the middle of its bucket: the geometric one
    /// in exponential buckets, zero in the zero bucket, the arithmetic one in custom buckets.
    pub fn stdvar(&self) -> f64 {
        let mean = self.avg();
        let mut variance = Compensated::default();
        for bucket in self.buckets().filter(|bucket| bucket.count != 0.0) {
            let distance = self.middle_of(&bucket) - mean;
            variance.add(bucket.count * distance * distance);
        }
        variance.total() / self.count
    }

    /// The square root of [`Histogram::stdvar`].
    pub fn stddev(&self) -> f64 {
        self.stdvar().sqrt()
    }

    fn middle_of(&self, bucket: &Bucket) -> f64 {
        let (lower, upper) = (bucket.lower, bucket.upper);
        if self.uses_custom_buckets() {
            (upper + lower) / 2.0
        } else if lower <= 0.0 && upper >= 0.0 {
            0.0
        } else {
            (upper * lower).sqrt().copysign(upper)
        }
    }
}
