//! What a query sees: files and unflushed rows of one tenant at one moment.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use isinglass_model::{Kind, Tenant};
use object_store::ObjectStore;

use crate::changes::Changes;
use crate::files::Checker;
use crate::head::Run;
use crate::series::{SeriesIndex, SeriesTable};
use crate::tables::{DataFile, TableState};
use crate::{Seq, StoreError};

/// An immutable view of one tenant. Each acknowledged row is in it exactly once,
/// either in a file or in the head, whatever is flushed meanwhile. A query takes one
/// view for all its tables.
pub struct View {
    /// Whose.
    pub tenant: Tenant,
    /// Every record up to this one is in it.
    pub watermark: Seq,
    /// Whether acknowledged records of the WAL are still missing from it.
    pub replaying: bool,
    pub(crate) tables: Vec<TableView>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) series: SeriesIndex,
    pub(crate) checker: Arc<Checker>,
}

impl View {
    /// One of its tables; empty if nothing was ever written to it.
    pub fn table(&self, kind: Kind) -> &TableView {
        &self.tables[kind as usize - 1]
    }

    /// Labels and ids of all series of the tenant.
    pub fn series(&self) -> &SeriesIndex {
        &self.series
    }

    /// The last change of samples or histograms between two times, milliseconds since the epoch,
    /// both included. Where two views of a tenant give the same number they have the same samples
    /// there, as long as the process lives. Rows that only moved into other files did not change.
    pub fn changed(&self, from_ms: i64, to_ms: i64) -> u64 {
        self.changes.within(from_ms, to_ms)
    }

    /// Where the files lie. What is read of a file is compared with its checksums: if it
    /// differs, the read fails and names the object.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.checker.reading(self.tables.iter().map(|table| Arc::clone(&table.files)).collect())
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("tenant", &self.tenant)
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

/// One table of a [`View`].
pub struct TableView {
    /// Which.
    pub kind: Kind,
    /// Committed files.
    pub files: Arc<[DataFile]>,
    /// Delta version of `files`; `None` if the table does not exist yet.
    pub version: Option<i64>,
    /// Every row of a record of the log up to this one is in `files`.
    pub flushed: Seq,
    pub(crate) runs: Vec<Run>,
    pub(crate) series: Arc<SeriesTable>,
}

/// Which unflushed rows are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeadFilter<'a> {
    /// Smallest and largest value of the time column, both included, in the unit of
    /// the table's files. Exact for `samples`, `histograms` and `exemplars`; elsewhere
    /// it leaves out whole batches only.
    pub time: Option<(i64, i64)>,
    /// Only these series (`samples`, `histograms`, `exemplars`, `series`).
    pub series_ids: Option<&'a HashSet<i64>>,
    /// Only this metric (`samples`, `histograms`, `exemplars`, `series`).
    pub metric_id: Option<i64>,
}

impl TableView {
    pub(crate) fn new(
        kind: Kind,
        table: Option<&TableState>,
        runs: Vec<Run>,
        series: Arc<SeriesTable>,
    ) -> Self {
        let files = table.map_or_else(|| Arc::from([]), |table| Arc::clone(&table.files));
        let (version, flushed) = (table.map(|table| table.version), table.map_or(0, |table| table.flushed));
        Self { kind, files, version, flushed, runs, series }
    }

    /// Unflushed rows, without those that the filter leaves out.
    pub fn head_rows(&self) -> usize {
        self.runs.iter().map(Run::rows).sum()
    }

    /// Memory that the unflushed rows take.
    pub fn head_bytes(&self) -> usize {
        self.runs.iter().map(Run::bytes).sum()
    }

    /// Smallest and largest time of the unflushed rows, in the unit of [`DataFile::time`];
    /// `None` if there are none.
    pub fn head_time(&self) -> Option<(i64, i64)> {
        let ranges = self.runs.iter().filter_map(Run::time);
        ranges.reduce(|(low, high), (from, to)| (low.min(from), high.max(to)))
    }

    /// The unflushed rows that pass the filter, in the batch types of
    /// [`isinglass_model::tables`]. Columns that are null throughout may be absent.
    /// Batches of `samples` are each sorted by (metric_id, series_id, time); their
    /// columns are `metric_id`, `series_id`, `time`, `value` (null = stale marker) and,
    /// where known, `start_time`.
    pub fn head_batches(&self, filter: &HeadFilter<'_>) -> Result<Vec<RecordBatch>, StoreError> {
        crate::head::read(self.kind, &self.runs, &self.series, filter)
    }
}

impl fmt::Debug for TableView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableView({}, {} files, {} runs)", self.kind, self.files.len(), self.runs.len())
    }
}
