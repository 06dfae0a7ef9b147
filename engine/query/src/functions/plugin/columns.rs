//! Between arrays and the columns that plugins are handed: buffers are shared.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType;
use datafusion::common::{Result, internal_err};
use isinglass_model::columns::{Column, ColumnData, TextBuffers};

/// An array of a type that arguments are cast to, as a column.
pub(super) fn of_array(array: &ArrayRef) -> Result<Column> {
    let data = match array.data_type() {
        DataType::Float64 => ColumnData::F64(array.as_primitive::<Float64Type>().values().clone()),
        DataType::Int64 => ColumnData::I64(array.as_primitive::<Int64Type>().values().clone()),
        DataType::Boolean => {
            let bits = array.as_boolean().values();
            ColumnData::U8(bits.iter().map(u8::from).collect::<Vec<_>>().into())
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            ColumnData::Text(TextBuffers {
                offsets: array.offsets().inner().clone(),
                data: array.values().clone(),
            })
        }
        other => return internal_err!("an argument of type {other}"),
    };
    let validity = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
    Ok(Column { data, validity })
}

/// A column that a plugin gave, which was checked.
pub(super) fn to_array(column: Column) -> Result<ArrayRef> {
    let nulls = column.validity;
    Ok(match column.data {
        ColumnData::F64(values) => Arc::new(Float64Array::try_new(values, nulls)?),
        ColumnData::I64(values) => Arc::new(Int64Array::try_new(values, nulls)?),
        ColumnData::U8(values) => {
            Arc::new(BooleanArray::new(values.iter().map(|value| *value != 0).collect(), nulls))
        }
        ColumnData::Text(TextBuffers { offsets, data }) => {
            Arc::new(StringArray::try_new(OffsetBuffer::new(offsets), data, nulls)?)
        }
        _ => return internal_err!("a plugin gave a column of another type"),
    })
}

/// Bytes of a text column.
pub(super) fn text_bytes(column: &Column) -> usize {
    match &column.data {
        ColumnData::Text(text) => text.data.len(),
        _ => 0,
    }
}
