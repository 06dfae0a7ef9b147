//! The log, and what a start would replay of it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use isinglass_model::Tenant;

use super::dry::DryDisk;
use super::report::{Aside, Cut, HeadsFile, Inspection, LogRows, Replayed, Segment, TenantApart};
use crate::config::StoreConfig;
use crate::recovery::look_at;
use crate::tables::TableFiles;
use crate::tenant::{TenantState, Usage};
use crate::tenants::{Seqs, Tenants};
use crate::wal::replay::Segment as Loaded;
use crate::wal::scan::{Headed, Scanned, Seen, headers_of, whole_heads};
use crate::wal::{DATA, Disk, Header, head_files_of, is_spare, record};
use crate::{Seq, StoreError};

/// Looks at a log that moves, until it stands still for as long as a look takes.
const LOOKS_MAX: u32 = 5;

/// Does what a start does first.
pub(super) async fn scan(
    disk: &Arc<DryDisk>,
    now_unix_ms: i64,
    moving: bool,
) -> Result<(Scanned, Seqs, Seqs), StoreError> {
    let mut looks = 0;
    loop {
        looks += 1;
        let disk = Arc::clone(disk);
        match blocking(move || scan_once(&*disk, now_unix_ms)).await {
            Err(StoreError::Io { .. }) if moving && looks < LOOKS_MAX => {}
            other => return other,
        }
    }
}

fn scan_once(disk: &DryDisk, now_unix_ms: i64) -> Result<(Scanned, Seqs, Seqs), StoreError> {
    let (mut logged, mut deleted) = (Seqs::default(), Seqs::default());
    let scanned = crate::wal::scan::scan(disk, now_unix_ms, &mut |Seen { seq, head, replayed, .. }| {
        if head.deletes {
            deleted.insert(head.tenant.clone(), seq);
        }
        if replayed {
            logged.insert(head.tenant, seq);
        }
    })?;
    Ok((scanned, logged, deleted))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
}

/// Reads all segments as the replay does, one in memory at a time.
pub(super) async fn look(
    disk: &Arc<DryDisk>,
    files: Arc<dyn TableFiles>,
    config: &StoreConfig,
    (last, logged, deleted): (Seq, Seqs, Seqs),
    told: &mut Inspection,
) -> Result<(), StoreError> {
    let bounds = (config.series_max, config.tenants_max);
    let usage = Arc::new(Usage::default());
    let tenants = Tenants::new(files, usage, 0, bounds, Arc::default()).await?;
    tenants.expect(logged, deleted);
    let listing = Arc::clone(disk);
    let mut segments = blocking(move || headers_of(&*listing)).await?;
    // Those that were begun since are of a later moment.
    segments.retain(|(found, _)| !told.lock.held || found.first <= last);
    let segments = Arc::new(segments);
    let mut look =
        Look { told, tenants, loaded: HashMap::default(), held: BTreeMap::new(), rows: BTreeMap::new() };
    look.heads(disk)?;
    let mut known = None;
    for at in 0..segments.len() {
        let moving = look.told.lock.held;
        let (reader, all) = (Arc::clone(disk), Arc::clone(&segments));
        let Some(segment) = blocking(move || read(&reader, &all, at, last, moving)).await? else {
            known = None;
            continue;
        };
        look.missing(&segments, at, known);
        look.segment(&segments, at, &segment);
        // One without records, and with another of its number behind it, is not replayed.
        let is_stuck = look.told.next_start.stuck.is_some();
        if !is_stuck && segments.get(at + 1).is_none_or(|(next, _)| next.first > 1) {
            look.replay(&segment).await?;
        }
        let damaged_end =
            segment.parsed.damage.last().is_some_and(|damage| damage.bytes.end == segment.bytes.len());
        known = segment.parsed.records.last().map(|(seq, _)| *seq).or(known).filter(|_| !damaged_end);
    }
    look.tail(disk, &segments)?;
    look.finish();
    Ok(())
}

/// A segment; `None`: it was let go meanwhile, or its file is another segment by now.
fn read(
    disk: &DryDisk,
    segments: &Headed,
    at: usize,
    last: Seq,
    moving: bool,
) -> Result<Option<Loaded>, StoreError> {
    let segment = match Loaded::read(disk, segments, at, last) {
        Err(StoreError::Io { .. }) if moving => return Ok(None),
        other => other?,
    };
    let (found, header) = &segments[at];
    let same = || {
        let bytes = disk.read(&found.name, DATA).ok()?;
        Header::decode(&found.name, &bytes).ok().filter(|now| now == header)
    };
    Ok((!moving || same().is_some()).then_some(segment))
}

struct Look<'a> {
    told: &'a mut Inspection,
    tenants: Tenants,
    /// Those that a start would load; `None`: it would set them apart.
    loaded: HashMap<Tenant, Option<Arc<TenantState>>, ahash::RandomState>,
    /// Records and bytes in the log.
    held: BTreeMap<(String, &'static str), (u64, u64)>,
    /// Records and rows that no table has.
    rows: BTreeMap<String, (u64, BTreeMap<&'static str, u64>)>,
}

impl Look<'_> {
    fn heads(&mut self, disk: &DryDisk) -> Result<(), StoreError> {
        let listing = |error: std::io::Error| StoreError::io("reading the wal folder", &error);
        for file in head_files_of(disk).map_err(listing)? {
            let records = whole_heads(disk, &file, None).map(|(_, records)| records.len() as u64);
            if records.is_none() && !self.told.lock.held {
                let reason =
                    "it does not have its checksums; its batch keys are lost, or its segment is read";
                self.told.damaged("heads", format!("wal/{}", file.name), None, reason);
            }
            self.told.wal.heads.push(HeadsFile { name: file.name, bytes: file.bytes, records });
        }
        let spares = disk.list().map_err(listing)?.into_iter().filter(|(name, _)| is_spare(name));
        self.told.wal.spare_bytes = spares.map(|(_, bytes)| bytes).sum();
        Ok(())
    }

    /// A segment says which record came before it.
    fn missing(&mut self, segments: &Headed, at: usize, known: Option<Seq>) {
        let (found, header) = &segments[at];
        let Some((header, known)) = header.as_ref().zip(known) else { return };
        if known + 1 < header.void_from {
            let (first, last) = (known + 1, header.void_from - 1);
            let reason = format!("records {first} to {last}, which came before it, are in no segment");
            self.told.damaged("wal_missing", format!("wal/{}", found.name), None, reason);
        }
    }

    fn segment(&mut self, segments: &Headed, at: usize, segment: &Loaded) {
        let (found, header) = &segments[at];
        let records = &segment.parsed.records;
        let used = records.last().map_or(DATA, |(_, body)| body.end.next_multiple_of(8));
        self.told.wal.segments.push(Segment {
            name: found.name.clone(),
            version: header.as_ref().and_then(|_| version_of(&segment.bytes)),
            bytes: found.bytes,
            used_bytes: (used as u64).min(found.bytes),
            records: records.len() as u64,
            first: records.first().map(|(seq, _)| *seq),
            last: records.last().map(|(seq, _)| *seq),
        });
        for damage in &segment.parsed.damage {
            let reason = if header.is_some() { "bytes that are no record" } else { "no readable header" };
            self.set_aside(segment, &damage.bytes, segment.around(damage), reason);
        }
    }

    fn set_aside(
        &mut self,
        segment: &Loaded,
        range: &Range<usize>,
        around: crate::wal::replay::Around,
        reason: &str,
    ) {
        let (lost, aside) = segment.lost(range, around);
        let (start, end) = (range.start as u64, range.start as u64 + lost.bytes);
        let (first, last) = lost.records;
        let what = format!("{reason}; records {first} to {last} are lost");
        self.told.damaged("wal", format!("wal/{}", segment.name), Some((start, end)), what);
        self.told.next_start.set_aside.push(Aside::of(aside.name, lost, reason.to_owned()));
    }

    async fn replay(&mut self, segment: &Loaded) -> Result<(), StoreError> {
        for (seq, body) in &segment.parsed.records {
            self.told.next_start.records_read += 1;
            let content = &segment.bytes[body.clone()];
            let fault = match record::read(content) {
                Ok(record) => {
                    self.count(&record);
                    self.take(*seq, content, &record.head.tenant).await?
                }
                Err(fault) => Some(fault),
            };
            if let Some(fault) = fault {
                let around = segment.around_record(*seq, body);
                self.set_aside(segment, body, around, &fault.to_string());
            }
        }
        Ok(())
    }

    fn count(&mut self, record: &record::Record<'_>) {
        for (kind, section) in &record.sections {
            let key = (record.head.tenant.as_str().to_owned(), kind.as_str());
            let (records, bytes) = self.held.entry(key).or_default();
            *records += 1;
            *bytes += section.len() as u64;
        }
    }

    /// Counts the rows that no table has; the answer is why the record would be set aside.
    async fn take(&mut self, seq: Seq, body: &[u8], name: &Tenant) -> Result<Option<StoreError>, StoreError> {
        let Some(tenant) = self.tenant(name, seq).await else { return Ok(None) };
        let runs = match look_at(seq, body, &tenant)? {
            Ok(runs) => runs,
            Err(fault) => return Ok(Some(fault)),
        };
        if !runs.is_empty() {
            let (records, rows) = self.rows.entry(name.as_str().to_owned()).or_default();
            *records += 1;
            for (kind, run) in runs {
                *rows.entry(kind.as_str()).or_default() += run.rows() as u64;
            }
        }
        Ok(None)
    }

    async fn tenant(&mut self, name: &Tenant, seq: Seq) -> Option<Arc<TenantState>> {
        if let Some(known) = self.loaded.get(name) {
            return known.clone();
        }
        let loaded = match self.tenants.get_known(name).await {
            Ok(tenant) => Some(tenant),
            Err(error) => {
                let (tenant, reason) = (name.as_str().to_owned(), error.to_string());
                let apart = TenantApart { tenant, first: seq, reason };
                let start = &mut self.told.next_start;
                // A start sets apart whose tables are damaged, and tries anything else again.
                if error.is_of_a_table() {
                    start.apart.push(apart);
                } else {
                    start.stuck.get_or_insert(apart);
                }
                None
            }
        };
        self.loaded.insert(name.clone(), loaded.clone());
        loaded
    }

    /// What lies behind the last record.
    fn tail(&mut self, disk: &DryDisk, segments: &Headed) -> Result<(), StoreError> {
        let last = segments.last().filter(|(_, header)| header.is_some());
        let Some(((found, _), (name, to))) = last.zip(disk.shortened()) else { return Ok(()) };
        if found.name != name {
            return Ok(());
        }
        let bytes = disk.read(&name, usize::MAX).map_err(|error| StoreError::io(&name, &error))?;
        let rest = bytes.get(usize::try_from(to).unwrap_or(usize::MAX)..).unwrap_or_default();
        // Where nothing is torn stand 8 zeros; what follows them is of an earlier use.
        let torn = rest.iter().take(8).any(|byte| *byte != 0);
        if torn && !self.told.lock.held {
            let end = bytes.len() as u64;
            let reason = "bytes after the last whole record, never acknowledged; a start cuts them off";
            self.told.damaged("torn_tail", format!("wal/{name}"), Some((to, end)), reason);
        }
        self.told.next_start.cut = Some(Cut { segment: name, to, from: bytes.len() as u64, torn });
        Ok(())
    }

    fn finish(self) {
        let held = self.held.into_iter().map(|((tenant, kind), (records, bytes))| LogRows {
            tenant,
            kind: kind.to_owned(),
            records,
            bytes,
        });
        self.told.wal.records = held.collect();
        let rows = self.rows.into_iter();
        self.told.next_start.replayed =
            rows.map(|(tenant, (records, rows))| Replayed { tenant, records, rows }).collect();
    }
}

/// The version of a segment whose header can be read: of whichever copy says one.
fn version_of(bytes: &[u8]) -> Option<u32> {
    let copies = [0, DATA / 2].into_iter().filter_map(|at| bytes.get(at..at + 12));
    let whole = copies.filter(|copy| copy.starts_with(b"ISGLWAL\n"));
    whole.filter_map(|copy| copy[8..].try_into().ok().map(u32::from_le_bytes)).next()
}
