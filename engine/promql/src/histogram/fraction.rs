//! Shares of the observations between two values.

use super::{Bucket, Histogram};

/// Finds how many observations lie below a value while buckets pass by in rising order.
pub(super) struct Rank {
    value: f64,
    rank: Option<f64>,
}

impl Rank {
    pub(super) fn of(value: f64) -> Self {
        Rank { value, rank: None }
    }

    /// Looks at a bucket with `below` observations below it; `within` gives the rank of a value inside it.
    pub(super) fn look(&mut self, lower: f64, upper: f64, below: f64, within: impl FnOnce(f64) -> f64) {
        if self.rank.is_some() {
            return;
        }
        if lower >= self.value {
            self.rank = Some(below);
        } else if upper > self.value {
            self.rank = Some(within(self.value));
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.rank.is_some()
    }

    /// The rank, at most `count`, and `count` where the value lies above all buckets.
    pub(super) fn up_to(&self, count: f64) -> f64 {
        match self.rank {
            Some(rank) if rank > count => count,
            Some(rank) => rank,
            None => count,
        }
    }
}

impl Histogram {
    /// The share of the observations between two values, by the interpolation of [`Histogram::quantile`], and
    /// whether there are observations of NaN, which lie between no two values.
    ///
    /// NaN without observations or if a value is NaN; 0 if `lower` is not below `upper`.
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, bool) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, false);
        }
        if lower >= upper {
            return (0.0, false);
        }
        let (low, high) = self.ranks(lower, upper);
        let counted = if self.sum.is_nan() { self.count_in_buckets() } else { self.count };
        let share = (high.up_to(counted) - low.up_to(counted)) / self.count;
        (share, counted < self.count)
    }

    fn ranks(&self, lower: f64, upper: f64) -> (Rank, Rank) {
        let (mut low, mut high) = (Rank::of(lower), Rank::of(upper));
        let mut below = 0.0;
        for mut bucket in self.buckets() {
            let around_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
            if around_zero {
                self.cut_at_zero(&mut bucket);
            }
            let linear = around_zero || self.uses_custom_buckets();
            let within = |value| {
                if linear {
                    linear_rank(value, &bucket, below)
                } else {
                    logarithmic_rank(value, &bucket, below)
                }
            };
            low.look(bucket.lower, bucket.upper, below, within);
            high.look(bucket.lower, bucket.upper, below, within);
            if low.is_known() && high.is_known() {
                break;
            }
            below += bucket.count;
        }
        (low, high)
    }

    fn count_in_buckets(&self) -> f64 {
        self.buckets().fold(0.0, |count, bucket| count + bucket.count)
    }
}

fn linear_rank(value: f64, bucket: &Bucket, below: f64) -> f64 {
    if bucket.lower == f64::NEG_INFINITY {
        // There is no way to say where below the first bound they lie.
        return bucket.count;
    }
    below + bucket.count * (value - bucket.lower) / (bucket.upper - bucket.lower)
}

fn logarithmic_rank(value: f64, bucket: &Bucket, below: f64) -> f64 {
    let log = |value: f64| value.abs().log2();
    let (lower, upper) = (log(bucket.lower), log(bucket.upper));
    let share = if value > 0.0 {
        (log(value) - lower) / (upper - lower)
    } else {
        1.0 - (log(value) - upper) / (lower - upper)
    };
    below + bucket.count * share
}
