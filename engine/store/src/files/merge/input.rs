//! Reading a file in windows.
//!
//! A window is a row group, or so many rows of one that their pages fit. Its
//! pages are fetched together and decoded batch by batch; columns that hold
//! nothing but nulls are not fetched at all.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use ::parquet::DecodeResult;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection, RowSelector};
use ::parquet::arrow::async_reader::MetadataFetch;
use ::parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use ::parquet::file::statistics::Statistics;
use arrow_array::RecordBatch;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use isinglass_model::tables::{Column, Table};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, coalesce_ranges};

use super::batch::{Batch, Prefix};
use super::ha::REPLICA_COLUMN;
use super::worker::Worker;
use crate::files::{FilesError, Result};
use crate::tables::AttributeColumn;

/// Read at the end of a file at first; mostly the whole footer.
const FOOTER_HINT_BYTES: usize = 64 << 10;

/// An open page of a column, decompressed, and its dictionary.
const PAGE_BYTES: usize = 1 << 20;

/// What zstd needs to decompress a column.
const CONTEXT_BYTES: usize = 160 << 10;

/// Rows of a batch, and its size in memory.
const BATCH_ROWS_MAX: usize = 8_192;
const BATCH_BYTES_MAX: usize = 2 << 20;
const BATCH_BYTES_MIN: usize = 64 << 10;

/// Windows of a row group, more of a large one: where one ends in the middle of a page, the
/// next decodes the page again.
const WINDOWS: (usize, usize) = (8, 32);
/// Compressed bytes of a window from which on there may be more of them. The smaller a window,
/// the more files fit into one pass.
const WINDOW_BYTES: usize = 2 << 20;

/// A chunk of fewer bytes says little of how often values come again.
const TELLING_BYTES: u64 = 32 << 10;

/// Rows that are decoded at a time where only a few are looked at.
const GLANCE_ROWS: usize = 128;

/// Gaps of fewer bytes are read rather than asked for around.
const GAP_BYTES_MAX: u64 = 16 << 10;

/// A file to be merged.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: Path,
    pub(super) size_bytes: u64,
    /// Whether the caller named it; else it is one made on the way.
    pub(super) original: bool,
}

impl Source {
    /// Its name, if it was made on the way.
    pub(super) fn made(&self) -> Option<String> {
        self.path.filename().filter(|_| !self.original).map(str::to_owned)
    }
}

/// A file whose footer is read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) source: Source,
    table: &'static Table,
    metadata: ArrowReaderMetadata,
    /// Columns that hold a value, for each row group.
    live: Vec<Vec<usize>>,
    /// Row groups that are not read, if any are left out.
    left_out: Vec<bool>,
    /// What it needs in memory at the very least.
    floor: usize,
}

impl Opened {
    pub(super) async fn open(
        objects: &Arc<dyn ObjectStore>,
        source: Source,
        table: &'static Table,
    ) -> Result<Self> {
        let footer = Footer { objects, path: &source.path };
        let reader = ParquetMetaDataReader::new()
            .with_prefetch_hint(Some(FOOTER_HINT_BYTES))
            .with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = reader.load_and_finish(footer, source.size_bytes).await;
        let metadata = Arc::new(metadata.map_err(|error| damaged_or(&source.path, error))?);
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let arrow = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options);
        let arrow = arrow.map_err(|error| damaged_or(&source.path, error))?;
        let live: Vec<Vec<usize>> = metadata.row_groups().iter().map(live_columns).collect();
        let floor = metadata.row_groups().iter().zip(&live).map(|(group, live)| floor_of(group, live));
        let floor = floor.max().unwrap_or(0) + metadata.memory_size() + BATCH_BYTES_MIN;
        Ok(Self { source, table, metadata: arrow, live, left_out: Vec::new(), floor })
    }

    pub(super) fn floor(&self) -> usize {
        self.floor
    }

    /// Leaves out the row groups without any of these metrics, as far as the footer tells.
    pub(super) fn only_metrics(&mut self, wanted: &HashSet<i64>) {
        let may_have = |group: &RowGroupMetaData| {
            let chunk = group.columns().iter().find(|chunk| chunk.column_path().string() == "metric_id");
            match chunk.and_then(|chunk| chunk.statistics()) {
                Some(Statistics::Int64(ids)) => match (ids.min_opt(), ids.max_opt()) {
                    (Some(low), Some(high)) => wanted.iter().any(|id| (low..=high).contains(&id)),
                    _ => true,
                },
                _ => true,
            }
        };
        self.left_out = self.parquet().row_groups().iter().map(|group| !may_have(group)).collect();
    }

    /// Whether any row has a value in this column, as far as the footer tells.
    pub(super) fn has(&self, column: &Column) -> bool {
        let roots = self.metadata.parquet_schema().root_schema().get_fields();
        let root = roots.iter().position(|field| field.name() == column.name);
        root.is_some_and(|root| self.live.iter().any(|live| live.contains(&root)))
    }

    /// Bytes of the dictionaries of a column at the top, and of all of it, as they
    /// are compressed. Where a chunk has no dictionary all of it counts as one.
    /// Chunks that are so small that they say little are left out.
    pub(super) fn dictionary_and_all(&self, column: &Column) -> (u64, u64) {
        let leaves = self.metadata.parquet_schema().columns();
        let leaf = leaves.iter().position(|leaf| leaf.path().parts() == [column.name]);
        let chunks = self.parquet().row_groups().iter().filter_map(|group| Some(group.column(leaf?)));
        let sizes = chunks.map(|chunk| {
            let all = chunk.compressed_size().unsigned_abs();
            let dictionary = chunk
                .dictionary_page_offset()
                .map_or(all, |from| chunk.data_page_offset().saturating_sub(from).unsigned_abs());
            (dictionary, all)
        });
        let telling = sizes.filter(|(_, all)| *all >= TELLING_BYTES);
        telling.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    /// Whether rows tell which replica wrote them.
    pub(super) fn has_replicas(&self) -> bool {
        self.metadata.schema().field_with_name(REPLICA_COLUMN).is_ok()
    }

    /// Reads it, with so much memory at a time.
    pub(super) fn read(self, objects: &Arc<dyn ObjectStore>, worker: &Worker, share: usize) -> Input {
        Input {
            objects: Arc::clone(objects),
            worker: worker.clone(),
            opened: self,
            share,
            row_group: 0,
            row: 0,
            decoder: None,
            row_bytes: None,
            last: None,
        }
    }

    /// Rows of each row group.
    pub(super) fn row_groups(&self) -> impl Iterator<Item = usize> {
        self.parquet().row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
    }

    /// To read some rows of one column of a row group; `None` if it has none, or if its pages
    /// are more than so many bytes.
    pub(super) fn glance(
        &self,
        group: usize,
        column: &str,
        rows: Vec<Range<usize>>,
        room: usize,
    ) -> Result<Option<Decoder>> {
        let roots = self.metadata.parquet_schema().root_schema().get_fields();
        let root = roots.iter().position(|field| field.name() == column);
        let Some(root) = root.filter(|root| self.live[group].contains(root)) else { return Ok(None) };
        let metadata = self.parquet().row_group(group);
        // Open pages are not more than what is needed to merge the file.
        let (compressed, _) = sizes_of(metadata, &[root]);
        if compressed > room {
            return Ok(None);
        }
        let all = usize::try_from(metadata.num_rows()).unwrap_or(0);
        let decoder = ParquetPushDecoderBuilder::new_with_metadata(self.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(ProjectionMask::roots(metadata.schema_descr(), [root]))
            .with_row_selection(RowSelection::from_consecutive_ranges(rows.into_iter(), all))
            .with_batch_size(GLANCE_ROWS)
            .build()
            .map_err(|error| self.damaged(error.to_string()))?;
        Ok(Some(Box::new(decoder)))
    }

    /// Decodes the next rows, which is work, so the worker does it; `None` after the last.
    pub(super) async fn decode(
        &self,
        objects: &Arc<dyn ObjectStore>,
        worker: &Worker,
        mut decoder: Decoder,
    ) -> Result<Option<(Decoder, RecordBatch)>> {
        loop {
            let work = move || {
                let decoded = decoder.try_decode();
                (decoder, decoded)
            };
            let (again, decoded) = worker.run(work).await?;
            decoder = again;
            match decoded.map_err(|error| self.damaged(error.to_string()))? {
                DecodeResult::NeedsData(ranges) => {
                    let data = fetch(objects, &self.source.path, &ranges).await?;
                    decoder.push_ranges(ranges, data)?;
                }
                DecodeResult::Data(rows) if rows.num_rows() > 0 => return Ok(Some((decoder, rows))),
                DecodeResult::Data(_) => {}
                DecodeResult::Finished => return Ok(None),
            }
        }
    }

    pub(super) fn damaged(&self, problem: String) -> FilesError {
        FilesError::Damaged { path: self.source.path.to_string(), problem }
    }

    pub(super) fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }
}

/// Rows that are being decoded.
pub(super) type Decoder = Box<ParquetPushDecoder>;

/// What is not the store's fault is the file's.
fn damaged_or(path: &Path, error: ParquetError) -> FilesError {
    match error {
        ParquetError::External(_) => FilesError::Parquet(error),
        error => FilesError::Damaged { path: path.to_string(), problem: error.to_string() },
    }
}

struct Footer<'a> {
    objects: &'a Arc<dyn ObjectStore>,
    path: &'a Path,
}

impl MetadataFetch for Footer<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let read = async move { Ok(self.objects.get_range(self.path, range).await?) };
        read.boxed()
    }
}

async fn fetch(objects: &Arc<dyn ObjectStore>, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let fetch = |range: Range<u64>| objects.get_range(path, range);
    let fetched = coalesce_ranges(ranges, fetch, GAP_BYTES_MAX).await?;
    // Copies: a slice keeps all alive that it was read with, and to compare
    // checksums that is a MiB at least.
    Ok(fetched.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect())
}

/// Columns at the top that are not null throughout. Columns of attributes are none of the
/// table, and the map has what is in them.
fn live_columns(group: &RowGroupMetaData) -> Vec<usize> {
    let schema = group.schema_descr();
    let mut live: Vec<usize> = Vec::new();
    for (leaf, chunk) in group.columns().iter().enumerate() {
        let nulls = chunk.statistics().and_then(|statistics| statistics.null_count_opt());
        let column = schema.column(leaf);
        let parts = column.path().parts();
        let flat = parts.len() == 1;
        let empty = flat && nulls == Some(group.num_rows().unsigned_abs());
        let beside = flat && AttributeColumn::is_name(&parts[0]);
        let root = schema.get_column_root_idx(leaf);
        if !empty && !beside && live.last() != Some(&root) {
            live.push(root);
        }
    }
    live
}

/// Bytes of the columns that are read: compressed, and of pages that are open at
/// a time.
fn sizes_of(group: &RowGroupMetaData, live: &[usize]) -> (usize, usize) {
    let schema = group.schema_descr();
    let leaves = group.columns().iter().enumerate();
    let read = leaves.filter(|(leaf, _)| live.contains(&schema.get_column_root_idx(*leaf)));
    read.fold((0, 0), |(compressed, open), (_, chunk)| {
        let pages = if chunk.dictionary_page_offset().is_some() { 2 * PAGE_BYTES } else { PAGE_BYTES };
        let size = |bytes: i64| usize::try_from(bytes).unwrap_or(0);
        let uncompressed = size(chunk.uncompressed_size());
        (compressed + size(chunk.compressed_size()), open + uncompressed.min(pages) + CONTEXT_BYTES)
    })
}

fn floor_of(group: &RowGroupMetaData, live: &[usize]) -> usize {
    let (compressed, open) = sizes_of(group, live);
    open + compressed / windows_max(compressed)
}

fn windows_max(compressed: usize) -> usize {
    (compressed / WINDOW_BYTES).clamp(WINDOWS.0, WINDOWS.1)
}

/// A file that is being read.
pub(super) struct Input {
    objects: Arc<dyn ObjectStore>,
    worker: Worker,
    opened: Opened,
    share: usize,
    row_group: usize,
    /// The first row of the row group that no window has had.
    row: usize,
    /// Of the current window.
    decoder: Option<Decoder>,
    /// Bytes of a row in the last batch.
    row_bytes: Option<usize>,
    last: Option<(Prefix, i64)>,
}

impl Input {
    pub(super) fn is_original(&self) -> bool {
        self.opened.source.original
    }

    /// The next rows; `None` after the last.
    pub(super) async fn next_batch(&mut self) -> Result<Option<Batch>> {
        loop {
            let decoder = match self.decoder.take() {
                Some(decoder) => Some(decoder),
                None => self.next_window()?,
            };
            let Some(decoder) = decoder else { return Ok(None) };
            if let Some((decoder, rows)) = self.opened.decode(&self.objects, &self.worker, decoder).await? {
                self.decoder = Some(decoder);
                return self.batch(&rows).map(Some);
            }
        }
    }

    fn batch(&mut self, rows: &RecordBatch) -> Result<Batch> {
        let batch = Batch::of(self.opened.table, rows, self.last.as_ref());
        let batch = batch.map_err(|problem| self.damaged(problem))?;
        self.last = batch.last_key();
        self.row_bytes = Some(batch.bytes().div_ceil(batch.rows()));
        Ok(batch)
    }

    fn damaged(&self, problem: String) -> FilesError {
        self.opened.damaged(problem)
    }

    fn next_window(&mut self) -> Result<Option<Decoder>> {
        while self.opened.left_out.get(self.row_group).is_some_and(|left_out| *left_out) {
            self.row_group += 1;
        }
        let Some(group) = self.opened.parquet().row_groups().get(self.row_group) else { return Ok(None) };
        let live = &self.opened.live[self.row_group];
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let (from, to) = (self.row, rows.min(self.row + self.window_rows(group, live)));
        let selection = vec![RowSelector::skip(from), RowSelector::select(to - from)];
        let mut builder = ParquetPushDecoderBuilder::new_with_metadata(self.opened.metadata.clone())
            .with_row_groups(vec![self.row_group])
            .with_projection(ProjectionMask::roots(group.schema_descr(), live.iter().copied()))
            .with_batch_size(self.batch_rows(group, live.len()));
        if to - from < rows {
            builder = builder.with_row_selection(RowSelection::from(selection));
        }
        let decoder = builder.build().map_err(|error| self.damaged(error.to_string()))?;
        (self.row_group, self.row) = if to == rows { (self.row_group + 1, 0) } else { (self.row_group, to) };
        Ok(Some(Box::new(decoder)))
    }

    /// So many rows that their pages fit into what the share has left beside
    /// the open ones.
    fn window_rows(&self, group: &RowGroupMetaData, live: &[usize]) -> usize {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0).max(1);
        let (compressed, open) = sizes_of(group, live);
        let room = self.share.saturating_sub(open + self.batch_bytes());
        if compressed <= room {
            rows
        } else {
            (rows * room / compressed).max(rows.div_ceil(windows_max(compressed)))
        }
    }

    fn batch_bytes(&self) -> usize {
        (self.share / 8).clamp(BATCH_BYTES_MIN, BATCH_BYTES_MAX)
    }

    fn batch_rows(&self, group: &RowGroupMetaData, columns: usize) -> usize {
        // Before anything is known: dictionaries hide the length of texts.
        let encoded = group.total_byte_size().max(0) / group.num_rows().max(1);
        let guess = 4 * usize::try_from(encoded).unwrap_or(0) + 16 * columns;
        let row_bytes = self.row_bytes.unwrap_or(guess);
        (self.batch_bytes() / row_bytes.max(1)).clamp(1, BATCH_ROWS_MAX)
    }
}
