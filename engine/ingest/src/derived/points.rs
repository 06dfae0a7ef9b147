//! Rows that exemplars point to.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, FixedSizeBinaryArray, PrimitiveArray, RecordBatch};

use super::counters::Exemplar;

/// The rows of batches, one behind the other, as exemplars: at the span's start or the record's time,
/// with its ids. A log record without them is none.
pub(crate) struct Points<'a> {
    batches: Vec<Batch<'a>>,
}

struct Batch<'a> {
    /// Rows before it.
    from: usize,
    columns: Option<Columns<'a>>,
}

struct Columns<'a> {
    time: &'a PrimitiveArray<Int64Type>,
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
}

impl<'a> Points<'a> {
    pub(crate) fn of(batches: &'a [RecordBatch]) -> Self {
        let mut from = 0;
        let mut all = Vec::with_capacity(batches.len());
        for batch in batches {
            all.push(Batch { from, columns: Columns::of(batch) });
            from += batch.num_rows();
        }
        Self { batches: all }
    }

    pub(crate) fn at(&self, row: u32, value: f64) -> Option<Exemplar> {
        let row = row as usize;
        let behind = self.batches.partition_point(|batch| batch.from <= row);
        let batch = self.batches.get(behind.checked_sub(1)?)?;
        batch.columns.as_ref()?.at(row - batch.from, value)
    }
}

impl<'a> Columns<'a> {
    fn of(rows: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            time: rows.column_by_name("time")?.as_primitive_opt()?,
            trace_id: rows.column_by_name("trace_id")?.as_fixed_size_binary_opt()?,
            span_id: rows.column_by_name("span_id")?.as_fixed_size_binary_opt()?,
        })
    }

    fn at(&self, row: usize, value: f64) -> Option<Exemplar> {
        let Self { time, trace_id, span_id } = self;
        (row < time.len() && trace_id.is_valid(row) && span_id.is_valid(row)).then_some(())?;
        Some(Exemplar {
            value,
            time_ms: time.value(row).div_euclid(1_000_000),
            trace_id: trace_id.value(row).try_into().ok()?,
            span_id: span_id.value(row).try_into().ok()?,
        })
    }
}
