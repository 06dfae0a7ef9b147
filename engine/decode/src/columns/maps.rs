//! Residual attributes: maps of text to JSON text.

use std::sync::Arc;

use arrow_array::{ArrayRef, MapArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use isinglass_model::tables::TEXT_MAP_ENTRIES;

use super::text::Texts;
use crate::item::Stop;
use crate::value::Any;

/// A map that is written once and repeated over many rows.
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) keys: Texts,
    pub(crate) values: Texts,
}

impl Entries {
    /// Adds an entry.
    pub(crate) fn push(&mut self, key: &str, value: Any<'_>) -> Result<(), Stop> {
        self.keys.push(key);
        value.write_json(self.values.open())?;
        self.values.close();
        Ok(())
    }

    /// Bytes that one more copy takes.
    pub(crate) fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes() + 8 * self.keys.len()
    }
}

/// A column of maps; an empty one is null.
#[derive(Default)]
pub(crate) struct Maps {
    /// End of each row that is closed.
    ends: Vec<i32>,
    keys: Texts,
    values: Texts,
}

impl Maps {
    /// Adds an entry to the row that is open and gives the bytes of its value.
    /// `key` is UTF-8 that was checked.
    pub(crate) fn push(&mut self, key: &[u8], value: Any<'_>) -> Result<usize, Stop> {
        self.keys.open().extend_from_slice(key);
        self.keys.close();
        let before = self.values.bytes();
        value.write_json(self.values.open())?;
        self.values.close();
        Ok(self.values.bytes() - before)
    }

    /// Adds a whole map to the row that is open.
    pub(crate) fn extend(&mut self, entries: &Entries) {
        for at in 0..entries.keys.len() {
            self.keys.open().extend_from_slice(entries.keys.get(at));
            self.keys.close();
            self.values.open().extend_from_slice(entries.values.get(at));
            self.values.close();
        }
    }

    fn closed(&self) -> i32 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Closes `row`, if anything was added to it.
    pub(crate) fn close_row(&mut self, row: usize) {
        let end = self.keys.len() as i32;
        if end > self.closed() {
            self.ends.resize(row, self.closed());
            self.ends.push(end);
        }
    }

    /// Forgets `row` and all after it, closed or not.
    pub(crate) fn truncate(&mut self, row: usize) {
        self.ends.truncate(row);
        let entries = self.closed() as usize;
        self.keys.truncate(entries);
        self.values.truncate(entries);
    }

    /// The column, or `None` if no row has an entry.
    pub(crate) fn finish(mut self, rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
        if self.keys.len() == 0 {
            return Ok(None);
        }
        self.ends.resize(rows, self.closed());
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let filled: NullBuffer = offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
        let nulls = (filled.null_count() > 0).then_some(filled);
        let DataType::Struct(fields) = TEXT_MAP_ENTRIES.data_type() else {
            return Err(ArrowError::SchemaError("entries of a map are no struct".into()));
        };
        let columns = vec![super::array(self.keys.finish()?), super::array(self.values.finish()?)];
        let entries = StructArray::try_new(fields.clone(), columns, None)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let map = MapArray::try_new(Arc::clone(&TEXT_MAP_ENTRIES), offsets, entries, nulls, false)?;
        Ok(Some(super::array(map)))
    }
}
