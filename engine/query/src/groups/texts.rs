//! Numbers of texts: 0 has who has none.
//!
//! Arrow refers to a text by sixteen bytes, a view, in which short texts are whole. Where rows
//! repeat a few texts, views seen lately are enough. Where there are many texts, each row waits for
//! memory twice, for its slot of the table and for the text there; so rows are looked up by the
//! dozen, step by step, and what they wait for comes at the same time.

use std::hash::BuildHasher;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringViewArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use datafusion::common::Result;
use datafusion::common::hash_utils::RandomState;

/// Views that are remembered; a power of two.
const RECENT: usize = 512;

/// A place where nothing is remembered.
const NONE: u32 = u32::MAX;

/// Rows by which it is told whether a batch repeats a few texts.
const SAMPLE: usize = 256;

/// Rows that are looked up together.
const TOGETHER: usize = 64;

/// Slots at first; a power of two.
const SLOTS_MIN: usize = 256;

/// Bytes of texts in one block, unless one text has more.
const BLOCK_BYTES: usize = 1 << 20;

/// Bytes of a text that its view has room for.
const INLINE: u32 = 12;

/// A view of no text: a long one with all bits set.
const NO_VIEW: u128 = u128::MAX;

/// Distinct texts, numbered as they come, from 1.
#[derive(Debug)]
pub(super) struct Texts {
    hasher: RandomState,
    /// Of the hash of short texts, not to be guessed.
    secret: (u64, u64),
    /// By the upper bits of a text's hash, or in the next free one: its number and, above that, its
    /// hash. 0 is free; at most half of them are taken.
    slots: Vec<u64>,
    /// The view of each text, by its number; there is none at 0. Those of long texts refer to
    /// `blocks`.
    views: Vec<u128>,
    blocks: Vec<Vec<u8>>,
    /// By a hash of the view of a text: what its number is. Views of long texts mean something in
    /// one array only.
    recent: Box<[(u128, u32)]>,
}

impl Default for Texts {
    fn default() -> Self {
        let random = std::hash::RandomState::new();
        Self {
            hasher: RandomState::default(),
            secret: (random.hash_one(0), random.hash_one(1)),
            slots: vec![0; SLOTS_MIN],
            views: vec![NO_VIEW],
            blocks: Vec::new(),
            recent: vec![(0, NONE); RECENT].into(),
        }
    }
}

impl Texts {
    /// Writes the number of each row's text.
    pub(super) fn number(&mut self, array: &StringViewArray, out: &mut Vec<u32>) {
        out.clear();
        out.reserve(array.len());
        let first = array.len().min(SAMPLE);
        self.recent.fill((0, NONE));
        let new = self.number_few(array, 0..first, out);
        if new * 4 < first {
            self.number_few(array, first..array.len(), out);
        } else {
            self.number_many(array, first..array.len(), out);
        }
    }

    /// For rows of which many have the text of another. Says how many did not.
    fn number_few(&mut self, array: &StringViewArray, rows: Range<usize>, out: &mut Vec<u32>) -> usize {
        let mut new = 0;
        let (mut last_view, mut last) = (NO_VIEW, 0);
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        for (row, view) in rows.clone().zip(&array.views()[rows]) {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                out.push(0);
                continue;
            }
            if *view != last_view {
                let known = self.recent[recent_at(*view)];
                last = if known.0 == *view && known.1 != NONE {
                    known.1
                } else {
                    new += 1;
                    self.look_up(array, row)
                };
                last_view = *view;
            }
            out.push(last);
        }
        new
    }

    fn look_up(&mut self, array: &StringViewArray, row: usize) -> u32 {
        let (view, text) = (array.views()[row], array.value(row).as_bytes());
        let hash = if is_inline(view) { self.short_hash(view) } else { self.long_hash(text) };
        let number = self.intern(hash, view, text);
        self.recent[recent_at(view)] = (view, number);
        number
    }

    /// For rows of which most have a text of their own.
    fn number_many(&mut self, array: &StringViewArray, rows: Range<usize>, out: &mut Vec<u32>) {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        for start in rows.clone().step_by(TOGETHER) {
            let views = &array.views()[start..rows.end.min(start + TOGETHER)];
            let (mut hashes, mut slots, mut texts) = ([0; TOGETHER], [0; TOGETHER], [NO_VIEW; TOGETHER]);
            for (at, view) in views.iter().enumerate() {
                hashes[at] = match is_inline(*view) {
                    true => self.short_hash(*view),
                    false if nulls.is_some_and(|nulls| nulls.is_null(start + at)) => 0,
                    false => self.long_hash(array.value(start + at).as_bytes()),
                };
            }
            // None of these waits for another.
            for at in 0..TOGETHER {
                slots[at] = self.slots[self.slot_of(hashes[at])];
            }
            for at in 0..TOGETHER {
                texts[at] = self.views[slots[at] as u32 as usize];
            }
            for (at, view) in views.iter().enumerate() {
                out.push(if nulls.is_some_and(|nulls| nulls.is_null(start + at)) {
                    0
                } else if texts[at] == *view && is_inline(*view) {
                    slots[at] as u32
                } else {
                    self.intern(hashes[at], *view, array.value(start + at).as_bytes())
                });
            }
        }
    }

    #[inline]
    fn short_hash(&self, view: u128) -> u32 {
        let (low, high) = (view as u64 ^ self.secret.0, (view >> 64) as u64 ^ self.secret.1);
        let product = u128::from(low) * u128::from(high);
        ((product as u64 ^ (product >> 64) as u64) >> 32) as u32
    }

    fn long_hash(&self, text: &[u8]) -> u32 {
        (self.hasher.hash_one(text) >> 32) as u32
    }

    /// The first slot for a hash.
    #[inline]
    fn slot_of(&self, hash: u32) -> usize {
        // There are 2^8 and more.
        (hash >> (u32::BITS - self.slots.len().trailing_zeros())) as usize
    }

    /// The number of a text, of which `view` is a view in whatever array.
    fn intern(&mut self, hash: u32, view: u128, text: &[u8]) -> u32 {
        let mut at = self.slot_of(hash);
        while self.slots[at] != 0 {
            let (found, number) = ((self.slots[at] >> 32) as u32, self.slots[at] as u32);
            if found == hash && self.is(number, view, text) {
                return number;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        let number = self.views.len() as u32;
        self.slots[at] = slot(hash, number);
        let kept = if is_inline(view) { view } else { self.keep(view, text) };
        self.views.push(kept);
        if self.views.len() * 2 > self.slots.len() {
            self.grow();
        }
        number
    }

    fn is(&self, number: u32, view: u128, text: &[u8]) -> bool {
        let known = self.views[number as usize];
        // The lower half is the length and the first four bytes.
        known == view && is_inline(view)
            || known as u64 == view as u64 && !is_inline(view) && self.long(known) == text
    }

    /// The text of a long one's view.
    fn long(&self, view: u128) -> &[u8] {
        let (length, block, offset) = (view as u32, (view >> 64) as u32, (view >> 96) as u32);
        &self.blocks[block as usize][offset as usize..][..length as usize]
    }

    /// Keeps a long text; its view here.
    fn keep(&mut self, view: u128, text: &[u8]) -> u128 {
        if self.blocks.last().is_none_or(|block| block.len() + text.len() > BLOCK_BYTES) {
            self.blocks.push(Vec::new());
        }
        let at = self.blocks.len() - 1;
        let block = &mut self.blocks[at];
        let offset = block.len();
        block.extend_from_slice(text);
        u128::from(view as u64) | (at as u128) << 64 | (offset as u128) << 96
    }

    fn grow(&mut self) {
        let fewer = mem::take(&mut self.slots);
        self.slots = vec![0; fewer.len() * 2];
        for taken in fewer.into_iter().filter(|slot| *slot != 0) {
            let mut at = self.slot_of((taken >> 32) as u32);
            while self.slots[at] != 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = taken;
        }
    }

    /// Numbers that were given are below this.
    pub(super) fn count(&self) -> usize {
        self.views.len()
    }

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
            + self.views.capacity() * size_of::<u128>()
            + self.blocks.iter().map(Vec::capacity).sum::<usize>()
            + RECENT * size_of::<(u128, u32)>()
    }

    /// The texts of numbers. There are none afterwards.
    pub(super) fn take(&mut self, numbers: &[u32]) -> Result<ArrayRef> {
        let Self { views, blocks, .. } = mem::take(self);
        let of = |number: &u32| if *number == 0 { 0 } else { views[*number as usize] };
        let of_rows: ScalarBuffer<u128> = numbers.iter().map(of).collect();
        let nulls: NullBuffer = numbers.iter().map(|number| *number > 0).collect();
        let blocks: Vec<Buffer> = blocks.into_iter().map(Buffer::from_vec).collect();
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        Ok(Arc::new(StringViewArray::try_new(of_rows, blocks, nulls)?))
    }
}

fn slot(hash: u32, number: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(number)
}

/// Whether a view has all of its text.
fn is_inline(view: u128) -> bool {
    view as u32 <= INLINE
}

/// Where a view is remembered.
fn recent_at(view: u128) -> usize {
    let folded = (view as u64) ^ ((view >> 64) as u64).rotate_left(31);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % RECENT
}
