//! Log records and spans from JSON text, as [`crate::refused::row_text`] writes it.

use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_json::ReaderBuilder;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use isinglass_model::Kind;
use isinglass_model::tables::{Column, Table, Type, batch_type};
use serde_json::Value;

/// Whether it is a row of the table: it has all columns that must be there, and no other ones.
pub(super) fn is_usable(kind: Kind, row: &Value) -> bool {
    let (table, Some(cells)) = (Table::of(kind), row.as_object()) else { return false };
    let mut required = table.columns.iter().filter(|column| !column.nullable);
    let whole = required.all(|column| cells.contains_key(column.name));
    whole && cells.keys().all(|name| table.position(name).is_some()) && read(kind, &[row]).is_ok()
}

/// Rows in batch types; columns that are in none of them are left out.
pub(super) fn read(kind: Kind, rows: &[&Value]) -> Result<RecordBatch, ArrowError> {
    let table = Table::of(kind);
    let there = |column: &&Column| rows.iter().any(|row| row.get(column.name).is_some());
    let columns: Vec<&Column> = table.columns.iter().filter(there).collect();
    let fields: Vec<_> = columns
        .iter()
        .map(|column| Field::new(column.name, as_written(&column.ty), column.nullable))
        .collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields))).with_batch_size(rows.len().max(1));
    let mut decoder = reader.build_decoder()?;
    decoder.serialize(rows)?;
    let batch = decoder.flush()?.ok_or_else(|| ArrowError::JsonError("no row".to_owned()))?;
    let arrays = columns.iter().zip(batch.columns()).map(|(column, array)| match column.ty {
        Type::Dictionary => dictionary(array),
        _ => Ok(Arc::clone(array)),
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let position = |column: &Column| table.position(column.name).unwrap_or_default();
    let fields: Vec<_> =
        columns.iter().map(|column| Arc::clone(table.batch_field(position(column)))).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

/// A dictionary is written as its texts.
fn as_written(ty: &Type) -> DataType {
    match ty {
        Type::Dictionary => DataType::Utf8,
        other => batch_type(other),
    }
}

fn dictionary(texts: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for text in texts.as_string::<i32>() {
        match text {
            Some(text) => {
                builder.append(text)?;
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}
