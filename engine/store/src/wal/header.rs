//! The header of a segment, written twice so that a flipped bit does not cost a segment.

use super::wire::Reader;
use crate::{Seq, StoreError};

const MAGIC: [u8; 8] = *b"ISGLWAL\n";

/// The version that this release writes and reads.
pub(crate) const VERSION: u32 = 1;

/// Bytes of one copy; a disk sector would do as well, records need only be aligned.
const COPY: usize = 64;
const CHECKED: usize = 32;

/// Where records start.
pub(crate) const DATA: usize = 2 * COPY;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Mixed into every checksum: what an earlier use of a recycled file left behind
    /// is not taken for a record.
    pub(crate) salt: u32,
    /// The first record of this segment, if it has one, is this or a later one.
    pub(crate) first: Seq,
    /// Records of earlier segments from this one on were never acknowledged: they
    /// belong to a batch whose write or sync failed, or to a torn tail.
    pub(crate) void_from: Seq,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; DATA] {
        let mut copy = Vec::with_capacity(COPY);
        copy.extend_from_slice(&MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&self.salt.to_le_bytes());
        copy.extend_from_slice(&self.first.to_le_bytes());
        copy.extend_from_slice(&self.void_from.to_le_bytes());
        copy.extend_from_slice(&crc32c::crc32c(&copy).to_le_bytes());
        let mut header = [0; DATA];
        header[..copy.len()].copy_from_slice(&copy);
        header[COPY..COPY + copy.len()].copy_from_slice(&copy);
        header
    }

    /// Reads either copy of the file `name`. `Ok(None)`: neither is whole, so the segment was never begun
    /// or is damaged.
    pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        for copy in bytes.chunks_exact(COPY).take(2) {
            let mut reader = Reader::new(copy);
            let checked = reader.take(CHECKED)?;
            if reader.u32()? != crc32c::crc32c(checked) || checked[..8] != MAGIC {
                continue;
            }
            let mut reader = Reader::new(&checked[8..]);
            let version = reader.u32()?;
            if version != VERSION {
                let reason = format!("version {version}, this release reads {VERSION}");
                return Err(StoreError::Incompatible { what: format!("wal segment {name}"), reason });
            }
            return Ok(Some(Self { salt: reader.u32()?, first: reader.u64()?, void_from: reader.u64()? }));
        }
        Ok(None)
    }
}
