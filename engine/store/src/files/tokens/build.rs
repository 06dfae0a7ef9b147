//! Making an index while the rows of its file are written.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use bytes::Bytes;
use isinglass_model::tokens::id_hashes;

use super::filter::{Filter, STRIPE_BYTES, STRIPES_MAX, Stripe, TOKENS_MAX, fold};
use super::index::{FIXED_BYTES, MAGIC, VERSION};

/// Rows of a block at most. A row that has a token costs the reading of its block.
const BLOCK_ROWS_MAX: u32 = 8_192;

/// Filters that are held until the file ends: those of thirteen million identifiers. What
/// comes after is one block of which nothing is known.
const HELD_BYTES_MAX: usize = 16 << 20;

/// Blocks of a file at most; what comes after is one more of which nothing is known.
const BLOCKS_MAX: usize = 65_535;

/// Bytes of all filters in the index, some of which are larger there than they need be;
/// beyond it all are made smaller.
const INDEX_BYTES_MAX: usize = 24 << 20;

/// Takes in the rows of a file in their order. Holds the filters of all blocks, which is 1.2 bytes
/// for each identifier, and never more than [`HELD_BYTES_MAX`].
#[derive(Debug)]
pub(in crate::files) struct Builder {
    done: Vec<RowBlock>,
    held_bytes: usize,
    held_bytes_max: usize,
    rows: u32,
    filter: Filter,
}

#[derive(Debug)]
struct RowBlock {
    rows: u32,
    /// Nothing: any token may be in it.
    filter: Vec<Stripe>,
}

impl Builder {
    pub(in crate::files) fn new() -> Self {
        Self::holding(HELD_BYTES_MAX)
    }

    /// One that holds filters of so many bytes.
    pub(super) fn holding(held_bytes_max: usize) -> Self {
        Self { done: Vec::new(), held_bytes: 0, held_bytes_max, rows: 0, filter: Filter::new() }
    }

    /// Adds rows of the indexed column.
    pub(in crate::files) fn push(&mut self, texts: &dyn Array) -> Result<(), String> {
        let Some(texts) = texts.as_string_opt::<i32>() else {
            return Err(format!("a text that is to be indexed is {}", texts.data_type()));
        };
        for text in texts {
            if self.is_full() {
                self.rows = self.rows.saturating_add(1);
                continue;
            }
            if self.rows >= BLOCK_ROWS_MAX || self.filter.tokens() >= TOKENS_MAX {
                self.close();
            }
            self.rows += 1;
            id_hashes(text.unwrap_or_default(), |hash| self.filter.insert(hash));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.done.len() >= BLOCKS_MAX || self.held_bytes >= self.held_bytes_max
    }

    fn close(&mut self) {
        let known = !self.is_full();
        let filter = self.filter.take();
        let filter = if known { filter } else { Vec::new() };
        self.held_bytes += filter.len() * STRIPE_BYTES;
        self.done.push(RowBlock { rows: std::mem::take(&mut self.rows), filter });
    }

    /// The index.
    pub(in crate::files) fn finish(mut self) -> Bytes {
        if self.rows > 0 {
            self.close();
        }
        let largest = self.done.iter().map(|block| block.filter.len()).max().unwrap_or(1).max(1);
        let mut stripes = largest;
        while stripes > 1 && self.done.len() * stripes * STRIPE_BYTES > INDEX_BYTES_MAX {
            stripes /= 2;
        }
        for block in self.done.iter_mut().filter(|block| block.filter.len() > stripes) {
            block.filter = fold(&block.filter, stripes);
        }
        encode(&self.done, stripes).into()
    }
}

/// The bytes of an index: see `docs/formats/token-index.md`.
fn encode(blocks: &[RowBlock], stripes: usize) -> Vec<u8> {
    debug_assert!(stripes <= STRIPES_MAX && stripes.is_power_of_two());
    let sums_at = FIXED_BYTES + 4 * blocks.len();
    let header_bytes = sums_at + 4 * stripes + 4;
    let mut index = Vec::with_capacity(header_bytes + blocks.len() * stripes * STRIPE_BYTES);
    index.extend_from_slice(MAGIC);
    for number in [VERSION, header_bytes as u32, blocks.len() as u32, stripes as u32] {
        index.extend_from_slice(&number.to_le_bytes());
    }
    blocks.iter().for_each(|block| index.extend_from_slice(&block.rows.to_le_bytes()));
    index.resize(header_bytes, 0);
    for stripe in 0..stripes {
        let start = index.len();
        put_stripe(&mut index, blocks, stripe, stripes);
        let sum = crc32c::crc32c(&index[start..]);
        index[sums_at + 4 * stripe..][..4].copy_from_slice(&sum.to_le_bytes());
    }
    let sum = crc32c::crc32c(&index[..header_bytes - 4]);
    index[header_bytes - 4..header_bytes].copy_from_slice(&sum.to_le_bytes());
    index
}

/// One stripe of all blocks, side by side, so that one token needs one range.
fn put_stripe(index: &mut Vec<u8>, blocks: &[RowBlock], stripe: usize, stripes: usize) {
    for block in blocks {
        let own = block.filter.get(stripe * block.filter.len() / stripes);
        own.unwrap_or(&[u32::MAX; 8]).iter().for_each(|word| index.extend_from_slice(&word.to_le_bytes()));
    }
}
