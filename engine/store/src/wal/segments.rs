//! Which segments there are, and how a new one begins.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::disk::{Disk, LogFile};
use super::frame::put_frame;
use super::header::{DATA, Header};
use super::spares::{NEW, Spares};
use crate::Seq;

/// A heads file until it is whole.
const UNDER_WAY: &str = "heads.tmp";

/// A segment, or the heads of one, that a folder holds.
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
    numbered(disk, ".wal")
}

/// The heads files of a folder in WAL order.
pub(crate) fn head_files_of(disk: &dyn Disk) -> io::Result<Vec<Found>> {
    numbered(disk, ".heads")
}

fn numbered(disk: &dyn Disk, suffix: &str) -> io::Result<Vec<Found>> {
    let first = |name: &str| name.strip_suffix(suffix).filter(|digits| digits.len() == 20)?.parse().ok();
    let files = disk.list()?.into_iter();
    let mut found: Vec<Found> =
        files.filter_map(|(name, bytes)| Some(Found { first: first(&name)?, name, bytes })).collect();
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

fn name_of(first: Seq) -> String {
    format!("{first:020}.wal")
}

fn heads_name_of(first: Seq) -> String {
    format!("{first:020}.heads")
}

/// The bytes of a heads file: a segment whose records have no sections.
pub(crate) fn heads_of<'a>(header: &Header, records: impl Iterator<Item = (Seq, &'a [u8])>) -> Vec<u8> {
    let mut heads = header.encode().to_vec();
    records.for_each(|(seq, head)| put_frame(&mut heads, header.salt, seq, head));
    heads
}

/// The heads of a closed segment's records: tenants, batch keys and ticks. They are what
/// the next start needs at once, and what is needed of a segment whose rows are in tables.
#[derive(Debug, Clone)]
pub(crate) enum Heads {
    /// Not on disk yet; what its file will hold.
    Unsaved(Arc<Vec<u8>>),
    /// In a file of so many bytes; zero = there are none and there is no file.
    Saved(u64),
    /// Not known: the segment cannot be read.
    Unknown,
}

/// A segment that recovery found.
#[derive(Debug, Clone)]
pub(crate) struct Recovered {
    pub(crate) found: Found,
    /// No record in it has a higher number.
    pub(crate) last: Seq,
    pub(crate) heads: Heads,
    /// Age of its last record.
    pub(crate) age: Duration,
}

/// A segment that is not written any more.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    name: String,
    first: Seq,
    /// Its last record.
    pub(super) last: Seq,
    bytes: u64,
    /// Whether every record of it survives a loss of power.
    synced: bool,
    /// Its batch keys are remembered until then, on the monotonic clock of this process.
    until: Duration,
    heads: Heads,
}

impl Closed {
    fn shown(&self) -> WalSegment {
        let heads_bytes = match self.heads {
            Heads::Saved(bytes) => Some(bytes),
            Heads::Unsaved(_) | Heads::Unknown => None,
        };
        let (name, first, last, bytes) = (self.name.clone(), self.first, self.last, self.bytes);
        WalSegment { name, first, last, bytes, active: false, synced: self.synced, heads_bytes }
    }
}

/// Heads whose segment is gone.
#[derive(Debug, Clone)]
struct HeadFile {
    name: String,
    bytes: u64,
    until: Duration,
}

/// What is kept though all its rows are in tables: the batch keys of the last minutes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// For so long after a segment was closed; a spare file that nobody took is let go
    /// after the same time.
    pub(crate) age: Duration,
    /// More spare files than one are kept while they and the segments together are no larger;
    /// 0 = none is kept.
    pub(crate) log_bytes: u64,
    /// Where the heads of a segment cannot be saved it is kept itself, while all
    /// segments together are no larger.
    pub(crate) bytes: u64,
}

/// The segment that is being written.
pub(super) struct Active {
    file: Box<dyn LogFile>,
    name: String,
    header: Header,
    /// Where the next record goes.
    at: u64,
    bytes: u64,
    pub(super) last: Seq,
    /// The last record that a sync has reached.
    pub(super) synced: Seq,
    heads: Vec<u8>,
}

impl Active {
    pub(super) fn room(&self) -> usize {
        usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX)
    }

    /// Mixed into the checksums of its records.
    pub(super) fn salt(&self) -> u32 {
        self.header.salt
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

    /// Notes the head of a record that is written.
    pub(super) fn note(&mut self, seq: Seq, head: &[u8]) {
        put_frame(&mut self.heads, self.header.salt, seq, head);
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.synced = self.last;
        Ok(())
    }
}

/// A segment of the log, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalSegment {
    /// Name of its file.
    pub name: String,
    /// The number that its first record has or will have.
    pub first: Seq,
    /// Its last record; less than `first` = it has none yet.
    pub last: Seq,
    /// Size of its file, which is allocated before it is filled.
    pub bytes: u64,
    /// Whether it is the one being written.
    pub active: bool,
    /// Whether every record of it survives a loss of power.
    pub synced: bool,
    /// Bytes of the file with the heads of its records; `None` = not written.
    pub heads_bytes: Option<u64>,
}

/// All closed segments, oldest first.
#[derive(Default)]
pub(super) struct Segments {
    closed: VecDeque<Closed>,
    /// Of segments that are gone, oldest first.
    heads: VecDeque<HeadFile>,
    active_bytes: Option<u64>,
    /// The first record of the segment that is being written.
    active_first: Seq,
    spares: Spares,
}

impl Segments {
    /// Takes over what recovery found: segments, and heads files without one, each with
    /// the age of its last record.
    pub(super) fn recovered(
        segments: Vec<Recovered>,
        loose: Vec<(Found, Duration)>,
        keep: Keep,
        now: Duration,
    ) -> Self {
        let until = |age: Duration| now + keep.age.saturating_sub(age);
        let closed = segments.into_iter().map(|segment| Closed {
            name: segment.found.name,
            first: segment.found.first,
            last: segment.last,
            bytes: segment.found.bytes,
            // What a start finds it syncs before it relies on it.
            synced: true,
            until: until(segment.age),
            heads: segment.heads,
        });
        let heads = loose.into_iter().map(|(found, age)| HeadFile {
            name: found.name,
            bytes: found.bytes,
            until: until(age),
        });
        Self { closed: closed.collect(), heads: heads.collect(), ..Self::default() }
    }

    /// Bytes on disk and number of segments.
    pub(super) fn size(&self) -> (u64, u64) {
        let closed: u64 = self.closed.iter().map(|segment| segment.bytes).sum();
        let active = u64::from(self.active_bytes.is_some());
        (closed + self.active_bytes.unwrap_or(0), self.closed.len() as u64 + active)
    }

    /// All of them, oldest first. `written` is the last record of the log, `synced` the last
    /// of the segment that is being written that a sync has reached.
    pub(super) fn listed(&self, written: Seq, synced: Seq) -> Vec<WalSegment> {
        let closed = self.closed.iter().map(Closed::shown);
        let active = self.active_bytes.map(|bytes| WalSegment {
            name: name_of(self.active_first),
            first: self.active_first,
            last: written,
            bytes,
            active: true,
            synced: written < self.active_first || synced >= written,
            heads_bytes: None,
        });
        closed.chain(active).collect()
    }

    /// Bytes of heads files and of spare files.
    pub(super) fn beside(&self) -> (u64, u64) {
        let saved = self.closed.iter().filter_map(|segment| match segment.heads {
            Heads::Saved(bytes) => Some(bytes),
            Heads::Unsaved(_) | Heads::Unknown => None,
        });
        let heads = saved.sum::<u64>() + self.heads.iter().map(|file| file.bytes).sum::<u64>();
        (heads, self.spares.bytes())
    }

    /// The last record of the oldest closed segment: with it flushed, space comes back.
    pub(super) fn oldest_last(&self) -> Option<Seq> {
        self.closed.front().map(|segment| segment.last)
    }

    /// Whether anything is here that time alone lets go.
    pub(super) fn ages(&self) -> bool {
        !self.heads.is_empty() || !self.spares.is_empty()
    }

    /// Begins a segment, in a spare file if there is one of the right size.
    pub(super) fn begin(
        &mut self,
        disk: &dyn Disk,
        header: &Header,
        bytes: u64,
        now: Duration,
    ) -> io::Result<Active> {
        let name = name_of(header.first);
        let spare = self.spares.take(disk, bytes, now)?;
        let mut file = match &spare {
            Some(spare) => disk.open(spare)?,
            None => disk.create(NEW, bytes)?,
        };
        let mut start = header.encode().to_vec();
        start.extend_from_slice(&[0; 8]);
        file.write_at(0, &start)?;
        file.sync()?;
        disk.rename(spare.as_deref().unwrap_or(NEW), &name)?;
        disk.sync_folder()?;
        // Recovery may have left an empty one of the same name: this one has replaced it.
        self.closed.retain(|closed| closed.name != name);
        (self.active_bytes, self.active_first) = (Some(bytes), header.first);
        let last = header.first.saturating_sub(1);
        let heads = header.encode().to_vec();
        Ok(Active { file, name, header: *header, at: DATA as u64, bytes, last, synced: last, heads })
    }

    /// Ends a segment, whose batch keys are remembered `until` then.
    pub(super) fn close(&mut self, active: Active, until: Duration) {
        self.active_bytes = None;
        let heads =
            if active.heads.len() > DATA { Heads::Unsaved(Arc::new(active.heads)) } else { Heads::Saved(0) };
        let (first, last, synced) = (active.header.first, active.last, active.synced >= active.last);
        let (name, bytes) = (active.name, active.bytes);
        self.closed.push_back(Closed { name, first, last, bytes, synced, until, heads });
    }

    /// The oldest segment whose heads are not on disk: its number and the heads.
    pub(super) fn unsaved(&self) -> Option<(Seq, Arc<Vec<u8>>)> {
        self.closed.iter().find_map(|segment| match &segment.heads {
            Heads::Unsaved(heads) => Some((segment.first, Arc::clone(heads))),
            Heads::Saved(_) | Heads::Unknown => None,
        })
    }

    /// The heads of this segment are on disk.
    pub(super) fn saved(&mut self, first: Seq, bytes: u64) {
        match self.closed.iter_mut().find(|segment| segment.first == first) {
            Some(segment) => segment.heads = Heads::Saved(bytes),
            // It went meanwhile, too old for its keys to matter.
            None => {
                let name = heads_name_of(first);
                self.heads.push_front(HeadFile { name, bytes, until: Duration::ZERO });
            }
        }
    }

    /// Removes the segments whose records all lie below `keep_from`, except what `keep`
    /// asks for and the newest. Their files are kept as spares, but for those that `keep`
    /// has no room for.
    pub(super) fn truncate(
        &mut self,
        disk: &dyn Disk,
        keep_from: Seq,
        keep: Keep,
        (now, segment_bytes): (Duration, u64),
    ) -> io::Result<()> {
        self.spares.look(disk, now)?;
        let mut removed = false;
        while let Some(oldest) = self.removable(keep_from, keep, now) {
            if oldest.bytes == segment_bytes && self.spare_fits(keep) {
                let (name, first) = (oldest.name.clone(), oldest.first);
                self.spares.put(disk, (&name, first), segment_bytes, now)?;
            } else {
                disk.remove(&oldest.name)?;
            }
            if let Some(gone) = self.closed.pop_front()
                && let Heads::Saved(bytes @ 1..) = gone.heads
            {
                self.heads.push_back(HeadFile { name: heads_name_of(gone.first), bytes, until: gone.until });
            }
            removed = true;
        }
        removed |= self.forget(disk, keep, now)?;
        if removed { disk.sync_folder() } else { Ok(()) }
    }

    /// Whether the file of a closed segment may become a spare.
    fn spare_fits(&self, keep: Keep) -> bool {
        let all = self.size().0 + self.spares.bytes();
        keep.log_bytes > 0 && (self.spares.is_empty() || all <= keep.log_bytes)
    }

    fn removable(&self, keep_from: Seq, keep: Keep, now: Duration) -> Option<&Closed> {
        let newest = usize::from(self.active_bytes.is_none());
        let oldest = self.closed.front().filter(|oldest| oldest.last < keep_from)?;
        let saved = matches!(oldest.heads, Heads::Saved(_));
        let needed = !saved && now < oldest.until && self.size().0 <= keep.bytes;
        (self.closed.len() > newest && !needed).then_some(oldest)
    }

    /// Removes heads that are too old to matter, and spare files that nobody wants or has room for.
    fn forget(&mut self, disk: &dyn Disk, keep: Keep, now: Duration) -> io::Result<bool> {
        let mut removed = false;
        while let Some(oldest) = self.heads.front().filter(|oldest| oldest.until <= now) {
            remove_if_there(disk, &oldest.name)?;
            self.heads.pop_front();
            removed = true;
        }
        let left = usize::from(keep.log_bytes > 0);
        let room = (keep.log_bytes.saturating_sub(self.size().0), left);
        removed |= self.spares.forget(disk, room, (now, keep.age))?;
        Ok(removed)
    }
}

/// Removes a file that may be gone.
pub(super) fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes a heads file; it is there whole or not at all.
pub(super) fn save_heads(disk: &dyn Disk, first: Seq, heads: &[u8]) -> io::Result<()> {
    let mut file = disk.create(UNDER_WAY, heads.len() as u64)?;
    file.write_at(0, heads)?;
    file.sync()?;
    disk.rename(UNDER_WAY, &heads_name_of(first))?;
    disk.sync_folder()
}
