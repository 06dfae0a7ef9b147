//! Samples: values split run by run, times as microseconds.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use arrow_array::types::{Float64Type, Int16Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, PrimitiveArray, RecordBatch, new_null_array};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_schema::{DataType, TimeUnit};
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use super::sink::Sink;
use super::split::{self, Split, Stored};
use super::{CHUNK_ROWS, layout};
use crate::files::delta::Extent;
use crate::files::{FilesError, Result};
use crate::tables::{SeriesRun, SortedSamples};

/// Writes all samples, in the order in which they are.
pub(super) fn write(samples: &SortedSamples) -> Result<(Sink, Extent)> {
    check(samples).map_err(|problem| FilesError::Rows { kind: Kind::Samples, problem })?;
    let table = Table::of(Kind::Samples);
    let options = ArrowWriterOptions::new()
        .with_properties(layout::of_samples(layout::FLUSH_ZSTD_LEVEL)?.as_ref().clone())
        // The types in a file are those that Parquet itself has, for us as for others.
        .with_skip_arrow_metadata(true);
    let mut writer =
        ArrowWriter::try_new_with_options(Sink::default(), Arc::clone(table.file_schema()), options)?;
    let rows = samples.value.len();
    let mut runs = Runs::of(&samples.runs, &samples.value);
    for from in (0..rows).step_by(CHUNK_ROWS) {
        let to = rows.min(from + CHUNK_ROWS);
        let [metric_id, series_id, value, value_int, value_scale] = runs.columns(&samples.value[from..to]);
        let time: ArrayRef = Arc::new(times(&samples.time_ms[from..to], None));
        let start_time = start_times(samples.start_ms.get(from..to), to - from);
        let columns = vec![metric_id, series_id, time, value, value_int, value_scale, start_time];
        writer.write(&RecordBatch::try_new(Arc::clone(table.file_schema()), columns)?)?;
    }
    Ok((writer.into_inner()?, extent(samples)))
}

/// The columns are of one length, and in the order that the file declares.
fn check(samples: &SortedSamples) -> Result<(), String> {
    let rows = samples.value.len();
    let in_runs: usize = samples.runs.iter().map(|run| run.rows as usize).sum();
    let starts = samples.start_ms.len();
    if samples.time_ms.len() != rows || in_runs != rows || !(starts == 0 || starts == rows) {
        return Err("columns of different lengths".to_owned());
    }
    let unsorted = || Err("they are not sorted by metric, series and time".to_owned());
    if !samples.runs.is_sorted_by_key(|run| (run.metric_id, run.series_id)) {
        return unsorted();
    }
    let mut at = 0;
    for same in samples.runs.chunk_by(|a, b| (a.metric_id, a.series_id) == (b.metric_id, b.series_id)) {
        let len = same.iter().map(|run| run.rows as usize).sum::<usize>();
        if !samples.time_ms[at..at + len].is_sorted() {
            return unsorted();
        }
        at += len;
    }
    Ok(())
}

fn extent(samples: &SortedSamples) -> Extent {
    let range = |values: &mut dyn Iterator<Item = i64>| {
        values.fold(None, |range: Option<(i64, i64)>, value| {
            Some(range.map_or((value, value), |(min, max)| (min.min(value), max.max(value))))
        })
    };
    Extent {
        rows: samples.value.len() as u64,
        time: range(&mut samples.time_ms.iter().copied()).map(|(min, max)| (micros(min), micros(max))),
        metric_id: range(&mut samples.runs.iter().map(|run| run.metric_id)),
        series_id: range(&mut samples.runs.iter().map(|run| run.series_id)),
    }
}

/// Times outside the range of microseconds (292,000 years) are refused long
/// before; here they are only kept from wrapping around.
fn micros(millis: i64) -> i64 {
    millis.saturating_mul(1_000)
}

fn times(millis: &[i64], known: Option<NullBuffer>) -> PrimitiveArray<TimestampMicrosecondType> {
    let micros: Vec<i64> = millis.iter().map(|time| micros(*time)).collect();
    PrimitiveArray::new(micros.into(), known).with_timezone("UTC")
}

fn start_times(millis: Option<&[i64]>, rows: usize) -> ArrayRef {
    match millis {
        Some(millis) if millis.iter().any(|time| *time != 0) => {
            let known: NullBuffer = millis.iter().map(|time| *time != 0).collect();
            Arc::new(times(millis, Some(known)))
        }
        _ => new_null_array(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), rows),
    }
}

/// The columns `metric_id`, `series_id`, `value`, `value_int` and `value_scale`
/// of whole runs, which make up all values.
pub(in crate::files) fn ids_and_values(runs: &[SeriesRun], values: &[f64]) -> [ArrayRef; 5] {
    Runs::of(runs, values).columns(values)
}

/// The runs of rows of one series, how each is stored, and how far they are used.
struct Runs<'a> {
    runs: std::vec::IntoIter<(&'a SeriesRun, Split)>,
    current: Option<(&'a SeriesRun, Split)>,
    /// Rows left of the current run.
    left: usize,
}

impl<'a> Runs<'a> {
    fn of(runs: &'a [SeriesRun], values: &[f64]) -> Self {
        let mut at = 0;
        let splits = runs.iter().map(|run| {
            let values = &values[at..at + run.rows as usize];
            at += values.len();
            (run, split::of_run(values))
        });
        Self { runs: splits.collect::<Vec<_>>().into_iter(), current: None, left: 0 }
    }

    /// The columns of the next rows: the ids and the three of the value.
    fn columns(&mut self, values: &[f64]) -> [ArrayRef; 5] {
        let mut columns = Columns::with_capacity(values.len());
        let mut rest = values;
        while !rest.is_empty() {
            if self.left == 0 {
                self.current = self.runs.next();
                self.left = self.current.map_or(0, |(run, _)| run.rows as usize);
            }
            // `check` has seen that the runs make up all rows.
            let Some((run, split)) = self.current else { break };
            let (now, later) = rest.split_at(self.left.min(rest.len()));
            columns.extend(run, split, now);
            self.left -= now.len();
            rest = later;
        }
        columns.finish()
    }
}

struct Columns {
    metric_id: Vec<i64>,
    series_id: Vec<i64>,
    double: Vec<f64>,
    is_double: BooleanBufferBuilder,
    int: Vec<i64>,
    is_int: BooleanBufferBuilder,
    scale: Vec<i16>,
}

impl Columns {
    fn with_capacity(rows: usize) -> Self {
        Self {
            metric_id: Vec::with_capacity(rows),
            series_id: Vec::with_capacity(rows),
            double: Vec::with_capacity(rows),
            is_double: BooleanBufferBuilder::new(rows),
            int: Vec::with_capacity(rows),
            is_int: BooleanBufferBuilder::new(rows),
            scale: Vec::with_capacity(rows),
        }
    }

    fn extend(&mut self, run: &SeriesRun, split: Split, values: &[f64]) {
        let rows = self.metric_id.len() + values.len();
        self.metric_id.resize(rows, run.metric_id);
        self.series_id.resize(rows, run.series_id);
        self.scale.resize(rows, split.scale());
        for &value in values {
            let (double, int) = match split::store(value, split) {
                Stored::Nothing => (None, None),
                Stored::Double(value) => (Some(value), None),
                Stored::Int(int) => (None, Some(int)),
            };
            self.is_double.append(double.is_some());
            self.double.push(double.unwrap_or_default());
            self.is_int.append(int.is_some());
            self.int.push(int.unwrap_or_default());
        }
    }

    fn finish(mut self) -> [ArrayRef; 5] {
        let is_double = Some(NullBuffer::new(self.is_double.finish()));
        let is_int = Some(NullBuffer::new(self.is_int.finish()));
        [
            Arc::new(PrimitiveArray::<Int64Type>::new(self.metric_id.into(), None)),
            Arc::new(PrimitiveArray::<Int64Type>::new(self.series_id.into(), None)),
            Arc::new(PrimitiveArray::<Float64Type>::new(self.double.into(), is_double)),
            Arc::new(PrimitiveArray::<Int64Type>::new(self.int.into(), is_int.clone())),
            Arc::new(PrimitiveArray::<Int16Type>::new(self.scale.into(), is_int)),
        ]
    }
}
