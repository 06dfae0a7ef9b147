//! Addition and subtraction.

use super::bounds::bound;
use super::custom::same_bounds;
use super::{Histogram, HistogramError, ResetHint};

/// What an addition or subtraction came across that a user should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Added {
    /// One side says that counts were reset and the other that they were not.
    pub counter_reset_collision: bool,
    /// The custom bounds differed, and both sides were mapped to those in common.
    pub custom_buckets_reconciled: bool,
}

impl Histogram {
    /// Adds another histogram bucket by bucket.
    ///
    /// The coarser of two schemas and a zero bucket that covers both are taken. Buckets that come out empty
    /// stay; [`Histogram::compact`] removes them.
    ///
    /// # Errors
    ///
    /// [`HistogramError::IncompatibleSchemas`] where only one of the two has custom buckets.
    pub fn add(&mut self, other: &Histogram) -> Result<Added, HistogramError> {
        self.combine(other, 1.0)
    }

    /// Subtracts another histogram bucket by bucket, by the rules of [`Histogram::add`].
    ///
    /// The operator `-` of PromQL calls the result a gauge; other uses do not, so that is the caller's.
    ///
    /// # Errors
    ///
    /// As [`Histogram::add`].
    pub fn sub(&mut self, other: &Histogram) -> Result<Added, HistogramError> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &Histogram, sign: f64) -> Result<Added, HistogramError> {
        self.check_same_kind(other)?;
        let counter_reset_collision = self.adjust_reset_hint(other.reset_hint);
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        let custom_buckets_reconciled = if self.lines_up_with(other) {
            self.zero_count += sign * other.zero_count;
            add_scaled(&mut self.positive, &other.positive, sign);
            add_scaled(&mut self.negative, &other.negative, sign);
            false
        } else {
            self.with_plain_body(|body| body.add(other, sign))
        };
        Ok(Added { counter_reset_collision, custom_buckets_reconciled })
    }

    pub(super) fn check_same_kind(&self, other: &Histogram) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() == other.uses_custom_buckets() {
            Ok(())
        } else {
            Err(HistogramError::IncompatibleSchemas)
        }
    }

    /// Takes the hint that fits the sum; returns whether the two contradict each other.
    pub(super) fn adjust_reset_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        match (self.reset_hint, other) {
            (own, other) if own == other => false,
            (Gauge, _) | (Unknown, Unknown) => false,
            (_, Gauge) => {
                self.reset_hint = Gauge;
                false
            }
            (own, other) => {
                self.reset_hint = Unknown;
                own != Unknown && other != Unknown
            }
        }
    }

    /// Whether spans, schema, bounds and zero threshold are the same.
    pub(super) fn has_layout_of(&self, other: &Histogram) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && self.positive.len() == other.positive.len()
            && self.negative.len() == other.negative.len()
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && same_bounds(&self.custom_bounds, &other.custom_bounds)
    }

    /// Whether counts of equal position belong to equal buckets, and all of them count. Those inside the zero
    /// bucket do not: arithmetic leaves out the other side's.
    pub(super) fn lines_up_with(&self, other: &Histogram) -> bool {
        let first_is_outside = |spans: &[super::BucketSpan]| {
            spans.first().is_none_or(|span| {
                bound(span.offset.into(), self.schema, &self.custom_bounds) > self.zero_threshold
            })
        };
        self.has_layout_of(other)
            && (self.uses_custom_buckets()
                || first_is_outside(&self.positive_spans) && first_is_outside(&self.negative_spans))
    }
}

fn add_scaled(sums: &mut [f64], counts: &[f64], sign: f64) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += sign * count;
    }
}
