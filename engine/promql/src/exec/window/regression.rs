//! Lines through the floats of a window, and smoothing.

use super::samples::View;
use super::{Notes, Out};
use crate::histogram::Compensated;

/// The slope per second of the line through the floats.
pub(super) fn deriv(view: &View<'_>, notes: &Notes<'_>) -> Out {
    match line(view, view.times.first().copied().unwrap_or_default(), notes) {
        Some((slope, _)) => Out::Float(slope),
        None => Out::None,
    }
}

/// The line through the floats, some seconds after a time.
pub(super) fn predict(view: &View<'_>, now_ms: i64, seconds: f64, notes: &Notes<'_>) -> Out {
    match line(view, now_ms, notes) {
        Some((slope, intercept)) => Out::Float(slope * seconds + intercept),
        None => Out::None,
    }
}

/// Slope and value at a time, by least squares. `None` with fewer than two floats.
fn line(view: &View<'_>, origin_ms: i64, notes: &Notes<'_>) -> Option<(f64, f64)> {
    if !view.histograms.is_empty() && !view.values.is_empty() {
        notes.ignored_histograms();
    }
    if view.values.len() < 2 {
        return None;
    }
    let first = view.values[0];
    #[expect(clippy::float_cmp, reason = "a constant is exactly the same")]
    if view.values.iter().all(|value| *value == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Compensated::default(), Compensated::default(), Compensated::default(), Compensated::default());
    for (time, y) in view.times.iter().zip(view.values) {
        let x = (time - origin_ms) as f64 / 1e3;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let n = view.values.len() as f64;
    let (x_sum, y_sum) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x_sum * y_sum / n;
    let variance = xx_sum.total() - x_sum * x_sum / n;
    let slope = covariance / variance;
    Some((slope, y_sum / n - slope * x_sum / n))
}

/// Holt's linear smoothing.
pub(super) fn double_exponential(view: &View<'_>, smoothing: f64, trend: f64, notes: &Notes<'_>) -> Out {
    if !view.histograms.is_empty() && !view.values.is_empty() {
        notes.ignored_histograms();
    }
    let [first, second, ..] = view.values else { return Out::None };
    let (mut before, mut smoothed, mut slope) = (0.0, *first, second - first);
    for (at, value) in view.values.iter().enumerate().skip(1) {
        if at > 1 {
            slope = trend * (smoothed - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (smoothed + slope);
        (before, smoothed) = (smoothed, next);
    }
    Out::Float(smoothed)
}
