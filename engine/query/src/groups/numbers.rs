//! Numbers of numbers, of times and codes: 0 has who has none.

use arrow_array::Int64Array;
use arrow_buffer::NullBuffer;
use hashbrown::HashMap;

/// Values that are remembered; a power of two.
const RECENT: usize = 512;

/// A place where nothing is remembered.
const NONE: u32 = u32::MAX;

/// Distinct values, numbered as they come, from 1.
#[derive(Debug)]
pub(super) struct Numbers {
    numbers: HashMap<i64, u32>,
    values: Vec<i64>,
    recent: Box<[(i64, u32)]>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new(), recent: vec![(0, NONE); RECENT].into() }
    }
}

impl Numbers {
    /// Writes the number of each row's value.
    pub(super) fn number(&mut self, values: &[i64], nulls: Option<&NullBuffer>, out: &mut Vec<u32>) {
        out.clear();
        out.reserve(values.len());
        let (mut last_value, mut last) = (0, NONE);
        for (row, value) in values.iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                out.push(0);
                continue;
            }
            if *value != last_value || last == NONE {
                (last_value, last) = (*value, self.number_of(*value));
            }
            out.push(last);
        }
    }

    fn number_of(&mut self, value: i64) -> u32 {
        let slot = ((value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % RECENT;
        match self.recent[slot] {
            (known, number) if known == value && number != NONE => number,
            _ => {
                let new = self.values.len() as u32 + 1;
                let number = *self.numbers.entry(value).or_insert(new);
                if number == new {
                    self.values.push(value);
                }
                self.recent[slot] = (value, number);
                number
            }
        }
    }

    /// Numbers that were given are below this.
    pub(super) fn count(&self) -> usize {
        self.values.len() + 1
    }

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.numbers.capacity() * (size_of::<(i64, u32)>() + 1)
            + self.values.capacity() * size_of::<i64>()
            + RECENT * size_of::<(i64, u32)>()
    }

    /// The values of numbers.
    pub(super) fn array(&self, numbers: &[u32]) -> Int64Array {
        numbers.iter().map(|number| Some(self.values[number.checked_sub(1)? as usize])).collect()
    }
}
