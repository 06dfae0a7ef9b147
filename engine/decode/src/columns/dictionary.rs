//! Dictionary columns, built while reading.

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use hashbrown::HashTable;
use isinglass_model::columns::TextBuffers;

/// The key of a row without a value.
const NULL: i32 = -1;

/// Distinct texts, each with the number it was first seen under.
pub(crate) struct Interner {
    offsets: Vec<i32>,
    data: Vec<u8>,
    table: HashTable<i32>,
    hasher: ahash::RandomState,
    last: i32,
}

/// Bytes that are not UTF-8.
#[derive(Debug)]
pub(crate) struct NotUtf8;

impl Default for Interner {
    fn default() -> Self {
        let hasher = ahash::RandomState::new();
        Self { offsets: vec![0], data: Vec::new(), table: HashTable::new(), hasher, last: NULL }
    }
}

impl Interner {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    #[inline]
    pub(crate) fn get(&self, key: i32) -> &[u8] {
        let at = key as usize;
        &self.data[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    /// The number of a text. UTF-8 is checked only when a text is new: one that
    /// is equal to a checked one is as good.
    #[inline]
    pub(crate) fn intern(&mut self, text: &[u8]) -> Result<i32, NotUtf8> {
        if self.last != NULL && self.get(self.last) == text {
            return Ok(self.last);
        }
        self.intern_hashed(text)
    }

    fn intern_hashed(&mut self, text: &[u8]) -> Result<i32, NotUtf8> {
        let hash = self.hasher.hash_one(text);
        let Self { offsets, data, table, hasher, .. } = self;
        let value = |key: i32| &data[offsets[key as usize] as usize..offsets[key as usize + 1] as usize];
        if let Some(key) = table.find(hash, |key| value(*key) == text) {
            self.last = *key;
            return Ok(*key);
        }
        simdutf8::basic::from_utf8(text).map_err(|_| NotUtf8)?;
        let key = (offsets.len() - 1) as i32;
        table.insert_unique(hash, key, |key| hasher.hash_one(value(*key)));
        data.extend_from_slice(text);
        offsets.push(data.len() as i32);
        self.last = key;
        Ok(key)
    }

    /// The texts in the order of their numbers.
    pub(crate) fn finish(self) -> TextBuffers {
        TextBuffers { offsets: ScalarBuffer::from(self.offsets), data: Buffer::from(self.data) }
    }
}

/// A column of [`Interner`] keys.
#[derive(Default)]
pub(crate) struct Dictionary {
    keys: Vec<i32>,
    values: Interner,
}

impl Dictionary {
    /// The key of a text.
    #[inline]
    pub(crate) fn intern(&mut self, text: &[u8]) -> Result<i32, NotUtf8> {
        self.values.intern(text)
    }

    /// The text of a key.
    pub(crate) fn value(&self, key: i32) -> &[u8] {
        self.values.get(key)
    }

    /// Distinct values so far.
    pub(crate) fn values(&self) -> usize {
        self.values.len()
    }

    /// Whether `row` has a value.
    #[inline]
    pub(crate) fn has(&self, row: usize) -> bool {
        self.keys.len() > row
    }

    /// Sets a row after all rows that are set.
    #[inline]
    pub(crate) fn set(&mut self, row: usize, key: i32) {
        if self.keys.len() < row {
            self.keys.resize(row, NULL);
        }
        self.keys.push(key);
    }

    /// Sets the rows up to `end` that follow `start`.
    pub(crate) fn set_range(&mut self, start: usize, end: usize, key: i32) {
        self.keys.resize(start, NULL);
        self.keys.resize(end, key);
    }

    /// Forgets `row` and all after it.
    pub(crate) fn truncate(&mut self, row: usize) {
        self.keys.truncate(row);
    }

    pub(crate) fn finish(mut self, rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
        if self.keys.iter().all(|key| *key == NULL) {
            return Ok(None);
        }
        self.keys.resize(rows, NULL);
        let nulls: Option<NullBuffer> =
            self.keys.contains(&NULL).then(|| self.keys.iter().map(|key| *key != NULL).collect());
        if nulls.is_some() {
            // What a null row points to has no meaning, but has to exist.
            self.keys.iter_mut().for_each(|key| *key = (*key).max(0));
        }
        let text = self.values.finish();
        let values = StringArray::try_new(OffsetBuffer::new(text.offsets), text.data, None)?;
        let keys = Int32Array::try_new(self.keys.into(), nulls)?;
        Ok(Some(super::array(DictionaryArray::<Int32Type>::try_new(keys, super::array(values))?)))
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    use super::*;

    #[test]
    fn rows_without_a_value_are_null() {
        let mut column = Dictionary::default();
        let a = column.intern(b"a").unwrap();
        let b = column.intern(b"b").unwrap();
        column.set(1, a);
        column.set_range(3, 5, b);
        assert_eq!(column.intern(b"a").unwrap(), a);
        column.set(5, a);
        column.truncate(5);
        let array = column.finish(7).unwrap().unwrap();
        let array = array.as_dictionary::<Int32Type>();
        let values = array.values().as_string::<i32>();
        let rows: Vec<_> = array.keys().iter().map(|key| key.map(|key| values.value(key as usize))).collect();
        assert_eq!(rows, [None, Some("a"), None, Some("b"), Some("b"), None, None]);
        assert_eq!(array.null_count(), 4);
    }

    #[test]
    fn a_column_without_values_is_absent() {
        let mut column = Dictionary::default();
        let key = column.intern(b"a").unwrap();
        column.set(0, key);
        column.truncate(0);
        assert!(column.finish(3).unwrap().is_none());
        assert!(Dictionary::default().intern(b"\xff").is_err());
    }
}
