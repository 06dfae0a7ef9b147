//! Columns of some rows of a batch.

use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, ScalarBuffer};

use super::{Data, Prepared, SMALL_DICTIONARY_BYTES, compact};

fn gather<T: ArrowNativeType>(values: &ScalarBuffer<T>, at: &[u32]) -> ScalarBuffer<T> {
    at.iter().map(|at| values[*at as usize]).collect()
}

impl Prepared {
    /// The column of these rows of the batch, which ascend. Large dictionaries keep only the
    /// values that these use.
    pub(crate) fn take(&self, rows: &[u32]) -> Self {
        let Some(offsets) = &self.entries else { return self.of_entries(rows) };
        let range = |row: &u32| offsets[*row as usize] as u32..offsets[*row as usize + 1] as u32;
        let entries: Vec<u32> = rows.iter().flat_map(range).collect();
        Self { entries: Some(lengths_of(offsets, rows)), ..self.of_entries(&entries) }
    }

    fn of_entries(&self, at: &[u32]) -> Self {
        let data = match &self.data {
            Data::Bytes(values) => Data::Bytes(gather(values, at)),
            Data::U32(values) => Data::U32(gather(values, at)),
            Data::I64(values) => Data::I64(gather(values, at)),
            Data::F64(values) => Data::F64(gather(values, at)),
            Data::Fixed { width, data } => {
                let wide = *width as usize;
                let mut bytes = Vec::with_capacity(at.len() * wide);
                at.iter().for_each(|at| bytes.extend_from_slice(&data[*at as usize * wide..][..wide]));
                Data::Fixed { width: *width, data: Buffer::from_vec(bytes) }
            }
            Data::Text(text) => Data::Text(text.gather(at)),
            Data::Offsets(offsets) => Data::Offsets(lengths_of(offsets, at)),
            Data::Dictionary { keys, values } => {
                let keys = gather(keys, at);
                match values.bytes() > SMALL_DICTIONARY_BYTES {
                    true => compact(&keys, values),
                    false => Data::Dictionary { keys, values: values.clone() },
                }
            }
        };
        let valid = |bits: &Buffer| {
            let bit = |at: &u32| bits[*at as usize / 8] >> (at % 8) & 1 == 1;
            at.iter().map(bit).collect::<BooleanBuffer>().into_inner()
        };
        Self { data, validity: self.validity.as_ref().map(valid), entries: None }
    }
}

/// Offsets that give these rows entries of their own, one row's behind the other's.
fn lengths_of(offsets: &ScalarBuffer<i32>, rows: &[u32]) -> ScalarBuffer<i32> {
    let mut end = 0;
    let ends = rows.iter().map(|row| {
        // No more than all of them.
        end += offsets[*row as usize + 1] - offsets[*row as usize];
        end
    });
    std::iter::once(0).chain(ends).collect()
}
