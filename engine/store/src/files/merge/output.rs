//! Writing merged rows into files of about one size.
//!
//! A file is uploaded while it is written: what is in memory of it is the row
//! group that is being encoded, the parts on their way and, of log lines, the index
//! of their tokens, which is put when the file is whole.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use isinglass_model::{Kind, Tenant};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncWriteExt as _;

use super::attributes::Columns;
use super::groups::{Ahead, Groups};
use super::worker::Worker;
use crate::files::delta::{Extent, NewFile};
use crate::files::parquet::{Sink, Sizes};
use crate::files::tokens::{self, Builder};
use crate::files::{FilesError, Result, error, marks};
use crate::tables::AttributeColumn;

/// Parts of a file that are uploaded at a time.
const PARTS_AT_ONCE: usize = 2;

/// Where files go, whatever is in them.
pub(super) struct Folder<'a> {
    pub(super) objects: &'a Arc<dyn ObjectStore>,
    pub(super) tenant: &'a Tenant,
    pub(super) kind: Kind,
    pub(super) names: &'a mut (dyn FnMut() -> String + Send),
    pub(super) worker: Worker,
}

impl Folder<'_> {
    pub(super) fn path(&self, name: &str) -> Result<Path> {
        let path = format!("{}/{}/{name}", self.tenant, self.kind);
        Path::parse(&path).map_err(|error| FilesError::Damaged { path, problem: error.to_string() })
    }

    /// Deletes files that no commit names. One that stays is an orphan, and is
    /// collected like any other.
    pub(super) async fn delete(&mut self, names: impl Iterator<Item = &str>) {
        for name in names {
            let Ok(path) = self.path(name) else { continue };
            if let Err(error) = self.objects.delete(&path).await {
                tracing::warn!(%path, error = error::chain(&error), "a file made on the way stays");
            }
        }
    }

    /// Deletes indexes of such files.
    async fn delete_indexes(&mut self, files: &[NewFile]) {
        for file in files.iter().filter(|file| file.token_index_bytes.is_some()) {
            let Some(path) = self.path(&file.name).ok().and_then(|path| tokens::path_of(&path)) else {
                continue;
            };
            match self.objects.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%path, error = error::chain(&error), "an index made on the way stays");
                }
            }
        }
    }
}

/// What files are like.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Columns of the rows that are handed in.
    pub(super) schema: SchemaRef,
    pub(super) properties: WriterProperties,
    pub(super) file_bytes: u64,
    pub(super) part_bytes: usize,
    /// The column whose tokens are indexed.
    pub(super) indexed: Option<&'static str>,
    /// Whether the footer has marks of rows of samples.
    pub(super) marked: bool,
    /// Attributes that get a column beside those of `schema`, which `properties` know.
    pub(super) attributes: Vec<AttributeColumn>,
    /// Rows of row groups and pages.
    pub(super) sizes: Sizes,
    /// What the files get between them.
    pub(super) ahead: Ahead,
    /// Values of such columns that are told apart, of all together.
    pub(super) distinct_max: usize,
}

/// The files of one merge.
pub(super) struct Output<'f, 'a> {
    folder: &'f mut Folder<'a>,
    layout: Layout,
    open: Option<Open>,
    done: Vec<NewFile>,
}

struct Open {
    name: String,
    writer: ArrowWriter<Sink>,
    upload: BufWriter,
    extent: Extent,
    tokens: Option<Builder>,
    marks: Option<marks::Builder>,
    attributes: Columns,
    groups: Groups,
}

impl<'f, 'a> Output<'f, 'a> {
    pub(super) fn new(folder: &'f mut Folder<'a>, layout: Layout) -> Self {
        Self { folder, layout, open: None, done: Vec::new() }
    }

    /// Types of the columns that it takes.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.layout.schema
    }

    /// Writes rows, which come after all before in the order of the table. After
    /// them a file may end at `boundary`, or wherever it is twice its size.
    pub(super) async fn write(&mut self, rows: RecordBatch, extent: Extent, boundary: bool) -> Result<()> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.start()?,
        };
        let Open {
            name,
            mut writer,
            mut upload,
            extent: before,
            mut tokens,
            mut marks,
            mut attributes,
            mut groups,
        } = open;
        self.layout.ahead.pass(rows.num_rows());
        let indexed = self.layout.indexed;
        let written = self.folder.worker.run(move || {
            let rows = attributes.beside(rows).map_err(ParquetError::General)?;
            for (piece, ends_group) in groups.cut(rows.num_rows()) {
                writer.write(&rows.slice(piece.start, piece.len()))?;
                if ends_group {
                    writer.flush()?;
                }
            }
            if let Some((tokens, column)) = tokens.as_mut().zip(indexed) {
                take_tokens(tokens, &rows, column)?;
            }
            if let Some(marks) = marks.as_mut() {
                marks.push(&rows).map_err(|problem| ParquetError::General(problem.to_owned()))?;
            }
            let pieces = writer.inner_mut().take_done();
            Ok::<_, ParquetError>(((writer, tokens, marks, attributes, groups), pieces))
        });
        let sent = match written.await {
            Ok(Ok((written, pieces))) => send(&mut upload, pieces).await.map(|()| written),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error),
        };
        let (writer, tokens, marks, attributes, groups) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                abort(&mut upload, &name).await;
                return Err(error);
            }
        };
        let size = (writer.bytes_written() + writer.in_progress_size()) as u64;
        let extent = union(before, extent);
        self.open = Some(Open { name, writer, upload, extent, tokens, marks, attributes, groups });
        let limit = self.layout.file_bytes;
        if size >= limit && (boundary || size >= limit.saturating_mul(2)) {
            self.close().await
        } else {
            Ok(())
        }
    }

    /// Closes the last file.
    pub(super) async fn finish(&mut self) -> Result<Vec<NewFile>> {
        self.close().await?;
        Ok(std::mem::take(&mut self.done))
    }

    /// Removes all that is there so far.
    pub(super) async fn abandon(mut self) {
        if let Some(mut open) = self.open.take() {
            abort(&mut open.upload, &open.name).await;
        }
        self.folder.delete(self.done.iter().map(|file| file.name.as_str())).await;
        self.folder.delete_indexes(&self.done).await;
    }

    fn start(&mut self) -> Result<Open> {
        let name = (self.folder.names)();
        let path = self.folder.path(&name)?;
        let options = ArrowWriterOptions::new()
            .with_properties(self.layout.properties.clone())
            // As flush writes them: the types in a file are those that Parquet itself has.
            .with_skip_arrow_metadata(true);
        let attributes = Columns::new(&self.layout.schema, &self.layout.attributes, self.layout.distinct_max);
        let writer =
            ArrowWriter::try_new_with_options(Sink::default(), Arc::clone(attributes.schema()), options)?;
        let upload = BufWriter::with_capacity(Arc::clone(self.folder.objects), path, self.layout.part_bytes)
            .with_max_concurrency(PARTS_AT_ONCE);
        let tokens = self.layout.indexed.map(|_| Builder::new());
        let marks = self.layout.marked.then(marks::Builder::default);
        let groups = Groups::new(self.layout.sizes, &self.layout.ahead, self.layout.file_bytes);
        let extent = Extent::default();
        Ok(Open { name, writer, upload, extent, tokens, marks, attributes, groups })
    }

    async fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let Open { name, mut writer, mut upload, extent, tokens, marks, attributes, .. } = open;
        let tokens = tokens.filter(|_| extent.rows >= tokens::ROWS_MIN);
        if let Some(text) = marks.and_then(marks::Builder::finish) {
            writer.append_key_value_metadata(KeyValue::new(marks::KEY.to_owned(), text));
        }
        let finish = move || Ok::<_, ParquetError>((writer.into_inner()?, tokens.map(Builder::finish)));
        let sent = match self.folder.worker.run(finish).await {
            Ok(Ok((sink, index))) => {
                let (pieces, size_bytes, crc32c) = sink.finish();
                send(&mut upload, pieces).await.map(|()| (size_bytes, crc32c, index))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(error),
        };
        let (size_bytes, crc32c, index) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                abort(&mut upload, &name).await;
                return Err(error);
            }
        };
        // Listed before it is there, so that it is deleted if it is there after
        // all that was said.
        let token_index_bytes = index.as_ref().map(|index| index.len() as u64);
        let path = self.folder.path(&name)?;
        let attribute_columns = attributes.held();
        self.done.push(NewFile { name, size_bytes, extent, crc32c, token_index_bytes, attribute_columns });
        upload.shutdown().await.map_err(object_store_error)?;
        if let Some((index, path)) = index.zip(tokens::path_of(&path)) {
            self.folder.objects.put(&path, index.into()).await?;
        }
        Ok(())
    }
}

fn take_tokens(tokens: &mut Builder, rows: &RecordBatch, column: &str) -> Result<(), ParquetError> {
    let missing = || ParquetError::General(format!("there is no column {column}"));
    tokens.push(rows.column_by_name(column).ok_or_else(missing)?).map_err(ParquetError::General)
}

async fn abort(upload: &mut BufWriter, name: &str) {
    if let Err(error) = upload.abort().await {
        tracing::warn!(file = name, error = error::chain(&error), "an upload cannot be aborted");
    }
}

async fn send(upload: &mut BufWriter, pieces: Vec<Bytes>) -> Result<()> {
    for piece in pieces {
        upload.put(piece).await?;
    }
    Ok(())
}

/// The writer wraps the store's error into one of input and output.
fn object_store_error(error: std::io::Error) -> FilesError {
    match error.downcast::<object_store::Error>() {
        Ok(error) => error.into(),
        Err(error) => object_store::Error::Generic { store: "upload", source: Box::new(error) }.into(),
    }
}

/// The extent of rows of both.
pub(super) fn union(a: Extent, b: Extent) -> Extent {
    if a.rows == 0 {
        return b;
    }
    let both = |a: Option<(i64, i64)>, b: Option<(i64, i64)>| Some((a?.0.min(b?.0), a?.1.max(b?.1)));
    Extent {
        rows: a.rows + b.rows,
        time: both(a.time, b.time),
        metric_id: both(a.metric_id, b.metric_id),
        series_id: both(a.series_id, b.series_id),
    }
}
