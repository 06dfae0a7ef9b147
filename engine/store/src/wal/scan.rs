//! What the log says before it is replayed: enough to take writes.
//!
//! Of most segments only the heads file is read, of the others, such as the one that was
//! being written, all records. So a start takes as long with a large log as with a small
//! one.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Kind;

use super::disk::Disk;
use super::frame::frame_start;
use super::header::{DATA, Header};
use super::parse::{Parsed, parse};
use super::record::{self, Head};
use super::section::{read_series, read_table};
use super::segments::{Found, Heads, Recovered, head_files_of, heads_of, segments_of};
use super::writer::BATCH_BYTES_MAX;
use crate::log_id::LogId;
use crate::{Seq, StoreError};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// Every segment.
    pub(crate) segments: Vec<Recovered>,
    /// Heads files whose segment is gone, with the age of their last record.
    pub(crate) loose: Vec<(Found, Duration)>,
    /// The last record that counts.
    pub(crate) last: Seq,
    /// The highest number that any segment knows, also of records that do not count: new
    /// ones are above, so that no two segments ever have one name.
    pub(crate) highest: Seq,
    /// Which log it is; `None`: no segment says so, a new one begins.
    pub(crate) log: Option<LogId>,
}

/// The head of a record, as a scan comes by it.
pub(crate) struct Seen {
    pub(crate) seq: Seq,
    pub(crate) head: Head,
    /// How long ago it was written, by the wall clock.
    pub(crate) age: Duration,
    /// Whether its segment is still there.
    pub(crate) replayed: bool,
}

/// Segments with their headers; `None` where neither copy can be read.
pub(crate) type Headed = Vec<(Found, Option<Header>)>;

/// The segments of a folder and their headers, in WAL order.
pub(crate) fn headers_of(disk: &dyn Disk) -> Result<Headed, StoreError> {
    let mut segments = Vec::new();
    for found in segments_of(disk).map_err(listing)? {
        let start = disk.read(&found.name, DATA).map_err(|error| reading(&found.name, &error))?;
        let header = Header::decode(&found.name, &start)?;
        segments.push((found, header));
    }
    Ok(segments)
}

/// From which record on the segment at `at` does not count, by what later ones say.
pub(crate) fn void_from(segments: &[(Found, Option<Header>)], at: usize) -> Option<Seq> {
    segments[at + 1..].iter().filter_map(|(_, header)| header.as_ref()).map(|header| header.void_from).min()
}

fn listing(error: io::Error) -> StoreError {
    StoreError::io("reading the wal folder", &error)
}

fn reading(name: &str, error: &io::Error) -> StoreError {
    StoreError::io(format!("reading {name}"), error)
}

/// Reads the heads of all records, oldest first.
pub(crate) fn scan(
    disk: &dyn Disk,
    now_unix_ms: i64,
    see: &mut dyn FnMut(Seen),
) -> Result<Scanned, StoreError> {
    let segments = headers_of(disk)?;
    let files = head_files_of(disk).map_err(listing)?;
    let mut scan = Scan { disk, now_unix_ms, see, scanned: Scanned::default() };
    // One of a newer release is refused before anything is done.
    for file in &files {
        let start = disk.read(&file.name, DATA).map_err(|error| reading(&file.name, &error))?;
        Header::decode(&file.name, &start)?;
    }
    for file in &files {
        if segments.iter().all(|(segment, _)| segment.first != file.first) {
            scan.loose(file);
        }
    }
    for at in 0..segments.len() {
        let file = files.iter().find(|file| file.first == segments[at].0.first);
        scan.segment(&segments, at, file)?;
    }
    let named = segments.iter().map(|(found, _)| found.first).max().unwrap_or(0);
    scan.scanned.highest = scan.scanned.last.max(named);
    scan.scanned.log = segments.iter().rev().find_map(|(_, header)| header.map(|header| header.log));
    Ok(scan.scanned)
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    now_unix_ms: i64,
    see: &'a mut dyn FnMut(Seen),
    scanned: Scanned,
}

impl Scan<'_> {
    /// Heads without their segment: only the keys matter. One that cannot be read costs
    /// the memory of batches that were sent just before, nothing else.
    fn loose(&mut self, file: &Found) {
        match whole_heads(self.disk, file, None) {
            Some((bytes, records)) => {
                let age = self.heads(&bytes, &records, false);
                self.scanned.loose.push((file.clone(), age));
            }
            None => {
                tracing::warn!(file = file.name, "a heads file of the wal cannot be read, its keys are lost");
                self.scanned.loose.push((file.clone(), Duration::MAX));
            }
        }
    }

    fn segment(&mut self, all: &Headed, at: usize, file: Option<&Found>) -> Result<(), StoreError> {
        let (found, header) = &all[at];
        let below = all.get(at + 1).map(|(next, _)| next.first.saturating_sub(1));
        let mut recovered = Recovered {
            found: found.clone(),
            last: below.unwrap_or(found.first.saturating_sub(1)),
            heads: Heads::Unknown,
            age: Duration::ZERO,
        };
        let Some(header) = header else {
            self.scanned.segments.push(recovered);
            return Ok(());
        };
        // The last one was being written, or was closed by a stop: it is read itself.
        let mut used = DATA;
        let saved = file.filter(|_| below.is_some());
        let saved = saved.and_then(|file| Some((file, whole_heads(self.disk, file, Some(header))?)));
        if let Some((file, (bytes, records))) = saved {
            recovered.age = self.heads(&bytes, &records, true);
            recovered.heads = Heads::Saved(file.bytes);
        } else {
            let bytes = self.disk.read(&found.name, usize::MAX);
            let bytes = bytes.map_err(|error| reading(&found.name, &error))?;
            let records = parse(&bytes, header, void_from(all, at)).records;
            recovered.age = self.heads(&bytes, &records, true);
            recovered.heads = heads_in(header, &bytes, &records);
            if below.is_none() {
                self.settle(found, file, &bytes, &records)?;
            }
            used = records.last().map_or(DATA, |(_, body)| body.end.next_multiple_of(8));
        }
        if below.is_none() {
            recovered.last = self.scanned.last.max(recovered.last);
            self.cut(&mut recovered, used);
        }
        self.scanned.segments.push(recovered);
        Ok(())
    }

    /// Makes the last segment what this start says it is, before anything relies on that.
    ///
    /// The process may have died between the write and the sync of its last batch, or after
    /// a sync that failed: its records are then read from the page cache, and a batch key or
    /// a series that only they define would be gone with the power. They are written again,
    /// because after a failed sync the kernel takes pages for clean that are on no disk. And
    /// a heads file that was written when the segment was closed does not know of them.
    fn settle(
        &self,
        found: &Found,
        heads: Option<&Found>,
        bytes: &[u8],
        records: &[(Seq, Range<usize>)],
    ) -> Result<(), StoreError> {
        let settled = || -> io::Result<()> {
            if let Some((_, last)) = records.last() {
                // What one write can have brought.
                let from = last.end.saturating_sub(BATCH_BYTES_MAX).min(frame_start(last)).max(DATA);
                let mut file = self.disk.open(&found.name)?;
                file.write_at(from as u64, &bytes[from..last.end])?;
                file.sync()?;
            }
            if let Some(heads) = heads {
                self.disk.remove(&heads.name)?;
            }
            self.disk.sync_folder()
        };
        settled().map_err(|error| StoreError::io(format!("syncing {}", found.name), &error))
    }

    /// Gives back what the last segment has not used: its next bytes are torn or nothing, and
    /// a process that dies again and again must not fill the log with empty files.
    fn cut(&self, recovered: &mut Recovered, used: usize) {
        let used = used as u64;
        match self.disk.shorten(&recovered.found.name, used.min(recovered.found.bytes)) {
            Ok(true) => recovered.found.bytes = used.min(recovered.found.bytes),
            Ok(false) => {}
            Err(error) => tracing::warn!(segment = recovered.found.name, %error, "it keeps its length"),
        }
    }

    /// Shows records; the answer is the age of the last one.
    fn heads(&mut self, bytes: &[u8], records: &[(Seq, Range<usize>)], replayed: bool) -> Duration {
        let mut youngest = Duration::MAX;
        for (seq, body) in records {
            if replayed {
                self.scanned.last = self.scanned.last.max(*seq);
            }
            // What cannot be read is set aside by the replay.
            if let Ok(head) = record::read_head(&bytes[body.clone()]) {
                let age_ms = self.now_unix_ms.saturating_sub(head.time_unix_ms).max(0);
                let age = Duration::from_millis(age_ms.unsigned_abs());
                youngest = age;
                (self.see)(Seen { seq: *seq, head, age, replayed });
            }
        }
        if records.is_empty() { Duration::ZERO } else { youngest }
    }
}

/// The heads of a segment that was read.
fn heads_in(header: &Header, bytes: &[u8], records: &[(Seq, Range<usize>)]) -> Heads {
    let heads = records.iter().filter_map(|(seq, body)| {
        let body = &bytes[body.clone()];
        let head = record::read_head(body).ok()?;
        Some((*seq, &body[..record::begin(&head).len()]))
    });
    let heads = heads_of(header, heads);
    if heads.len() > DATA { Heads::Unsaved(Arc::new(heads)) } else { Heads::Saved(0) }
}

/// A heads file, if every byte of it is as it was written and it belongs to a segment with
/// this header.
pub(crate) fn whole_heads(
    disk: &dyn Disk,
    file: &Found,
    of: Option<&Header>,
) -> Option<(Vec<u8>, Vec<(Seq, Range<usize>)>)> {
    let bytes = disk.read(&file.name, usize::MAX).ok()?;
    let header = Header::decode(&file.name, &bytes).ok()??;
    if of.is_some_and(|of| *of != header) {
        return None;
    }
    // As if a segment followed, so that bytes which are no record count as damage.
    let Parsed { records, damage } = parse(&bytes, &header, Some(Seq::MAX));
    (damage.is_empty() && !records.is_empty()).then_some((bytes, records))
}

/// Refuses a log of which anything would be set aside. Reads all of it, one segment in
/// memory at a time.
pub(crate) fn verify(disk: &dyn Disk) -> Result<(), StoreError> {
    let segments = headers_of(disk)?;
    for (at, (found, header)) in segments.iter().enumerate() {
        let bytes = disk.read(&found.name, usize::MAX).map_err(|error| reading(&found.name, &error))?;
        let Some(header) = header else {
            return Err(refused(found, &(0..bytes.len()), "no readable header"));
        };
        let Parsed { records, damage } = parse(&bytes, header, void_from(&segments, at));
        if let Some(damage) = damage.first() {
            let next = records.iter().find(|(_, body)| body.start >= damage.bytes.end);
            let until = next.map_or_else(|| "the end".to_owned(), |(seq, _)| format!("record {seq}"));
            let what = format!("no readable record after record {} until {until}", damage.after);
            return Err(refused(found, &damage.bytes, &what));
        }
        for (seq, body) in records {
            if let Err(error) = check(&bytes[body.clone()]) {
                return Err(refused(found, &body, &format!("record {seq}: {error}")));
            }
        }
    }
    Ok(())
}

/// Reads a record as the replay will, as far as that goes without its tenant's series.
fn check(body: &[u8]) -> Result<(), StoreError> {
    for (kind, section) in record::read(body)?.sections {
        match kind {
            Kind::Series => drop(read_series(section)?),
            Kind::Samples => {}
            _ => drop(read_table(section, kind)?),
        }
    }
    Ok(())
}

fn refused(found: &Found, range: &Range<usize>, what: &str) -> StoreError {
    StoreError::damaged(
        format!("wal segment {} at bytes {} to {}", found.name, range.start, range.end),
        format!("{what}; `strict` refuses to start, without it these bytes are set aside in quarantine/"),
    )
}
