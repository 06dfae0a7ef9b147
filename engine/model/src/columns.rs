//! The columns that a batch offers to plugins.
//!
//! A plugin declares once which columns it wants by name; the chain asks the
//! batch for each of them once, however many plugins want it. Which names there
//! are is part of the plugin interface (`wit/README.md`).

use std::sync::Arc;

use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};

use crate::labels::LabelSet;
use crate::series::SeriesRef;

mod joined;

pub use joined::Joined;

/// What a batch is made of; a plugin declares its columns per shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Shape {
    /// Rows of (series, time, value). Columns: `time`.
    Samples = 0,
    /// Label sets not judged before, one row each.
    Series = 1,
    /// Log records.
    Logs = 2,
    /// Spans.
    Spans = 3,
}

/// How a plugin wants a column of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Every value.
    Values,
    /// Keys and distinct values.
    Dictionary,
    /// Byte lengths only.
    Lengths,
}

/// Text as Arrow lays it out: `offsets.len() - 1` values in `data`.
#[derive(Debug, Clone)]
pub struct TextBuffers {
    /// Offsets into `data`.
    pub offsets: ScalarBuffer<i32>,
    /// UTF-8.
    pub data: Buffer,
}

/// The buffers of one column. Cloning shares them.
#[derive(Debug, Clone)]
pub enum ColumnData {
    /// One byte per row.
    U8(ScalarBuffer<u8>),
    /// Lengths and small counts.
    U32(ScalarBuffer<u32>),
    /// Times and durations in nanoseconds.
    I64(ScalarBuffer<i64>),
    /// Measured values.
    F64(ScalarBuffer<f64>),
    /// `width` bytes per row.
    Fixed {
        /// Bytes per row.
        width: u32,
        /// All rows.
        data: Buffer,
    },
    /// Every value.
    Text(TextBuffers),
    /// Keys into distinct values.
    Dictionary {
        /// One key per row; what a null row points to has no meaning.
        keys: ScalarBuffer<i32>,
        /// The distinct values.
        values: TextBuffers,
    },
    /// `rows + 1` offsets into the columns that share this column's prefix:
    /// row `i` of `attr.offsets` covers entries `offsets[i]..offsets[i + 1]` of
    /// `attr.key` and `attr.value`.
    Offsets(ScalarBuffer<i32>),
}

/// One column.
#[derive(Debug, Clone)]
pub struct Column {
    /// The data.
    pub data: ColumnData,
    /// Which rows are valid; `None` = all.
    pub validity: Option<NullBuffer>,
}

impl Column {
    /// A column without nulls.
    pub fn new(data: ColumnData) -> Self {
        Self { data, validity: None }
    }
}

/// The series of the rows of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesOfRows {
    /// The life of their tenant in which the numbers mean something.
    pub life: u32,
    /// One per row.
    pub series: Vec<SeriesRef>,
}

/// A batch that plugins can read.
pub trait Columns: Send + Sync {
    /// What it is made of.
    fn shape(&self) -> Shape;
    /// Number of rows.
    fn rows(&self) -> usize;
    /// A column by its catalogue name, or `None` if this batch does not have it
    /// (all its rows are null, or the name is unknown).
    fn column(&self, name: &str, encoding: Encoding) -> Option<Column>;
    /// Wire bytes of all rows, for limits by bytes.
    fn bytes(&self) -> usize;
    /// Hands over the labels of the series that a row belongs to, where that is known: not shown
    /// to plugins, but asked by the conditions under which they are shown a row.
    fn labels_of(&self, row: usize, read: &mut dyn FnMut(&LabelSet)) {
        let _ = (row, read);
    }
    /// The series that the rows belong to, where these have numbers by which to know them again.
    fn series(&self) -> Option<SeriesOfRows> {
        None
    }
}

/// A shared batch of columns.
pub type SharedColumns = Arc<dyn Columns>;
