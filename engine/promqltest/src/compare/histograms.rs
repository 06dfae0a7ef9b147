//! Native histograms of which everything is known.

use isinglass_promql::Histogram;
use isinglass_promql::histogram::{BucketSpan, CUSTOM_BUCKETS};

use super::floats::{all_almost_equal, almost_equal};

/// Whether two histograms are equal once empty buckets are left out; the counter-reset hint only
/// where it `hint_given`.
pub(super) fn equal(expected: &Histogram, got: &Histogram, hint_given: bool) -> bool {
    expected.schema == got.schema
        && almost_equal(expected.count, got.count)
        && almost_equal(expected.sum, got.sum)
        && (expected.schema != CUSTOM_BUCKETS || expected.custom_bounds == got.custom_bounds)
        && expected.zero_threshold == got.zero_threshold
        && almost_equal(expected.zero_count, got.zero_count)
        && equal_buckets(filled_positive(expected), filled_positive(got))
        && equal_buckets(filled_negative(expected), filled_negative(got))
        && (!hint_given || expected.reset_hint == got.reset_hint)
}

fn equal_buckets(expected: Vec<(i64, f64)>, got: Vec<(i64, f64)>) -> bool {
    let indexes = |buckets: &[(i64, f64)]| buckets.iter().map(|(index, _)| *index).collect::<Vec<_>>();
    indexes(&expected) == indexes(&got)
        && all_almost_equal(expected.iter().map(|(_, count)| *count), got.iter().map(|(_, count)| *count))
}

/// Indexes and counts of the positive buckets that are not empty, by index.
pub(super) fn filled_positive(histogram: &Histogram) -> Vec<(i64, f64)> {
    filled(&histogram.positive_spans, &histogram.positive)
}

/// Indexes and counts of the negative buckets that are not empty, by index.
pub(super) fn filled_negative(histogram: &Histogram) -> Vec<(i64, f64)> {
    filled(&histogram.negative_spans, &histogram.negative)
}

fn filled(spans: &[BucketSpan], counts: &[f64]) -> Vec<(i64, f64)> {
    let mut filled = Vec::with_capacity(counts.len());
    let (mut index, mut counts) = (0_i64, counts.iter());
    for span in spans {
        index += i64::from(span.offset);
        // No more than there are counts, whatever the span says.
        for count in counts.by_ref().take(span.length as usize) {
            if *count != 0.0 {
                filled.push((index, *count));
            }
            index += 1;
        }
    }
    filled
}
