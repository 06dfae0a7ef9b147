//! Classic histograms: cumulative counts of the series of one `le` label.

use super::fraction::Rank;

/// Counts that differ by less, relatively, are taken as equal: sums of rates are not exact.
const SMALL_DELTA: f64 = 1e-12;

/// A bucket: its upper bound, and the count of observations at or below it.
pub type ClassicBucket = (f64, f64);

/// A quantile, and what had to be done to the counts for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassicQuantile {
    /// The estimate.
    pub value: f64,
    /// Set where counts fell from one bucket to the next by more than rounding explains.
    pub forced_monotonic: Option<Forced>,
    /// Whether counts were made equal that rounding had set apart.
    pub fixed_precision: bool,
}

/// Falling counts that were lifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forced {
    /// The upper bound of the lowest bucket lifted.
    pub min_bucket: f64,
    /// The upper bound of the highest bucket lifted.
    pub max_bucket: f64,
    /// The most that a count was lifted by.
    pub max_diff: f64,
}

impl From<f64> for ClassicQuantile {
    fn from(value: f64) -> Self {
        ClassicQuantile { value, forced_monotonic: None, fixed_precision: false }
    }
}

/// The value below which a share `q` of the observations lies, evenly by value within a bucket.
///
/// The buckets come in any order; they are left sorted, merged and with counts that do not fall. In the last
/// bucket, which must end at `+Inf`, the quantile is the bound before it; the first one begins at zero unless
/// it ends there or below, and then the quantile is its bound. NaN without observations, with fewer than two
/// buckets or without the last one; `-Inf` for `q` below 0, `+Inf` above 1.
pub fn bucket_quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> ClassicQuantile {
    if q.is_nan() {
        return f64::NAN.into();
    }
    if q < 0.0 {
        return f64::NEG_INFINITY.into();
    }
    if q > 1.0 {
        return f64::INFINITY.into();
    }
    if !sort_and_merge(buckets) {
        return f64::NAN.into();
    }
    let (forced_monotonic, fixed_precision) = make_monotonic(buckets);
    ClassicQuantile { value: monotonic_quantile(q, buckets), forced_monotonic, fixed_precision }
}

fn monotonic_quantile(q: f64, buckets: &[ClassicBucket]) -> f64 {
    let [finite @ .., (_, observations)] = buckets else { return f64::NAN };
    let Some((last_bound, _)) = finite.last() else { return f64::NAN };
    if *observations == 0.0 {
        return f64::NAN;
    }
    let rank = q * observations;
    let at = first_index(finite.len(), |at| finite[at].1 >= rank);
    let Some(&(upper, count)) = finite.get(at) else { return *last_bound };
    match at.checked_sub(1) {
        None if upper <= 0.0 => upper,
        None => upper * (rank / count),
        Some(before) => {
            let (lower, below) = finite[before];
            lower + (upper - lower) * ((rank - below) / (count - below))
        }
    }
}

/// The first index that holds; counts of NaN make them fall out of order, and the halving decides then.
fn first_index(len: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The share of the observations between two values, by the interpolation of [`bucket_quantile`].
///
/// NaN without observations, without a last bucket that ends at `+Inf` or if a value is NaN; 0 if `lower` is
/// not below `upper`.
pub fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if !sort_and_merge(buckets) {
        return f64::NAN;
    }
    let count = buckets.last().map_or(0.0, |(_, count)| *count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (low, high) = ranks(lower, upper, buckets);
    (high.up_to(count) - low.up_to(count)) / count
}

fn ranks(lower: f64, upper: f64, buckets: &[ClassicBucket]) -> (Rank, Rank) {
    let (mut low, mut high) = (Rank::of(lower), Rank::of(upper));
    let all_positive = buckets.first().is_some_and(|(bound, _)| *bound > 0.0);
    let mut start = if all_positive { 0.0 } else { f64::NEG_INFINITY };
    let mut below = 0.0;
    for &(end, count) in buckets {
        let within = |value: f64| {
            if start == f64::NEG_INFINITY {
                return count;
            }
            below + (count - below) * (value - start) / (end - start)
        };
        low.look(start, end, below, within);
        high.look(start, end, below, within);
        (start, below) = (end, count);
    }
    (low, high)
}

/// Sorts by bound and adds up the counts of equal bounds; returns whether the last bucket ends at `+Inf`.
fn sort_and_merge(buckets: &mut Vec<ClassicBucket>) -> bool {
    buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|(bound, count), (kept_bound, kept_count)| {
        let same = bound == kept_bound;
        if same {
            *kept_count += *count;
        }
        same
    });
    true
}

/// Lifts falling counts to the one before; says what was lifted, and whether counts were made equal that
/// differ by no more than rounding.
fn make_monotonic(buckets: &mut [ClassicBucket]) -> (Option<Forced>, bool) {
    let (mut forced, mut fixed) = (None, false);
    let mut counts = buckets.iter_mut();
    let Some(&mut (_, mut before)) = counts.next() else { return (forced, fixed) };
    for (bound, count) in counts {
        if *count == before {
            continue;
        }
        if almost_equal(before, *count, SMALL_DELTA) {
            fixed = true;
            *count = before;
        } else if *count < before {
            forced = Some(lifted(forced, *bound, before - *count));
            *count = before;
        } else {
            before = *count;
        }
    }
    (forced, fixed)
}

fn lifted(so_far: Option<Forced>, bound: f64, diff: f64) -> Forced {
    let so_far = so_far.unwrap_or(Forced { min_bucket: bound, max_bucket: bound, max_diff: diff });
    Forced {
        min_bucket: so_far.min_bucket.min(bound),
        max_bucket: so_far.max_bucket.max(bound),
        max_diff: so_far.max_diff.max(diff),
    }
}

/// Whether two numbers differ by less than `tolerance`, relative to the sum of their sizes; NaN equals NaN.
pub fn almost_equal(one: f64, other: f64, tolerance: f64) -> bool {
    if crate::value::is_stale(one) || crate::value::is_stale(other) {
        return one.to_bits() == other.to_bits();
    }
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    let sizes = one.abs() + other.abs();
    let difference = (one - other).abs();
    if one == 0.0 || other == 0.0 || sizes < f64::MIN_POSITIVE {
        return difference < tolerance * f64::MIN_POSITIVE;
    }
    difference / sizes.min(f64::MAX) < tolerance
}
