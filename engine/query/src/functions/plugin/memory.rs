//! The memory of a query, charged for what calls of plugins hold.

use std::sync::Arc;

use arrow_buffer::Buffer;
use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use isinglass_model::columns::{Column, ColumnData};
use isinglass_model::functions::CallMemory;

/// A result that is smaller is charged only while it is made: batches that are on their way
/// through a plan are charged to nobody, and this is not much of one.
const LARGE_BYTES: usize = 256 << 10;

/// What all calls of one query hold.
#[derive(Debug)]
pub(super) struct QueryMemory(MemoryReservation);

impl QueryMemory {
    pub(super) fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        Self(MemoryConsumer::new("a function of a plugin").register(pool))
    }

    /// Charges so many bytes for as long as the answer lives.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held> {
        self.0.try_grow(bytes)?;
        Ok(Held { memory: Arc::clone(self), bytes })
    }

    /// The same column, charged until nobody has its text any more.
    pub(super) fn keep(self: &Arc<Self>, column: Column) -> Result<Column> {
        let Column { data, validity } = column;
        let data = match data {
            ColumnData::Text(mut text) if text.data.len() >= LARGE_BYTES => {
                let held = self.hold(text.data.len() + 4 * text.offsets.len())?;
                text.data = Buffer::from(Bytes::from_owner(Kept { data: text.data, _held: held }));
                ColumnData::Text(text)
            }
            data => data,
        };
        Ok(Column { data, validity })
    }
}

impl CallMemory for QueryMemory {
    fn take(&self, bytes: usize) -> Result<(), String> {
        self.0.try_grow(bytes).map_err(|error| match error {
            DataFusionError::ResourcesExhausted(message) => message,
            other => other.to_string(),
        })
    }

    fn give(&self, bytes: usize) {
        self.0.shrink(bytes);
    }
}

/// Bytes that are charged for as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    memory: Arc<QueryMemory>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.give(self.bytes);
    }
}

struct Kept {
    data: Buffer,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}
