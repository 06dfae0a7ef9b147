//! Which segments there are, and how a new one begins.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::disk::{Disk, LogFile};
use super::header::{DATA, Header};
use crate::Seq;

/// The file that waits to become a segment.
const SPARE: &str = "spare";

/// A segment that a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// File name.
    pub(crate) name: String,
    /// The number in its name.
    pub(crate) first: Seq,
    /// Size of the file.
    pub(crate) bytes: u64,
}

/// The segments of a folder in WAL order.
pub(crate) fn segments_of(disk: &dyn Disk) -> io::Result<Vec<Found>> {
    let first = |name: &str| name.strip_suffix(".wal").filter(|digits| digits.len() == 20)?.parse().ok();
    let files = disk.list()?.into_iter();
    let mut found: Vec<Found> =
        files.filter_map(|(name, bytes)| Some(Found { first: first(&name)?, name, bytes })).collect();
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

fn name_of(first: Seq) -> String {
    format!("{first:020}.wal")
}

/// A segment that is not written any more.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    name: String,
    /// Its last record.
    pub(super) last: Seq,
    bytes: u64,
    /// When it was closed, on the monotonic clock of this process.
    at: Duration,
}

/// What is kept though all its rows are in tables: the batch keys of the last minutes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// For so long after a segment was closed.
    pub(crate) age: Duration,
    /// While all segments together are no larger.
    pub(crate) bytes: u64,
}

/// The segment that is being written.
pub(super) struct Active {
    file: Box<dyn LogFile>,
    name: String,
    pub(super) salt: u32,
    /// Where the next record goes.
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) last: Seq,
}

impl Active {
    pub(super) fn room(&self) -> usize {
        usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX)
    }

    /// Writes frames, and an end mark after them if there is room: in a recycled file
    /// something else may stand there.
    pub(super) fn write(&mut self, frames: &mut Vec<u8>, last: Seq) -> io::Result<()> {
        let written = frames.len();
        if self.room() >= written + 8 {
            frames.extend_from_slice(&[0; 8]);
        }
        self.file.write_at(self.at, frames)?;
        self.at += written as u64;
        self.last = last;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

/// All closed segments, oldest first.
#[derive(Default)]
pub(super) struct Segments {
    closed: VecDeque<Closed>,
    active_bytes: Option<u64>,
}

impl Segments {
    /// Takes over what recovery found, each with its last record.
    pub(super) fn recovered(found: Vec<(Found, Seq)>, at: Duration) -> Self {
        let closed =
            found.into_iter().map(|(found, last)| Closed { name: found.name, last, bytes: found.bytes, at });
        Self { closed: closed.collect(), active_bytes: None }
    }

    /// Bytes on disk and number of segments.
    pub(super) fn size(&self) -> (u64, u64) {
        let closed: u64 = self.closed.iter().map(|segment| segment.bytes).sum();
        let active = u64::from(self.active_bytes.is_some());
        (closed + self.active_bytes.unwrap_or(0), self.closed.len() as u64 + active)
    }

    /// The last record of the oldest closed segment: with it flushed, space comes back.
    pub(super) fn oldest_last(&self) -> Option<Seq> {
        self.closed.front().map(|segment| segment.last)
    }

    /// Begins a segment, in the spare file if there is one of the right size.
    pub(super) fn begin(&mut self, disk: &dyn Disk, header: &Header, bytes: u64) -> io::Result<Active> {
        let name = name_of(header.first);
        let spare = disk.list()?.iter().any(|(name, size)| name == SPARE && *size == bytes);
        let mut file = if spare { disk.open(SPARE)? } else { disk.create(SPARE, bytes)? };
        let mut start = header.encode().to_vec();
        start.extend_from_slice(&[0; 8]);
        file.write_at(0, &start)?;
        file.sync()?;
        disk.rename(SPARE, &name)?;
        disk.sync_folder()?;
        // Recovery may have left an empty one of the same name: this one has replaced it.
        self.closed.retain(|closed| closed.name != name);
        self.active_bytes = Some(bytes);
        Ok(Active {
            file,
            name,
            salt: header.salt,
            at: DATA as u64,
            bytes,
            last: header.first.saturating_sub(1),
        })
    }

    /// Ends a segment.
    pub(super) fn close(&mut self, active: Active, at: Duration) {
        self.active_bytes = None;
        self.closed.push_back(Closed { name: active.name, last: active.last, bytes: active.bytes, at });
    }

    /// Removes the segments whose records all lie below `keep_from`, except what `keep`
    /// asks for and the newest. One file is kept as the spare.
    pub(super) fn truncate(
        &mut self,
        disk: &dyn Disk,
        keep_from: Seq,
        keep: Keep,
        (now, segment_bytes): (Duration, u64),
    ) -> io::Result<()> {
        let mut spare = disk.list()?.iter().any(|(name, _)| name == SPARE);
        let mut removed = false;
        while let Some(oldest) = self.removable(keep_from, keep, now) {
            if !spare && oldest.bytes == segment_bytes {
                disk.rename(&oldest.name, SPARE)?;
                spare = true;
            } else {
                disk.remove(&oldest.name)?;
            }
            self.closed.pop_front();
            removed = true;
        }
        if removed { disk.sync_folder() } else { Ok(()) }
    }

    fn removable(&self, keep_from: Seq, keep: Keep, now: Duration) -> Option<&Closed> {
        let newest = usize::from(self.active_bytes.is_none());
        let oldest = self.closed.front().filter(|oldest| oldest.last < keep_from)?;
        let young = now.saturating_sub(oldest.at) < keep.age && self.size().0 <= keep.bytes;
        (self.closed.len() > newest && !young).then_some(oldest)
    }
}
