//! Reading an index.

use std::ops::Range;

use object_store::path::Path;

use super::filter::{STRIPE_BYTES, STRIPES_MAX, mask, stripe_of};
use crate::tables::DataFile;

pub(super) const MAGIC: &[u8; 8] = b"ISGLTOK\n";
pub(super) const VERSION: u32 = 1;
/// Bytes before the rows of each block.
pub(super) const FIXED_BYTES: usize = 24;

/// Why an index cannot be used; its file is read without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableIndex {
    /// Another release wrote it.
    #[error("it is of version {0}, this release reads version {VERSION}")]
    Version(u32),
    /// It is not what was written, or of another file.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// The header of a token index: how many rows each block has, and where the bits lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIndex {
    header_bytes: u64,
    rows: Vec<u32>,
    crc32c: Vec<u32>,
}

impl TokenIndex {
    /// Bytes from the start of an index that hold its header in nearly every case.
    pub const HEADER_BYTES_USUAL: u64 = 16 << 10;

    /// Where the index of a file lies; `None` if it has none.
    pub fn path_of(file: &DataFile) -> Option<Path> {
        file.token_index_bytes.and_then(|_| super::path_of(&file.path))
    }

    /// The bytes of the header, from the first bytes of an index.
    pub fn header_bytes_of(start: &[u8], index_bytes: u64) -> Result<u64, UnusableIndex> {
        let fixed = start.get(..FIXED_BYTES).ok_or(UnusableIndex::Damaged("it is too short"))?;
        if fixed[..8] != MAGIC[..] {
            return Err(UnusableIndex::Damaged("it does not begin as one"));
        }
        let number = |at: usize| number_at(fixed, at);
        if number(8) != VERSION {
            return Err(UnusableIndex::Version(number(8)));
        }
        let (header, blocks, stripes) = (u64::from(number(12)), u64::from(number(16)), u64::from(number(20)));
        let sizes = header == FIXED_BYTES as u64 + 4 * blocks + 4 * stripes + 4
            && stripes.is_power_of_two()
            && stripes <= STRIPES_MAX as u64
            && index_bytes == header + blocks * stripes * STRIPE_BYTES as u64;
        if !sizes {
            return Err(UnusableIndex::Damaged("its sizes do not agree"));
        }
        Ok(header)
    }

    /// Reads the header of the index of a file; what comes after it is not looked at.
    pub fn parse(start: &[u8], file: &DataFile) -> Result<Self, UnusableIndex> {
        let index_bytes = file.token_index_bytes.unwrap_or_default();
        let header_bytes = Self::header_bytes_of(start, index_bytes)?;
        let header = usize::try_from(header_bytes).ok().and_then(|bytes| start.get(..bytes));
        let header = header.ok_or(UnusableIndex::Damaged("its header is not whole"))?;
        let (content, sum) = header.split_at(header.len() - 4);
        if crc32c::crc32c(content) != number_at(sum, 0) {
            return Err(UnusableIndex::Damaged("its header does not have its checksum"));
        }
        let blocks = number_at(content, 16) as usize;
        let mut numbers = content[FIXED_BYTES..].chunks_exact(4).map(|bytes| number_at(bytes, 0));
        let rows: Vec<u32> = numbers.by_ref().take(blocks).collect();
        if rows.iter().map(|rows| u64::from(*rows)).sum::<u64>() != file.rows {
            return Err(UnusableIndex::Damaged("it is of a file with another number of rows"));
        }
        Ok(Self { header_bytes, rows, crc32c: numbers.collect() })
    }

    /// Rows of each block, in the order of the file.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// How many stripes there are.
    pub fn stripes(&self) -> usize {
        self.crc32c.len()
    }

    /// Bytes that this takes in memory.
    pub fn memory_bytes(&self) -> usize {
        4 * (self.rows.len() + self.crc32c.len())
    }

    /// Which stripe tells whether there is a token with this hash.
    pub fn stripe_of(&self, hash: u64) -> usize {
        stripe_of(hash, self.crc32c.len())
    }

    /// Where a stripe lies.
    pub fn range_of(&self, stripe: usize) -> Range<u64> {
        let bytes = (self.rows.len() * STRIPE_BYTES) as u64;
        let start = self.header_bytes + stripe as u64 * bytes;
        start..start + bytes
    }

    /// Compares a stripe that was read with its checksum.
    pub fn check(&self, stripe: usize, content: &[u8]) -> Result<(), UnusableIndex> {
        let whole = content.len() == self.rows.len() * STRIPE_BYTES;
        match self.crc32c.get(stripe) {
            Some(sum) if whole && crc32c::crc32c(content) == *sum => Ok(()),
            _ => Err(UnusableIndex::Damaged("a stripe does not have its checksum")),
        }
    }

    /// Of each block, whether it may have a token with this hash, from the stripe of that hash.
    pub fn blocks_with(content: &[u8], hash: u64) -> Vec<bool> {
        let mask = mask(hash);
        let has = |stripe: &[u8]| {
            let words = stripe.chunks_exact(4).map(|bytes| number_at(bytes, 0));
            words.zip(mask).all(|(word, bit)| word & bit != 0)
        };
        content.chunks_exact(STRIPE_BYTES).map(has).collect()
    }
}

/// Four bytes as a number; there are always four.
fn number_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}
