//! Numbers, truth values and ids.

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, BooleanArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, Buffer, NullBufferBuilder};
use arrow_schema::ArrowError;

/// A column of fixed-width values.
pub(crate) struct Numbers<T> {
    values: Vec<T>,
    nulls: NullBufferBuilder,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl<T: Copy + Default> Numbers<T> {
    /// Whether `row` has a value.
    #[inline]
    pub(crate) fn has(&self, row: usize) -> bool {
        self.values.len() > row
    }

    /// Sets a row after all rows that are set.
    #[inline]
    pub(crate) fn set(&mut self, row: usize, value: T) {
        self.fill(row);
        self.values.push(value);
        self.nulls.append_non_null();
    }

    fn fill(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.values.len());
        if missing > 0 {
            self.values.resize(rows, T::default());
            self.nulls.append_n_nulls(missing);
        }
    }

    /// Sets the rows up to `end` that follow `start`.
    pub(crate) fn set_range(&mut self, start: usize, end: usize, value: T) {
        self.fill(start);
        self.nulls.append_n_non_nulls(end.saturating_sub(self.values.len()));
        self.values.resize(end, value);
    }

    /// Forgets `row` and all after it.
    pub(crate) fn truncate(&mut self, row: usize) {
        if self.values.len() > row {
            self.values.truncate(row);
            self.nulls.truncate(row);
        }
    }

    /// The column, or `None` if no row has a value.
    pub(crate) fn finish<P: ArrowPrimitiveType<Native = T>>(
        mut self,
        rows: usize,
    ) -> Result<Option<ArrayRef>, ArrowError>
    where
        T: ArrowNativeType,
    {
        if self.values.is_empty() {
            return Ok(None);
        }
        self.fill(rows);
        let array = PrimitiveArray::<P>::try_new(self.values.into(), self.nulls.finish())?;
        Ok(Some(super::array(array)))
    }
}

impl Numbers<bool> {
    /// The column, or `None` if no row has a value.
    pub(crate) fn finish_bool(mut self, rows: usize) -> Option<ArrayRef> {
        if self.values.is_empty() {
            return None;
        }
        self.fill(rows);
        Some(super::array(BooleanArray::new(self.values.into(), self.nulls.finish())))
    }
}

/// A column of ids of `N` bytes.
pub(crate) struct Ids<const N: usize>(Numbers<Id<N>>);

/// An id; a newtype because `[u8; N]` has no default for every `N`.
#[derive(Clone, Copy)]
struct Id<const N: usize>([u8; N]);

impl<const N: usize> Default for Id<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Default for Ids<N> {
    fn default() -> Self {
        Self(Numbers::default())
    }
}

impl<const N: usize> Ids<N> {
    /// Sets a row after all rows that are set.
    #[inline]
    pub(crate) fn set(&mut self, row: usize, id: [u8; N]) {
        self.0.set(row, Id(id));
    }

    /// Forgets `row` and all after it.
    pub(crate) fn truncate(&mut self, row: usize) {
        self.0.truncate(row);
    }

    /// The column, or `None` if no row has a value.
    pub(crate) fn finish(mut self, rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
        if self.0.values.is_empty() {
            return Ok(None);
        }
        self.0.fill(rows);
        let mut bytes = Vec::with_capacity(rows * N);
        for id in &self.0.values {
            bytes.extend_from_slice(&id.0);
        }
        let array = FixedSizeBinaryArray::try_new(N as i32, Buffer::from(bytes), self.0.nulls.finish())?;
        Ok(Some(super::array(array)))
    }
}
