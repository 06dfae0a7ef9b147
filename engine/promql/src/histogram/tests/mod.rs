//! What histograms must do.

mod arithmetic;
mod classics;
mod estimates;
mod layouts;
mod properties;
mod resets;
mod texts;
mod trims;

use super::Histogram;
use super::classic::almost_equal;

fn histogram(text: &str) -> Histogram {
    Histogram::parse_test(text).expect(text).0
}

/// Equal as the scripts of promqltest compare.
fn close(one: f64, other: f64) -> bool {
    almost_equal(one, other, 1e-6)
}

/// Asserts that two histograms are the same but for rounding, empty buckets and the hint about resets.
fn assert_same(found: &Histogram, expected: &Histogram, about: &str) {
    let (mut one, mut other) = (found.clone(), expected.clone());
    one.compact(0);
    other.compact(0);
    let numbers = |h: &Histogram| {
        let mut numbers = vec![h.count, h.sum, h.zero_count, h.zero_threshold];
        numbers.extend_from_slice(&h.positive);
        numbers.extend_from_slice(&h.negative);
        numbers.extend_from_slice(&h.custom_bounds);
        numbers
    };
    let same_layout = one.schema == other.schema
        && one.positive_spans == other.positive_spans
        && one.negative_spans == other.negative_spans;
    let same = same_layout && numbers(&one).iter().zip(&numbers(&other)).all(|(a, b)| close(*a, *b));
    assert!(same, "{about}: {}, not {}", found.to_test_text(), expected.to_test_text());
}
