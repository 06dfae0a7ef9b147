//! `changes` and `resets`: how samples follow each other.

use super::samples::View;
use super::{Out, rate};
use crate::source::HistogramSample;

#[derive(Clone, Copy)]
enum One<'a> {
    /// By its number in the view.
    Float(usize),
    Histogram(&'a HistogramSample),
}

/// Calls with each pair of samples that follow each other.
fn pairs<'a>(view: &View<'a>, mut of: impl FnMut(One<'a>, One<'a>)) {
    let (mut floats, mut histograms) = (0, view.histograms.iter().peekable());
    let mut before = None;
    loop {
        let float = view.times.get(floats);
        let next = match (float, histograms.peek()) {
            (Some(time), Some(histogram)) if histogram.time_ms < *time => {
                histograms.next().map(One::Histogram)
            }
            (Some(_), _) => {
                floats += 1;
                Some(One::Float(floats - 1))
            }
            (None, _) => histograms.next().map(One::Histogram),
        };
        let Some(next) = next else { break };
        if let Some(before) = before.replace(next) {
            of(before, next);
        }
    }
}

/// How often the value changed.
pub(super) fn changes(view: &View<'_>) -> Out {
    let mut changes = 0_u64;
    pairs(view, |before, now| {
        let changed = match (before, now) {
            (One::Float(before), One::Float(now)) => differ(view.values[before], view.values[now]),
            (One::Histogram(before), One::Histogram(now)) => !before.histogram.equals(&now.histogram),
            _ => true,
        };
        changes += u64::from(changed);
    });
    Out::Float(changes as f64)
}

#[expect(clippy::float_cmp, reason = "any change counts")]
pub(super) fn differ(one: f64, other: f64) -> bool {
    one != other && !(one.is_nan() && other.is_nan())
}

/// How often a counter was reset.
pub(super) fn resets(view: &View<'_>) -> Out {
    let mut resets = 0_u64;
    pairs(view, |before, now| {
        let reset = match (before, now) {
            (One::Float(before), One::Float(now)) => {
                view.values[now] < view.values[before] || rate::started_again(view, now)
            }
            (One::Histogram(before), One::Histogram(now)) => {
                now.histogram.detect_reset(&before.histogram)
                    || rate::reset_by_start((before.start_ms, before.time_ms), (now.start_ms, now.time_ms))
            }
            _ => true,
        };
        resets += u64::from(reset);
    });
    Out::Float(resets as f64)
}
