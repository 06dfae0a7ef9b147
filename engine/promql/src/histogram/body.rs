//! A histogram's buckets taken apart for arithmetic, with or without compensation.

use std::sync::Arc;

use super::bounds::exponential_bound;
use super::cell::Cell;
use super::indexed::{Coarse, Indexed};
use super::kahan::Compensated;
use super::side::Side;
use super::{BucketSpan, CUSTOM_BUCKETS, Histogram};

/// The parts of a histogram that arithmetic on buckets changes.
pub(super) struct Body<C> {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero: C,
    pub(super) positive: Side<C>,
    pub(super) negative: Side<C>,
    pub(super) custom_bounds: Arc<[f64]>,
}

impl<C: Cell> Body<C> {
    /// Adds `sign` times the buckets of a histogram of the same kind.
    ///
    /// Returns whether bounds differed and both were mapped to those in common.
    pub(super) fn add(&mut self, other: &Histogram, sign: f64) -> bool {
        if self.schema == CUSTOM_BUCKETS {
            return self.add_custom(other, sign);
        }
        let other_zero = self.reconcile_zero(other);
        self.zero.add(sign * other_zero);
        if other.schema < self.schema {
            self.coarsen(other.schema);
        }
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let add = |side: &mut Side<C>, spans: &[BucketSpan], counts: &[f64]| {
            let first = spans.first().map_or(0, |span| span.offset.into());
            // The lowest bucket decides whether any lies inside the zero bucket.
            let as_they_are = other.schema == schema && exponential_bound(first, schema) > threshold;
            if !(as_they_are && side.add_within_spans(spans, counts, sign)) {
                side.add(counts_in(schema, threshold, other.schema, spans, counts, sign));
            }
        };
        add(&mut self.positive, &other.positive_spans, &other.positive);
        add(&mut self.negative, &other.negative_spans, &other.negative);
        false
    }

    /// Reduces the resolution to a lower schema.
    pub(super) fn coarsen(&mut self, schema: i32) {
        let shift = self.schema.abs_diff(schema);
        self.positive.coarsen(shift);
        self.negative.coarsen(shift);
        self.schema = schema;
    }
}

/// The counts of a histogram of schema `from` in a schema that is not finer, times `sign`, without the buckets
/// inside a zero bucket.
///
/// If schemas and thresholds differ, and the threshold is no bound of the coarser schema, observations that
/// were taken into the zero bucket stand once more in the coarser bucket that it cuts. Prometheus has it so;
/// the thresholds of client libraries are bounds in all schemas.
fn counts_in<'a>(
    schema: i32,
    threshold: f64,
    from: i32,
    spans: &'a [BucketSpan],
    counts: &'a [f64],
    sign: f64,
) -> impl Iterator<Item = (i64, f64)> + Clone + use<'a> {
    Coarse::new(Indexed::new(spans, counts), from.abs_diff(schema))
        .skip_while(move |(index, _)| exponential_bound(*index, schema) <= threshold)
        .map(move |(index, count)| (index, sign * count))
}

impl Histogram {
    /// Runs `change` on the buckets.
    pub(super) fn with_plain_body<R>(&mut self, change: impl FnOnce(&mut Body<f64>) -> R) -> R {
        let take =
            |spans: &mut Vec<_>, counts: &mut Vec<_>| Side::of(std::mem::take(spans), std::mem::take(counts));
        let mut body = Body {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero: self.zero_count,
            positive: take(&mut self.positive_spans, &mut self.positive),
            negative: take(&mut self.negative_spans, &mut self.negative),
            custom_bounds: Arc::clone(&self.custom_bounds),
        };
        let result = change(&mut body);
        self.schema = body.schema;
        self.zero_threshold = body.zero_threshold;
        self.zero_count = body.zero;
        (self.positive_spans, self.positive) = (body.positive.spans, body.positive.cells);
        (self.negative_spans, self.negative) = (body.negative.spans, body.negative.cells);
        self.custom_bounds = body.custom_bounds;
        result
    }

    /// Runs `change` on the buckets and what they lost, which stands in a histogram of the same layout.
    pub(super) fn with_compensated_body<R>(
        &mut self,
        lost: &mut Histogram,
        change: impl FnOnce(&mut Body<Compensated>) -> R,
    ) -> R {
        let mut body = Body {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero: Compensated { sum: self.zero_count, lost: lost.zero_count },
            positive: Side::of(
                std::mem::take(&mut self.positive_spans),
                joined(&self.positive, &lost.positive),
            ),
            negative: Side::of(
                std::mem::take(&mut self.negative_spans),
                joined(&self.negative, &lost.negative),
            ),
            custom_bounds: Arc::clone(&self.custom_bounds),
        };
        let result = change(&mut body);
        (self.schema, lost.schema) = (body.schema, body.schema);
        (self.zero_threshold, lost.zero_threshold) = (body.zero_threshold, body.zero_threshold);
        (self.zero_count, lost.zero_count) = (body.zero.sum, body.zero.lost);
        (self.positive, lost.positive) = parted(&body.positive.cells);
        (self.negative, lost.negative) = parted(&body.negative.cells);
        (self.positive_spans, lost.positive_spans) = (body.positive.spans.clone(), body.positive.spans);
        (self.negative_spans, lost.negative_spans) = (body.negative.spans.clone(), body.negative.spans);
        lost.custom_bounds = Arc::clone(&body.custom_bounds);
        self.custom_bounds = body.custom_bounds;
        result
    }
}

fn joined(sums: &[f64], lost: &[f64]) -> Vec<Compensated> {
    sums.iter().zip(lost).map(|(&sum, &lost)| Compensated { sum, lost }).collect()
}

fn parted(cells: &[Compensated]) -> (Vec<f64>, Vec<f64>) {
    cells.iter().map(|cell| (cell.sum, cell.lost)).unzip()
}
