//! Window functions of native histograms.

use std::sync::Arc;

use super::samples::View;
use super::totals::{MeanOfHistograms, SumOfHistograms};
use super::{Notes, Out, floats, rate};
use crate::histogram::{Added, Histogram, HistogramError, ResetHint};
use crate::source::HistogramSample;

/// `sum_over_time` and `avg_over_time`.
pub(super) fn sum_or_avg(view: &View<'_>, avg: bool, notes: &Notes<'_>) -> Out {
    if view.histograms.is_empty() {
        let values = view.values;
        return Out::Float(if avg { floats::average(values) } else { floats::sum(values) });
    }
    if !view.values.is_empty() {
        notes.mixed();
        return Out::None;
    }
    let (result, remarks) = if avg {
        let mut average = MeanOfHistograms::default();
        view.histograms.iter().for_each(|one| average.add(&one.histogram));
        average.result()
    } else {
        let mut sum = SumOfHistograms::default();
        view.histograms.iter().for_each(|one| sum.add(&one.histogram));
        sum.result()
    };
    if remarks.incompatible {
        notes.mixed_schemas();
    }
    if remarks.conflicting_resets() {
        notes.conflicting_resets("aggregation");
    }
    if remarks.reconciled {
        notes.reconciled("aggregation");
    }
    result.map_or(Out::None, Out::Histogram)
}

/// How much histograms grew from the first to the last, resets of counters added; `None` where
/// they do not go together. Prometheus, `histogramRate`.
pub(super) fn increase(samples: &[HistogramSample], counter: bool, notes: &Notes<'_>) -> Option<Histogram> {
    let [first, .., last] = samples else { return None };
    let gauge = |sample: &HistogramSample| sample.histogram.reset_hint == ResetHint::Gauge;
    if counter && samples.iter().any(gauge) {
        notes.warn_of("this native histogram metric is not a counter:");
    }
    // What came before a reset at the second sample does not matter, nor do its buckets.
    let mut before = Arc::clone(&first.histogram);
    if counter && resets(first, &samples[1], &before) {
        before = Arc::new(nothing_like(&samples[1].histogram));
    }
    let (schema, custom) = layout(samples, &before, counter);
    if custom.is_none() || last.histogram.uses_custom_buckets() != before.uses_custom_buckets() {
        notes.mixed_schemas();
        return None;
    }
    let mut growth = match last.histogram.copy_to_schema(schema) {
        Ok(growth) => growth,
        Err(_) => return None,
    };
    if !note(growth.sub(&before), "subtraction", notes) {
        return None;
    }
    if counter {
        let mut before_sample = first;
        for sample in &samples[1..] {
            if resets(before_sample, sample, &before) && !add(&mut growth, &before, notes) {
                return None;
            }
            before = Arc::clone(&sample.histogram);
            before_sample = sample;
        }
    } else if !gauge(first) || !gauge(last) {
        notes.warn_of("this native histogram metric is not a gauge:");
    }
    growth.reset_hint = ResetHint::Gauge;
    growth.compact(0);
    Some(growth)
}

fn resets(before_sample: &HistogramSample, sample: &HistogramSample, before: &Histogram) -> bool {
    sample.histogram.detect_reset(before)
        || rate::reset_by_start(
            (before_sample.start_ms, before_sample.time_ms),
            (sample.start_ms, sample.time_ms),
        )
}

fn nothing_like(histogram: &Histogram) -> Histogram {
    Histogram {
        reset_hint: ResetHint::Unknown,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 0.0,
        sum: 0.0,
        positive_spans: Vec::new(),
        positive: Vec::new(),
        negative_spans: Vec::new(),
        negative: Vec::new(),
        ..histogram.clone()
    }
}

/// The coarsest schema, and whether all have custom buckets; `None` where some have. Gauges are
/// judged by their ends.
fn layout(samples: &[HistogramSample], first: &Histogram, counter: bool) -> (i32, Option<bool>) {
    let last = &samples[samples.len() - 1].histogram;
    let mut schema = first.schema.min(last.schema);
    let custom = first.uses_custom_buckets();
    if counter {
        for sample in &samples[1..samples.len() - 1] {
            if sample.histogram.uses_custom_buckets() != custom {
                return (schema, None);
            }
            schema = schema.min(sample.histogram.schema);
        }
    }
    (schema, Some(custom))
}

/// Adds, with remarks. Says whether they go together.
pub(super) fn add(to: &mut Histogram, what: &Histogram, notes: &Notes<'_>) -> bool {
    note(to.add(what), "addition", notes)
}

pub(super) fn note(done: Result<Added, HistogramError>, doing: &str, notes: &Notes<'_>) -> bool {
    match done {
        Ok(added) => {
            if added.custom_buckets_reconciled {
                notes.reconciled(doing);
            }
            true
        }
        Err(HistogramError::IncompatibleSchemas) => {
            notes.mixed_schemas();
            false
        }
        Err(_) => false,
    }
}
