//! Bytes of arrays.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

/// What a copy of an array takes: of texts that are views only the views, of dictionaries only the
/// keys.
pub(super) fn copied(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View | DataType::BinaryView => array.len() * size_of::<u128>() + nulls(array),
        DataType::Dictionary(..) => copied(array.as_any_dictionary().keys()),
        _ => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()),
    }
}

fn nulls(array: &dyn Array) -> usize {
    array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8))
}

/// What views refer to.
fn viewed(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => array.as_binary_view().total_buffer_bytes_used(),
        _ => 0,
    }
}

/// Rows as whoever keeps them has them: what is there once for each copy, and what copies share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) copied: usize,
    pub(super) shared: usize,
}

impl Size {
    pub(super) fn of(batch: &RecordBatch) -> Self {
        let columns = || batch.columns().iter().map(AsRef::as_ref);
        Self { copied: columns().map(copied).sum(), shared: columns().map(viewed).sum() }
    }

    pub(super) fn times(self, copies: usize) -> usize {
        self.copied * copies + self.shared
    }
}
