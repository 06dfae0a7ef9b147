//! Whether two rows are the same in all columns.
//!
//! Rows with one key may be far apart: all those of one input come before those
//! of the next. So what is kept of a row is a fingerprint of 128 bits with keys
//! that nobody knows, over an encoding in which different rows differ: floats by
//! their bits, nulls apart from empty values, texts with their lengths.

use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::batch::Batch;

/// Makes fingerprints that compare with one another.
#[derive(Debug)]
pub(super) struct Fingerprints {
    keys: [RandomState; 2],
    encoded: Vec<u8>,
}

impl Fingerprints {
    pub(super) fn new() -> Self {
        Self { keys: [RandomState::new(), RandomState::new()], encoded: Vec::new() }
    }

    /// Of a row; a column that a file lacks is a column of nulls.
    pub(super) fn of(&mut self, batch: &Batch, row: usize) -> Result<u128, String> {
        self.encoded.clear();
        for column in batch.columns() {
            match column {
                Some(array) => encode(array, row, &mut self.encoded)?,
                None => self.encoded.push(NULL),
            }
        }
        let [high, low] = self.keys.each_ref().map(|key| key.hash_one(self.encoded.as_slice()));
        Ok(u128::from(high) << 64 | u128::from(low))
    }
}

/// What stands for a null, and for a column that is not there.
pub(crate) const NULL: u8 = 0;
const VALUE: u8 = 1;

/// Appends a value of a column, the same bytes for its type in files and in memory.
pub(crate) fn encode(array: &ArrayRef, row: usize, into: &mut Vec<u8>) -> Result<(), String> {
    if array.is_null(row) {
        into.push(NULL);
        return Ok(());
    }
    into.push(VALUE);
    match array.data_type() {
        DataType::Boolean => into.push(u8::from(array.as_boolean().value(row))),
        DataType::Int16 => into.extend(array.as_primitive::<Int16Type>().value(row).to_le_bytes()),
        DataType::Int32 => into.extend(array.as_primitive::<Int32Type>().value(row).to_le_bytes()),
        DataType::Date32 => into.extend(array.as_primitive::<Date32Type>().value(row).to_le_bytes()),
        DataType::Int64 => into.extend(array.as_primitive::<Int64Type>().value(row).to_le_bytes()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            into.extend(array.as_primitive::<TimestampMicrosecondType>().value(row).to_le_bytes());
        }
        DataType::Float64 => {
            into.extend(array.as_primitive::<Float64Type>().value(row).to_bits().to_le_bytes());
        }
        DataType::Utf8 => bytes(array.as_string::<i32>().value(row).as_bytes(), into),
        DataType::Binary => bytes(array.as_binary::<i32>().value(row), into),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().value(row), into),
        DataType::Dictionary(..) => {
            let array =
                array.as_dictionary_opt::<Int32Type>().ok_or("keys of a dictionary are no INTEGER")?;
            let (keys, values) = (array.keys(), array.values().as_string::<i32>());
            let key = usize::try_from(keys.value(row)).map_err(|_| "a key of a dictionary is negative")?;
            bytes(values.value(key).as_bytes(), into);
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            items(&[list.values()], offsets[row]..offsets[row + 1], into)?;
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let offsets = map.value_offsets();
            items(&[map.keys(), map.values()], offsets[row]..offsets[row + 1], into)?;
        }
        DataType::Struct(_) => {
            for column in array.as_struct().columns() {
                encode(column, row, into)?;
            }
        }
        other => return Err(format!("rows cannot be compared by {other}")),
    }
    Ok(())
}

fn bytes(value: &[u8], into: &mut Vec<u8>) {
    into.extend((value.len() as u64).to_le_bytes());
    into.extend_from_slice(value);
}

fn items(arrays: &[&ArrayRef], range: std::ops::Range<i32>, into: &mut Vec<u8>) -> Result<(), String> {
    into.extend((range.len() as u64).to_le_bytes());
    for item in range {
        for array in arrays {
            encode(array, item.unsigned_abs() as usize, into)?;
        }
    }
    Ok(())
}
