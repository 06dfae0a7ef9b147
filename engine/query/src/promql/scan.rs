//! Rows of a metric table with wanted series and times, input by input.
//!
//! A table is opened once a selection: files that its log rules out are left out. Each part of
//! the selection then has cursors of its own over the pages that can have its series; footers and
//! page indexes come from the cache, and so do samples that were read before.

mod cursor;
mod pages;
mod sorted;

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use datafusion::parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use datafusion::parquet::file::metadata::PageIndexPolicy;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use isinglass_model::Kind;
use isinglass_promql::EvalError;
use isinglass_store::{DataFile, HeadFilter, View};
use object_store::ObjectMeta;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

pub(super) use cursor::{Cursor, Rows};
pub(super) use sorted::known;

use super::ending::Ending;
use super::facts::{Counters, ScanFacts, add};
use super::kept::{FileId, Hits, Input, Keeping, PartOf, Recorded};
use super::series::Wanted;
use crate::error::QueryError;
use pages::Chosen;

/// Footers read at a time.
const OPENED_AT_ONCE: usize = 16;
/// Rows of all batches that a part holds at once, roughly.
const ROWS_AT_ONCE: usize = 1 << 18;

/// What the reads of a query share.
pub(super) struct Reads {
    handle: Handle,
    factory: CachedParquetFileReaderFactory,
    metrics: ExecutionPlanMetricsSet,
    ending: Arc<Ending>,
    counters: Counters,
    memory: Arc<dyn MemoryPool>,
    /// What evaluation holds of it.
    evaluation: MemoryReservation,
    /// Bytes that may be read, 0 = any number.
    bytes_max: u64,
}

impl Reads {
    pub(super) fn new(
        view: &View,
        handle: Handle,
        footers: Arc<FileMetadataCache>,
        ending: Arc<Ending>,
        memory: Arc<dyn MemoryPool>,
        bytes_max: u64,
    ) -> Arc<Self> {
        let evaluation = MemoryConsumer::new("the evaluation of a PromQL query").register(&memory);
        Arc::new(Self {
            handle,
            factory: CachedParquetFileReaderFactory::new(view.objects(), footers),
            evaluation,
            bytes_max,
            metrics: ExecutionPlanMetricsSet::new(),
            ending,
            counters: Counters::default(),
            memory,
        })
    }

    /// Memory that evaluation holds from now on.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), EvalError> {
        self.evaluation.try_grow(bytes).map_err(|error| QueryError::from(&error).to_promql())
    }

    pub(super) fn release(&self, bytes: usize) {
        self.evaluation.shrink(bytes);
    }

    /// A series was handed to evaluation.
    pub(super) fn count_series(&self, samples: usize) {
        add(&self.counters.series, 1);
        add(&self.counters.samples, samples);
    }

    /// The calling thread ends.
    pub(super) fn thread_ended(&self) {
        self.counters.thread_ended();
    }

    pub(super) fn facts(&self) -> ScanFacts {
        self.counters.facts(self.bytes())
    }

    fn bytes(&self) -> u64 {
        let bytes = self.metrics.clone_inner().sum_by_name("bytes_scanned");
        bytes.map_or(0, |bytes| bytes.as_usize() as u64)
    }

    /// Ends a query that has read more than it may.
    fn check_bytes(&self) -> Result<(), EvalError> {
        match self.bytes_max {
            0 => Ok(()),
            max if self.bytes() <= max => Ok(()),
            max => Err(QueryError::reads_too_much(max).to_promql()),
        }
    }

    pub(super) fn ended(&self) -> Option<EvalError> {
        self.ending.reason()
    }

    /// Waits on a thread that is none of the runtime's; ends when the query has to.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, EvalError>>) -> Result<T, EvalError> {
        self.handle.block_on(async {
            tokio::select! {
                biased;
                error = self.ending.ended() => Err(error),
                done = work => done,
            }
        })
    }

    /// What batches are charged to, which are beside the memory that evaluation counts.
    fn reservation(&self) -> MemoryReservation {
        MemoryConsumer::new("the scan of a PromQL query").register(&self.memory)
    }

    fn reader(&self, file: &PartitionedFile) -> Result<Box<dyn AsyncFileReader>, EvalError> {
        let reader = self.factory.create_reader(0, file.clone(), None, &self.metrics);
        reader.map(|reader| reader as _).map_err(unreadable)
    }
}

/// A file or batch that cannot be read.
pub(super) fn unreadable(error: impl std::fmt::Display) -> EvalError {
    EvalError::internal(format_args!("samples cannot be read: {error}"))
}

/// Holds so much and no more.
pub(super) fn hold(held: &MemoryReservation, bytes: usize) -> Result<(), EvalError> {
    held.try_resize(bytes).map_err(|error| QueryError::from(&error).to_promql())
}

/// Times that are wanted, microseconds since the epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Span {
    /// All times.
    pub(super) const ALL: Self = Self { first: i64::MIN, last: i64::MAX };

    /// Times later than `after_ms`, up to `until_ms`. A time between two milliseconds counts as
    /// the one before it.
    pub(super) fn new(after_ms: i64, until_ms: i64) -> Self {
        Self {
            first: after_ms.saturating_add(1).saturating_mul(1_000),
            last: until_ms.saturating_mul(1_000).saturating_add(999),
        }
    }

    fn meets(self, range: Option<(i64, i64)>) -> bool {
        range.is_none_or(|(first, last)| first <= self.last && last >= self.first)
    }
}

/// A table, opened for some series and times.
pub(super) struct TableScan {
    reads: Arc<Reads>,
    files: Vec<ScannedFile>,
    columns: &'static [&'static str],
    /// Unflushed rows, each batch sorted as files are.
    unflushed: Vec<RecordBatch>,
    /// For these.
    _held: MemoryReservation,
    span: Span,
}

/// A file that may have wanted series.
struct ScannedFile {
    id: FileId,
    file: PartitionedFile,
    /// Read when somebody wants rows.
    opened: OnceCell<Opened>,
}

/// What has to be known before rows can be read.
struct Opened {
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
}

impl TableScan {
    /// Finds the files. `columns` are read, and the three that tables are sorted by.
    pub(super) fn open(
        view: &View,
        kind: Kind,
        wanted: &[Wanted],
        span: Span,
        columns: &'static [&'static str],
        reads: &Arc<Reads>,
    ) -> Result<Self, EvalError> {
        let table = view.table(kind);
        let mut files: Vec<&DataFile> = table.files.iter().collect();
        files.retain(|file| span.meets(file.time) && has_metric(wanted, file.metric_id));
        // Of two rows with one key the first accepted counts.
        files.sort_by_key(|file| file.accepted);
        add(&reads.counters.files, files.len());
        add(&reads.counters.files_pruned, table.files.len() - files.len());
        let files = files.into_iter().map(ScannedFile::new).collect();
        let unflushed = unflushed(view, kind, wanted, span)?;
        add(&reads.counters.head_rows, unflushed.iter().map(RecordBatch::num_rows).sum());
        let held = reads.reservation();
        hold(&held, unflushed.iter().map(RecordBatch::get_array_memory_size).sum())?;
        Ok(Self { reads: Arc::clone(reads), files, columns, unflushed, _held: held, span })
    }

    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Reads other columns.
    pub(super) fn read_columns(&mut self, columns: &'static [&'static str]) {
        self.columns = columns;
    }

    /// How many files may have wanted series.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Inputs that may have rows of `part`, those first whose rows were accepted first.
    pub(super) fn cursors(&self, part: &[Wanted]) -> Result<Vec<Cursor>, EvalError> {
        self.open_all(self.files.iter())?;
        let mut cursors = Vec::with_capacity(self.files.len() + self.unflushed.len());
        for file in &self.files {
            let opened = file.opened()?;
            let chosen = Chosen::of(opened.metadata.metadata(), part, self.span);
            cursors.extend(self.cursor(file, chosen, self.span)?);
        }
        cursors.extend(self.unflushed_cursors());
        cursor::fill_all(cursors.iter_mut(), &self.reads)?;
        cursors.retain(|cursor| cursor.key().is_some());
        Ok(cursors)
    }

    /// The same of samples, some of which may be in the cache, or go into it. Of those in the
    /// cache the latest of each series may be enough.
    pub(super) fn inputs(
        &self,
        part: &PartOf<'_>,
        keeping: Option<&Arc<Keeping>>,
        latest: bool,
    ) -> Result<Vec<Input>, EvalError> {
        let Some(keeping) = keeping else {
            return Ok(self.cursors(part.series())?.into_iter().map(Input::Rows).collect());
        };
        let found = self.files.iter().map(|file| (file, keeping.find(file.id, part)));
        let found: Vec<_> = found.collect();
        self.open_all(found.iter().filter(|(_, found)| !found.missing.is_empty()).map(|(file, _)| *file))?;
        let mut inputs = Vec::with_capacity(2 * found.len() + self.unflushed.len());
        for (file, found) in found {
            if !found.hits.is_empty() {
                add(&self.reads.counters.kept, found.hits.len());
                let held = self.reads.reservation();
                inputs.push(Input::Kept(Hits::new(found.hits, self.span, latest, held)?));
            }
            if !found.missing.is_empty() {
                inputs.extend(self.missing(file, found.missing, keeping)?);
            }
        }
        inputs.extend(self.unflushed_cursors().map(Input::Rows));
        cursor::fill_all(inputs.iter_mut().filter_map(Input::cursor), &self.reads)?;
        inputs.iter_mut().filter(|input| input.key().is_none()).for_each(Input::finish);
        inputs.retain(|input| input.key().is_some());
        Ok(inputs)
    }

    /// Rows of a file with series of which the cache knows nothing.
    fn missing(
        &self,
        file: &ScannedFile,
        missing: Vec<Wanted>,
        keeping: &Arc<Keeping>,
    ) -> Result<Option<Input>, EvalError> {
        let metadata = file.opened()?.metadata.metadata();
        let chosen = Chosen::of(metadata, &missing, self.span);
        let whole = keeping.is_open().then(|| Chosen::of(metadata, &missing, Span::ALL));
        let Some(whole) = whole.filter(|whole| whole.rows() <= 2 * chosen.rows()) else {
            return Ok(self.cursor(file, chosen, self.span)?.map(Input::Rows));
        };
        let Some(cursor) = self.cursor(file, whole, Span::ALL)? else {
            keeping.put_none(file.id, &missing);
            return Ok(None);
        };
        Ok(Some(Input::Recorded(Box::new(Recorded::new(file.id, cursor, missing, self.span, keeping)))))
    }

    /// `None` where no row of the file is chosen.
    fn cursor(&self, file: &ScannedFile, chosen: Chosen, span: Span) -> Result<Option<Cursor>, EvalError> {
        chosen.count(&self.reads.counters);
        if chosen.row_groups.is_empty() {
            return Ok(None);
        }
        let batch_rows = (ROWS_AT_ONCE / self.files.len().max(1)).clamp(1_024, 8_192);
        let rows = file.rows(chosen, batch_rows, &self.reads)?;
        Ok(Some(Cursor::of_file(rows, span, &self.reads)))
    }

    fn unflushed_cursors(&self) -> impl Iterator<Item = Cursor> {
        self.unflushed.iter().map(|batch| Cursor::of_batch(batch.clone(), self.span, &self.reads))
    }

    /// Reads footers of which none was read yet.
    fn open_all<'a>(&'a self, files: impl Iterator<Item = &'a ScannedFile>) -> Result<(), EvalError> {
        let closed: Vec<_> = files.filter(|file| !file.opened.initialized()).collect();
        if closed.is_empty() {
            return Ok(());
        }
        let open = closed
            .into_iter()
            .map(|file| file.opened.get_or_try_init(|| file.open(self.columns, &self.reads)));
        self.reads
            .wait(stream::iter(open).buffer_unordered(OPENED_AT_ONCE).try_for_each(|_| async { Ok(()) }))
    }
}

impl ScannedFile {
    fn new(file: &DataFile) -> Self {
        let meta = ObjectMeta {
            location: file.path.clone(),
            last_modified: Default::default(),
            size: file.size_bytes,
            e_tag: None,
            version: None,
        };
        let (id, file) = (FileId::of(&file.path), PartitionedFile::new_from_meta(meta));
        Self { id, file, opened: OnceCell::new() }
    }

    async fn open(&self, columns: &[&str], reads: &Reads) -> Result<Opened, EvalError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let mut reader = reads.reader(&self.file)?;
        let metadata = reader.get_metadata(Some(&options)).await.map_err(unreadable)?;
        let metadata = ArrowReaderMetadata::try_new(metadata, options).map_err(unreadable)?;
        let schema = metadata.parquet_schema();
        let wanted = |name: &str| pages::KEY.contains(&name) || columns.contains(&name);
        let roots = schema.root_schema().get_fields().iter().enumerate();
        let roots = roots.filter(|(_, field)| wanted(field.name())).map(|(at, _)| at);
        let mask = ProjectionMask::roots(schema, roots);
        Ok(Opened { metadata, mask })
    }

    fn opened(&self) -> Result<&Opened, EvalError> {
        self.opened.get().ok_or_else(|| unreadable("a file was not opened"))
    }

    fn rows(&self, chosen: Chosen, batch_rows: usize, reads: &Reads) -> Result<Rows, EvalError> {
        let (reader, opened) = (reads.reader(&self.file)?, self.opened()?);
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, opened.metadata.clone())
            .with_projection(opened.mask.clone())
            .with_batch_size(batch_rows)
            .with_row_groups(chosen.row_groups);
        if let Some(rows) = chosen.rows {
            builder = builder.with_row_selection(rows);
        }
        builder.build().map_err(unreadable)
    }
}

/// Whether one of the wanted series is of a metric in this range.
fn has_metric(wanted: &[Wanted], range: Option<(i64, i64)>) -> bool {
    range.is_none_or(|(first, last)| {
        let at = wanted.partition_point(|one| one.metric_id < first);
        wanted.get(at).is_some_and(|one| one.metric_id <= last)
    })
}

fn unflushed(view: &View, kind: Kind, wanted: &[Wanted], span: Span) -> Result<Vec<RecordBatch>, EvalError> {
    let table = view.table(kind);
    if table.head_rows() == 0 || wanted.is_empty() {
        return Ok(Vec::new());
    }
    let series_ids: HashSet<i64> = wanted.iter().map(|one| one.series_id).collect();
    let metric = |one: &Wanted| one.metric_id;
    let (first, last) = (wanted.first().map(metric), wanted.last().map(metric));
    let filter = HeadFilter {
        time: Some((span.first, span.last)),
        series_ids: Some(&series_ids),
        metric_id: first.filter(|_| first == last),
    };
    let batches = table.head_batches(&filter).map_err(|error| QueryError::of_store(error).to_promql())?;
    let batches = batches.into_iter().filter(|batch| batch.num_rows() > 0);
    batches.map(|batch| sorted::sorted(batch).map_err(unreadable)).collect()
}
