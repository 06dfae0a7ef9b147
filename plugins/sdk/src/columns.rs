//! A batch of columns as the host hands it over.

use std::borrow::Cow;

/// What the rows of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// Rows of (series, time, value).
    Samples = 0,
    /// Label sets that were not judged before, one row each.
    Series = 1,
    /// Log records.
    Logs = 2,
    /// Spans.
    Spans = 3,
}

/// How a column of text is wanted. Other columns have one encoding only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Every value.
    Values,
    /// A key per row and the distinct values.
    Dictionary,
    /// Byte lengths only.
    Lengths,
}

/// A column that a plugin asks for. Made by [`columns!`](crate::columns!), or
/// by hand where the name comes from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In batches of this shape.
    pub shape: Shape,
    /// The plugin's number for it.
    pub slot: u16,
    /// Its name in the catalogue (`wit/README.md`).
    pub name: Cow<'static, str>,
    /// How it is wanted.
    pub encoding: Encoding,
    /// Whether batches without it are wanted too.
    pub optional: bool,
}

/// A batch with the columns that were asked for and that it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What its rows are.
    pub shape: Shape,
    /// How many they are.
    pub rows: usize,
    /// Its columns in no particular order.
    pub columns: Vec<Column>,
}

impl Batch {
    /// The column of a slot, if the batch has it.
    pub fn column(&self, slot: u16) -> Option<&Column> {
        self.columns.iter().find(|column| column.slot == slot)
    }
}

/// A column: buffers as Arrow lays them out.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The number the plugin asked for it under.
    pub slot: u16,
    /// A bit per row, least significant first, 1 = valid; `None` = all valid.
    pub validity: Option<Vec<u8>>,
    /// Its values.
    pub data: Data,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// One byte per row.
    Bytes(Vec<u8>),
    /// Lengths and small counts.
    U32(Vec<u32>),
    /// Integers, times and durations.
    I64(Vec<i64>),
    /// Measured values.
    F64(Vec<f64>),
    /// `width` bytes per row.
    Fixed {
        /// Bytes per row.
        width: u32,
        /// All rows.
        data: Vec<u8>,
    },
    /// A text per row.
    Text(TextData),
    /// A key per row into distinct values; the key of a null row has no meaning.
    Dictionary {
        /// One per row.
        keys: Vec<u32>,
        /// Distinct values.
        values: TextData,
    },
    /// `rows + 1` offsets into the columns of the same prefix.
    Offsets(Vec<i32>),
}

/// `offsets.len() - 1` texts, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextData {
    /// Where each begins and ends; starts at 0.
    pub offsets: Vec<i32>,
    /// UTF-8.
    pub data: Vec<u8>,
}

impl Default for TextData {
    fn default() -> Self {
        Self { offsets: vec![0], data: Vec::new() }
    }
}

impl TextData {
    /// Appends a text.
    pub fn push(&mut self, text: &str) {
        self.data.extend_from_slice(text.as_bytes());
        self.offsets.push(i32::try_from(self.data.len()).unwrap_or(i32::MAX));
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> FromIterator<&'a str> for TextData {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut data = Self::default();
        texts.into_iter().for_each(|text| data.push(text));
        data
    }
}
