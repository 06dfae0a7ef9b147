//! Native histograms of which everything is known.

use isinglass_promql::Histogram;
use isinglass_promql::histogram::Bucket;

use super::floats::almost_equal;

/// Whether two histograms are equal once empty buckets are left out; the counter-reset hint only
/// where it `hint_given`.
pub(super) fn equal(expected: &Histogram, got: &Histogram, hint_given: bool) -> bool {
    expected.schema == got.schema
        && almost_equal(expected.count, got.count)
        && almost_equal(expected.sum, got.sum)
        && (!expected.uses_custom_buckets() || expected.custom_bounds == got.custom_bounds)
        && expected.zero_threshold == got.zero_threshold
        && almost_equal(expected.zero_count, got.zero_count)
        && equal_buckets(expected.positive_buckets(), got.positive_buckets())
        && equal_buckets(expected.negative_buckets(), got.negative_buckets())
        && (!hint_given || expected.reset_hint == got.reset_hint)
}

fn equal_buckets(expected: impl Iterator<Item = Bucket>, got: impl Iterator<Item = Bucket>) -> bool {
    let filled = |bucket: &Bucket| bucket.count != 0.0;
    let (mut expected, mut got) = (expected.filter(filled), got.filter(filled));
    loop {
        match (expected.next(), got.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.index == b.index && almost_equal(a.count, b.count) => {}
            _ => return false,
        }
    }
}
