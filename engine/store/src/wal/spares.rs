//! Files that wait to become segments.
//!
//! The log is let go in one go when a small table that had held it back is flushed. Each file
//! that is then used again saves writing a segment of zeros before its records, and memory
//! for it that the system had not touched yet.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::disk::Disk;
use super::segments::remove_if_there;

/// A new file; of releases that let one file wait at most also one that was a segment.
pub(super) const NEW: &str = "spare";

/// Name of a file that waits, by the first record that it could have held.
fn name_of(first: u64) -> String {
    format!("{NEW}.{first:020}")
}

/// Whether a file of the log's folder waits to become a segment.
pub(crate) fn is_spare(name: &str) -> bool {
    name == NEW
        || name
            .strip_prefix(NEW)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit()))
}

#[derive(Debug)]
struct Spare {
    name: String,
    bytes: u64,
    /// On the monotonic clock of this process.
    since: Duration,
}

/// All of them, the one that waits longest first.
#[derive(Debug, Default)]
pub(super) struct Spares {
    files: VecDeque<Spare>,
}

impl Spares {
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Looks which there are; one that was not known waits since `now`.
    pub(super) fn look(&mut self, disk: &dyn Disk, now: Duration) -> io::Result<()> {
        let mut found: Vec<(String, u64)> =
            disk.list()?.into_iter().filter(|(name, _)| is_spare(name)).collect();
        self.files
            .retain(|file| found.iter().any(|(name, bytes)| *name == file.name && *bytes == file.bytes));
        found.retain(|(name, _)| !self.files.iter().any(|file| file.name == *name));
        found.sort();
        self.files.extend(found.into_iter().map(|(name, bytes)| Spare { name, bytes, since: now }));
        Ok(())
    }

    /// Name of a file of so many bytes, which waits no longer. Of several the newest, which
    /// the system most probably still has in memory.
    pub(super) fn take(&mut self, disk: &dyn Disk, bytes: u64, now: Duration) -> io::Result<Option<String>> {
        self.look(disk, now)?;
        let newest = self.files.iter().rposition(|file| file.bytes == bytes);
        Ok(newest.and_then(|at| self.files.remove(at)).map(|file| file.name))
    }

    /// Lets the file of a segment wait.
    pub(super) fn put(
        &mut self,
        disk: &dyn Disk,
        (segment, first): (&str, u64),
        bytes: u64,
        now: Duration,
    ) -> io::Result<()> {
        let name = name_of(first);
        disk.rename(segment, &name)?;
        self.files.push_back(Spare { name, bytes, since: now });
        Ok(())
    }

    /// Removes those that have waited for `age`, and the oldest of those that have more bytes
    /// together than there is room for, down to a number of files.
    pub(super) fn forget(
        &mut self,
        disk: &dyn Disk,
        (room, files_min): (u64, usize),
        (now, age): (Duration, Duration),
    ) -> io::Result<bool> {
        let mut removed = false;
        while let Some(oldest) = self.files.front() {
            let too_many = self.bytes() > room && self.files.len() > files_min;
            if !too_many && now.saturating_sub(oldest.since) < age {
                break;
            }
            remove_if_there(disk, &oldest.name)?;
            self.files.pop_front();
            removed = true;
        }
        Ok(removed)
    }
}
