//! The attributes of a batch as validators want them.

use arrow_buffer::ScalarBuffer;

use crate::columns::{Column, ColumnData, Encoding, TextBuffers};

/// Every attribute of every item of a batch (the item's own, not its resource's),
/// promoted or not: which key, how long a value. Decode fills it while it reads;
/// it lives until the validators have run and is not stored.
///
/// Columns: `attr.offsets`, `attr.key` (dictionary), `attr.value` (lengths only).
#[derive(Debug, Clone)]
pub struct AttributeIndex {
    /// `rows + 1` offsets into the other columns.
    pub offsets: ScalarBuffer<i32>,
    /// Key of each attribute.
    pub keys: ScalarBuffer<i32>,
    /// The distinct keys.
    pub key_values: TextBuffers,
    /// Bytes of each value: of a string itself, of anything else as JSON text.
    pub value_lengths: ScalarBuffer<u32>,
}

impl AttributeIndex {
    pub(crate) fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        let data = match (name, encoding) {
            ("attr.offsets", _) => ColumnData::Offsets(self.offsets.clone()),
            ("attr.key", Encoding::Dictionary) => {
                ColumnData::Dictionary { keys: self.keys.clone(), values: self.key_values.clone() }
            }
            ("attr.value", Encoding::Lengths) => ColumnData::U32(self.value_lengths.clone()),
            _ => return None,
        };
        Some(Column::new(data))
    }
}
