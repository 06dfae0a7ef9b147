//! The body of a record: one request.

use isinglass_model::{Counts, Kind, Tenant};

use super::wire::{Reader, put_len32, put_text16};
use crate::StoreError;
use crate::append::{BatchKey, Seq, Tick};

/// What a record says besides its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tenant: Tenant,
    /// Wall clock when it was encoded: how old its batch key is.
    pub(crate) time_unix_ms: i64,
    pub(crate) key: Option<BatchKey>,
    pub(crate) tick: Option<Tick>,
    /// Everything of the tenant in this and all earlier records is deleted.
    pub(crate) deletes: bool,
    pub(crate) counts: Counts,
}

const HAS_KEY: u8 = 1;
const HAS_TICK: u8 = 2;
const DELETES: u8 = 4;
const HAS_KINDS: u8 = 8;

/// Begins a body; sections follow.
pub(crate) fn begin(head: &Head) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(&head.time_unix_ms.to_le_bytes());
    let key = if head.key.is_some() { HAS_KEY } else { 0 };
    let tick = if head.tick.is_some() { HAS_TICK } else { 0 };
    let deletes = if head.deletes { DELETES } else { 0 };
    let of_kinds = head.counts.stored_histograms > 0 || head.counts.stored_exemplars > 0;
    out.push(key | tick | deletes | if of_kinds { HAS_KINDS } else { 0 });
    put_text16(&mut out, head.tenant.as_str());
    if let Some(BatchKey(key)) = head.key {
        out.extend_from_slice(&key.to_le_bytes());
    }
    if let Some(Tick { covers }) = head.tick {
        out.extend_from_slice(&covers.to_le_bytes());
    }
    out.extend_from_slice(&head.counts.received.to_le_bytes());
    out.extend_from_slice(&head.counts.stored.to_le_bytes());
    put_len32(&mut out, head.counts.rejected.len());
    for (reason, count) in &head.counts.rejected {
        put_text16(&mut out, reason);
        out.extend_from_slice(&count.to_le_bytes());
    }
    if of_kinds {
        out.extend_from_slice(&head.counts.stored_histograms.to_le_bytes());
        out.extend_from_slice(&head.counts.stored_exemplars.to_le_bytes());
    }
    out
}

/// Appends a section that `write` fills.
pub(crate) fn section(
    out: &mut Vec<u8>,
    kind: Kind,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    out.push(kind as u8);
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    write(out)?;
    let length = u32::try_from(out.len() - start);
    let length =
        length.map_err(|_| StoreError::TooLarge { got: out.len() - start, limit: u32::MAX as usize })?;
    out[length_at..start].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// A body that was read back; sections still encoded.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) head: Head,
    pub(crate) sections: Vec<(Kind, &'a [u8])>,
}

/// Reads what stands before the sections.
pub(crate) fn read_head(body: &[u8]) -> Result<Head, StoreError> {
    head(&mut Reader::new(body))
}

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Result<Record<'_>, StoreError> {
    let mut reader = Reader::new(body);
    let head = head(&mut reader)?;
    let mut sections = Vec::new();
    while reader.rest() > 0 {
        let tag = reader.u8()?;
        let kind = Kind::from_tag(tag)
            .ok_or_else(|| StoreError::damaged("record", format!("unknown section {tag}")))?;
        let length = reader.len32()?;
        sections.push((kind, reader.take(length)?));
    }
    Ok(Record { head, sections })
}

fn head(reader: &mut Reader<'_>) -> Result<Head, StoreError> {
    let time_unix_ms = reader.i64()?;
    let flags = reader.u8()?;
    if flags & !(HAS_KEY | HAS_TICK | DELETES | HAS_KINDS) != 0 {
        return Err(StoreError::damaged("record", format!("unknown flags {flags:#x}")));
    }
    let name = reader.text16()?;
    let tenant = Tenant::new(name).map_err(|error| StoreError::damaged("record", error.to_string()))?;
    let key = if flags & HAS_KEY != 0 { Some(BatchKey(reader.u128()?)) } else { None };
    let tick = if flags & HAS_TICK != 0 { Some(Tick { covers: Seq::from(reader.u64()?) }) } else { None };
    let mut counts = read_counts(reader)?;
    if flags & HAS_KINDS != 0 {
        counts.stored_histograms = reader.u64()?;
        counts.stored_exemplars = reader.u64()?;
    }
    Ok(Head { tenant, time_unix_ms, key, tick, deletes: flags & DELETES != 0, counts })
}

fn read_counts(reader: &mut Reader<'_>) -> Result<Counts, StoreError> {
    let mut counts = Counts { received: reader.u64()?, stored: reader.u64()?, ..Counts::default() };
    for _ in 0..reader.u32()? {
        let reason = reader.text16()?.to_owned();
        counts.rejected.insert(reason.into(), reader.u64()?);
    }
    Ok(counts)
}
