//! What the store asks of the files below `tables/`, and the rows it hands them.
//!
//! The trait is the seam between the two halves of this crate: above it WAL, head
//! and flush, below it Parquet and Delta. Tests put a table in memory, which can
//! be told to fail, in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use isinglass_model::labels::Temporality;
use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::files::{Checker, DropRows, FilesError, Gone, HaDedup, NewFile, ObjectStats};
use crate::log_id::LogId;
use crate::removals::Removals;
use crate::{Seq, StoreError};

/// A committed data file.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFile {
    /// Where it lies, from the root of [`TableFiles::objects`].
    pub path: Path,
    /// Its size.
    pub size_bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// Smallest and largest value of the table's time column, in the unit that
    /// the file holds (microseconds, nanoseconds, days); `None` = unknown.
    pub time: Option<(i64, i64)>,
    /// Smallest and largest `metric_id`; `None` = unknown or no such column.
    pub metric_id: Option<(i64, i64)>,
    /// How often its rows were merged: 0 = as flushed, 1 = with those of a few hours,
    /// 2 = with those of a day.
    pub level: u8,
    /// WAL position of the oldest flush whose rows are in it.
    pub accepted: Seq,
    /// Rules of retention that no row in it is past.
    pub kept: Option<Kept>,
    /// CRC-32C of every MiB; `None` if its commit does not say.
    pub crc32c: Option<Arc<[u32]>>,
    /// Size of its [`TokenIndex`](crate::TokenIndex); `None` if it has none.
    pub token_index_bytes: Option<u64>,
    /// Attributes that have a column of their own in it, by key. The table knows nothing of
    /// these columns, and the map has all that is in them.
    pub attribute_columns: Arc<[AttributeColumn]>,
}

/// An attribute that a file has in a column of its own, beside the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeColumn {
    /// Its key in the map `attributes`.
    pub key: String,
    /// What the column holds of it.
    pub values: AttributeValues,
}

/// What the column of an attribute holds: of each row the value of the first entry of the map
/// with its key, null if there is none or it is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeValues {
    /// Strings: JSON text, as the map holds it.
    Text,
    /// Doubles: what Arrow's cast makes of each text. There is none in the file of which it
    /// makes nothing.
    Number,
    /// Something of a part of the rows: nobody may read it.
    Unusable,
}

impl AttributeColumn {
    /// Name of the column in the file: `attributes['status']`.
    pub fn name(&self) -> String {
        Self::name_of(&self.key)
    }

    /// Name of the column of a key.
    pub fn name_of(key: &str) -> String {
        format!("{NAME_BEFORE}{key}{NAME_AFTER}")
    }

    /// Whether a column of a file is one of an attribute, of this release or of another.
    pub(crate) fn is_name(column: &str) -> bool {
        column.strip_prefix(NAME_BEFORE).is_some_and(|rest| rest.ends_with(NAME_AFTER))
    }
}

const NAME_BEFORE: &str = "attributes['";
const NAME_AFTER: &str = "']";

/// Up to where rules of retention were applied to the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Of the rules.
    pub digest: u64,
    /// Rows of all rules that keep them for so long or less are gone.
    pub keep_ms: u64,
}

/// A version of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableState {
    /// Delta version.
    pub version: i64,
    /// Every row of a record of this log up to this sequence number is in the files.
    pub flushed: Seq,
    /// The same number of whichever log is furthest.
    pub highest: Seq,
    /// The live files, in the order of their paths.
    pub files: Arc<[DataFile]>,
}

/// Which records of the log the rows of a flush are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Those after this one: up to it the table is flushed, as far as the caller knows.
    pub after: Seq,
    /// Up to and with this one.
    pub up_to: Seq,
}

/// The samples of one series in [`SortedSamples`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeriesRun {
    /// Hash of the metric name.
    pub metric_id: i64,
    /// The series.
    pub series_id: i64,
    /// How many rows it has.
    pub rows: u32,
}

/// Samples in file order, (metric_id, series_id, time): columns of equal length,
/// cut into one run per series.
#[derive(Debug, Clone, Default)]
pub(crate) struct SortedSamples {
    /// Runs in the order of the rows; their `rows` add up to all rows.
    pub runs: Vec<SeriesRun>,
    /// Milliseconds since 1970, ascending within a run; equal times keep the
    /// order of arrival.
    pub time_ms: Vec<i64>,
    /// Values; a stale marker is [`isinglass_model::batch::STALE_NAN_BITS`].
    pub value: Vec<f64>,
    /// Start time in milliseconds, 0 = unknown. Empty = unknown for all.
    pub start_ms: Vec<i64>,
}

/// The rows of one flush.
#[derive(Debug, Clone)]
pub(crate) enum SortedRows {
    /// For `samples`: sorted already.
    Samples(SortedSamples),
    /// For every other kind: batches in the batch types of the table, any order,
    /// columns that are null throughout left out.
    Batches(Vec<RecordBatch>),
}

impl SortedRows {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Samples(samples) => samples.time_ms.len(),
            Self::Batches(batches) => batches.iter().map(RecordBatch::num_rows).sum(),
        }
    }
}

/// A sample as the tables have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredSample {
    /// Hash of the metric name.
    pub metric_id: i64,
    /// The series.
    pub series_id: i64,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// A stale marker is [`isinglass_model::batch::STALE_NAN_BITS`].
    pub value: f64,
    /// Start time in milliseconds, 0 = unknown.
    pub start_ms: i64,
}

/// A native histogram as the tables have it, without what derived ones have not: buckets of
/// negative values, bounds of their own, smallest and largest value.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredHistogram {
    /// Hash of the metric name.
    pub metric_id: i64,
    /// The series.
    pub series_id: i64,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Start time in milliseconds, 0 = unknown.
    pub start_ms: i64,
    /// How much was observed; `None` is a stale marker.
    pub count: Option<f64>,
    /// The sum of it.
    pub sum: f64,
    /// Resolution.
    pub schema: i16,
    /// Observations of zero.
    pub zero_count: f64,
    /// Index and count of buckets.
    pub buckets: Vec<(i32, f64)>,
}

impl StoredHistogram {
    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.buckets.len() * size_of::<(i32, f64)>()
    }
}

/// A row of the table `series`. A series has one for every day in which it was
/// written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesRow<'a> {
    pub(crate) series_id: i64,
    /// Days since 1970.
    pub(crate) day: i32,
    pub(crate) metric: &'a str,
    /// All labels but `__name__`.
    pub(crate) labels: &'a [(&'a str, &'a str)],
    pub(crate) temporality: Temporality,
    pub(crate) metric_type: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) help: &'a str,
}

/// Files of a table to be replaced by others with the same rows, or by nothing.
#[derive(Debug, Clone)]
pub(crate) struct Rewrite {
    /// Live files of one table.
    pub inputs: Vec<DataFile>,
    /// Level of what replaces them.
    pub level: u8,
    /// All rows go, nothing is read.
    pub drop_all: bool,
    /// Rows before this time go, in the unit of the table's time column.
    pub keep_from: Option<i64>,
    /// The same for single series and streams.
    pub drop_rows: Option<Arc<dyn DropRows>>,
    /// What the new files are rid of by that.
    pub kept: Option<Kept>,
    /// Series of `samples` that are one but for the replica that wrote them.
    pub ha: Option<HaDedup>,
    /// Compression of the new files.
    pub zstd_level: i32,
    /// About how large a new file may become.
    pub file_bytes: u64,
    /// What the merge may hold in memory.
    pub memory_bytes: usize,
    /// Attributes that may get a column of their own.
    pub attribute_columns_max: usize,
}

/// What became of a [`Rewrite`].
#[derive(Debug, Clone)]
pub(crate) struct Rewritten {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub rows_in: u64,
    pub rows_out: u64,
    /// Dropped: there twice.
    pub duplicates: u64,
    /// Dropped: another sample of the same series and time was accepted before.
    pub conflicts: u64,
    /// Dropped: past their retention.
    pub expired: u64,
    /// Dropped: another replica was chosen.
    pub replicas: u64,
}

/// Rows of some metrics within a time, to be replaced by others.
#[derive(Debug)]
pub(crate) struct Replace {
    /// The table: `samples`, `histograms` or `exemplars`.
    pub kind: Kind,
    /// Files that may have some of them, those that are to stay apart in groups of their own.
    pub inputs: Vec<Vec<DataFile>>,
    /// What goes.
    pub gone: Arc<Gone>,
    /// What comes: files that are put and that no commit names.
    pub added: Vec<NewFile>,
    /// What the commit info says of it.
    pub provenance: serde_json::Value,
    pub zstd_level: i32,
    pub file_bytes: u64,
    pub memory_bytes: usize,
}

/// What became of a [`Replace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replaced {
    /// Version of the table after it; below 0: there is no such table.
    pub version: i64,
    /// Rows that went.
    pub removed: u64,
    /// Rows that came.
    pub added: u64,
}

/// An object in the folder of a table.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    pub path: Path,
    /// `None`: only its index of tokens is there.
    pub size_bytes: Option<u64>,
    pub modified_unix_ms: i64,
}

/// The tables of all tenants.
#[async_trait]
pub(crate) trait TableFiles: Send + Sync {
    /// Which log the rows come from. Called once, before anything else.
    fn set_log(&self, _log: LogId) {}

    /// The newest version of a table; `None` if it was never created.
    async fn load(&self, tenant: &Tenant, kind: Kind) -> Result<Option<TableState>, StoreError>;

    /// Makes `rows` durable in files and commits them together with the
    /// application transaction `isinglass/flush/<log>` = `reach.up_to`. A table that is at
    /// `up_to` or beyond is left alone: its state is the answer. Creates the table
    /// at its first use. Where the table is flushed to anything but `reach.after` and
    /// less than `up_to`, some of the rows are in it, and the caller is fenced.
    async fn commit(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rows: SortedRows,
        reach: Reach,
    ) -> Result<TableState, StoreError>;

    /// Rewrites files of a table. `None`: another rewrite was first, and nothing is done.
    /// `publish` is called with the table after it, in either case, while `gate` is held, so
    /// that nothing else becomes known of the table between the commit and that call.
    async fn rewrite(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rewrite: &Rewrite,
        gate: &tokio::sync::Mutex<()>,
        publish: &(dyn for<'r> Fn(&'r TableState) + Send + Sync),
    ) -> Result<Option<Rewritten>, StoreError>;

    /// Puts rows into files that no commit names yet.
    async fn put_drafts(&self, _: &Tenant, _: Kind, _: SortedRows) -> Result<Vec<NewFile>, StoreError> {
        Err(StoreError::Internal("these tables take no drafts".to_owned()))
    }

    /// Removes such files again.
    async fn discard_drafts(&self, _: &Tenant, _: Kind, _: &[NewFile]) {}

    /// Replaces rows of a table, in one commit. `None`: a rewrite was first, and nothing is done. `may`
    /// is asked while `gate` is held, before anything is committed; `publish` as in
    /// [`TableFiles::rewrite`].
    async fn replace(
        &self,
        _: &Tenant,
        _: &Replace,
        _gate: &tokio::sync::Mutex<()>,
        _may: &(dyn Fn() -> Result<(), StoreError> + Send + Sync),
        _publish: &(dyn for<'r> Fn(&'r TableState) + Send + Sync),
    ) -> Result<Option<Replaced>, StoreError> {
        Err(StoreError::Internal("these tables replace no rows".to_owned()))
    }

    /// Takes all files out of a table and marks it flushed up to a record, unless it is: what
    /// the tenant had before its deletion. The answer is the table after it, `None` if there
    /// is none, and the files that went.
    async fn erase(
        &self,
        tenant: &Tenant,
        kind: Kind,
        up_to: Seq,
    ) -> Result<(Option<TableState>, Vec<DataFile>), StoreError>;

    /// Data files in the folder of a table, whether a version names them or not; also those
    /// of which only the index is there.
    async fn list(&self, tenant: &Tenant, kind: Kind) -> Result<Vec<FoundFile>, StoreError>;

    /// Deletes data files and their indexes; how many files are gone.
    async fn delete(&self, files: Vec<Path>) -> Result<u64, StoreError>;

    /// All rows of the table `series`, one after the other.
    async fn read_series(
        &self,
        tenant: &Tenant,
        each: &mut (dyn for<'r> FnMut(SeriesRow<'r>) + Send),
    ) -> Result<(), StoreError>;

    /// The files of the Delta log from which a version is read.
    async fn log_files(&self, _: &Tenant, _: Kind, _version: i64) -> Result<Vec<Path>, StoreError> {
        Ok(Vec::new())
    }

    /// One of them, compared with its checksum.
    async fn read_log_file(&self, path: &Path) -> Result<Bytes, StoreError> {
        let found = self.objects().get(path).await.map_err(FilesError::from)?;
        Ok(found.bytes().await.map_err(FilesError::from)?)
    }

    /// Removals of files of Delta logs.
    fn log_removals(&self) -> Removals {
        Removals::default()
    }

    /// Which writer of these tables this process is, counted from 1; 0 = not counted.
    fn epoch(&self) -> u64 {
        0
    }

    /// Tenants that have a folder.
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError>;

    /// The object store that [`DataFile::path`] is relative to.
    fn objects(&self) -> Arc<dyn ObjectStore>;

    /// Reads of files that are compared with their checksums.
    fn checker(&self) -> Arc<Checker> {
        Arc::new(Checker::new(self.objects()))
    }

    /// What was asked of the object store, by operation.
    fn object_stats(&self) -> BTreeMap<&'static str, ObjectStats> {
        BTreeMap::new()
    }
}
