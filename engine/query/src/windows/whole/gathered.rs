//! Batches that are kept, and become one.

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use datafusion::common::Result;
use datafusion::common::utils::memory::{RecordBatchMemoryCounter, get_record_batch_memory_size};
use datafusion::execution::memory_pool::MemoryReservation;

use crate::windows::size::copied;

/// The batches column by column, each charged when it comes.
pub(super) struct Gathered {
    schema: SchemaRef,
    rows: usize,
    columns: Vec<Column>,
    /// Batches may share buffers, which are there once.
    counter: RecordBatchMemoryCounter,
}

#[derive(Default)]
struct Column {
    parts: Vec<ArrayRef>,
    bytes: usize,
}

impl Gathered {
    pub(super) fn new(schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|_| Column::default()).collect();
        Self { schema, rows: 0, columns, counter: RecordBatchMemoryCounter::new() }
    }

    pub(super) fn push(&mut self, batch: &RecordBatch, reservation: &MemoryReservation) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows();
        for (at, column) in self.columns.iter_mut().enumerate() {
            let bytes = self.counter.count_batch(&batch.project(&[at])?);
            reservation.try_grow(bytes)?;
            column.bytes += bytes;
            column.parts.push(ArrayRef::clone(batch.column(at)));
        }
        Ok(())
    }

    /// All rows. Of what came only what the answer shares stays.
    pub(super) fn into_one(self, reservation: &MemoryReservation) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        if self.rows == 0 {
            return Ok(RecordBatch::new_empty(self.schema));
        }
        let columns = self.columns.into_iter().map(|column| concat(column.parts, column.bytes, reservation));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new_with_options(self.schema, columns, &options)?)
    }
}

/// One array of several, for which so many bytes are reserved; what the one takes is reserved then.
pub(super) fn concat(
    parts: Vec<ArrayRef>,
    bytes: usize,
    reservation: &MemoryReservation,
) -> Result<ArrayRef> {
    if let [one] = parts.as_slice() {
        return Ok(ArrayRef::clone(one));
    }
    let copy: usize = parts.iter().map(|part| copied(part)).sum();
    reservation.try_grow(copy)?;
    let arrays: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let one = arrow_select::concat::concat(&arrays)?;
    drop(parts);
    let taken = get_record_batch_memory_size(&RecordBatch::try_from_iter([("", ArrayRef::clone(&one))])?);
    let others = reservation.size().saturating_sub(copy + bytes);
    reservation.try_resize(others + taken)?;
    Ok(one)
}
