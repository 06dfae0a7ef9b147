//! Zero buckets of different widths brought to one.

use super::Histogram;
use super::body::Body;
use super::bounds::exponential_bound;
use super::cell::Cell;
use super::indexed::Indexed;

impl<C: Cell> Body<C> {
    /// Widens the zero bucket until it covers that of `other` and neither threshold cuts a populated bucket.
    ///
    /// Returns what `other` holds in a zero bucket of that width.
    pub(super) fn reconcile_zero(&mut self, other: &Histogram) -> f64 {
        let mut zero = other.zero_count;
        let mut threshold = other.zero_threshold;
        // Each turn widens one of the two to a bound of a bucket, so it ends; a threshold that is no number
        // compares with nothing and ends it at once.
        loop {
            if self.zero_threshold > threshold {
                (zero, threshold) = other.zero_within(self.zero_threshold);
            } else if threshold > self.zero_threshold {
                self.widen_zero(threshold);
            } else {
                return zero;
            }
        }
    }

    fn widen_zero(&mut self, threshold: f64) {
        let buckets =
            Sides { schema: self.schema, positive: self.positive.iter(), negative: self.negative.iter() };
        (self.zero, self.zero_threshold) = buckets.within(self.zero, threshold);
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let outside =
            |index: i64, cell: &C| exponential_bound(index - 1, schema) >= threshold && !cell.is_empty();
        self.positive.retain(outside);
        self.negative.retain(outside);
    }
}

impl Histogram {
    /// What the zero bucket would hold with a larger threshold, and the threshold, which moves up to the end
    /// of a populated bucket that it would cut.
    pub(super) fn zero_within(&self, threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        let buckets = Sides {
            schema: self.schema,
            positive: Indexed::new(&self.positive_spans, &self.positive),
            negative: Indexed::new(&self.negative_spans, &self.negative),
        };
        buckets.within(self.zero_count, threshold)
    }
}

struct Sides<'a, C> {
    schema: i32,
    positive: Indexed<'a, C>,
    negative: Indexed<'a, C>,
}

impl<C: Cell> Sides<'_, C> {
    fn within(&self, own: C, mut threshold: f64) -> (C, f64) {
        loop {
            let mut zero = own;
            threshold = swallow(&mut zero, self.positive.clone(), self.schema, threshold);
            let moved = swallow(&mut zero, self.negative.clone(), self.schema, threshold);
            if moved > threshold {
                // The negative side moved it, so more positive buckets may lie inside: count anew.
                threshold = moved;
            } else {
                return (zero, threshold);
            }
        }
    }
}

/// Adds the buckets of one side that begin inside the threshold, and returns the threshold they need.
fn swallow<C: Cell>(zero: &mut C, buckets: Indexed<'_, C>, schema: i32, threshold: f64) -> f64 {
    for (index, cell) in buckets {
        if exponential_bound(index - 1, schema) >= threshold {
            break;
        }
        zero.absorb(cell);
        let upper = exponential_bound(index, schema);
        if upper > threshold {
            return if cell.is_empty() { threshold } else { upper };
        }
    }
    threshold
}
