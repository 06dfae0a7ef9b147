//! `irate` and `idelta`: the last two samples of a window.

use super::samples::View;
use super::{Notes, Out, rate};
use crate::histogram::{Histogram, HistogramError, ResetHint};
use crate::source::HistogramSample;

/// One of the last two samples.
#[derive(Clone, Copy)]
enum Last<'a> {
    Float { time_ms: i64, start_ms: i64, value: f64 },
    Histogram(&'a HistogramSample),
}

impl Last<'_> {
    fn time_ms(&self) -> i64 {
        match self {
            Self::Float { time_ms, .. } => *time_ms,
            Self::Histogram(sample) => sample.time_ms,
        }
    }
}

/// Their difference, per second for `irate`.
pub(super) fn last_two(view: &View<'_>, per_second: bool, notes: &Notes<'_>) -> Out {
    let Some((before, last)) = of_view(view) else { return Out::None };
    let seconds = (last.time_ms() - before.time_ms()) as f64 / 1e3;
    match (before, last) {
        (
            Last::Float { time_ms: before_ms, start_ms: before_start, value: before },
            Last::Float { time_ms, start_ms, value },
        ) => {
            let reset =
                value < before || rate::reset_by_start((before_start, before_ms), (start_ms, time_ms));
            let difference = if per_second && reset { value } else { value - before };
            Out::Float(if per_second { difference / seconds } else { difference })
        }
        (Last::Histogram(before), Last::Histogram(last)) => {
            of_histograms(before, last, per_second.then_some(seconds), notes)
        }
        _ => {
            notes.mixed();
            Out::None
        }
    }
}

fn of_view<'a>(view: &View<'a>) -> Option<(Last<'a>, Last<'a>)> {
    let float = |at: usize| Last::Float {
        time_ms: view.times[at],
        start_ms: view.starts.get(at).copied().unwrap_or_default(),
        value: view.values[at],
    };
    let floats = (view.times.len().saturating_sub(2)..view.times.len()).map(float);
    let histograms = &view.histograms[view.histograms.len().saturating_sub(2)..];
    let mut last: Vec<_> = floats.chain(histograms.iter().map(Last::Histogram)).collect();
    last.sort_by_key(Last::time_ms);
    let [.., before, last] = last.as_slice() else { return None };
    (before.time_ms() != last.time_ms()).then_some((*before, *last))
}

fn of_histograms(
    before: &HistogramSample,
    last: &HistogramSample,
    seconds: Option<f64>,
    notes: &Notes<'_>,
) -> Out {
    let gauges = [before, last].map(|one| one.histogram.reset_hint == ResetHint::Gauge);
    if seconds.is_some() && gauges != [false, false] {
        notes.warn_of("this native histogram metric is not a counter:");
    }
    if seconds.is_none() && gauges != [true, true] {
        notes.warn_of("this native histogram metric is not a gauge:");
    }
    let mut result = Histogram::clone(&last.histogram);
    let reset = last.histogram.detect_reset(&before.histogram)
        || rate::reset_by_start((before.start_ms, before.time_ms), (last.start_ms, last.time_ms));
    if seconds.is_none() || !reset {
        match result.sub(&before.histogram) {
            Ok(done) if done.custom_buckets_reconciled => notes.reconciled("subtraction"),
            Ok(_) => {}
            Err(HistogramError::IncompatibleSchemas) => {
                notes.mixed_schemas();
                return Out::None;
            }
            Err(_) => return Out::None,
        }
    }
    result.reset_hint = ResetHint::Gauge;
    result.compact(0);
    if let Some(seconds) = seconds {
        result.div(seconds);
    }
    Out::Histogram(result)
}
