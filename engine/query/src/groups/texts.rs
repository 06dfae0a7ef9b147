//! Numbers of texts: 0 has who has none.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::{Array, ArrayRef, StringViewArray};
use datafusion::common::hash_utils::RandomState;
use hashbrown::HashTable;

/// Views that are remembered; a power of two.
const RECENT: usize = 512;

/// A place where nothing is remembered.
const NONE: u32 = u32::MAX;

/// Distinct texts, numbered as they come, from 1.
#[derive(Debug)]
pub(super) struct Texts {
    numbers: HashTable<u32>,
    hasher: RandomState,
    /// All texts, one behind the other, and where each of them ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// By a hash of the view of a text: what its number is. Views of long texts mean something in
    /// one array only.
    recent: Box<[(u128, u32)]>,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            numbers: HashTable::new(),
            hasher: RandomState::default(),
            bytes: Vec::new(),
            ends: Vec::new(),
            recent: vec![(0, NONE); RECENT].into(),
        }
    }
}

impl Texts {
    /// Writes the number of each row's text.
    pub(super) fn number(&mut self, array: &StringViewArray, out: &mut Vec<u32>) {
        self.recent.fill((0, NONE));
        let views = array.views();
        out.clear();
        out.reserve(views.len());
        let (mut last_view, mut last) = (0_u128, NONE);
        if array.null_count() == 0 {
            for (row, view) in views.iter().enumerate() {
                if *view != last_view || last == NONE {
                    (last_view, last) = (*view, self.number_of(array, row, *view));
                }
                out.push(last);
            }
            return;
        }
        for (row, view) in views.iter().enumerate() {
            out.push(if array.is_null(row) { 0 } else { self.number_of(array, row, *view) });
        }
    }

    fn number_of(&mut self, array: &StringViewArray, row: usize, view: u128) -> u32 {
        let folded = (view as u64) ^ ((view >> 64) as u64).rotate_left(31);
        let slot = (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % RECENT;
        match self.recent[slot] {
            (known, number) if known == view && number != NONE => number,
            _ => {
                let number = self.intern(array.value(row).as_bytes());
                self.recent[slot] = (view, number);
                number
            }
        }
    }

    fn intern(&mut self, text: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(text);
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        let of = |number: u32| of(bytes, ends, number);
        let new = ends.len() as u32 + 1;
        let entry =
            self.numbers.entry(hash, |number| of(*number) == text, |number| hasher.hash_one(of(*number)));
        let number = *entry.or_insert(new).get();
        if number == new {
            self.bytes.extend_from_slice(text);
            self.ends.push(self.bytes.len());
        }
        number
    }

    /// Numbers that were given are below this.
    pub(super) fn count(&self) -> usize {
        self.ends.len() + 1
    }

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.numbers.capacity() * 5
            + self.bytes.capacity()
            + self.ends.capacity() * size_of::<usize>()
            + RECENT * size_of::<(u128, u32)>()
    }

    /// The texts of numbers.
    pub(super) fn array(&self, numbers: &[u32]) -> ArrayRef {
        let mut array = StringViewBuilder::new();
        for &number in numbers {
            let text = (number > 0).then(|| of(&self.bytes, &self.ends, number));
            // They came as texts.
            array.append_option(text.map(|text| std::str::from_utf8(text).unwrap_or_default()));
        }
        Arc::new(array.finish())
    }
}

fn of<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let at = number as usize - 1;
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[at]]
}
