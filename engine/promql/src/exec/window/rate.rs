//! `rate`, `increase` and `delta`: the difference of a window's ends, extrapolated to the window.

use super::samples::View;
use super::{Notes, Out, WindowFunction, histograms};
use crate::histogram::Histogram;

/// Up to this many average distances from its end, a series is taken to begin or end with the
/// window.
const NEAR: f64 = 1.1;

/// Over floats or histograms of a window.
pub(super) fn extrapolated(
    view: &View<'_>,
    function: WindowFunction,
    range_ms: i64,
    notes: &Notes<'_>,
) -> Out {
    if !view.times.is_empty() && !view.histograms.is_empty() {
        notes.mixed();
        return Out::None;
    }
    if view.times.len() > 1 {
        warn_of_overlaps(view, function, notes);
        return of_floats(view, function, range_ms);
    }
    if view.histograms.len() > 1 {
        return of_histograms(view, function, range_ms, notes);
    }
    Out::None
}

fn is_counter(function: WindowFunction) -> bool {
    function != WindowFunction::Delta
}

fn of_floats(view: &View<'_>, function: WindowFunction, range_ms: i64) -> Out {
    let last = view.values.len() - 1;
    let counter = is_counter(function);
    let mut increase = view.values[last] - view.values[0];
    if counter {
        for at in 1..=last {
            if view.values[at] < view.values[at - 1] || started_again(view, at) {
                increase += view.values[at - 1];
            }
        }
    }
    let mut ends = Ends {
        first_ms: view.times[0],
        last_ms: view.times[last],
        gaps: last,
        first: view.values[0],
        increase,
    };
    // A counter that began inside the window began with 0.
    if let Some(start_ms) = began_inside(view.starts, view.times[0], view).filter(|_| counter) {
        increase += view.values[0];
        ends = Ends { first_ms: start_ms, gaps: last + 1, first: 0.0, increase, ..ends };
    }
    Out::Float(increase * ends.factor((view.start_ms, view.end_ms), function, range_ms))
}

fn began_inside(starts: &[i64], first_ms: i64, view: &View<'_>) -> Option<i64> {
    let start_ms = *starts.first().filter(|start| **start != 0)?;
    (start_ms > view.start_ms && start_ms < first_ms).then_some(start_ms)
}

/// Whether a float's start time says that its counter was reset since the one before.
pub(super) fn started_again(view: &View<'_>, at: usize) -> bool {
    let start = |at: usize| view.starts.get(at).copied().unwrap_or_default();
    reset_by_start((start(at - 1), view.times[at - 1]), (start(at), view.times[at]))
}

/// Start and time of a sample and of the one after it. A start at the time of the sample before
/// means a delta; if that one had no start, it means a counter of which nobody knew the start.
pub(super) fn reset_by_start(before: (i64, i64), now: (i64, i64)) -> bool {
    let ((before_start, before_time), (start, time)) = (before, now);
    if start == 0 || start >= time {
        return false;
    }
    start > before_time || (start == before_time && before_start != 0 && before_start < before_time)
}

fn warn_of_overlaps(view: &View<'_>, function: WindowFunction, notes: &Notes<'_>) {
    if view.starts.is_empty() || !is_counter(function) {
        return;
    }
    let overlaps = |at: usize| {
        let start = view.starts[at];
        start != 0 && start < view.times[at - 1] && start != view.starts[at - 1]
    };
    if (1..view.starts.len()).any(overlaps) {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        notes.warn_of(text);
    }
}

fn of_histograms(view: &View<'_>, function: WindowFunction, range_ms: i64, notes: &Notes<'_>) -> Out {
    let counter = is_counter(function);
    let Some(mut rate) = histograms::increase(view.histograms, counter, notes) else {
        return Out::None;
    };
    let (first, last) = (&view.histograms[0], &view.histograms[view.histograms.len() - 1]);
    let mut ends = Ends {
        first_ms: first.time_ms,
        last_ms: last.time_ms,
        gaps: view.histograms.len() - 1,
        first: first.histogram.count,
        increase: rate.count,
    };
    let start_ms = began_inside(&[first.start_ms], first.time_ms, view).filter(|_| counter);
    if let Some(start_ms) = start_ms {
        if !histograms::add(&mut rate, &first.histogram, notes) {
            return Out::None;
        }
        let gaps = view.histograms.len();
        ends = Ends { first_ms: start_ms, gaps, first: 0.0, increase: rate.count, ..ends };
    }
    let factor = ends.factor((view.start_ms, view.end_ms), function, range_ms);
    scaled(rate, factor)
}

fn scaled(mut histogram: Histogram, factor: f64) -> Out {
    histogram.mul(factor);
    Out::Histogram(histogram)
}

/// The ends of what a window holds.
pub(super) struct Ends {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Distances between its samples.
    pub(super) gaps: usize,
    /// The first value, of a histogram its count.
    pub(super) first: f64,
    pub(super) increase: f64,
}

impl Ends {
    /// What the difference is multiplied by: Prometheus, `extrapolatedRate`.
    #[inline]
    pub(super) fn factor(
        &self,
        (start_ms, end_ms): (i64, i64),
        function: WindowFunction,
        range_ms: i64,
    ) -> f64 {
        let seconds = |millis: i64| millis as f64 / 1e3;
        let sampled = seconds(self.last_ms - self.first_ms);
        let average = sampled / self.gaps as f64;
        let mut to_start = seconds(self.first_ms - start_ms);
        if to_start >= average * NEAR {
            to_start = average / 2.0;
        }
        if is_counter(function) && self.increase > 0.0 && self.first >= 0.0 {
            // A counter is not extrapolated to before it was zero.
            to_start = to_start.min(sampled * (self.first / self.increase));
        }
        let mut to_end = seconds(end_ms - self.last_ms);
        if to_end >= average * NEAR {
            to_end = average / 2.0;
        }
        let factor = (sampled + to_start + to_end) / sampled;
        if function == WindowFunction::Rate { factor / seconds(range_ms) } else { factor }
    }
}
