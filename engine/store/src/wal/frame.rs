//! A record in a segment: length, checksum, sequence number, body, padding to 8 bytes.

use crate::Seq;

/// Length and checksum.
const LEAD: usize = 8;
/// The sequence number, part of the payload that length and checksum cover.
const SEQ: usize = 8;
/// Records begin at multiples of this, so that a search after damage is quick.
pub(super) const ALIGN: usize = 8;

/// Largest body. A request is at most 64 MiB; columns of it stay well below.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 30;

/// Bytes that a body takes in a segment.
pub(crate) fn framed_bytes(body: usize) -> usize {
    (LEAD + SEQ + body).next_multiple_of(ALIGN)
}

/// Where the frame of a body begins.
pub(super) fn frame_start(body: &std::ops::Range<usize>) -> usize {
    body.start.saturating_sub(LEAD + SEQ)
}

/// Appends a framed record.
pub(crate) fn put_frame(out: &mut Vec<u8>, salt: u32, seq: Seq, body: &[u8]) {
    let start = out.len();
    let length = u32::try_from(SEQ + body.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(body);
    let crc = checksum(salt, length, &out[start + LEAD..]);
    out[start + 4..start + LEAD].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + framed_bytes(body.len()), 0);
}

fn checksum(salt: u32, length: u32, payload: &[u8]) -> u32 {
    let mut lead = [0; 8];
    lead[..4].copy_from_slice(&salt.to_le_bytes());
    lead[4..].copy_from_slice(&length.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&lead), payload)
}

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Nothing was ever written here, or the segment is full.
    End,
    /// A whole record.
    Record {
        /// Its number.
        seq: Seq,
        /// Where its body lies.
        body: std::ops::Range<usize>,
        /// Where the next one begins.
        next: usize,
    },
    /// Bytes that are no record.
    Broken,
}

/// Reads the frame at `at`.
pub(super) fn frame_at(bytes: &[u8], salt: u32, at: usize) -> Frame {
    let Some(lead) = bytes.get(at..at + LEAD) else {
        return Frame::End;
    };
    let length = u32::from_le_bytes([lead[0], lead[1], lead[2], lead[3]]);
    let crc = u32::from_le_bytes([lead[4], lead[5], lead[6], lead[7]]);
    if length == 0 && crc == 0 {
        return Frame::End;
    }
    let payload = at + LEAD..at + LEAD + length as usize;
    let Some(bytes) = bytes.get(payload.clone()).filter(|payload| payload.len() >= SEQ) else {
        return Frame::Broken;
    };
    if checksum(salt, length, bytes) != crc {
        return Frame::Broken;
    }
    let mut seq = [0; SEQ];
    seq.copy_from_slice(&bytes[..SEQ]);
    Frame::Record {
        seq: Seq::from_le_bytes(seq),
        next: payload.end.next_multiple_of(ALIGN),
        body: payload.start + SEQ..payload.end,
    }
}
