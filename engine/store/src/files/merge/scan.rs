//! Rows of files that are looked at and not merged: to derive again from them, and to compare.

use std::ops::ControlFlow;
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

fn samples(
    batch: &Batch,
    wanted: &Gone,
    each: &mut (dyn FnMut(StoredSample) -> ControlFlow<()> + Send),
) -> Result<ControlFlow<()>> {
    const MICROS: i64 = 1_000;
    let bad = |problem| FilesError::Rows { kind: Kind::Samples, problem };
    let columns = Columns::of(batch).map_err(bad)?;
    let mut from = 0;
    for run in batch.runs() {
        let rows = std::mem::replace(&mut from, run.end)..run.end;
        let (metric_id, series_id) = Prefix::as_series(&run.prefix);
        if !wanted.metrics.contains(&metric_id) {
            continue;
        }
        let times = &batch.times()[rows.clone()];
        let first = rows.start + times.partition_point(|time| *time < wanted.time.start);
        let end = rows.start + times.partition_point(|time| *time < wanted.time.end);
        for row in first..end {
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
