//! A run of rows of any kind but samples: a record batch with its time range.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::{DataType, FieldRef, Schema, TimeUnit};
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use crate::StoreError;

/// Rows in the batch types of their table, columns in the order of the table.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) batch: RecordBatch,
    /// Smallest and largest time, in the unit of the file.
    pub(crate) time: (i64, i64),
    pub(crate) bytes: usize,
}

impl Rows {
    /// Checks that every column is one of the table, of its batch type.
    pub(crate) fn new(kind: Kind, batch: RecordBatch) -> Result<Self, StoreError> {
        let table = Table::of(kind);
        let mut columns: Vec<(usize, ArrayRef)> = Vec::with_capacity(batch.num_columns());
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let position = table.position(field.name()).ok_or_else(|| {
                StoreError::Internal(format!("a batch of {kind} has the unknown column {}", field.name()))
            })?;
            let wanted = table.batch_field(position).data_type();
            if array.data_type() != wanted {
                let got = array.data_type();
                return Err(StoreError::Internal(format!("{kind}.{} is {got}, not {wanted}", field.name())));
            }
            columns.push((position, Arc::clone(array)));
        }
        columns.sort_by_key(|(position, _)| *position);
        let fields: Vec<FieldRef> =
            columns.iter().map(|(position, _)| Arc::clone(table.batch_field(*position))).collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        let time = batch.column_by_name(table.time).and_then(time_range).unwrap_or((i64::MIN, i64::MAX));
        let bytes = memory_of(&batch);
        Ok(Self { batch, time, bytes })
    }

    /// One batch of several: the union of their columns, null where absent.
    pub(crate) fn concat(kind: Kind, runs: &[&Self]) -> Result<Self, StoreError> {
        let table = Table::of(kind);
        let present = |position: &usize| {
            let name = table.columns[*position].name;
            runs.iter().any(|run| run.batch.schema_ref().column_with_name(name).is_some())
        };
        let positions: Vec<usize> = (0..table.columns.len()).filter(present).collect();
        let fields: Vec<FieldRef> = positions.iter().map(|p| Arc::clone(table.batch_field(*p))).collect();
        let schema = Arc::new(Schema::new(fields));
        let aligned: Vec<RecordBatch> =
            runs.iter().map(|run| align(&run.batch, &schema)).collect::<Result<_, _>>()?;
        Self::new(kind, arrow_select::concat::concat_batches(&schema, &aligned)?)
    }
}

fn align(batch: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, StoreError> {
    let column = |field: &FieldRef| {
        batch
            .column_by_name(field.name())
            .map_or_else(|| new_null_array(field.data_type(), batch.num_rows()), Arc::clone)
    };
    let columns = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// Memory that a batch takes. All columns of one that was read from the log share a buffer,
/// which counts once.
fn memory_of(batch: &RecordBatch) -> usize {
    let mut seen = HashSet::new();
    let mut add = |buffer: &Buffer| if seen.insert(buffer.data_ptr()) { buffer.capacity() } else { 0 };
    let mut rest: Vec<ArrayData> = batch.columns().iter().map(Array::to_data).collect();
    let mut bytes = 0;
    while let Some(data) = rest.pop() {
        bytes += size_of::<ArrayData>() + data.buffers().iter().map(&mut add).sum::<usize>();
        bytes += data.nulls().map_or(0, |nulls| add(nulls.buffer()));
        rest.extend(data.child_data().iter().cloned());
    }
    bytes
}

/// Smallest and largest value of a time column.
fn time_range(column: &ArrayRef) -> Option<(i64, i64)> {
    let range = |values: &[i64]| Some((*values.iter().min()?, *values.iter().max()?));
    match column.data_type() {
        DataType::Int64 => range(column.as_primitive::<Int64Type>().values()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            range(column.as_primitive::<TimestampMicrosecondType>().values())
        }
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().values();
            Some((i64::from(*days.iter().min()?), i64::from(*days.iter().max()?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;

    use super::*;

    #[test]
    fn a_buffer_that_columns_share_counts_once() {
        let shared = Buffer::from(vec![7_u8; 80_000]);
        let column = |at: usize| -> ArrayRef {
            let part = shared.slice_with_length(at * 40_000, 40_000);
            Arc::new(Int64Array::new(part.into(), None))
        };
        let batch = RecordBatch::try_from_iter([("a", column(0)), ("b", column(1))]).unwrap();
        assert!((80_000..82_000).contains(&memory_of(&batch)), "{}", memory_of(&batch));
    }
}
