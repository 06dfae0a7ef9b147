//! A segment as the replay reads it: its records, and what is damaged between them. A start
//! and whoever only looks ([`crate::inspect`]) read it by the same code.

use std::ops::Range;
use std::sync::Arc;

use super::disk::Disk;
use super::parse::{Damage, Parsed, parse};
use super::record;
use super::scan::{Headed, void_from};
use crate::report::LostRange;
use crate::{Seq, StoreError};

/// Which records a range of bytes can have held, and when those around it were written.
pub(crate) type Around = ((Seq, Seq), (Option<i64>, Option<i64>));

/// A segment in memory.
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) parsed: Parsed,
    /// No record in it has this number or a higher one.
    end: Seq,
}

impl Segment {
    /// Reads the segment at `at`, records up to one. Blocking.
    pub(crate) fn read(
        disk: &dyn Disk,
        segments: &Headed,
        at: usize,
        up_to: Seq,
    ) -> Result<Self, StoreError> {
        let (found, header) = &segments[at];
        let void_from = void_from(segments, at).map_or(up_to + 1, |void| void.min(up_to + 1));
        let end = segments.get(at + 1).map_or(void_from, |(next, _)| next.first.max(void_from));
        let bytes =
            disk.read(&found.name, usize::MAX).map_err(|error| StoreError::io(&found.name, &error))?;
        let parsed = match header {
            Some(header) => parse(&bytes, header, Some(void_from)),
            // Neither copy of the header can be read: all of it is set aside.
            None => Parsed {
                records: Vec::new(),
                damage: vec![Damage { bytes: 0..bytes.len(), after: found.first.saturating_sub(1) }],
            },
        };
        Ok(Self { name: found.name.clone(), bytes: Arc::new(bytes), parsed, end })
    }

    /// What is known of damaged bytes by the records before and after them.
    pub(crate) fn around(&self, damage: &Damage) -> Around {
        let records = &self.parsed.records;
        let time = |found: Option<&(Seq, Range<usize>)>| {
            record::read_head(&self.bytes[found?.1.clone()]).ok().map(|head| head.time_unix_ms)
        };
        let at = records.partition_point(|(_, body)| body.start < damage.bytes.start);
        let next = records.get(at);
        let last = next.map_or(self.end, |(seq, _)| *seq).saturating_sub(1).max(damage.after + 1);
        ((damage.after + 1, last), (time(at.checked_sub(1).and_then(|at| records.get(at))), time(next)))
    }

    /// The same of a record that cannot be read although its bytes are as they were written.
    pub(crate) fn around_record(&self, seq: Seq, body: &Range<usize>) -> Around {
        let time = record::read_head(&self.bytes[body.clone()]).ok().map(|head| head.time_unix_ms);
        ((seq, seq), (time, time))
    }

    /// What is set aside of a range: all but the zeros at its end.
    pub(crate) fn lost(
        &self,
        range: &Range<usize>,
        (records, time_unix_ms): Around,
    ) -> (LostRange, Aside<'_>) {
        let damaged = self.bytes.get(range.clone()).unwrap_or_default();
        let length = damaged.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let lost = LostRange {
            segment: self.name.clone(),
            offset: range.start as u64,
            bytes: length as u64,
            records,
            time_unix_ms,
        };
        let name = format!("{}-{}.damaged", self.name, range.start);
        (lost, Aside { name, bytes: &damaged[..length] })
    }
}

/// A file for the quarantine.
pub(crate) struct Aside<'a> {
    pub(crate) name: String,
    pub(crate) bytes: &'a [u8],
}
