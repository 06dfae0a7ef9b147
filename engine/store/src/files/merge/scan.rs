//! Rows of files that are looked at and not merged: to derive again from them, and to compare.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow_array::ArrayRef;
use isinglass_model::Kind;
use isinglass_model::tables::Table;
use object_store::ObjectStore;

use super::Gone;
use super::batch::{Batch, Prefix};
use super::input::{Input, Opened, Source};
use super::samples::Columns;
use super::worker::Worker;
use crate::files::{FilesError, Result};
use crate::tables::{DataFile, StoredSample};

/// What the reading of one file may hold in memory.
const SHARE_BYTES: usize = 16 << 20;

/// Some rows of a file, in the types of files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanned<'a> {
    /// By position in the table; `None` if all values are null.
    pub(crate) columns: &'a [Option<ArrayRef>],
    pub(crate) times: &'a [i64],
}

/// Shows all rows of some files, until `each` has enough. Says whether it had.
pub(crate) async fn scan(
    objects: &Arc<dyn ObjectStore>,
    kind: Kind,
    files: &[DataFile],
    each: &mut (dyn for<'r> FnMut(Scanned<'r>) -> Result<ControlFlow<()>, String> + Send),
) -> Result<ControlFlow<()>> {
    let reader = Reader { objects, worker: Worker::start()? };
    for file in files {
        let mut input = reader.open(kind, file, None).await?;
        while let Some(batch) = input.next_batch().await? {
            let rows = Scanned { columns: batch.columns(), times: batch.times() };
            let done = each(rows).map_err(|problem| FilesError::Rows { kind, problem })?;
            if done.is_break() {
                return Ok(done);
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Shows the samples of some metrics within a time, file by file.
pub(crate) async fn scan_samples(
    objects: &Arc<dyn ObjectStore>,
    files: &[DataFile],
    wanted: &Gone,
    each: &mut (dyn FnMut(StoredSample) -> ControlFlow<()> + Send),
) -> Result<ControlFlow<()>> {
    let reader = Reader { objects, worker: Worker::start()? };
    for file in files.iter().filter(|file| wanted.may_be_in(file)) {
        let mut input = reader.open(Kind::Samples, file, Some(wanted)).await?;
        while let Some(batch) = input.next_batch().await? {
            if samples(&batch, wanted, each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Rows of one series, in the types of files.
#[derive(Debug, Clone)]
pub(crate) struct ScannedSeries<'a> {
    pub(crate) metric_id: i64,
    pub(crate) series_id: i64,
    /// By position in the table; `None` if all values are null.
    pub(crate) columns: &'a [Option<ArrayRef>],
    pub(crate) times: &'a [i64],
    /// Which of them.
    pub(crate) rows: Range<usize>,
}

/// Shows the rows of some metrics within a time, file by file, until `each` has enough. Says
/// whether it had.
pub(crate) async fn scan_metrics(
    objects: &Arc<dyn ObjectStore>,
    kind: Kind,
    files: &[DataFile],
    wanted: &Gone,
    each: &mut (dyn for<'r> FnMut(ScannedSeries<'r>) -> Result<ControlFlow<()>, String> + Send),
) -> Result<ControlFlow<()>> {
    let reader = Reader { objects, worker: Worker::start()? };
    for file in files.iter().filter(|file| wanted.may_be_in(file)) {
        let mut input = reader.open(kind, file, Some(wanted)).await?;
        while let Some(batch) = input.next_batch().await? {
            for (metric_id, series_id, rows) in runs(&batch, wanted) {
                let (columns, times) = (batch.columns(), batch.times());
                let some = ScannedSeries { metric_id, series_id, columns, times, rows };
                if each(some).map_err(|problem| FilesError::Rows { kind, problem })?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Metric, series and rows of what is wanted of a batch.
fn runs<'a>(batch: &'a Batch, wanted: &'a Gone) -> impl Iterator<Item = (i64, i64, Range<usize>)> + 'a {
    let mut from = 0;
    batch
        .runs()
        .iter()
        .map(move |run| {
            let first = std::mem::replace(&mut from, run.end);
            let (metric_id, series_id) = Prefix::as_series(&run.prefix);
            let rows = wanted.rows(metric_id, &batch.times()[first..run.end]);
            (metric_id, series_id, first + rows.start..first + rows.end)
        })
        .filter(|(_, _, rows)| !rows.is_empty())
}

fn samples(
    batch: &Batch,
    wanted: &Gone,
    each: &mut (dyn FnMut(StoredSample) -> ControlFlow<()> + Send),
) -> Result<ControlFlow<()>> {
    const MICROS: i64 = 1_000;
    let bad = |problem| FilesError::Rows { kind: Kind::Samples, problem };
    let columns = Columns::of(batch).map_err(bad)?;
    for (metric_id, series_id, rows) in runs(batch, wanted) {
        for row in rows {
            let sample = columns.sample(row);
            let stored = StoredSample {
                metric_id,
                series_id,
                time_ms: sample.time.div_euclid(MICROS),
                value: sample.value,
                start_ms: sample.start.map_or(0, |start| start.div_euclid(MICROS)),
            };
            if each(stored).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

struct Reader<'a> {
    objects: &'a Arc<dyn ObjectStore>,
    worker: Worker,
}

impl Reader<'_> {
    async fn open(&self, kind: Kind, file: &DataFile, only: Option<&Gone>) -> Result<Input> {
        let source = Source { path: file.path.clone(), size_bytes: file.size_bytes, original: true };
        let mut opened = Opened::open(self.objects, source, Table::of(kind)).await?;
        if let Some(only) = only {
            opened.only_metrics(&only.metrics);
        }
        Ok(opened.read(self.objects, &self.worker, SHARE_BYTES))
    }
}
