//! Unflushed rows as queries and flushes want them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{FieldRef, Schema};
use isinglass_model::Kind;
use isinglass_model::batch::STALE_NAN_BITS;
use isinglass_model::series::SeriesRef;
use isinglass_model::tables::Table;

use super::generation::Run;
use super::rows::Rows;
use super::samples::SampleRun;
use super::sort::sort;
use crate::StoreError;
use crate::series::{SeriesTable, series_rows};
use crate::tables::{SortedRows, SortedSamples};
use crate::view::HeadFilter;

/// All rows of `runs` in the form in which a flush hands them over.
pub(crate) fn sorted_rows(kind: Kind, runs: &[Run], table: &SeriesTable) -> Result<SortedRows, StoreError> {
    if kind == Kind::Samples {
        return Ok(SortedRows::Samples(sort(&samples(runs), table, None, |_, _| true)));
    }
    read(kind, runs, table, &HeadFilter::default()).map(SortedRows::Batches)
}

/// The rows of `runs` that pass the filter.
pub(crate) fn read(
    kind: Kind,
    runs: &[Run],
    table: &SeriesTable,
    filter: &HeadFilter<'_>,
) -> Result<Vec<RecordBatch>, StoreError> {
    match kind {
        Kind::Samples => read_samples(&samples(runs), table, filter),
        Kind::Series => read_series(runs, table, filter),
        Kind::Histograms | Kind::Exemplars => read_exact(runs, filter),
        Kind::Logs | Kind::Spans | Kind::Rejected | Kind::Shadow | Kind::Reingested => {
            Ok(rows(runs, filter).map(|rows| rows.batch.clone()).collect())
        }
    }
}

fn samples(runs: &[Run]) -> Vec<Arc<SampleRun>> {
    runs.iter()
        .filter_map(|run| if let Run::Samples(run) = run { Some(Arc::clone(run)) } else { None })
        .collect()
}

fn rows<'a>(runs: &'a [Run], filter: &'a HeadFilter<'_>) -> impl Iterator<Item = &'a Arc<Rows>> {
    let rows = runs.iter().filter_map(|run| if let Run::Rows(rows) = run { Some(rows) } else { None });
    rows.filter(|rows| filter.time.is_none_or(|(from, to)| rows.time.0 <= to && rows.time.1 >= from))
}

/// Whether a series passes the filter.
fn wanted(filter: &HeadFilter<'_>, (metric_id, series_id): (i64, i64)) -> bool {
    filter.metric_id.is_none_or(|wanted| wanted == metric_id)
        && filter.series_ids.is_none_or(|wanted| wanted.contains(&series_id))
}

fn read_samples(
    runs: &[Arc<SampleRun>],
    table: &SeriesTable,
    filter: &HeadFilter<'_>,
) -> Result<Vec<RecordBatch>, StoreError> {
    // Files hold microseconds, the head milliseconds.
    let time_ms = filter.time.map(|(from, to)| (ceil_millis(from), to.div_euclid(1_000)));
    let sorted = sort(runs, table, time_ms, |_, ids| wanted(filter, ids));
    if sorted.time_ms.is_empty() {
        return Ok(Vec::new());
    }
    sample_batch(sorted).map(|batch| vec![batch])
}

fn ceil_millis(micros: i64) -> i64 {
    micros.div_euclid(1_000).saturating_add(i64::from(micros.rem_euclid(1_000) != 0))
}

fn sample_batch(sorted: SortedSamples) -> Result<RecordBatch, StoreError> {
    let rows = sorted.time_ms.len();
    let (mut metric, mut series) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for run in &sorted.runs {
        metric.resize(metric.len() + run.rows as usize, run.metric_id);
        series.resize(series.len() + run.rows as usize, run.series_id);
    }
    let is_value = |value: &f64| value.to_bits() != STALE_NAN_BITS;
    let validity = sorted.value.iter().any(|value| !is_value(value));
    let validity = validity.then(|| NullBuffer::from_iter(sorted.value.iter().map(is_value)));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("metric_id", Arc::new(Int64Array::from(metric))),
        ("series_id", Arc::new(Int64Array::from(series))),
        ("time", Arc::new(timestamps(sorted.time_ms, None))),
        ("value", Arc::new(Float64Array::new(sorted.value.into(), validity))),
    ];
    if !sorted.start_ms.is_empty() {
        let known = NullBuffer::from_iter(sorted.start_ms.iter().map(|start| *start != 0));
        columns.push(("start_time", Arc::new(timestamps(sorted.start_ms, Some(known)))));
    }
    batch_of(Kind::Samples, columns)
}

/// Milliseconds as the microseconds of a timestamp column.
pub(super) fn timestamps(mut millis: Vec<i64>, validity: Option<NullBuffer>) -> TimestampMicrosecondArray {
    for time in &mut millis {
        *time = time.saturating_mul(1_000);
    }
    TimestampMicrosecondArray::new(millis.into(), validity).with_timezone("UTC")
}

/// A batch of some columns of a table, given in the order of the table.
pub(crate) fn batch_of(kind: Kind, columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, StoreError> {
    let table = Table::of(kind);
    let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len());
    for (name, _) in &columns {
        let position = table.position(name);
        let position =
            position.ok_or_else(|| StoreError::Internal(format!("{kind} has no column {name}")))?;
        fields.push(Arc::clone(table.batch_field(position)));
    }
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn read_series(
    runs: &[Run],
    table: &SeriesTable,
    filter: &HeadFilter<'_>,
) -> Result<Vec<RecordBatch>, StoreError> {
    let pairs = runs.iter().filter_map(|run| if let Run::Series(pairs) = run { Some(pairs) } else { None });
    let pairs = pairs.flat_map(|pairs| pairs.iter().copied()).filter(|(series, day)| {
        filter.time.is_none_or(|(from, to)| (from..=to).contains(&i64::from(*day)))
            && wanted(filter, table.ids(*series))
    });
    let pairs: Vec<(SeriesRef, i32)> = pairs.collect();
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    series_rows(table, &pairs).map(|batch| vec![batch])
}

/// Histograms and exemplars, filtered row by row.
fn read_exact(runs: &[Run], filter: &HeadFilter<'_>) -> Result<Vec<RecordBatch>, StoreError> {
    let mut batches = Vec::new();
    for rows in rows(runs, filter) {
        let all = filter.series_ids.is_none()
            && filter.metric_id.is_none()
            && filter.time.is_none_or(|(from, to)| from <= rows.time.0 && rows.time.1 <= to);
        let batch = if all { rows.batch.clone() } else { filter_rows(&rows.batch, filter)? };
        if batch.num_rows() > 0 {
            batches.push(batch);
        }
    }
    Ok(batches)
}

fn filter_rows(batch: &RecordBatch, filter: &HeadFilter<'_>) -> Result<RecordBatch, StoreError> {
    let missing = |name| StoreError::Internal(format!("a head batch has no column {name}"));
    let column = |name| batch.column_by_name(name).ok_or_else(|| missing(name));
    let metric = column("metric_id")?.as_primitive::<Int64Type>();
    let series = column("series_id")?.as_primitive::<Int64Type>();
    let time = column("time")?.as_primitive::<TimestampMicrosecondType>();
    let keep = |row: usize| {
        wanted(filter, (metric.value(row), series.value(row)))
            && filter.time.is_none_or(|(from, to)| (from..=to).contains(&time.value(row)))
    };
    let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(keep(row))).collect();
    Ok(arrow_select::filter::filter_record_batch(batch, &mask)?)
}
