//! Rows of any other kind: Arrow IPC messages without a schema.
//!
//! The schema of a table has dozens of columns, and is known: a bitmap says which of
//! them the batch has. Dictionary columns are taken apart, keys into the main message and
//! values into one of their own, so that no dictionary ids are needed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions};
use arrow_buffer::Buffer;
use arrow_ipc::reader::read_record_batch;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use crate::StoreError;
use crate::wal::wire::{Reader, put_len32};

/// Writes a batch whose columns are in the batch types and the order of its table.
pub(crate) fn put_table(out: &mut Vec<u8>, kind: Kind, batch: &RecordBatch) -> Result<(), StoreError> {
    let table = Table::of(kind);
    let mut bitmap = vec![0_u8; table.columns.len().div_ceil(8)];
    for field in batch.schema_ref().fields() {
        let position = table.position(field.name());
        let position =
            position.ok_or_else(|| StoreError::Internal(format!("{kind} has no column {}", field.name())))?;
        bitmap[position / 8] |= 1 << (position % 8);
    }
    put_len32(out, bitmap.len());
    out.extend_from_slice(&bitmap);
    put_message(out, &flatten(batch)?)?;
    for column in batch.columns() {
        if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
            put_message(out, &single(dictionary.values())?)?;
        }
    }
    Ok(())
}

/// Reads a batch back.
pub(crate) fn read_table(bytes: &[u8], kind: Kind) -> Result<RecordBatch, StoreError> {
    let mut reader = Reader::new(bytes);
    let length = reader.len32()?;
    let fields = present(kind, reader.take(length)?)?;
    let flat = read_message(&mut reader, &schema_of(fields.iter().map(flat_field)))?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
    for (field, column) in fields.iter().zip(flat.columns()) {
        columns.push(match field.data_type() {
            DataType::Dictionary(_, values) => {
                let schema = schema_of(std::iter::once(values_field(values)));
                let values = read_message(&mut reader, &schema)?;
                unflatten(column, values.column(0))?
            }
            _ => Arc::clone(column),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(flat.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema_of(fields.into_iter()), columns, &options)?)
}

fn present(kind: Kind, bitmap: &[u8]) -> Result<Vec<FieldRef>, StoreError> {
    let table = Table::of(kind);
    let mut fields = Vec::new();
    for position in (0..bitmap.len() * 8).filter(|position| bitmap[position / 8] & (1 << (position % 8)) != 0)
    {
        if position >= table.columns.len() {
            let what = format!("wal section of {kind}");
            return Err(StoreError::Incompatible {
                what,
                reason: format!("column {position} of a newer release"),
            });
        }
        fields.push(Arc::clone(table.batch_field(position)));
    }
    Ok(fields)
}

fn schema_of(fields: impl Iterator<Item = FieldRef>) -> SchemaRef {
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn flat_field(field: &FieldRef) -> FieldRef {
    match field.data_type() {
        DataType::Dictionary(keys, _) => {
            Arc::new(Field::new(field.name(), (**keys).clone(), field.is_nullable()))
        }
        _ => Arc::clone(field),
    }
}

fn values_field(values: &DataType) -> FieldRef {
    Arc::new(Field::new("values", values.clone(), true))
}

/// The batch with the keys of its dictionaries in their place.
fn flatten(batch: &RecordBatch) -> Result<RecordBatch, StoreError> {
    let column = |column: &ArrayRef| -> ArrayRef {
        match column.as_dictionary_opt::<Int32Type>() {
            Some(dictionary) => Arc::new(dictionary.keys().clone()),
            None => Arc::clone(column),
        }
    };
    let columns = batch.columns().iter().map(column).collect();
    let schema = schema_of(batch.schema_ref().fields().iter().map(flat_field));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

fn unflatten(keys: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef, StoreError> {
    let keys: &Int32Array = keys.as_primitive();
    Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys.clone(), Arc::clone(values))?))
}

fn single(values: &ArrayRef) -> Result<RecordBatch, StoreError> {
    let schema = schema_of(std::iter::once(values_field(values.data_type())));
    Ok(RecordBatch::try_new(schema, vec![Arc::clone(values)])?)
}

fn put_message(out: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), StoreError> {
    let options = IpcWriteOptions::try_new(8, false, arrow_ipc::MetadataVersion::V5)?;
    let (_, encoded) = IpcDataGenerator::default().encode(
        batch,
        &mut DictionaryTracker::new(false),
        &options,
        &mut IpcWriteContext::default(),
    )?;
    put_len32(out, encoded.ipc_message.len());
    put_len32(out, encoded.arrow_data.len());
    out.extend_from_slice(&encoded.ipc_message);
    out.extend_from_slice(&encoded.arrow_data);
    Ok(())
}

fn read_message(reader: &mut Reader<'_>, schema: &SchemaRef) -> Result<RecordBatch, StoreError> {
    let (message, data) = (reader.len32()?, reader.len32()?);
    let damaged = |reason: String| StoreError::damaged("wal section", reason);
    let message = arrow_ipc::root_as_message(reader.take(message)?).map_err(|e| damaged(e.to_string()))?;
    let batch = message.header_as_record_batch().ok_or_else(|| damaged("not a record batch".into()))?;
    let data = Buffer::from(reader.take(data)?);
    read_record_batch(&data, batch, Arc::clone(schema), &HashMap::new(), None, &message.version())
        .map_err(|error| damaged(error.to_string()))
}
