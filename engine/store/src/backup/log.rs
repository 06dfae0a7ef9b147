//! The part of the write-ahead log that belongs to a backup.

use std::io::ErrorKind;
use std::sync::Arc;

use super::manifest::WAL;
use crate::log_id::LogId;
use crate::wal::scan::{Headed, headers_of};
use crate::wal::{DATA, Disk, Found, Header, head_files_of, parse};
use crate::{Seq, StoreError};

/// Segments and heads files with the records up to one.
pub(super) struct LogCopy {
    disk: Arc<dyn Disk>,
    segments: Headed,
    heads: Vec<Found>,
    up_to: Seq,
    pub(super) log: Option<LogId>,
}

impl LogCopy {
    /// Looks at what is there. Blocking.
    pub(super) fn plan(disk: Arc<dyn Disk>, up_to: Seq) -> Result<Self, StoreError> {
        let mut segments = headers_of(&*disk)?;
        segments.retain(|(found, _)| found.first <= up_to);
        let last = segments.last().map_or(0, |(found, _)| found.first);
        let heads =
            head_files_of(&*disk).map_err(|error| StoreError::io("reading the wal folder", &error))?;
        // That of the last segment may know of records that are left out.
        let heads = heads.into_iter().filter(|file| file.first < last).collect();
        let log = segments.iter().rev().find_map(|(_, header)| header.map(|header| header.log));
        Ok(Self { disk, segments, heads, up_to, log })
    }

    /// How many files there are.
    pub(super) fn len(&self) -> usize {
        self.heads.len() + self.segments.len()
    }

    /// The path and the bytes of one; `None`: it is not needed and not there any more.
    /// Blocking. One segment is in memory at a time, as when the log is replayed.
    pub(super) fn read(&self, at: usize) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let segment = at.checked_sub(self.heads.len());
        let found = segment.map_or_else(|| &self.heads[at], |at| &self.segments[at].0);
        let path = format!("{WAL}/{}", found.name);
        match self.disk.read(&found.name, usize::MAX) {
            // Its batch keys have become too old to matter.
            Err(error) if segment.is_none() && error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("reading {}", found.name), &error)),
            Ok(mut bytes) => {
                if let Some((_, Some(header))) =
                    segment.filter(|at| at + 1 == self.segments.len()).map(|at| &self.segments[at])
                {
                    bytes.truncate(end_of(&bytes, header, self.up_to));
                }
                Ok(Some((path, bytes)))
            }
        }
    }

    /// The last record of all, which is `up_to` unless that is unknown. Blocking.
    pub(super) fn last_record(&self) -> Result<Seq, StoreError> {
        if self.up_to < Seq::MAX {
            return Ok(self.up_to);
        }
        let Some((found, header)) = self.segments.last() else { return Ok(0) };
        let before = found.first.saturating_sub(1);
        let Some(header) = header else { return Ok(before) };
        let bytes = self.disk.read(&found.name, usize::MAX);
        let bytes = bytes.map_err(|error| StoreError::io(format!("reading {}", found.name), &error))?;
        Ok(parse(&bytes, header, None).records.last().map_or(before, |(seq, _)| *seq))
    }
}

/// Where the last segment ends for a backup: after the record `up_to`. What follows is being
/// written, or torn.
fn end_of(bytes: &[u8], header: &Header, up_to: Seq) -> usize {
    let records = parse(bytes, header, Some(up_to.saturating_add(1))).records;
    records.last().map_or(DATA, |(_, body)| body.end.next_multiple_of(8)).min(bytes.len())
}
