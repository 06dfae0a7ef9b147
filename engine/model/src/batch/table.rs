//! Logs and spans: record batches in the layout of their table.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::ScalarBuffer;
use arrow_schema::DataType;

use super::attributes::AttributeIndex;
use super::lookup::attribute_column;
use crate::columns::{Column, ColumnData, Columns, Encoding, Shape, TextBuffers};
use crate::tables::promoted::{LOG, SPAN};

/// Spans of one request.
#[derive(Debug, Clone)]
pub struct SpanBatch {
    /// Columns of the table `spans` in its batch types; absent columns are null.
    pub table: RecordBatch,
    /// Attributes for the validators; absent after them and in replays.
    pub attributes: Option<AttributeIndex>,
}

/// Log records of one request.
#[derive(Debug, Clone)]
pub struct LogBatch {
    /// Columns of the table `logs` in its batch types; absent columns are null.
    pub table: RecordBatch,
    /// Attributes for the validators; absent after them and in replays.
    pub attributes: Option<AttributeIndex>,
    /// Labels of each stream, a row per value of the `stream` dictionary.
    pub stream_labels: Vec<u32>,
    /// Bytes of these records on the wire.
    pub bytes: usize,
}

/// Every column of the table by its name, and the attribute columns.
impl Columns for SpanBatch {
    fn shape(&self) -> Shape {
        Shape::Spans
    }

    fn rows(&self) -> usize {
        self.table.num_rows()
    }

    fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        match &self.attributes {
            Some(index) if name.starts_with("attr.") => index.column(name, encoding),
            _ if name.contains(':') => attribute_column(&self.table, name, encoding, SPAN),
            _ => table_column(&self.table, name, encoding),
        }
    }

    fn bytes(&self) -> usize {
        let sizes = self.table.column_by_name("size_bytes").and_then(|c| c.as_primitive_opt::<Int32Type>());
        sizes.map_or(0, |sizes| sizes.values().iter().map(|size| size.unsigned_abs() as usize).sum())
    }
}

/// Every column of the table by its name, the attribute columns, and
/// `stream.labels`: how many labels the stream of each row has, where that is known.
impl Columns for LogBatch {
    fn shape(&self) -> Shape {
        Shape::Logs
    }

    fn rows(&self) -> usize {
        self.table.num_rows()
    }

    fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        match (&self.attributes, name) {
            (_, "stream.labels") if !self.stream_labels.is_empty() => {
                let stream = self.table.column_by_name("stream")?.as_dictionary_opt::<Int32Type>()?;
                let count = |key: &i32| {
                    usize::try_from(*key)
                        .ok()
                        .and_then(|key| self.stream_labels.get(key))
                        .copied()
                        .unwrap_or(0)
                };
                let counts: Vec<u32> = stream.keys().values().iter().map(count).collect();
                Some(Column::new(ColumnData::U32(counts.into())))
            }
            (Some(index), name) if name.starts_with("attr.") => index.column(name, encoding),
            (_, name) if name.contains(':') => attribute_column(&self.table, name, encoding, LOG),
            _ => table_column(&self.table, name, encoding),
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A column of a record batch without copying its values, except where a
/// narrower integer has to be widened.
pub(crate) fn table_column(table: &RecordBatch, name: &str, encoding: Encoding) -> Option<Column> {
    let array = table.column_by_name(name)?;
    let validity = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
    let data = match array.data_type() {
        DataType::Int64 => ColumnData::I64(array.as_primitive::<Int64Type>().values().clone()),
        DataType::Int32 => widen(array.as_primitive::<Int32Type>().values().iter().map(|v| i64::from(*v))),
        DataType::Int16 => widen(array.as_primitive::<Int16Type>().values().iter().map(|v| i64::from(*v))),
        DataType::FixedSizeBinary(width) => {
            let width = u32::try_from(*width).ok()?;
            let array = array.as_fixed_size_binary();
            let from = array.offset() * width as usize;
            let data = array.values().slice_with_length(from, array.len() * width as usize);
            ColumnData::Fixed { width, data }
        }
        DataType::Utf8 => text(array, encoding),
        DataType::Dictionary(_, _) => dictionary(array, encoding)?,
        _ => return None,
    };
    Some(Column { data, validity })
}

fn widen(values: impl Iterator<Item = i64>) -> ColumnData {
    ColumnData::I64(values.collect::<Vec<_>>().into())
}

fn text(array: &ArrayRef, encoding: Encoding) -> ColumnData {
    let array = array.as_string::<i32>();
    match encoding {
        Encoding::Values => ColumnData::Text(TextBuffers {
            offsets: array.offsets().inner().clone(),
            data: array.values().clone(),
        }),
        Encoding::Lengths => {
            let lengths = array.offsets().lengths().map(|len| u32::try_from(len).unwrap_or(u32::MAX));
            ColumnData::U32(lengths.collect::<Vec<_>>().into())
        }
        Encoding::Dictionary => {
            super::metrics::text_column(array.iter().map(Option::unwrap_or_default), encoding)
        }
    }
}

fn dictionary(array: &ArrayRef, encoding: Encoding) -> Option<ColumnData> {
    let array = array.as_dictionary_opt::<Int32Type>()?;
    let values = array.values().as_string_opt::<i32>()?;
    let keys: ScalarBuffer<i32> = array.keys().values().clone();
    // Keys of null rows have no meaning, so they are not followed.
    let value_of = |row: usize| if array.is_null(row) { "" } else { values.value(keys[row] as usize) };
    Some(match encoding {
        Encoding::Dictionary => ColumnData::Dictionary {
            keys: keys.clone(),
            values: TextBuffers { offsets: values.offsets().inner().clone(), data: values.values().clone() },
        },
        _ => super::metrics::text_column((0..array.len()).map(value_of), encoding),
    })
}
