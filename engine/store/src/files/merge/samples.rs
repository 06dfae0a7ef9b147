//! Merging samples: the values of a series are brought together and split
//! again, as one run.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int32Array, PrimitiveArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::SchemaRef;
use isinglass_model::Kind;
use isinglass_model::batch::STALE_NAN_BITS;
use isinglass_model::tables::Table;

use super::batch::{Batch, Prefix};
use super::budget::Budget;
use super::ha::{Election, Elections};
use super::kway::Kway;
use super::output::{Output, union};
use super::passes::Kept;
use super::{MergeOptions, Merged};
use crate::files::delta::Extent;
use crate::files::parquet::{CHUNK_ROWS, ids_and_values, unscaled};
use crate::files::{FilesError, Result};
use crate::tables::SeriesRun;

/// A row of a series. Equal in bits, not as numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) time: i64,
    pub(super) value: f64,
    pub(super) start: Option<i64>,
    /// Who wrote it; 0 if that has been chosen already.
    pub(super) replica: u32,
}

impl Sample {
    fn is_same(&self, other: &Self) -> bool {
        self.time == other.time && self.value.to_bits() == other.value.to_bits() && self.start == other.start
    }
}

/// Merges all samples of `kway` into `output`. `elections` says which replica's
/// samples stay; without it those of all do, and each keeps the name of its own.
pub(super) async fn merge(
    mut kway: Kway,
    output: &mut Output<'_, '_>,
    options: &MergeOptions,
    elections: Option<&Elections>,
    counts: &mut Merged,
) -> Result<()> {
    let table = Table::of(Kind::Samples);
    let mut kept = Kept::new(table, options);
    let mut waiting = Waiting::new(Budget::of(options.memory_bytes));
    let mut election: Option<Election<'_>> = None;
    let mut elected = Vec::new();
    while let Some(slice) = kway.next().await? {
        if waiting.prefix.as_ref() != Some(&slice.prefix) {
            if let Some(election) = election.take() {
                counts.replicas += election.finish(&mut elected);
                waiting.take_elected(&mut elected, counts);
            }
            waiting.end_run();
            if waiting.is_full() {
                write(&mut waiting, output, true).await?;
            }
            waiting.start_run(slice.prefix.clone());
            election = elections.and_then(|elections| elections.of(slice.prefix.as_series().1));
        }
        if slice.original {
            counts.rows_in += (slice.to - slice.from) as u64;
            if options.ha.as_ref().is_some_and(|ha| ha.replaces(slice.prefix.as_series().1)) {
                // Sorted in again under the series that it belongs to.
                continue;
            }
        }
        let from = kept.first(&slice);
        counts.expired += (from - slice.from) as u64;
        let columns = Columns::of(&slice.batch).map_err(bad)?;
        let gone = options.gone.as_ref().filter(|gone| gone.metrics.contains(&slice.prefix.as_series().0));
        for row in from..slice.to {
            let sample = columns.sample(row);
            if gone.is_some_and(|gone| gone.time.contains(&sample.time)) {
                counts.expired += 1;
                continue;
            }
            match &mut election {
                None => waiting.push(sample, counts),
                Some(election) => counts.replicas += election.push(sample, &mut elected),
            }
        }
        if !elected.is_empty() {
            waiting.take_elected(&mut elected, counts);
        }
        if waiting.is_very_full() {
            waiting.end_run();
            write(&mut waiting, output, false).await?;
        }
    }
    if let Some(election) = election {
        counts.replicas += election.finish(&mut elected);
        waiting.take_elected(&mut elected, counts);
    }
    waiting.end_run();
    write(&mut waiting, output, true).await
}

fn bad(problem: String) -> FilesError {
    FilesError::Rows { kind: Kind::Samples, problem }
}

async fn write(waiting: &mut Waiting, output: &mut Output<'_, '_>, boundary: bool) -> Result<()> {
    if !waiting.time.is_empty() {
        let (rows, extent) = waiting.take(output.schema())?;
        output.write(rows, extent, boundary).await?;
    }
    Ok(())
}

/// The columns of samples.
pub(super) struct Columns<'a> {
    batch: &'a Batch,
    double: Option<&'a PrimitiveArray<Float64Type>>,
    int: Option<&'a PrimitiveArray<Int64Type>>,
    scale: Option<&'a PrimitiveArray<Int16Type>>,
    start: Option<&'a PrimitiveArray<TimestampMicrosecondType>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a Batch) -> Result<Self, String> {
        let table = Table::of(Kind::Samples);
        let column = |name: &str| table.position(name).and_then(|at| batch.column(at));
        // Batches have the types of the table.
        let columns = Self {
            batch,
            double: column("value").map(|array| array.as_primitive()),
            int: column("value_int").map(|array| array.as_primitive()),
            scale: column("value_scale").map(|array| array.as_primitive()),
            start: column("start_time").map(|array| array.as_primitive()),
        };
        match (columns.int, columns.scale) {
            (None, None) => Ok(columns),
            (Some(int), Some(scale)) if int.nulls() == scale.nulls() => Ok(columns),
            _ => Err("value_int and value_scale are not null together".to_owned()),
        }
    }

    pub(super) fn sample(&self, row: usize) -> Sample {
        let int = self.int.filter(|int| int.is_valid(row)).zip(self.scale);
        let double = || self.double.filter(|double| double.is_valid(row)).map(|double| double.value(row));
        let value = match int {
            Some((int, scale)) => unscaled(int.value(row), scale.value(row)),
            None => double().unwrap_or(f64::from_bits(STALE_NAN_BITS)),
        };
        let start = self.start.filter(|start| start.is_valid(row)).map(|start| start.value(row));
        Sample { time: self.batch.times()[row], value, start, replica: self.batch.replica(row) }
    }
}

/// Samples that are to be written, in order.
struct Waiting {
    rows_max: usize,
    /// Of the current run, whose rows are the last ones.
    prefix: Option<Prefix>,
    runs: Vec<SeriesRun>,
    run_rows: usize,
    last: Option<Sample>,
    time: Vec<i64>,
    value: Vec<f64>,
    start: Vec<Option<i64>>,
    replica: Vec<u32>,
    extent: Extent,
}

/// What a waiting sample takes, and its row in the columns that are made of it.
const SAMPLE_BYTES: usize = 128;

impl Waiting {
    fn new(budget: Budget) -> Self {
        let rows_max = (budget.waiting() / SAMPLE_BYTES).clamp(256, 1 << 20);
        Self {
            rows_max,
            prefix: None,
            runs: Vec::new(),
            run_rows: 0,
            last: None,
            time: Vec::new(),
            value: Vec::new(),
            start: Vec::new(),
            replica: Vec::new(),
            extent: Extent::default(),
        }
    }

    /// Takes a row of the current run, unless there is one of its time.
    fn push(&mut self, sample: Sample, counts: &mut Merged) {
        if let Some(last) =
            self.last.filter(|last| last.time == sample.time && last.replica == sample.replica)
        {
            if last.is_same(&sample) {
                counts.duplicates += 1
            } else {
                counts.conflicts += 1
            }
            return;
        }
        self.last = Some(sample);
        self.run_rows += 1;
        self.time.push(sample.time);
        self.value.push(sample.value);
        self.start.push(sample.start);
        self.replica.push(sample.replica);
    }

    fn take_elected(&mut self, elected: &mut Vec<Sample>, counts: &mut Merged) {
        for sample in elected.drain(..) {
            self.push(Sample { replica: 0, ..sample }, counts);
        }
    }

    /// No more rows of the current run come, or too many.
    fn end_run(&mut self) {
        let rows = std::mem::take(&mut self.run_rows);
        let Some(prefix) = self.prefix.as_ref().filter(|_| rows > 0) else { return };
        let (metric_id, series_id) = prefix.as_series();
        self.runs.push(SeriesRun { metric_id, series_id, rows: rows as u32 });
        let times = &self.time[self.time.len() - rows..];
        let run = Extent {
            rows: rows as u64,
            time: times.first().copied().zip(times.last().copied()),
            metric_id: Some((metric_id, metric_id)),
            series_id: Some((series_id, series_id)),
        };
        self.extent = union(self.extent, run);
    }

    fn start_run(&mut self, prefix: Prefix) {
        self.prefix = Some(prefix);
        self.last = None;
    }

    fn is_full(&self) -> bool {
        self.time.len() >= CHUNK_ROWS.min(self.rows_max)
    }

    /// One series alone is too much to be split as a whole.
    fn is_very_full(&self) -> bool {
        self.time.len() >= self.rows_max
    }

    /// Makes columns of the rows, and is empty after.
    fn take(&mut self, schema: &SchemaRef) -> Result<(RecordBatch, Extent)> {
        let times = |times: Vec<i64>, known: Option<NullBuffer>| -> ArrayRef {
            let array = PrimitiveArray::<TimestampMicrosecondType>::new(times.into(), known);
            Arc::new(array.with_timezone("UTC"))
        };
        let starts = std::mem::take(&mut self.start);
        let known = BooleanBuffer::collect_bool(starts.len(), |row| starts[row].is_some());
        let start = times(starts.into_iter().map(Option::unwrap_or_default).collect(), Some(known.into()));
        let [metric_id, series_id, value, value_int, value_scale] = ids_and_values(&self.runs, &self.value);
        let time = times(std::mem::take(&mut self.time), None);
        let mut columns = vec![metric_id, series_id, time, value, value_int, value_scale, start];
        if schema.fields().len() > columns.len() {
            let replicas = self.replica.iter().map(|replica| replica.cast_signed());
            columns.push(Arc::new(Int32Array::from_iter_values(replicas)));
        }
        self.replica.clear();
        self.value.clear();
        self.runs.clear();
        Ok((RecordBatch::try_new(Arc::clone(schema), columns)?, std::mem::take(&mut self.extent)))
    }
}
