//! The header of a segment, written twice so that a flipped bit does not cost a segment.

use super::wire::Reader;
use crate::log_id::LogId;
use crate::{Seq, StoreError};

const MAGIC: [u8; 8] = *b"ISGLWAL\n";

/// The version that this release writes.
pub(crate) const VERSION: u32 = 2;

/// The first one, without an identity of the log; it is read as well.
const FIRST_VERSION: u32 = 1;

/// Bytes of one copy; a disk sector would do as well, records need only be aligned.
const COPY: usize = 64;
/// What every version begins with, behind a checksum of its own: so a release refuses a
/// newer segment by its version and does not take it for damage.
const CHECKED: usize = 32;
/// The identity, from version 2 on.
const LOG: std::ops::Range<usize> = 36..52;

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
    /// The log that it is a part of.
    pub(crate) log: LogId,
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
        copy.extend_from_slice(&self.log.0);
        copy.extend_from_slice(&crc32c::crc32c(&self.log.0).to_le_bytes());
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
            if !(FIRST_VERSION..=VERSION).contains(&version) {
                let reason = format!("version {version}, this release reads {FIRST_VERSION} to {VERSION}");
                return Err(StoreError::Incompatible { what: format!("wal segment {name}"), reason });
            }
            let Some(log) = log_in(version, copy)? else { continue };
            let (salt, first, void_from) = (reader.u32()?, reader.u64()?, reader.u64()?);
            return Ok(Some(Self { salt, first, void_from, log }));
        }
        Ok(None)
    }
}

/// The identity in a copy; `None`: it is damaged.
fn log_in(version: u32, copy: &[u8]) -> Result<Option<LogId>, StoreError> {
    if version == FIRST_VERSION {
        return Ok(Some(LogId::FIRST));
    }
    let mut log = LogId::default();
    log.0.copy_from_slice(&copy[LOG]);
    let whole = Reader::new(&copy[LOG.end..]).u32()? == crc32c::crc32c(&log.0);
    Ok(whole.then_some(log))
}
