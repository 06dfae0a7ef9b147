//! `anchored` and `smoothed` selectors: windows whose bounds have values.
//!
//! Prometheus' PROM-52. An anchored window begins with the last sample at or before its start; at
//! the bounds of a smoothed one values are interpolated between the samples around them.

use std::sync::Arc;

use isinglass_lang::promql::ast::Extension;

use super::samples::View;
use super::{Notes, Out, WindowFunction, histograms, sequence};
use crate::block::Row;
use crate::exec::select::Lookup;
use crate::histogram::{Histogram, ResetHint};
use crate::source::{HistogramSample, SeriesSamples};
use crate::value::is_stale;

/// A function of an extended window; the view has the samples around the window, too.
pub(super) fn evaluate(
    function: WindowFunction,
    view: &View<'_>,
    extension: Extension,
    range_ms: i64,
    notes: &Notes<'_>,
) -> Out {
    let smoothed = extension == Extension::Smoothed;
    let has = (within(view, smoothed, false), within(view, smoothed, true));
    match has {
        (false, false) => Out::None,
        (true, true) => {
            notes.mixed();
            Out::None
        }
        (true, false) => of_floats(function, view, smoothed, range_ms),
        (false, true) => of_histograms(function, view, smoothed, range_ms, notes),
    }
}

/// Whether a view has samples of a type at all, that an extended window would look at.
fn within(view: &View<'_>, _: bool, histograms: bool) -> bool {
    if histograms { !view.histograms.is_empty() } else { !view.times.is_empty() }
}

/// From the last sample at or before the start to the last one in the window, or the first at or
/// after its end. `None` where nothing is later than the start.
fn bounds<T>(
    all: &[T],
    time: impl Fn(&T) -> i64,
    (start_ms, end_ms): (i64, i64),
    smoothed: bool,
) -> Option<(usize, usize)> {
    let end = all.len().checked_sub(1)?;
    let first = all[..end].partition_point(|one| time(one) <= start_ms).saturating_sub(1);
    let last = if smoothed { all[..end].partition_point(|one| time(one) < end_ms) } else { end };
    (time(&all[last]) > start_ms).then_some((first, last))
}

fn of_floats(function: WindowFunction, view: &View<'_>, smoothed: bool, range_ms: i64) -> Out {
    use WindowFunction as F;
    let window = (view.start_ms, view.end_ms);
    let Some((first, last)) = bounds(view.times, |time| *time, window, smoothed) else {
        return Out::None;
    };
    if matches!(function, F::Changes | F::Resets) {
        return counted(function, &view.values[first..=last]);
    }
    let counter = function != F::Delta;
    let left = left_value(view, first, smoothed, counter);
    let right = right_value(view, last, smoothed, counter);
    let mut result = right - left;
    if counter {
        let inner_first = first + usize::from(view.times[first] <= view.start_ms);
        let inner_last = (last + 1).saturating_sub(usize::from(view.times[last] >= view.end_ms));
        let inner = view.values.get(inner_first..inner_last).unwrap_or_default();
        result += lost(left, right, inner);
    }
    if function == F::Rate {
        result /= range_ms as f64 / 1e3;
    }
    Out::Float(result)
}

fn counted(function: WindowFunction, values: &[f64]) -> Out {
    let pairs = values.windows(2);
    let count = if function == WindowFunction::Resets {
        pairs.filter(|pair| pair[1] < pair[0]).count()
    } else {
        pairs.filter(|pair| sequence::differ(pair[0], pair[1])).count()
    };
    Out::Float(count as f64)
}

fn left_value(view: &View<'_>, first: usize, smoothed: bool, counter: bool) -> f64 {
    if smoothed && view.times[first] < view.start_ms && first + 1 < view.times.len() {
        return interpolated(view, first, view.start_ms, counter, true);
    }
    view.values[first]
}

fn right_value(view: &View<'_>, last: usize, smoothed: bool, counter: bool) -> f64 {
    if smoothed && last > 0 && view.times[last] > view.end_ms {
        return interpolated(view, last - 1, view.end_ms, counter, false);
    }
    view.values[last]
}

/// The value at a time between a sample and the next one. A counter that was reset between them
/// is taken to rise from zero, or, at the right end, as if it had gone on.
fn interpolated(view: &View<'_>, at: usize, time_ms: i64, counter: bool, left: bool) -> f64 {
    let (mut from, mut to) = (view.values[at], view.values[at + 1]);
    if counter && to < from {
        if left {
            from = 0.0;
        } else {
            to += from;
        }
    }
    from + (to - from) * share(view.times[at], view.times[at + 1], time_ms)
}

fn share(from_ms: i64, to_ms: i64, time_ms: i64) -> f64 {
    (time_ms - from_ms) as f64 / (to_ms - from_ms) as f64
}

/// What a counter lost by resets between two bounds.
fn lost(left: f64, right: f64, inner: &[f64]) -> f64 {
    let (mut lost, mut before) = (0.0, left);
    for value in inner.iter().chain([&right]) {
        if *value < before {
            lost += before;
        }
        before = *value;
    }
    lost
}

fn of_histograms(
    function: WindowFunction,
    view: &View<'_>,
    smoothed: bool,
    range_ms: i64,
    notes: &Notes<'_>,
) -> Out {
    use WindowFunction as F;
    let window = (view.start_ms, view.end_ms);
    let time = |sample: &HistogramSample| sample.time_ms;
    let Some((first, last)) = bounds(view.histograms, time, window, smoothed) else {
        return Out::None;
    };
    let samples = &view.histograms[first..=last];
    match function {
        F::Changes => {
            let changed = |pair: &&[HistogramSample]| !pair[1].histogram.equals(&pair[0].histogram);
            return Out::Float(samples.windows(2).filter(changed).count() as f64);
        }
        F::Resets => {
            let reset = |pair: &&[HistogramSample]| pair[1].histogram.detect_reset(&pair[0].histogram);
            return Out::Float(samples.windows(2).filter(reset).count() as f64);
        }
        _ => {}
    }
    let counter = function != F::Delta;
    let Some(mut result) = grown(samples, window, smoothed, counter, notes) else {
        return Out::None;
    };
    if function == F::Rate {
        result.div(range_ms as f64 / 1e3);
    }
    Out::Histogram(result)
}

/// The samples of a window with those at its bounds replaced by what the bounds have.
fn grown(
    samples: &[HistogramSample],
    (start_ms, end_ms): (i64, i64),
    smoothed: bool,
    counter: bool,
    notes: &Notes<'_>,
) -> Option<Histogram> {
    note_hints(samples, counter, notes);
    let last = samples.len() - 1;
    let mut left = Arc::clone(&samples[0].histogram);
    if smoothed && samples[0].time_ms < start_ms && last > 0 {
        left = Arc::new(between(&samples[0], &samples[1], start_ms, counter, true, notes)?);
    }
    let mut right = Arc::clone(&samples[last].histogram);
    if smoothed && last > 0 && samples[last].time_ms > end_ms {
        let (before, after) = (&samples[last - 1], &samples[last]);
        right = Arc::new(between(before, after, end_ms, counter, false, notes)?);
    }
    let inner_first = usize::from(samples[0].time_ms <= start_ms);
    let inner_last = (last + 1).saturating_sub(usize::from(samples[last].time_ms >= end_ms));
    let inner = samples.get(inner_first..inner_last).unwrap_or_default();
    let mut growth = Histogram::clone(&right);
    if !histograms::note(growth.sub(&left), "subtraction", notes) {
        return None;
    }
    if counter {
        let mut before = left;
        for next in inner.iter().map(|sample| &sample.histogram).chain([&right]) {
            if next.uses_custom_buckets() != before.uses_custom_buckets() {
                notes.mixed_schemas();
                return None;
            }
            if next.detect_reset(&before) && !histograms::add(&mut growth, &before, notes) {
                return None;
            }
            before = Arc::clone(next);
        }
    }
    growth.reset_hint = ResetHint::Gauge;
    growth.compact(0);
    Some(growth)
}

fn note_hints(samples: &[HistogramSample], counter: bool, notes: &Notes<'_>) {
    let gauge = |sample: &HistogramSample| sample.histogram.reset_hint == ResetHint::Gauge;
    if counter && samples.iter().any(gauge) {
        notes.warn_of("this native histogram metric is not a counter:");
    }
    if !counter && !(gauge(&samples[0]) && gauge(&samples[samples.len() - 1])) {
        notes.warn_of("this native histogram metric is not a gauge:");
    }
}

/// The histogram at a time between two samples.
fn between(
    from: &HistogramSample,
    to: &HistogramSample,
    time_ms: i64,
    counter: bool,
    left: bool,
    notes: &Notes<'_>,
) -> Option<Histogram> {
    let share = share(from.time_ms, to.time_ms, time_ms);
    let reset = counter && to.histogram.detect_reset(&from.histogram);
    let mut result = Histogram::clone(&to.histogram);
    if reset {
        result.mul(share);
        if !left && !histograms::add(&mut result, &from.histogram, notes) {
            return None;
        }
    } else {
        if !histograms::note(result.sub(&from.histogram), "subtraction", notes) {
            return None;
        }
        result.mul(share);
        if !histograms::add(&mut result, &from.histogram, notes) {
            return None;
        }
    }
    result.reset_hint = ResetHint::Unknown;
    Some(result)
}

/// A smoothed instant selector: at each step the value between the samples around it, or the last
/// one where none follows.
pub(in crate::exec) fn smoothed_instant(
    at: &Lookup<'_>,
    samples: &SeriesSamples<'_>,
    row: &mut Row,
    out: &mut [f64],
) {
    let mut collected = super::Collected::default();
    collected.take(samples);
    for (step, out) in out.iter_mut().enumerate() {
        let now = at.leaf.reference(at.grid.time(step));
        let near = (now.saturating_sub(at.lookback_ms), now.saturating_add(at.lookback_ms));
        let floats = around(&collected.times, |time| *time, now, near);
        let histograms = around(&collected.histograms, |one| one.time_ms, now, near);
        let float_ms = floats.0.map(|at| collected.times[at]);
        let histogram_ms = histograms.0.map(|at| collected.histograms[at].time_ms);
        if float_ms.is_some() && float_ms >= histogram_ms {
            *out = float_at(&collected, floats, now).unwrap_or(*out);
        } else if let Some(histogram) = histogram_at(&collected.histograms, histograms, now) {
            row.set_histogram(step, at.grid.steps, histogram);
        }
    }
    debug_assert!(!collected.values.iter().any(|value| is_stale(*value)), "markers were dropped");
}

/// The last sample not later than a time, and the first later one, neither too far away.
fn around<T>(
    all: &[T],
    time: impl Fn(&T) -> i64,
    now: i64,
    (after, until): (i64, i64),
) -> (Option<usize>, Option<usize>) {
    let next = all.partition_point(|one| time(one) <= now);
    let before = next.checked_sub(1).filter(|at| time(&all[*at]) > after);
    let next = Some(next).filter(|at| all.get(*at).is_some_and(|one| time(one) <= until));
    (before, next)
}

fn float_at(of: &super::Collected, (before, next): (Option<usize>, Option<usize>), now: i64) -> Option<f64> {
    let before = before?;
    let Some(next) = next.filter(|_| of.times[before] < now) else {
        return Some(of.values[before]);
    };
    let share = share(of.times[before], of.times[next], now);
    Some(of.values[before] + (of.values[next] - of.values[before]) * share)
}

fn histogram_at(
    of: &[HistogramSample],
    (before, next): (Option<usize>, Option<usize>),
    now: i64,
) -> Option<Arc<Histogram>> {
    let before = &of[before?];
    let Some(next) = next.map(|at| &of[at]).filter(|_| before.time_ms < now) else {
        return Some(Arc::clone(&before.histogram));
    };
    let counter = before.histogram.reset_hint != ResetHint::Gauge;
    let share = share(before.time_ms, next.time_ms, now);
    let mut result = Histogram::clone(&next.histogram);
    if counter && next.histogram.detect_reset(&before.histogram) {
        result.mul(share);
        return Some(Arc::new(result));
    }
    result.sub(&before.histogram).ok()?;
    result.mul(share);
    result.add(&before.histogram).ok()?;
    result.reset_hint = before.histogram.reset_hint;
    Some(Arc::new(result))
}
