//! The operators `</` and `>/`: a histogram without the observations above or below a bound.
//!
//! A bucket that the bound cuts keeps a part of its count: by the logarithm in exponential buckets, linearly
//! in custom ones and in the zero bucket. The sum cannot be known then; it is estimated anew, each kept part
//! counting with the middle of its range. If nothing is cut, count and sum stay as they are.

use super::{Bucket, Histogram};

/// Which observations stay.
#[derive(Clone, Copy)]
enum Keep {
    Below(f64),
    Above(f64),
}

/// How observations are thought to lie within a bucket.
#[derive(Clone, Copy, PartialEq)]
enum Spread {
    Linear,
    LogarithmicPositive,
    LogarithmicNegative,
}

/// What stays of a bucket: how many observations, and the value that each counts for in the sum.
struct Kept {
    count: f64,
    middle: f64,
}

impl Kept {
    fn new(count: f64, middle: f64) -> Self {
        Kept { count, middle }
    }
}

/// The totals of what stays, and what was seen on the way.
#[derive(Default)]
struct Totals {
    count: f64,
    sum: f64,
    cut: bool,
}

impl Totals {
    fn add(&mut self, kept: &Kept) {
        self.count += kept.count;
        self.sum += kept.middle * kept.count;
    }
}

impl Histogram {
    /// The observations up to `bound`: `histogram </ bound`.
    pub fn trim_upper(&self, bound: f64) -> Histogram {
        self.trimmed(Keep::Below(bound))
    }

    /// The observations from `bound` up: `histogram >/ bound`.
    pub fn trim_lower(&self, bound: f64) -> Histogram {
        self.trimmed(Keep::Above(bound))
    }

    fn trimmed(&self, keep: Keep) -> Histogram {
        let mut trimmed = self.clone();
        let mut totals = Totals::default();
        let (positive, negative) = match self.uses_custom_buckets() {
            true => (Spread::Linear, Spread::Linear),
            false => (Spread::LogarithmicPositive, Spread::LogarithmicNegative),
        };
        // Positive, negative, zero: the order in which the sum is added up shows in its last digits.
        let has_positive =
            keep.trim_side(self.positive_buckets(), &mut trimmed.positive, positive, &mut totals);
        let has_negative =
            keep.trim_side(self.negative_buckets(), &mut trimmed.negative, negative, &mut totals);
        if self.zero_count > 0.0 {
            let kept = keep.of_zero(self.zero_bucket(), has_positive, has_negative);
            totals.cut |= kept.count != self.zero_count;
            totals.add(&kept);
            trimmed.zero_count = kept.count;
        }
        if totals.cut {
            (trimmed.count, trimmed.sum) = (totals.count, totals.sum);
            trimmed.compact(0);
        }
        trimmed
    }
}

impl Keep {
    /// Trims the counts of one side; returns whether any bucket was populated.
    fn trim_side(
        self,
        buckets: impl Iterator<Item = Bucket>,
        counts: &mut [f64],
        spread: Spread,
        totals: &mut Totals,
    ) -> bool {
        let mut populated = false;
        for (bucket, count) in buckets.zip(counts).filter(|(bucket, _)| bucket.count != 0.0) {
            populated = true;
            match self.of_bucket(&bucket, spread) {
                Some(kept) => {
                    totals.add(&kept);
                    totals.cut |= kept.count != *count;
                    *count = kept.count;
                }
                None => {
                    totals.cut = true;
                    *count = 0.0;
                }
            }
        }
        populated
    }

    /// What stays of a bucket, or `None` if all of it lies on the wrong side.
    fn of_bucket(self, bucket: &Bucket, spread: Spread) -> Option<Kept> {
        let (whole, cut) = match self {
            Keep::Below(bound) => (bucket.upper <= bound, bucket.lower < bound),
            Keep::Above(bound) => (bucket.lower >= bound, bucket.upper > bound),
        };
        if whole {
            return Some(Kept::new(bucket.count, middle(bucket.lower, bucket.upper, spread)));
        }
        cut.then(|| self.of_cut_bucket(bucket, spread))
    }

    fn of_cut_bucket(self, bucket: &Bucket, spread: Spread) -> Kept {
        if bucket.lower == f64::NEG_INFINITY {
            return self.of_lowest(bucket);
        }
        if bucket.upper == f64::INFINITY {
            return self.of_highest(bucket);
        }
        match self {
            Keep::Below(bound) => {
                Kept::new(count_below(bound, bucket, spread), middle(bucket.lower, bound, spread))
            }
            Keep::Above(bound) => Kept::new(
                bucket.count - count_below(bound, bucket, spread),
                middle(bound, bucket.upper, spread),
            ),
        }
    }

    /// A cut bucket that begins at minus infinity. One that ends above zero is thought to begin at zero, as
    /// classic histograms have it; one that ends at or below zero is thought to lie at minus infinity.
    fn of_lowest(self, bucket: &Bucket) -> Kept {
        let finite_positive_end = bucket.upper > 0.0 && bucket.upper != f64::INFINITY;
        match self {
            Keep::Below(bound) if bound > 0.0 && finite_positive_end => {
                Kept::new(bucket.count * bound / bucket.upper, bound / 2.0)
            }
            Keep::Below(bound) if bucket.upper <= 0.0 => Kept::new(bucket.count, bound),
            Keep::Above(bound) if bound == f64::NEG_INFINITY => Kept::new(bucket.count, 0.0),
            Keep::Above(bound) if bound >= 0.0 && finite_positive_end => {
                Kept::new(bucket.count * (1.0 - bound / bucket.upper), (bound + bucket.upper) / 2.0)
            }
            Keep::Below(_) | Keep::Above(_) => Kept::new(0.0, 0.0),
        }
    }

    /// A cut bucket that ends at infinity, where all of it is thought to lie.
    fn of_highest(self, bucket: &Bucket) -> Kept {
        match self {
            Keep::Above(bound) if bound >= bucket.lower => Kept::new(bucket.count, bound),
            Keep::Below(_) | Keep::Above(_) => Kept::new(0.0, 0.0),
        }
    }

    /// The zero bucket reaches only to the side where there are observations, if that is one side.
    fn of_zero(self, zero: Bucket, has_positive: bool, has_negative: bool) -> Kept {
        let lower = if has_positive && !has_negative { 0.0 } else { zero.lower };
        let upper = if has_negative && !has_positive { 0.0 } else { zero.upper };
        let whole = || Kept::new(zero.count, (lower + upper) / 2.0);
        let nothing = || Kept::new(0.0, 0.0);
        match self {
            Keep::Below(bound) if bound <= lower => nothing(),
            Keep::Below(bound) if bound >= upper => whole(),
            Keep::Below(bound) => {
                Kept::new(zero.count * ((bound - lower) / (upper - lower)), (lower + bound) / 2.0)
            }
            Keep::Above(bound) if bound <= lower => whole(),
            Keep::Above(bound) if bound >= upper => nothing(),
            Keep::Above(bound) => {
                Kept::new(zero.count * ((upper - bound) / (upper - lower)), (bound + upper) / 2.0)
            }
        }
    }
}

/// How many observations of a bucket lie below a bound inside it.
fn count_below(bound: f64, bucket: &Bucket, spread: Spread) -> f64 {
    let (lower, upper) = (bucket.lower, bucket.upper);
    let log = |value: f64| value.abs().log2();
    let share = match spread {
        Spread::Linear => (bound - lower) / (upper - lower),
        Spread::LogarithmicPositive => (log(bound) - log(lower)) / (log(upper) - log(lower)),
        Spread::LogarithmicNegative => 1.0 - (log(bound) - log(upper)) / (log(lower) - log(upper)),
    };
    bucket.count * share
}

/// The value that observations from `lower` to `upper` have on average.
fn middle(lower: f64, upper: f64, spread: Spread) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => return 0.0,
        (true, false) => return if upper > 0.0 { upper / 2.0 } else { upper },
        (false, true) => return lower,
        (false, false) => {}
    }
    match spread {
        Spread::Linear => (lower + upper) / 2.0,
        Spread::LogarithmicPositive => (lower * upper).abs().sqrt(),
        Spread::LogarithmicNegative => -(lower * upper).abs().sqrt(),
    }
}
