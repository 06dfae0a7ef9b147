//! Whether a histogram is consistent.

use super::bounds::{SCHEMA_MAX, SCHEMA_MIN};
use super::error::LayoutFault;
use super::{BucketSpan, Histogram, HistogramError};

impl Histogram {
    /// Checks that spans, counts and bounds fit each other and no count is negative.
    ///
    /// That the counts add up to the total is not checked: floats may not.
    ///
    /// # Errors
    ///
    /// The first fault found.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() {
            self.check_custom().map_err(HistogramError::Custom)
        } else {
            self.check_exponential()
        }
    }

    fn check_exponential(&self) -> Result<(), HistogramError> {
        if !(SCHEMA_MIN..=SCHEMA_MAX).contains(&self.schema) {
            return Err(HistogramError::InvalidSchema(self.schema));
        }
        if !self.custom_bounds.is_empty() {
            return Err(HistogramError::BoundsWithoutCustomSchema);
        }
        let sides = [
            ("positive", &self.positive_spans, &self.positive),
            ("negative", &self.negative_spans, &self.negative),
        ];
        for (side, spans, counts) in sides {
            check_spans(spans.iter().skip(1).zip(2..), spans, counts)
                .and_then(|()| check_counts(counts))
                .map_err(|fault| HistogramError::Side { side, fault })?;
        }
        Ok(())
    }

    fn check_custom(&self) -> Result<(), LayoutFault> {
        check_bounds(&self.custom_bounds)?;
        let spans = &self.positive_spans;
        check_spans(spans.iter().zip(1..), spans, &self.positive)?;
        let length = spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
        if (self.custom_bounds.len() as i64) < length - 1 {
            return Err(LayoutFault::BoundsMissing { bounds: self.custom_bounds.len(), length });
        }
        self.check_unused_are_empty()?;
        check_counts(&self.positive)
    }

    fn check_unused_are_empty(&self) -> Result<(), LayoutFault> {
        let unused = [
            (self.zero_count == 0.0, "zero count"),
            (self.zero_threshold == 0.0, "zero threshold"),
            (self.negative_spans.is_empty(), "negative spans"),
            (self.negative.is_empty(), "negative buckets"),
        ];
        match unused.iter().find(|(empty, _)| !empty) {
            Some((_, field)) => Err(LayoutFault::Unexpected(field)),
            None => Ok(()),
        }
    }
}

/// Checks the offsets of `following` and that all spans together have as many buckets as there are counts.
fn check_spans<'a>(
    mut following: impl Iterator<Item = (&'a BucketSpan, usize)>,
    spans: &[BucketSpan],
    counts: &[f64],
) -> Result<(), LayoutFault> {
    if let Some((span, number)) = following.find(|(span, _)| span.offset < 0) {
        return Err(LayoutFault::NegativeOffset { number, offset: span.offset });
    }
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != counts.len() as u64 {
        return Err(LayoutFault::BucketsMissing { needed, found: counts.len() });
    }
    Ok(())
}

fn check_counts(counts: &[f64]) -> Result<(), LayoutFault> {
    match counts.iter().zip(1..).find(|(count, _)| **count < 0.0) {
        Some((&count, number)) => Err(LayoutFault::NegativeCount { number, count }),
        None => Ok(()),
    }
}

fn check_bounds(bounds: &[f64]) -> Result<(), LayoutFault> {
    if bounds.iter().any(|bound| bound.is_nan()) {
        return Err(LayoutFault::BoundNotANumber);
    }
    let mut previous = f64::NEG_INFINITY;
    for &current in bounds {
        if current <= previous {
            return Err(LayoutFault::BoundsNotRising { previous, current });
        }
        previous = current;
    }
    if previous == f64::INFINITY { Err(LayoutFault::InfiniteBound) } else { Ok(()) }
}
