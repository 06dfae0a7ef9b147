//! Sorted files into fewer sorted files: what compaction and retention are
//! made of.
//!
//! ```text
//! file ─▶ input: pages by range, decoded batch by batch ─┐
//! file ─▶ input ─────────────────────────────────────────┼─▶ kway: slices in ─▶ samples: runs, values ─┐
//! file ─▶ input ─────────────────────────────────────────┘   order of the     split again            ├─▶ output:
//!                                                            table          ─▶ rows: every other kind ─┘   parts
//! ```
//!
//! The order of the table is kept, rows that are there twice are dropped, rows
//! past their retention too. Nothing is committed here: the files are put, and
//! the caller swaps them in.
//!
//! **Memory** does not depend on how large the inputs are ([`budget`]): an input
//! has a window of a row group in memory and one decoded batch; an output is
//! uploaded in parts while it is written; more inputs than fit are merged in
//! passes, by way of files that no commit names and that are deleted at the end
//! (after a crash they are orphans like any other).
//!
//! | module | holds |
//! |---|---|
//! | [`input`] | reading one file: footer, windows, batches |
//! | [`batch`] | decoded rows, cut into runs of one series, stream or trace |
//! | [`kway`] | which rows come next |
//! | [`samples`], [`rows`] | what happens to them, by kind |
//! | [`fingerprint`] | whether two rows are the same in all columns |
//! | [`attributes`] | attributes that get a column of their own |
//! | [`groups`] | row groups that come out even |
//! | [`plain`] | columns that are not compressed |
//! | [`ha`] | one of several replicas, with failover |
//! | [`scan`] | rows that are looked at and not merged |
//! | [`output`] | files, closed at about one size |
//! | [`worker`] | the thread that does the work |

mod attributes;
mod batch;
mod budget;
mod fingerprint;
mod groups;
mod ha;
mod input;
mod kway;
mod output;
mod passes;
mod plain;
mod rows;
mod samples;
mod scan;
mod worker;

use std::collections::HashSet;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use isinglass_model::{Kind, Tenant};
use object_store::ObjectStore;

use super::Result;
use super::delta::NewFile;
use super::objects::Checker;
use crate::tables::DataFile;

use output::Folder;
use worker::Worker;

pub(crate) use fingerprint::{NULL, encode};
pub(crate) use ha::{HaDedup, Replica};
pub(crate) use scan::{Scanned, ScannedSeries, scan, scan_metrics, scan_samples};

/// How to merge.
#[derive(Debug, Clone)]
pub(in crate::files) struct MergeOptions {
    pub(in crate::files) zstd_level: i32,
    /// An output file is closed at about this size: at the next end of a series
    /// or a trace, at the latest at twice the size.
    pub(in crate::files) file_bytes: u64,
    /// What a merge may hold in memory, whatever the inputs' sizes; [`budget`]
    /// says what for, and what it cannot do with less of.
    pub(in crate::files) memory_bytes: usize,
    /// Attributes that may get a column of their own; `logs` and `spans` only.
    pub(in crate::files) attribute_columns_max: usize,
    /// Rows of an earlier time are dropped: retention within a file. In the
    /// unit of the file's time column (microseconds, nanoseconds, days).
    pub(in crate::files) keep_from: Option<i64>,
    /// The same for single series and streams.
    pub(in crate::files) drop_rows: Option<Arc<dyn DropRows>>,
    /// Series that replicas of one Prometheus wrote; `samples` only.
    pub(in crate::files) ha: Option<HaDedup>,
    /// Rows that others take the place of; `samples`, `histograms` and `exemplars` only.
    pub(in crate::files) gone: Option<Arc<Gone>>,
}

/// Rows of some metrics within a time: they are dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone {
    /// Ids of the metrics.
    pub(crate) metrics: HashSet<i64>,
    /// From and to, the latter excluded, in microseconds.
    pub(crate) time: Range<i64>,
}

impl Gone {
    /// Whether a file may have some of them, as far as its commit tells.
    pub(crate) fn may_be_in(&self, file: &DataFile) -> bool {
        let within = |(low, high): (i64, i64)| low < self.time.end && high >= self.time.start;
        let any = |(low, high)| self.metrics.iter().any(|id| (low..=high).contains(id));
        file.time.is_none_or(within) && file.metric_id.is_none_or(any)
    }

    /// Which rows of a series it is about; `times` are theirs and ascend.
    fn rows(&self, metric_id: i64, times: &[i64]) -> Range<usize> {
        if !self.metrics.contains(&metric_id) {
            return 0..0;
        }
        let first_at = |time: i64| times.partition_point(|at| *at < time);
        first_at(self.time.start)..first_at(self.time.end)
    }
}

/// Rows that belong together and lie together in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group<'a> {
    /// Of `samples`, `histograms`, `exemplars` and `series`.
    Series { metric_id: i64, series_id: i64 },
    /// Of `logs`.
    Stream { service: &'a str, stream: &'a str },
    /// Of `spans`: the trace id.
    Trace([u8; 16]),
    /// All rows of `rejected`.
    All,
}

/// Retention that is not the same for all rows of a table.
pub(crate) trait DropRows: Debug + Send + Sync {
    /// Rows of the group before this time are dropped; `None` if only
    /// [`MergeOptions::keep_from`] holds. Asked once for each run of rows of a group.
    fn keep_from(&self, group: Group<'_>) -> Option<i64>;
}

/// What became of the rows:
/// `rows_in = rows_out + duplicates + conflicts + expired + replicas`.
#[derive(Debug, Default)]
pub(in crate::files) struct Merged {
    /// In the order of the table, none without rows; there may be none at all.
    pub(in crate::files) files: Vec<NewFile>,
    pub(in crate::files) rows_in: u64,
    pub(in crate::files) rows_out: u64,
    /// Dropped: equal to another row in all columns. (Merged in passes, a row
    /// counts here or as a conflict by what stands in the pass that drops it.)
    pub(in crate::files) duplicates: u64,
    /// Dropped: another row with the same key was accepted before. The key is
    /// (series, time), of `series` (series, day); rows of other kinds have none.
    pub(in crate::files) conflicts: u64,
    /// Dropped: before the time from which rows are kept.
    pub(in crate::files) expired: u64,
    /// Dropped: another replica had been chosen.
    pub(in crate::files) replicas: u64,
}

/// Sort-merges files that are each sorted in the table's order into files in
/// that order, and puts them (not yet committed).
///
/// `inputs` are ordered by acceptance, oldest first: of two rows with one key
/// the one of the earlier input stays, within an input the earlier one.
/// `names` makes names of new files, each another. After an error nothing of
/// the output is left behind, as far as the store lets itself be told so.
pub(in crate::files) async fn merge(
    objects: &Arc<dyn ObjectStore>,
    tenant: &Tenant,
    kind: Kind,
    inputs: &[DataFile],
    options: &MergeOptions,
    names: &mut (dyn FnMut() -> String + Send),
) -> Result<Merged> {
    let objects = &Checker::once(objects, inputs);
    let worker = Worker::start()?;
    let folder = Folder { objects, tenant, kind, names, worker };
    passes::Merge::new(folder, options).run(inputs).await
}

#[cfg(test)]
mod tests;
