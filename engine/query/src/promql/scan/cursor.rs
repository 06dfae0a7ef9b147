//! Rows in the order of files, series by series.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::common::{Result as PlanResult, exec_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use futures::StreamExt as _;
use futures::future::try_join_all;
use isinglass_promql::EvalError;

use super::{Reads, Span, hold, unreadable};
use crate::promql::facts::add;

/// Batches of a file.
pub(in crate::promql) type Rows = ParquetRecordBatchStream<Box<dyn AsyncFileReader>>;

/// The columns by which rows are sorted.
pub(super) struct Keys {
    metric: Int64Array,
    series: Int64Array,
    time: TimestampMicrosecondArray,
}

impl Keys {
    pub(super) fn of(batch: &RecordBatch) -> PlanResult<Self> {
        let column = |name| batch.column_by_name(name);
        let bigint = |name| column(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let time = column("time").and_then(|time| time.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(metric), Some(series), Some(time)) = (bigint("metric_id"), bigint("series_id"), time)
        else {
            return exec_err!("a metric table lacks a key column");
        };
        Ok(Self { metric: metric.clone(), series: series.clone(), time: time.clone() })
    }

    pub(super) fn key(&self, row: usize) -> (i64, i64) {
        (self.metric.value(row), self.series.value(row))
    }

    pub(super) fn time(&self, row: usize) -> i64 {
        self.time.value(row)
    }

    fn len(&self) -> usize {
        self.metric.len()
    }

    /// The first row from `from` on whose key is not before this one. Most of the time that is
    /// near, so the steps of the search grow.
    fn seek(&self, from: usize, is_before: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut step) = (from, 1);
        while low + step < self.len() && is_before(low + step) {
            low += step;
            step *= 2;
        }
        let (mut low, mut high) = (low, (low + step).min(self.len()));
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(middle) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Batches that are still to come.
enum Input {
    File(Box<Rows>),
    Batch(Option<RecordBatch>),
}

/// One file, or one batch of unflushed rows.
pub(in crate::promql) struct Cursor {
    reads: Arc<Reads>,
    input: Input,
    span: Span,
    /// The current batch, and its next row.
    current: Option<(RecordBatch, Keys)>,
    row: usize,
    /// For the current batch of a file.
    held: MemoryReservation,
}

impl Cursor {
    pub(super) fn of_file(rows: Rows, span: Span, reads: &Arc<Reads>) -> Self {
        Self::new(Input::File(Box::new(rows)), span, reads)
    }

    pub(super) fn of_batch(batch: RecordBatch, span: Span, reads: &Arc<Reads>) -> Self {
        Self::new(Input::Batch(Some(batch)), span, reads)
    }

    fn new(input: Input, span: Span, reads: &Arc<Reads>) -> Self {
        Self { reads: Arc::clone(reads), input, span, current: None, row: 0, held: reads.reservation() }
    }

    /// (metric_id, series_id) of the next row; `None` after the last one.
    pub(in crate::promql) fn key(&self) -> Option<(i64, i64)> {
        self.current.as_ref().map(|(_, keys)| keys.key(self.row))
    }

    /// Hands over the rows of a series that are in the span, as ranges of batches, and passes all
    /// rows before it. Their times rise, but for rows with the same.
    pub(in crate::promql) fn take(
        &mut self,
        key: (i64, i64),
        mut rows: impl FnMut(&RecordBatch, Range<usize>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        while let Some((batch, keys)) = &self.current {
            if keys.key(self.row) > key {
                return Ok(());
            }
            let from = keys.seek(self.row, |row| keys.key(row) < key);
            let end = keys.seek(from, |row| keys.key(row) <= key);
            let Span { first, last } = self.span;
            let start = keys.seek(from, |row| row < end && keys.time(row) < first);
            let stop = keys.seek(start, |row| row < end && keys.time(row) <= last);
            if start < stop {
                rows(batch, start..stop)?;
            }
            self.row = end;
            if end < keys.len() {
                return Ok(());
            }
            self.refill()?;
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<(), EvalError> {
        let reads = Arc::clone(&self.reads);
        match self.input {
            Input::Batch(None) => self.current = None,
            _ => reads.wait(self.fill())?,
        }
        Ok(())
    }

    /// Goes on to the next batch.
    async fn fill(&mut self) -> Result<(), EvalError> {
        (self.current, self.row) = (None, 0);
        let next = loop {
            let next = match &mut self.input {
                Input::Batch(batch) => batch.take(),
                Input::File(rows) => rows.next().await.transpose().map_err(unreadable)?,
            };
            match next {
                Some(batch) if batch.num_rows() == 0 => {}
                next => break next,
            }
        };
        if let Some(batch) = next {
            if matches!(self.input, Input::File(_)) {
                add(&self.reads.counters.rows, batch.num_rows());
                self.reads.check_bytes()?;
                hold(&self.held, batch.get_array_memory_size())?;
            }
            let keys = Keys::of(&batch).map_err(unreadable)?;
            self.current = Some((batch, keys));
        }
        Ok(())
    }
}

/// Reads the first batches of all, at the same time.
pub(super) fn fill_all<'a>(
    cursors: impl Iterator<Item = &'a mut Cursor>,
    reads: &Reads,
) -> Result<(), EvalError> {
    reads.wait(async { try_join_all(cursors.map(Cursor::fill)).await.map(drop) })
}
