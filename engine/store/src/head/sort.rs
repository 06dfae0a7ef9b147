//! Samples into the order of files, by counting.
//!
//! Series refs are dense, so the place of every series is known after one pass that
//! counts, and a second pass puts every sample where it belongs. Samples of a series
//! keep the order in which they came, which is nearly always that of time.

use std::sync::Arc;

use isinglass_model::series::SeriesRef;

use super::samples::{Column, SampleRun};
use crate::series::SeriesTable;
use crate::tables::{SeriesRun, SortedSamples};

/// Sorts the samples of `runs` by (metric_id, series_id, time), leaving out series for
/// which `wanted` is false and, if given, times outside `time_ms`.
pub(super) fn sort(
    runs: &[Arc<SampleRun>],
    table: &SeriesTable,
    time_ms: Option<(i64, i64)>,
    wanted: impl Fn(SeriesRef, (i64, i64)) -> bool,
) -> SortedSamples {
    let runs: Vec<&SampleRun> = runs.iter().map(|run| &**run).filter(|run| overlaps(run, time_ms)).collect();
    let counts = count(&runs, time_ms);
    let (places, order) = place(&counts, table, wanted);
    let sorted = scatter(&runs, time_ms, places, &order);
    order_by_time(sorted)
}

fn overlaps(run: &SampleRun, time_ms: Option<(i64, i64)>) -> bool {
    time_ms.is_none_or(|(from, to)| run.time_range_ms.0 <= to && run.time_range_ms.1 >= from)
}

/// Whether some rows of an overlapping run must be left out.
fn cuts(run: &SampleRun, time_ms: Option<(i64, i64)>) -> Option<(i64, i64)> {
    time_ms.filter(|(from, to)| run.time_range_ms.0 < *from || run.time_range_ms.1 > *to)
}

fn within(time: i64, range: Option<(i64, i64)>) -> bool {
    range.is_none_or(|(from, to)| from <= time && time <= to)
}

/// Rows of each series, by ref.
fn count(runs: &[&SampleRun], time_ms: Option<(i64, i64)>) -> Vec<u32> {
    let highest = runs.iter().flat_map(|run| &run.series).max();
    let mut counts = vec![0_u32; highest.map_or(0, |series| series.0 as usize + 1)];
    for run in runs {
        let range = cuts(run, time_ms);
        for (row, series) in run.series.iter().enumerate() {
            if within(run.time_ms.at(row), range) {
                counts[series.0 as usize] += 1;
            }
        }
    }
    counts
}

/// Marks a series whose rows are not wanted.
const NOWHERE: usize = usize::MAX;

/// The first row of each series in the result, by ref, and the runs of the result.
fn place(
    counts: &[u32],
    table: &SeriesTable,
    wanted: impl Fn(SeriesRef, (i64, i64)) -> bool,
) -> (Vec<usize>, Vec<SeriesRun>) {
    let mut order: Vec<(i64, i64, usize)> = Vec::new();
    for (at, _) in counts.iter().enumerate().filter(|(_, rows)| **rows > 0) {
        let series = SeriesRef(u32::try_from(at).unwrap_or(u32::MAX));
        let ids = table.ids(series);
        if wanted(series, ids) {
            order.push((ids.0, ids.1, at));
        }
    }
    order.sort_unstable();
    let mut places = vec![NOWHERE; counts.len()];
    let mut next = 0;
    let runs = order.into_iter().map(|(metric_id, series_id, at)| {
        places[at] = next;
        next += counts[at] as usize;
        SeriesRun { metric_id, series_id, rows: counts[at] }
    });
    let runs = runs.collect();
    (places, runs)
}

fn scatter(
    runs: &[&SampleRun],
    time_ms: Option<(i64, i64)>,
    mut places: Vec<usize>,
    order: &[SeriesRun],
) -> SortedSamples {
    let rows = order.iter().map(|run| run.rows as usize).sum();
    let mut sorted = SortedSamples {
        runs: order.to_vec(),
        time_ms: vec![0; rows],
        value: vec![0.0; rows],
        start_ms: Vec::new(),
    };
    if runs.iter().any(|run| run.start_ms != Column::Constant(0)) {
        sorted.start_ms = vec![0; rows];
    }
    for run in runs {
        let range = cuts(run, time_ms);
        for (row, series) in run.series.iter().enumerate() {
            let place = &mut places[series.0 as usize];
            let time = run.time_ms.at(row);
            if *place == NOWHERE || !within(time, range) {
                continue;
            }
            sorted.time_ms[*place] = time;
            sorted.value[*place] = run.value[row];
            if let Some(start) = sorted.start_ms.get_mut(*place) {
                *start = run.start_ms.at(row);
            }
            *place += 1;
        }
    }
    sorted
}

/// Puts the few series in order whose samples did not come in order of time.
fn order_by_time(mut sorted: SortedSamples) -> SortedSamples {
    let mut from = 0;
    for run in &sorted.runs {
        let rows = from..from + run.rows as usize;
        from = rows.end;
        if sorted.time_ms[rows.clone()].is_sorted() {
            continue;
        }
        let mut order: Vec<usize> = rows.clone().collect();
        order.sort_by_key(|row| sorted.time_ms[*row]);
        permute(&mut sorted.time_ms, &rows, &order);
        permute(&mut sorted.value, &rows, &order);
        if !sorted.start_ms.is_empty() {
            permute(&mut sorted.start_ms, &rows, &order);
        }
    }
    sorted
}

fn permute<T: Copy>(values: &mut [T], rows: &std::ops::Range<usize>, order: &[usize]) {
    let moved: Vec<T> = order.iter().map(|row| values[*row]).collect();
    values[rows.clone()].copy_from_slice(&moved);
}
