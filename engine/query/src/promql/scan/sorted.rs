//! Unflushed rows in the order of files.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::common::Result;

use super::cursor::Keys;

/// The rows by (metric_id, series_id, time); those with one key stay in the order in which they
/// were accepted.
pub(super) fn sorted(batch: RecordBatch) -> Result<RecordBatch> {
    let keys = Keys::of(&batch)?;
    let key = |row: usize| (keys.key(row), keys.time(row));
    if (1..batch.num_rows()).all(|row| key(row - 1) <= key(row)) {
        return Ok(batch);
    }
    let mut rows: Vec<u32> = (0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX)).collect();
    rows.sort_by_key(|row| key(*row as usize));
    Ok(take_record_batch(&batch, &UInt32Array::from(rows))?)
}

/// A column, if the batch has it and it is not null throughout.
pub(in crate::promql) fn known(batch: &RecordBatch, name: &str) -> Option<ArrayRef> {
    batch.column_by_name(name).filter(|column| column.null_count() < column.len()).map(Arc::clone)
}
