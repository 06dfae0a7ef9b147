//! Counter resets.

use super::bounds::exponential_bound;
use super::custom::{common_bounds, same_bounds};
use super::indexed::{Coarse, Indexed};
use super::{BucketSpan, Histogram, ResetHint};

impl Histogram {
    /// Whether counts were reset between `previous` and this histogram, taken as a counter.
    ///
    /// A hint decides at once. Otherwise it was reset where the count of observations or of any bucket is
    /// lower than before, or where the layout changed in a way that only a reset allows: to a finer schema, to
    /// a narrower zero bucket, to one that ends inside a populated bucket, or between kinds of buckets.
    /// Gauges are compared like counters.
    pub fn detect_reset(&self, previous: &Histogram) -> bool {
        match self.reset_hint {
            ResetHint::Reset => true,
            ResetHint::NotReset => false,
            ResetHint::Unknown | ResetHint::Gauge => {
                self.count < previous.count || self.buckets_fell(previous)
            }
        }
    }

    fn buckets_fell(&self, previous: &Histogram) -> bool {
        if self.uses_custom_buckets() != previous.uses_custom_buckets() {
            return true;
        }
        if self.uses_custom_buckets() {
            return self.custom_buckets_fell(previous);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_before, threshold) = previous.zero_within(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_before {
            return true;
        }
        if self.lines_up_with(previous) {
            return any_lower(&self.positive, &previous.positive)
                || any_lower(&self.negative, &previous.negative);
        }
        let now = |spans, counts| self.outside_zero(self.schema, spans, counts);
        let before = |spans, counts| self.outside_zero(previous.schema, spans, counts);
        side_fell(
            now(&self.positive_spans, &self.positive),
            before(&previous.positive_spans, &previous.positive),
        ) || side_fell(
            now(&self.negative_spans, &self.negative),
            before(&previous.negative_spans, &previous.negative),
        )
    }

    /// Buckets of schema `from` in this schema, without those inside this zero bucket.
    fn outside_zero<'a>(
        &self,
        from: i32,
        spans: &'a [BucketSpan],
        counts: &'a [f64],
    ) -> impl Iterator<Item = (i64, f64)> + use<'a> {
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let buckets = Coarse::new(Indexed::new(spans, counts), from.abs_diff(schema));
        buckets
            .skip_while(move |(index, _)| threshold != 0.0 && exponential_bound(*index, schema) <= threshold)
    }

    fn custom_buckets_fell(&self, previous: &Histogram) -> bool {
        if same_bounds(&self.custom_bounds, &previous.custom_bounds) {
            let now = Indexed::new(&self.positive_spans, &self.positive);
            let before = Indexed::new(&previous.positive_spans, &previous.positive);
            return side_fell(now, before);
        }
        let common = common_bounds(&self.custom_bounds, &previous.custom_bounds);
        any_lower(&self.counts_by_bounds(&common), &previous.counts_by_bounds(&common))
    }
}

fn any_lower(now: &[f64], before: &[f64]) -> bool {
    now.iter().zip(before).any(|(now, before)| now < before)
}

/// Whether a bucket of `before` is lower in `now`, or is populated and missing.
///
/// Of the buckets behind the last one of `now` only the first is looked at, as Prometheus does: a populated
/// one behind an empty one does not make a reset.
fn side_fell(now: impl Iterator<Item = (i64, f64)>, before: impl Iterator<Item = (i64, f64)>) -> bool {
    let mut now = now.peekable();
    for (index, count_before) in before {
        while now.next_if(|(at, _)| *at < index).is_some() {}
        match now.peek() {
            None => return count_before != 0.0,
            Some((at, count)) if *at == index => {
                if *count < count_before {
                    return true;
                }
            }
            Some(_) => {
                if count_before != 0.0 {
                    return true;
                }
            }
        }
    }
    false
}
