//! `anchored` and `smoothed` selectors: windows whose bounds have values.
//!
//! Prometheus' PROM-52. An anchored window begins with the last sample at or before its start; at
//! the bounds of a smoothed one values are interpolated between the samples around them.

use std::sync::Arc;

use isinglass_lang::promql::ast::Extension;

use super::samples::View;
use super::{Notes, Out, WindowFunction, histograms, sequence};
use crate::block::Row;
use crate::exec::Context;
use crate::exec::select::Lookup;
use crate::histogram::{Histogram, ResetHint};
use crate::source::{HistogramSample, SeriesSamples};

/// A function of an extended window; the view has the samples around the window, too.
pub(super) fn evaluate(
    function: WindowFunction,
    view: &View<'_>,
    extension: Extension,
    range_ms: i64,
    notes: &Notes<'_>,
) -> Out {
    use WindowFunction as F;
    let smoothed = extension == Extension::Smoothed;
    if matches!(function, F::Changes | F::Resets) {
        return counted(function, view);
    }
    match (!view.times.is_empty(), !view.histograms.is_empty()) {
        (false, false) => Out::None,
        (true, true) => {
            notes.mixed();
            Out::None
        }
        (true, false) => of_floats(function, view, smoothed, range_ms),
        (false, true) => of_histograms(function, view, smoothed, range_ms, notes),
    }
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
    (time(&all[last]) > start_ms && time(&all[first]) <= end_ms).then_some((first, last))
}

fn of_floats(function: WindowFunction, view: &View<'_>, smoothed: bool, range_ms: i64) -> Out {
    use WindowFunction as F;
    let window = (view.start_ms, view.end_ms);
    let Some((first, last)) = bounds(view.times, |time| *time, window, smoothed) else {
        return Out::None;
    };
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

/// Changes or resets since the last sample at or before the start.
fn counted(function: WindowFunction, view: &View<'_>) -> Out {
    let floats = view.times.partition_point(|time| *time <= view.start_ms);
    let histograms = view.histograms.partition_point(|one| one.time_ms <= view.start_ms);
    let float_ms = floats.checked_sub(1).map(|at| view.times[at]);
    let histogram_ms = histograms.checked_sub(1).map(|at| view.histograms[at].time_ms);
    if floats == view.times.len() && histograms == view.histograms.len() {
        return Out::None;
    }
    let floats = floats - usize::from(float_ms > histogram_ms);
    let histograms = histograms - usize::from(histogram_ms > float_ms);
    let view = View {
        times: &view.times[floats..],
        values: &view.values[floats..],
        starts: view.starts.get(floats..).unwrap_or_default(),
        histograms: &view.histograms[histograms..],
        ..*view
    };
    match function {
        WindowFunction::Resets => sequence::resets(&view),
        _ => sequence::changes(&view),
    }
}

fn left_value(view: &View<'_>, first: usize, smoothed: bool, counter: bool) -> f64 {
    if smoothed && view.times[first] < view.start_ms && first + 1 < view.times.len() {
        return interpolated(view, first, view.start_ms, counter);
    }
    view.values[first]
}

fn right_value(view: &View<'_>, last: usize, smoothed: bool, counter: bool) -> f64 {
    if smoothed && last > 0 && view.times[last] > view.end_ms {
        return interpolated(view, last - 1, view.end_ms, counter);
    }
    view.values[last]
}

/// The value at a time between a sample and the next one. A counter that was reset between them
/// is taken to rise from zero.
fn interpolated(view: &View<'_>, at: usize, time_ms: i64, counter: bool) -> f64 {
    let (from, to) = (view.values[at], view.values[at + 1]);
    let from = if counter && to < from { 0.0 } else { from };
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
    let cut = Cut {
        left: smoothed && samples[0].time_ms < start_ms && last > 0,
        right: smoothed && samples[last].time_ms > end_ms && last > 0,
    };
    let mut left = Arc::clone(&samples[0].histogram);
    if cut.left {
        left = Arc::new(between(&samples[0], &samples[1], start_ms, counter, notes)?);
    }
    let mut right = Arc::clone(&samples[last].histogram);
    if cut.right {
        right = Arc::new(between(&samples[last - 1], &samples[last], end_ms, counter, notes)?);
    }
    let mut growth = Histogram::clone(&right);
    if !histograms::note(growth.sub(&left), "subtraction", notes) {
        return None;
    }
    // Where both bounds lie between the same two samples, a reset between these is told already.
    if counter && !(cut.left && cut.right && last == 1) {
        let inner = cut.inner(samples);
        // From a bound that was cut to the sample after it nothing is reset.
        let skipped = usize::from(cut.left && !inner.is_empty());
        let before = if skipped == 1 { Arc::clone(&inner[0].histogram) } else { left };
        let ends = cut.right.then_some(&right);
        let rest = inner[skipped..].iter().map(|sample| &sample.histogram).chain(ends);
        add_resets(&mut growth, before, rest, notes)?;
    }
    growth.reset_hint = ResetHint::Gauge;
    growth.compact(0);
    Some(growth)
}

/// Which bounds of a window lie between two samples.
struct Cut {
    left: bool,
    right: bool,
}

impl Cut {
    /// The samples after the one that stands at the left bound, up to the right bound.
    fn inner<'a>(&self, samples: &'a [HistogramSample]) -> &'a [HistogramSample] {
        let end = samples.len() - usize::from(self.right);
        samples.get(1..end).unwrap_or_default()
    }
}

/// Adds what was there before each reset. `None` where histograms do not go together.
fn add_resets<'a>(
    growth: &mut Histogram,
    mut before: Arc<Histogram>,
    rest: impl Iterator<Item = &'a Arc<Histogram>>,
    notes: &Notes<'_>,
) -> Option<()> {
    for next in rest {
        if next.uses_custom_buckets() != before.uses_custom_buckets() {
            notes.mixed_schemas();
            return None;
        }
        if next.detect_reset(&before) && !histograms::add(growth, &before, notes) {
            return None;
        }
        before = Arc::clone(next);
    }
    Some(())
}

fn note_hints(samples: &[HistogramSample], counter: bool, notes: &Notes<'_>) {
    let gauge = |sample: &HistogramSample| sample.histogram.reset_hint == ResetHint::Gauge;
    if counter && samples.iter().any(gauge) {
        notes.warn_of("this native histogram metric is not a counter:");
    }
    let ends = [&samples[0], &samples[samples.len() - 1]];
    if !counter && !ends.into_iter().all(gauge) {
        notes.warn_of("this native histogram metric is not a gauge:");
    }
}

/// The histogram at a time between two samples. A counter that was reset between them is taken to
/// rise from zero.
fn between(
    from: &HistogramSample,
    to: &HistogramSample,
    time_ms: i64,
    counter: bool,
    notes: &Notes<'_>,
) -> Option<Histogram> {
    let share = share(from.time_ms, to.time_ms, time_ms);
    if from.histogram.uses_custom_buckets() != to.histogram.uses_custom_buckets() {
        notes.mixed_schemas();
        return None;
    }
    let mut result = Histogram::clone(&to.histogram);
    if counter && to.histogram.detect_reset(&from.histogram) {
        result.mul(share);
        result.reset_hint = ResetHint::Reset;
        return Some(result);
    }
    if !histograms::note(result.sub(&from.histogram), "subtraction", notes) {
        return None;
    }
    result.mul(share);
    if !histograms::add(&mut result, &from.histogram, notes) {
        return None;
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
    cx: &Context<'_>,
) {
    let mut collected = super::Collected::default();
    let collected = collected.live(samples, at.leaf.stats);
    let labels = row.labels.clone();
    let notes = Notes { annotations: &cx.annotations, labels: &labels, span: at.leaf.span };
    for (step, out) in out.iter_mut().enumerate() {
        let now = at.leaf.reference(at.grid.time(step));
        let near = (now.saturating_sub(at.lookback_ms), now.saturating_add(at.lookback_ms));
        let floats = around(collected.times, |time| *time, now, near);
        let histograms = around(collected.histograms, |one| one.time_ms, now, near);
        if floats.any && histograms.any {
            notes.mixed();
        } else if floats.any {
            *out = float_at(&collected, &floats, now).unwrap_or(*out);
        } else if let Some(found) = histogram_at(collected.histograms, &histograms, now, &notes) {
            row.set_histogram(step, at.grid.steps, found);
        }
    }
}

/// The samples around a time.
struct Around {
    /// The last one not later.
    before: Option<usize>,
    /// The first later one.
    next: Option<usize>,
    /// Whether there is any.
    any: bool,
}

fn around<T>(all: &[T], time: impl Fn(&T) -> i64, now: i64, (after, until): (i64, i64)) -> Around {
    let next = all.partition_point(|one| time(one) <= now);
    let before = next.checked_sub(1).filter(|at| time(&all[*at]) > after);
    let next = Some(next).filter(|at| all.get(*at).is_some_and(|one| time(one) <= until));
    Around { before, next, any: before.is_some() || next.is_some() }
}

fn float_at(of: &super::Live<'_>, around: &Around, now: i64) -> Option<f64> {
    let before = around.before?;
    let Some(next) = around.next.filter(|_| of.times[before] < now) else {
        return Some(of.values[before]);
    };
    let share = share(of.times[before], of.times[next], now);
    Some(of.values[before] + (of.values[next] - of.values[before]) * share)
}

fn histogram_at(
    of: &[HistogramSample],
    around: &Around,
    now: i64,
    notes: &Notes<'_>,
) -> Option<Arc<Histogram>> {
    let before = &of[around.before?];
    let Some(next) = around.next.map(|at| &of[at]).filter(|_| before.time_ms < now) else {
        return Some(Arc::clone(&before.histogram));
    };
    let counter = before.histogram.reset_hint != ResetHint::Gauge;
    let mut result = between(before, next, now, counter, notes)?;
    result.reset_hint = before.histogram.reset_hint;
    Some(Arc::new(result))
}
