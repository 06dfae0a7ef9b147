//! Rows in the order of time, whatever files they lie in.
//!
//! Rows of one time are put in order by a hash over all their columns. So the same rows are in
//! the same order however they were flushed and merged, and which values a dictionary has does
//! not matter. Of rows that are equal in all columns one is left, as merges leave one.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, Schema};
use arrow_select::filter::filter;
use arrow_select::interleave::interleave;
use isinglass_model::Kind;
use isinglass_model::tables::{Table, Type};
use object_store::ObjectStore;
use xxhash_rust::xxh3::xxh3_128;

use crate::files::{NULL, Scanned, encode, scan};
use crate::tables::DataFile;
use crate::view::{HeadFilter, View};
use crate::{StoreError, files};

/// The longest time that is read at once, in nanoseconds: files span a day at most.
const WINDOW_MAX: i64 = 86_400_000_000_000;

/// The column that every window has.
const ALWAYS: &str = "time";

/// Rows of `spans` or `logs` within a time, window by window.
pub struct OrderedRows {
    kind: Kind,
    objects: Arc<dyn ObjectStore>,
    files: Vec<DataFile>,
    head: Vec<RecordBatch>,
    /// Positions of the columns that are wanted.
    wanted: Arc<[usize]>,
    /// What is left, in nanoseconds.
    left: Range<i64>,
    /// Windows end at multiples of it.
    step: i64,
    /// How long the next window is to be.
    length: i64,
    memory_bytes: usize,
}

impl OrderedRows {
    /// Rows of a view from a time to another, which is excluded, in nanoseconds. Windows end at
    /// multiples of `step` and hold no more than `memory_bytes`. Of the columns those are there
    /// that are wanted; a name that no column has stands for all attributes.
    pub fn of(
        view: &View,
        kind: Kind,
        columns: &[String],
        time: Range<i64>,
        step: i64,
        memory_bytes: usize,
    ) -> Result<Self, StoreError> {
        let table = Table::of(kind);
        let rows = view.table(kind);
        let overlaps = |range: (i64, i64)| range.0 < time.end && range.1 >= time.start;
        let files = rows.files.iter().filter(|file| file.time.is_none_or(overlaps)).cloned().collect();
        let last = time.end.saturating_sub(1);
        let head = rows.head_batches(&HeadFilter { time: Some((time.start, last)), ..Default::default() })?;
        let maps = columns.iter().any(|name| table.position(name).is_none());
        let is_wanted = |at: &usize| {
            let column = &table.columns[*at];
            column.name == ALWAYS
                || columns.iter().any(|name| name == column.name)
                || (maps && column.ty == Type::TextMap)
        };
        Ok(Self {
            kind,
            objects: view.objects(),
            files,
            head,
            wanted: (0..table.columns.len()).filter(is_wanted).collect(),
            left: time,
            step: step.max(1),
            length: WINDOW_MAX,
            memory_bytes,
        })
    }

    /// The rows of the next window; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<OrderedWindow>, StoreError> {
        while self.left.start < self.left.end {
            let start = self.left.start;
            let end = start.saturating_add(self.length.max(self.step)).div_euclid(self.step);
            let end = end.saturating_mul(self.step).min(self.left.end);
            match self.read(start..end).await? {
                Some(window) => {
                    self.left.start = end;
                    if window.bytes < self.memory_bytes / 4 {
                        self.length = self.length.saturating_mul(2).min(WINDOW_MAX);
                    }
                    return Ok(Some(window));
                }
                None if end - start <= self.step => {
                    let (what, limit) = (self.kind, self.memory_bytes);
                    return Err(StoreError::Dense { what, span_ms: (end - start) / 1_000_000, limit });
                }
                None => self.length = ((end - start) / 4).max(self.step),
            }
        }
        Ok(None)
    }

    /// `None`: they are more than may be held.
    async fn read(&self, time: Range<i64>) -> Result<Option<OrderedWindow>, StoreError> {
        let table = Table::of(self.kind);
        let mut held = Held {
            table,
            wanted: &self.wanted,
            window: OrderedWindow::new(self.kind, Arc::clone(&self.wanted), time.clone()),
            encoded: Vec::new(),
            memory_bytes: self.memory_bytes,
        };
        let bad = |problem: String| StoreError::from(files::FilesError::Rows { kind: self.kind, problem });
        for batch in &self.head {
            let columns: Vec<Option<ArrayRef>> = table
                .columns
                .iter()
                .map(|column| {
                    let array = batch.column_by_name(column.name)?;
                    (array.null_count() < array.len()).then(|| Arc::clone(array))
                })
                .collect();
            let times = columns[table.position(table.time).unwrap_or(0)].as_ref();
            let times = times.and_then(|times| times.as_primitive_opt::<Int64Type>());
            let Some(times) = times else { continue };
            if held.take(Scanned { columns: &columns, times: times.values() }).map_err(bad)?.is_break() {
                return Ok(None);
            }
        }
        let overlaps = |range: (i64, i64)| range.0 < time.end && range.1 >= time.start;
        let files: Vec<DataFile> =
            self.files.iter().filter(|file| file.time.is_none_or(overlaps)).cloned().collect();
        let scanned = scan(&self.objects, self.kind, &files, &mut |rows| held.take(rows)).await?;
        if scanned.is_break() {
            return Ok(None);
        }
        let window = held.window;
        let sorted = tokio::task::spawn_blocking(move || window.sorted()).await;
        Ok(Some(sorted.map_err(|error| StoreError::Internal(error.to_string()))?))
    }
}

/// A window that is being read.
struct Held<'a> {
    table: &'static Table,
    wanted: &'a [usize],
    window: OrderedWindow,
    encoded: Vec<u8>,
    memory_bytes: usize,
}

impl Held<'_> {
    /// Takes the rows of its time.
    fn take(&mut self, rows: Scanned<'_>) -> Result<ControlFlow<()>, String> {
        let time = self.window.time.clone();
        let chunk = u32::try_from(self.window.chunks.len()).unwrap_or(u32::MAX);
        let mut mask = vec![false; rows.times.len()];
        let before = self.window.order.len();
        for (row, at) in rows.times.iter().enumerate().filter(|(_, at)| time.contains(at)) {
            mask[row] = true;
            self.encoded.clear();
            for column in rows.columns {
                match column {
                    Some(array) => encode(array, row, &mut self.encoded)?,
                    None => self.encoded.push(NULL),
                }
            }
            let hash = xxh3_128(&self.encoded);
            let row = u32::try_from(self.window.order.len() - before).unwrap_or(u32::MAX);
            self.window.order.push(Place { time: *at, hash: [(hash >> 64) as u64, hash as u64], chunk, row });
        }
        let taken = self.window.order.len() - before;
        if taken > 0 {
            let columns = self.columns(rows, BooleanArray::from(mask))?;
            self.window.bytes +=
                columns.iter().flatten().map(|array| array.get_array_memory_size()).sum::<usize>();
            self.window.bytes += taken * size_of::<Place>();
            self.window.chunks.push(Chunk { columns, rows: taken });
        }
        Ok(match self.window.bytes > self.memory_bytes {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }

    /// The wanted columns of the rows of a mask, in the types of files, texts as dictionaries.
    fn columns(&self, rows: Scanned<'_>, mask: BooleanArray) -> Result<Vec<Option<ArrayRef>>, String> {
        let column = |at: &usize| {
            let Some(array) = rows.columns[*at].as_ref() else { return Ok(None) };
            let picked = filter(array, &mask)?;
            let ty = self.table.file_schema().field(*at).data_type();
            let same = picked.data_type() == ty || matches!(ty, DataType::Map(..));
            let picked = if same { picked } else { arrow_cast::cast(&picked, ty)? };
            let held = self.table.batch_field(*at).data_type();
            // Texts that come again and again are held once.
            let is_text = matches!(held, DataType::Dictionary(..));
            Ok(Some(if is_text { arrow_cast::cast(&picked, held)? } else { picked }))
        };
        let columns: Result<_, arrow_schema::ArrowError> = self.wanted.iter().map(column).collect();
        columns.map_err(|error| error.to_string())
    }
}

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    time: i64,
    hash: [u64; 2],
    chunk: u32,
    row: u32,
}

/// Rows that were read together.
struct Chunk {
    columns: Vec<Option<ArrayRef>>,
    rows: usize,
}

/// Rows of a time, in their order.
pub struct OrderedWindow {
    /// Their time, in nanoseconds, the end excluded.
    pub time: Range<i64>,
    /// Rows that were there twice.
    pub duplicates: u64,
    kind: Kind,
    wanted: Arc<[usize]>,
    chunks: Vec<Chunk>,
    order: Vec<Place>,
    bytes: usize,
}

impl OrderedWindow {
    fn new(kind: Kind, wanted: Arc<[usize]>, time: Range<i64>) -> Self {
        Self { time, duplicates: 0, kind, wanted, chunks: Vec::new(), order: Vec::new(), bytes: 0 }
    }

    fn sorted(mut self) -> Self {
        self.order.sort_unstable();
        let before = self.order.len();
        self.order.dedup_by_key(|place| (place.time, place.hash));
        self.duplicates = (before - self.order.len()) as u64;
        let table = Table::of(self.kind);
        for (of_wanted, at) in self.wanted.iter().enumerate() {
            let is_text = matches!(table.batch_field(*at).data_type(), DataType::Dictionary(..));
            if is_text || self.chunks.iter().all(|chunk| chunk.columns[of_wanted].is_none()) {
                continue;
            }
            let known = self.chunks.iter().find_map(|chunk| chunk.columns[of_wanted].as_ref());
            let of_file = table.file_schema().field(*at).data_type();
            let ty = known.map_or(of_file, |array| array.data_type()).clone();
            for chunk in &mut self.chunks {
                let rows = chunk.rows;
                chunk.columns[of_wanted].get_or_insert_with(|| new_null_array(&ty, rows));
            }
        }
        self
    }

    /// How many there are.
    pub fn rows(&self) -> usize {
        self.order.len()
    }

    /// The first row at this time or later.
    pub fn first_at(&self, time: i64) -> usize {
        self.order.partition_point(|place| place.time < time)
    }

    /// The time of a row; `None` after the last.
    pub fn time_of(&self, row: usize) -> Option<i64> {
        self.order.get(row).map(|place| place.time)
    }

    /// Some of the rows, as intake makes batches: in the types of batches, dictionaries in the
    /// order of first use, columns without values left out.
    pub fn batch(&self, rows: Range<usize>) -> Result<RecordBatch, StoreError> {
        let table = Table::of(self.kind);
        let order = &self.order[rows];
        let places: Vec<(usize, usize)> =
            order.iter().map(|place| (place.chunk as usize, place.row as usize)).collect();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (of_wanted, at) in self.wanted.iter().enumerate() {
            let field = table.batch_field(*at);
            if matches!(field.data_type(), DataType::Dictionary(..)) {
                if let Some(texts) = self.texts(of_wanted, order) {
                    columns.push(texts);
                    fields.push(Arc::clone(field));
                }
                continue;
            }
            let arrays: Option<Vec<&dyn Array>> =
                self.chunks.iter().map(|chunk| chunk.columns[of_wanted].as_deref()).collect();
            let Some(arrays) = arrays.filter(|arrays| !arrays.is_empty()) else { continue };
            let array = interleave(&arrays, &places)?;
            if array.null_count() == array.len() {
                continue;
            }
            columns.push(of_batch(&array, field.data_type())?);
            fields.push(Arc::clone(field));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }

    /// A column of texts, with a dictionary of its own; `None` if all are null.
    fn texts(&self, of_wanted: usize, order: &[Place]) -> Option<ArrayRef> {
        let held = self.chunks.iter().map(|chunk| chunk.columns[of_wanted].as_ref());
        let held: Vec<_> = held.map(|column| column?.as_dictionary_opt::<Int32Type>()).collect();
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        let mut any = false;
        for place in order {
            let text = held[place.chunk as usize].and_then(|column| {
                let key = column.key(place.row as usize)?;
                column.values().as_string_opt::<i32>().map(|values| values.value(key))
            });
            any |= text.is_some();
            builder.append_option(text);
        }
        any.then(|| Arc::new(builder.finish()) as ArrayRef)
    }
}

/// A column in the type of batches.
fn of_batch(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef, StoreError> {
    match array.data_type() == ty {
        true => Ok(Arc::clone(array)),
        false => Ok(arrow_cast::cast(array, ty)?),
    }
}
