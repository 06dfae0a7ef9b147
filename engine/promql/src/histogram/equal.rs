//! Equality of data.

use super::custom::same_bounds;
use super::indexed::Indexed;
use super::{BucketSpan, Histogram};

impl Histogram {
    /// Whether both hold the same data: the operator `==`.
    ///
    /// Counts and sums are compared bit by bit, so NaN equals itself. Spans may be cut differently as long as
    /// the same buckets exist, empty ones included. The hint about resets does not matter.
    pub fn equals(&self, other: &Histogram) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && same_bits(
                &[self.count, self.sum, self.zero_count],
                &[other.count, other.sum, other.zero_count],
            )
            && (!self.uses_custom_buckets() || same_bounds(&self.custom_bounds, &other.custom_bounds))
            && same_side((&self.negative_spans, &self.negative), (&other.negative_spans, &other.negative))
            && same_side((&self.positive_spans, &self.positive), (&other.positive_spans, &other.positive))
    }
}

fn same_side(one: (&[BucketSpan], &[f64]), other: (&[BucketSpan], &[f64])) -> bool {
    if !same_bits(one.1, other.1) {
        return false;
    }
    let indices = |side: (_, _)| Indexed::new(side.0, side.1).map(|(index, _)| index);
    one.0 == other.0 || indices(one).eq(indices(other))
}

fn same_bits(one: &[f64], other: &[f64]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.to_bits() == b.to_bits())
}
