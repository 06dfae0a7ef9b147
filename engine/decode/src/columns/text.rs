//! Text of which no two rows are expected to be the same.

use arrow_array::{ArrayRef, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

/// A column of text.
pub(crate) struct Texts {
    offsets: Vec<i32>,
    data: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Default for Texts {
    fn default() -> Self {
        Self { offsets: vec![0], data: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl Texts {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Bytes of all values.
    pub(crate) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Appends a value.
    #[inline]
    pub(crate) fn push(&mut self, text: &str) {
        self.data.extend_from_slice(text.as_bytes());
        self.close();
    }

    /// Appends a row without a value.
    pub(crate) fn push_null(&mut self) {
        self.offsets.push(self.data.len() as i32);
        self.nulls.append_null();
    }

    /// Where to write a value; [`Texts::close`] ends it. Only UTF-8 may be written.
    pub(crate) fn open(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// Ends the value that was written to [`Texts::open`].
    #[inline]
    pub(crate) fn close(&mut self) {
        self.offsets.push(self.data.len() as i32);
        self.nulls.append_non_null();
    }

    /// The value of a row.
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        &self.data[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// Forgets `row` and all after it, and what was written but not closed.
    pub(crate) fn truncate(&mut self, row: usize) {
        if self.len() > row {
            self.offsets.truncate(row + 1);
            self.nulls.truncate(row);
        }
        self.data.truncate(self.offsets.last().map_or(0, |end| *end as usize));
    }

    /// The column.
    pub(crate) fn finish(mut self) -> Result<StringArray, ArrowError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        StringArray::try_new(offsets, Buffer::from(self.data), self.nulls.finish())
    }

    /// The column, or `None` if no row has a value.
    pub(crate) fn finish_optional(self) -> Result<Option<ArrayRef>, ArrowError> {
        let array = self.finish()?;
        let none = arrow_array::Array::null_count(&array) == arrow_array::Array::len(&array);
        Ok((!none).then(|| super::array(array)))
    }
}
