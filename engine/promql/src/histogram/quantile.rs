//! Quantiles of native histograms.

use super::{Bucket, Histogram};

/// A quantile and what observations of NaN did to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// The estimate.
    pub value: f64,
    /// Set where there are observations of NaN, which stand in no bucket.
    pub nan_observations: Option<NanEffect>,
}

/// What observations of NaN do to a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanEffect {
    /// The quantile falls among them and is NaN.
    ResultIsNan,
    /// They count as the highest observations, so the result is higher than it would be without them.
    SkewedHigher,
}

impl From<f64> for Quantile {
    fn from(value: f64) -> Self {
        Quantile { value, nan_observations: None }
    }
}

impl Histogram {
    /// The value below which a share `q` of the observations lies.
    ///
    /// Within a bucket the observations are thought to lie evenly by the logarithm, in the zero bucket and in
    /// custom buckets evenly by value. Below 0 it is `-Inf`, above 1 `+Inf`; NaN for a NaN `q` or without
    /// observations.
    pub fn quantile(&self, q: f64) -> Quantile {
        if q < 0.0 {
            return f64::NEG_INFINITY.into();
        }
        if q > 1.0 {
            return f64::INFINITY.into();
        }
        if self.count == 0.0 || q.is_nan() {
            return f64::NAN.into();
        }
        // The buckets of observations that are NaN are missing at the upper end, so counting must begin at the
        // lower one if there may be any. Otherwise it begins at the nearer end, where sums are more exact.
        if self.sum.is_nan() || q < 0.5 {
            self.quantile_from(self.buckets(), q * self.count, |rank, count, bucket| rank - (count - bucket))
        } else {
            self.quantile_from(self.buckets().rev(), (1.0 - q) * self.count, |rank, count, _| count - rank)
        }
    }

    /// Counts `buckets` up to `rank`. `rank_within` turns rank, count so far and count of the bucket reached
    /// into the number of observations of this bucket that lie below the quantile.
    fn quantile_from(
        &self,
        mut buckets: impl Iterator<Item = Bucket>,
        rank: f64,
        rank_within: impl Fn(f64, f64, f64) -> f64,
    ) -> Quantile {
        let (mut bucket, count) = reach(&mut buckets, rank);
        if let Some(value) = self.bound_to_zero(&mut bucket) {
            return value.into();
        }
        let count = if count > self.count { self.count } else { count };
        if count < rank {
            return self.quantile_beyond_buckets(&bucket);
        }
        let nan_observations = self.nan_effect(count, buckets);
        let share = rank_within(rank, count, bucket.count) / bucket.count;
        Quantile { value: self.value_within(&bucket, share), nan_observations }
    }

    /// Bounds the bucket at zero where all observations lie on one side of it. The outermost custom buckets,
    /// of which only one end is known, may give the quantile at once.
    fn bound_to_zero(&self, bucket: &mut Bucket) -> Option<f64> {
        if !self.uses_custom_buckets() {
            if bucket.lower < 0.0 && bucket.upper > 0.0 {
                self.cut_at_zero(bucket);
            }
            return None;
        }
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return Some(bucket.upper);
            }
            bucket.lower = 0.0;
            return None;
        }
        (bucket.upper == f64::INFINITY).then_some(bucket.lower)
    }

    /// Takes zero as the end of a bucket around it on the side without buckets.
    pub(super) fn cut_at_zero(&self, bucket: &mut Bucket) {
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }

    fn quantile_beyond_buckets(&self, last: &Bucket) -> Quantile {
        if self.sum.is_nan() {
            return Quantile { value: f64::NAN, nan_observations: Some(NanEffect::ResultIsNan) };
        }
        // The counts do not add up to the total: the end of the last bucket is the best there is.
        last.upper.into()
    }

    /// A sum of NaN comes from observations of NaN only if the buckets hold less than the total; infinities of
    /// both signs give one, too.
    fn nan_effect(&self, count: f64, rest: impl Iterator<Item = Bucket>) -> Option<NanEffect> {
        if !self.sum.is_nan() {
            return None;
        }
        let in_buckets = rest.fold(count, |count, bucket| count + bucket.count);
        (in_buckets < self.count).then_some(NanEffect::SkewedHigher)
    }

    fn value_within(&self, bucket: &Bucket, share: f64) -> f64 {
        let (lower, upper) = (bucket.lower, bucket.upper);
        if self.uses_custom_buckets() || (lower <= 0.0 && upper >= 0.0) {
            return lower + (upper - lower) * share;
        }
        let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
        if lower > 0.0 {
            (log_lower + (log_upper - log_lower) * share).exp2()
        } else {
            -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2()
        }
    }
}

/// The bucket in which `rank` observations are reached, or else the last one, and the count up to its end.
fn reach(buckets: &mut impl Iterator<Item = Bucket>, rank: f64) -> (Bucket, f64) {
    let mut bucket = Bucket {
        lower: 0.0,
        upper: 0.0,
        lower_inclusive: false,
        upper_inclusive: false,
        count: 0.0,
        index: None,
    };
    let mut count = 0.0;
    for next in buckets {
        bucket = next;
        count += bucket.count;
        if bucket.count != 0.0 && count >= rank {
            break;
        }
    }
    (bucket, count)
}
