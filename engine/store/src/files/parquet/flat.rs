//! The values of a column over all batches, end to end.

use arrow_array::{Array, ArrowPrimitiveType, FixedSizeBinaryArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer};

use super::order::Pick;

/// Where the rows of each batch begin.
#[derive(Debug)]
pub(super) struct Starts(Vec<usize>);

impl Starts {
    pub(super) fn of(rows: &[usize]) -> Self {
        let mut next = 0;
        let start = |rows: &usize| {
            next += rows;
            next - rows
        };
        Self(rows.iter().map(start).collect())
    }

    #[inline]
    pub(super) fn row(&self, pick: &Pick) -> usize {
        self.0[pick.batch as usize] + pick.row as usize
    }
}

/// Which rows of a column are there; `None` if all are.
#[derive(Debug)]
pub(super) struct Valid(Option<BooleanBuffer>);

impl Valid {
    /// `None` stands for a batch without the column.
    pub(super) fn of<T: Array>(arrays: &[Option<&T>], rows: &[usize]) -> Self {
        if arrays
            .iter()
            .zip(rows)
            .all(|(array, rows)| *rows == 0 || array.is_some_and(|array| array.null_count() == 0))
        {
            return Self(None);
        }
        let mut valid = BooleanBufferBuilder::new(rows.iter().sum());
        for (array, rows) in arrays.iter().zip(rows) {
            match array.map(|array| array.nulls()) {
                None => valid.append_n(*rows, false),
                Some(None) => valid.append_n(*rows, true),
                Some(Some(nulls)) => valid.append_buffer(nulls.inner()),
            }
        }
        Self(Some(valid.finish()))
    }

    pub(super) fn pick(&self, starts: &Starts, picks: &[Pick]) -> Option<NullBuffer> {
        let valid = self.0.as_ref()?;
        let picked = BooleanBuffer::collect_bool(picks.len(), |at| valid.value(starts.row(&picks[at])));
        Some(NullBuffer::new(picked)).filter(|nulls| nulls.null_count() > 0)
    }
}

/// Numbers.
#[derive(Debug)]
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    valid: Valid,
    starts: Starts,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub(super) fn of(arrays: &[Option<&PrimitiveArray<T>>], rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.iter().sum());
        for (array, rows) in arrays.iter().zip(rows) {
            match array {
                Some(array) => values.extend_from_slice(array.values()),
                None => values.resize(values.len() + rows, T::Native::default()),
            }
        }
        Self { values, valid: Valid::of(arrays, rows), starts: Starts::of(rows) }
    }

    /// Values made from others that stand at the same rows.
    pub(super) fn map(self, mut f: impl FnMut(usize, T::Native) -> T::Native) -> Self {
        let mut values = self.values;
        // The last batch that begins at or before a row holds it.
        let ends = self.starts.0.iter().copied().skip(1).chain([values.len()]);
        for (batch, (start, end)) in self.starts.0.iter().copied().zip(ends).enumerate() {
            values[start..end].iter_mut().for_each(|value| *value = f(batch, *value));
        }
        Self { values, ..self }
    }

    pub(super) fn pick(&self, picks: &[Pick]) -> PrimitiveArray<T> {
        let values: Vec<T::Native> = picks.iter().map(|pick| self.values[self.starts.row(pick)]).collect();
        PrimitiveArray::new(values.into(), self.valid.pick(&self.starts, picks))
    }
}

/// Ids of a fixed width.
#[derive(Debug)]
pub(super) struct Ids {
    width: usize,
    bytes: Vec<u8>,
    valid: Valid,
    starts: Starts,
}

impl Ids {
    pub(super) fn of(width: usize, arrays: &[Option<&FixedSizeBinaryArray>], rows: &[usize]) -> Self {
        let mut bytes = Vec::with_capacity(width * rows.iter().sum::<usize>());
        for (array, rows) in arrays.iter().zip(rows) {
            let end = bytes.len() + width * rows;
            if let Some(array) = array {
                let from = array.offset() * width;
                bytes.extend_from_slice(&array.values()[from..from + array.len() * width]);
            }
            bytes.resize(end, 0);
        }
        Self { width, bytes, valid: Valid::of(arrays, rows), starts: Starts::of(rows) }
    }

    /// The ends and bytes of the picked ids, and which of them are there.
    pub(super) fn pick(&self, picks: &[Pick]) -> (Vec<i32>, Vec<u8>, Option<NullBuffer>) {
        let valid = self.valid.pick(&self.starts, picks);
        let mut ends = Vec::with_capacity(picks.len() + 1);
        let mut bytes = Vec::with_capacity(picks.len() * self.width);
        ends.push(0);
        for (at, pick) in picks.iter().enumerate() {
            if valid.as_ref().is_none_or(|valid| valid.is_valid(at)) {
                let from = self.starts.row(pick) * self.width;
                bytes.extend_from_slice(&self.bytes[from..from + self.width]);
            }
            // At most 16 bytes for each of the rows of a chunk.
            ends.push(bytes.len() as i32);
        }
        (ends, bytes, valid)
    }
}
