//! What a call holds on the side of the host, charged to who pays for it.

use std::sync::Arc;

use isinglass_model::columns::{Column, ColumnData, TextBuffers};
use isinglass_model::functions::CallMemory;

/// Bytes that are charged for as long as this lives.
pub(super) struct Held<'a> {
    payer: Option<&'a Arc<dyn CallMemory>>,
    bytes: usize,
}

impl<'a> Held<'a> {
    pub(super) fn new(payer: Option<&'a Arc<dyn CallMemory>>) -> Self {
        Self { payer, bytes: 0 }
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        if let Some(payer) = self.payer {
            payer.take(bytes)?;
            self.bytes += bytes;
        }
        Ok(())
    }

    /// As much once more.
    pub(super) fn double(&mut self) -> Result<(), String> {
        self.take(self.bytes)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(payer) = self.payer {
            payer.give(self.bytes);
        }
    }
}

pub(super) fn text_bytes(text: &TextBuffers) -> usize {
    text.data.len() + 4 * text.offsets.len()
}

/// Of a column that a plugin gave.
pub(super) fn bytes_of(column: &Column) -> usize {
    match &column.data {
        ColumnData::U8(values) => values.len(),
        ColumnData::U32(values) => 4 * values.len(),
        ColumnData::I64(values) => 8 * values.len(),
        ColumnData::F64(values) => 8 * values.len(),
        ColumnData::Fixed { data, .. } => data.len(),
        ColumnData::Text(text) => text_bytes(text),
        ColumnData::Dictionary { keys, values } => 4 * keys.len() + text_bytes(values),
        ColumnData::Offsets(offsets) => 4 * offsets.len(),
    }
}
