//! Walking over buckets.

use super::bounds::bound;
use super::indexed::Indexed;
use super::{Histogram, bounds};

/// A range of values and how many observations lie in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Where it begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Whether `lower` belongs to it.
    pub lower_inclusive: bool,
    /// Whether `upper` belongs to it.
    pub upper_inclusive: bool,
    /// Its observations.
    pub count: f64,
    /// Its index on its side; the zero bucket has none.
    pub index: Option<i32>,
}

impl Bucket {
    /// The bucket with the part that the zero bucket covers cut away.
    fn outside(mut self, zero_threshold: f64) -> Self {
        if self.upper < 0.0 && self.upper > -zero_threshold {
            self.upper = -zero_threshold;
        } else if self.lower > 0.0 && self.lower < zero_threshold {
            self.lower = zero_threshold;
        }
        self
    }
}

impl Histogram {
    /// All buckets from the lowest to the highest; `.rev()` walks down.
    ///
    /// A zero bucket without observations is left out, and where the zero bucket overlaps its neighbours,
    /// they are shortened.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let negative = self.negative_buckets().rev();
        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        let positive = self.positive_buckets();
        let threshold = self.zero_threshold;
        (negative.map(move |bucket| bucket.outside(threshold)))
            .chain(zero)
            .chain(positive.map(move |bucket| bucket.outside(threshold)))
    }

    /// The buckets above zero, going up from zero; bounds are not shortened by the zero bucket.
    pub fn positive_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        Indexed::new(&self.positive_spans, &self.positive).map(|(index, count)| {
            let lower = bound(index - 1, self.schema, &self.custom_bounds);
            let upper = bound(index, self.schema, &self.custom_bounds);
            self.bucket(index, lower, upper, count)
        })
    }

    /// The buckets below zero, going down from zero; bounds are not shortened by the zero bucket.
    pub fn negative_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        Indexed::new(&self.negative_spans, &self.negative).map(|(index, count)| {
            let lower = -bounds::exponential_bound(index, self.schema);
            let upper = -bounds::exponential_bound(index - 1, self.schema);
            self.bucket(index, lower, upper, count)
        })
    }

    /// The bucket around zero.
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: None,
        }
    }

    fn bucket(&self, index: i64, lower: f64, upper: f64, count: f64) -> Bucket {
        let (lower_inclusive, upper_inclusive) =
            if self.uses_custom_buckets() { (index == 0, true) } else { (lower < 0.0, upper > 0.0) };
        // Only spans that no sender writes reach beyond the range of an index.
        let index = Some(index.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
        Bucket { lower, upper, lower_inclusive, upper_inclusive, count, index }
    }
}
