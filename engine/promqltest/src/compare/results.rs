//! Results.

use std::collections::BTreeMap;

use isinglass_promql::Labels;

use super::floats::almost_equal;
use super::histograms;
use crate::backend::{Found, Outcome, Row};
use crate::points::Slot;
use crate::script::{Expectation, Expected, ExpectedSeries, Window};

/// Whether a result is the one that is expected. `window` holds the times of the points of a range
/// vector.
///
/// # Errors
///
/// The first difference, in words.
pub fn check_outcome(expectation: &Expectation, window: Window, outcome: &Outcome) -> Result<(), String> {
    match (&expectation.result, outcome) {
        (Expected::Scalar(expected), Outcome::Scalar(got)) if almost_equal(*expected, *got) => Ok(()),
        (Expected::Scalar(expected), Outcome::Scalar(got)) => Err(format!("expected {expected}, got {got}")),
        (Expected::Text(expected), Outcome::Text(got)) if expected == got => Ok(()),
        (Expected::Text(expected), Outcome::Text(got)) => Err(format!("expected {expected:?}, got {got:?}")),
        (Expected::Series(_), Outcome::Matrix(_)) if expectation.ordered => {
            Err("expected series in an order, got a range vector".to_owned())
        }
        (Expected::Series(expected), Outcome::Matrix(rows)) => {
            check_sorted(rows)?;
            check_series(expected, rows, |series, row| check_points(series, row, window))
        }
        (Expected::Series(expected), Outcome::Vector(rows)) => {
            check_series(expected, rows, check_one)?;
            if expectation.ordered { check_order(expected, rows) } else { Ok(()) }
        }
        (expected, got) => Err(format!("expected {}, got {}", kind_expected(expected), kind(got))),
    }
}

/// Whether series come sorted by labels.
///
/// # Errors
///
/// The first pair that does not.
pub fn check_sorted(rows: &[Row]) -> Result<(), String> {
    match rows.windows(2).find(|pair| pair[0].labels > pair[1].labels) {
        Some(pair) => Err(format!("not sorted by labels: {} before {}", pair[0].labels, pair[1].labels)),
        None => Ok(()),
    }
}

fn check_series(
    expected: &[ExpectedSeries],
    rows: &[Row],
    check: impl Fn(&ExpectedSeries, &Row) -> Result<(), String>,
) -> Result<(), String> {
    let mut missing: BTreeMap<&Labels, &ExpectedSeries> =
        expected.iter().map(|series| (&series.labels, series)).collect();
    for row in rows {
        let Some(series) = missing.remove(&row.labels) else {
            let again = expected.iter().any(|series| series.labels == row.labels);
            let fault = if again { "came twice" } else { "is unexpected" };
            return Err(format!("{} {fault}, with {}", row.labels, list(&row.points)));
        };
        check(series, row).map_err(|fault| format!("{}: {fault}", row.labels))?;
    }
    match missing.keys().next() {
        Some(labels) => Err(format!("{labels} is missing")),
        None => Ok(()),
    }
}

fn check_order(expected: &[ExpectedSeries], rows: &[Row]) -> Result<(), String> {
    match expected.iter().zip(rows).position(|(series, row)| series.labels != row.labels) {
        Some(at) => {
            Err(format!("{} comes at place {}, expected {}", rows[at].labels, at + 1, expected[at].labels))
        }
        None => Ok(()),
    }
}

fn check_one(series: &ExpectedSeries, row: &Row) -> Result<(), String> {
    match (&series.slots[..], &row.points[..]) {
        ([slot], [(_, found)]) if equal(slot, found) => Ok(()),
        (slots, points) => Err(format!("expected {}, got {}", slots_text(slots), list(points))),
    }
}

fn check_points(series: &ExpectedSeries, row: &Row, window: Window) -> Result<(), String> {
    let expected = times(&series.slots, window)?;
    if expected.len() != row.points.len() {
        let (expected, got) = (expected.len(), row.points.len());
        return Err(format!("expected {expected} points, got {got}: {}", list(&row.points)));
    }
    for ((time_ms, slot), (got_ms, found)) in expected.iter().zip(&row.points) {
        if time_ms != got_ms {
            return Err(format!("expected a point at {time_ms} ms, got one at {got_ms} ms"));
        }
        if !equal(slot, found) {
            let slot = slots_text(std::slice::from_ref(slot));
            return Err(format!("at {time_ms} ms: expected {slot}, got {found} in {}", list(&row.points)));
        }
    }
    Ok(())
}

/// The steps at which there is a point, and their times.
fn times(slots: &[Slot], window: Window) -> Result<Vec<(i64, &Slot)>, String> {
    let mut times = Vec::with_capacity(slots.len());
    let mut time_ms = window.start_ms;
    for slot in slots {
        if time_ms > window.end_ms {
            return Err(format!("{} points are expected, more than the times of the query", slots.len()));
        }
        if *slot != Slot::Missing {
            times.push((time_ms, slot));
        }
        time_ms = time_ms.saturating_add(window.step_ms);
    }
    Ok(times)
}

fn equal(slot: &Slot, found: &Found) -> bool {
    match (slot, found) {
        (Slot::Float(expected), Found::Float(got)) => almost_equal(*expected, *got),
        (Slot::Histogram { histogram, hint_given }, Found::Histogram(got)) => {
            histograms::equal(histogram, got, *hint_given)
        }
        (Slot::Histogram { histogram, .. }, Found::Wire(got)) => got.almost_equals(&(&**histogram).into()),
        _ => false,
    }
}

fn slots_text(slots: &[Slot]) -> String {
    let texts = slots.iter().map(|slot| match slot {
        Slot::Missing => "nothing".to_owned(),
        Slot::Float(value) => value.to_string(),
        Slot::Histogram { histogram, .. } => Found::Histogram(std::sync::Arc::clone(histogram)).to_string(),
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// Points as `value@time`, the first of many.
fn list(points: &[(i64, Found)]) -> String {
    const SHOWN: usize = 20;
    let shown = points.iter().take(SHOWN).map(|(time_ms, found)| format!("{found}@{time_ms}"));
    let more = if points.len() > SHOWN { " …" } else { "" };
    format!("[{}{more}]", shown.collect::<Vec<_>>().join(" "))
}

fn kind_expected(expected: &Expected) -> &'static str {
    match expected {
        Expected::Series(_) => "series",
        Expected::Scalar(_) => "a scalar",
        Expected::Text(_) => "a text",
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Scalar(_) => "a scalar",
        Outcome::Text(_) => "a text",
        Outcome::Vector(_) => "an instant vector",
        Outcome::Matrix(_) => "a range vector",
    }
}
