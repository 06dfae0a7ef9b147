//! The records of a segment, around whatever is damaged in it. Pure: bytes in, places out.

use std::ops::Range;

use super::frame::{ALIGN, Frame, frame_at};
use super::header::{DATA, Header};
use crate::Seq;

/// What a segment holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Whole records in order, with the place of their bodies.
    pub(crate) records: Vec<(Seq, Range<usize>)>,
    /// What lies between or after them and is no record.
    pub(crate) damage: Vec<Damage>,
}

/// Bytes that were a record once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where they lie.
    pub(crate) bytes: Range<usize>,
    /// The number that the record before them has.
    pub(crate) after: Seq,
}

/// Reads a segment. `void_from` is what the next segment says of it; in the last
/// segment (`None`) anything after the last whole record is a torn tail: it was never
/// acknowledged and is cut without a word.
pub(crate) fn parse(bytes: &[u8], header: &Header, void_from: Option<Seq>) -> Parsed {
    let mut parsed = Parsed::default();
    let mut last = header.first.saturating_sub(1);
    let mut at = DATA;
    while void_from.is_none_or(|void| last + 1 < void) {
        let found = match frame_at(bytes, header.salt, at) {
            Frame::Record { seq, body, next } if seq > last => Some((at, seq, body, next)),
            // A number from before, or an end mark with records behind it, is damage too.
            Frame::Record { .. } | Frame::Broken | Frame::End => search(bytes, header.salt, at, last),
        };
        let Some((place, seq, body, next)) =
            found.filter(|found| void_from.is_none_or(|void| found.1 < void))
        else {
            let ended = frame_at(bytes, header.salt, at) == Frame::End;
            if void_from.is_some() && !ended {
                parsed.damage.push(Damage { bytes: at..bytes.len(), after: last });
            }
            break;
        };
        if place > at {
            parsed.damage.push(Damage { bytes: at..place, after: last });
        }
        parsed.records.push((seq, body));
        last = seq;
        at = next;
    }
    parsed
}

/// Records whose number is further ahead than this are no successors.
const AHEAD_MAX: Seq = 1 << 32;

/// The next whole record after `at` that can follow `last`: place, number, body, end.
fn search(bytes: &[u8], salt: u32, at: usize, last: Seq) -> Option<(usize, Seq, Range<usize>, usize)> {
    (at + ALIGN..bytes.len()).step_by(ALIGN).find_map(|place| {
        // The cheap check first: nearly every place fails it.
        let number = bytes.get(place + 8..place + 16)?.try_into().map(Seq::from_le_bytes).ok()?;
        if number <= last || number - last >= AHEAD_MAX {
            return None;
        }
        match frame_at(bytes, salt, place) {
            Frame::Record { seq, body, next } => Some((place, seq, body, next)),
            Frame::Broken | Frame::End => None,
        }
    })
}
