//! What happens with the WAL at start.
//!
//! Segments are read one after the other, so that memory does not grow with the WAL. Rows
//! that a table's transaction says it has are left out, the rest goes into the head; when
//! the head is full, tables are flushed in between. The observer is told of every record.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isinglass_model::{Clock, Kind};

use crate::append::Observer;
use crate::apply::series_run;
use crate::dedup::Dedup;
use crate::flush::Flusher;
use crate::head::{Rows, Run};
use crate::series::SeriesTable;
use crate::tenant::TenantState;
use crate::wal::record::{self, Record};
use crate::wal::section::{SeriesEntry, read_samples, read_series, read_table};
use crate::wal::{DATA, Disk, Found, Header, Parsed, parse, segments_of};
use crate::{Seq, StoreError};

/// What the replay found.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Every segment with its last record.
    pub(crate) segments: Vec<(Found, Seq)>,
    /// The last record that counts.
    pub(crate) last: Seq,
    /// The highest number that any segment or table knows, also of records that do not
    /// count: new ones are above, so that no two segments ever have one name.
    pub(crate) highest: Seq,
    pub(crate) records: u64,
    pub(crate) quarantined_records: u64,
    pub(crate) quarantined_bytes: u64,
}

/// Reads the WAL into the head.
pub(crate) struct Recovery<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) flusher: &'a Arc<Flusher>,
    pub(crate) dedup: &'a Dedup,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) floor: &'a AtomicU64,
}

impl Recovery<'_> {
    /// Replays every segment.
    pub(crate) async fn run(&self) -> Result<Replayed, StoreError> {
        let io = |error: std::io::Error| StoreError::io("reading the wal folder", &error);
        let mut replayed = Replayed::default();
        let mut segments = Vec::new();
        for found in segments_of(&**self.disk).map_err(io)? {
            let start = self.disk.read(&found.name, DATA).map_err(io)?;
            segments.push((Header::decode(&start)?, found));
        }
        for at in 0..segments.len() {
            let void_from =
                segments[at + 1..].iter().filter_map(|(header, _)| header.as_ref()).map(|h| h.void_from);
            let void_from = void_from.min();
            let (header, found) = &segments[at];
            match header {
                Some(header) => self.segment(found, header, void_from, &mut replayed).await?,
                None => self.headless(found, &mut replayed)?,
            }
            replayed.segments.push((found.clone(), replayed.last.max(found.first.saturating_sub(1))));
        }
        let named = segments.iter().map(|(_, found)| found.first).max().unwrap_or(0);
        replayed.highest = replayed.last.max(named).max(self.floor.load(Ordering::Acquire));
        Ok(replayed)
    }

    async fn segment(
        &self,
        found: &Found,
        header: &Header,
        void_from: Option<Seq>,
        replayed: &mut Replayed,
    ) -> Result<(), StoreError> {
        let (disk, name, header) = (Arc::clone(self.disk), found.name.clone(), *header);
        let read = tokio::task::spawn_blocking(move || {
            disk.read(&name, usize::MAX).map(|bytes| {
                let parsed = parse(&bytes, &header, void_from);
                (bytes, parsed)
            })
        });
        let read = read.await.map_err(|error| StoreError::Internal(error.to_string()))?;
        let (bytes, Parsed { records, damage }) =
            read.map_err(|error| StoreError::io(&found.name, &error))?;
        for damage in damage {
            self.set_aside(
                found,
                &bytes,
                &damage.bytes,
                &format!("after record {}", damage.after),
                replayed,
            )?;
        }
        for (seq, body) in records {
            match self.record(seq, &bytes[body.clone()]).await? {
                None => replayed.records += 1,
                Some(fault) => {
                    self.set_aside(found, &bytes, &body, &format!("record {seq}: {fault}"), replayed)?;
                }
            }
            replayed.last = seq;
            if self.flusher.usage.total_bytes() > self.flusher.config.head_bytes {
                self.flusher.relieve().await;
            }
        }
        Ok(())
    }

    /// A segment of which neither copy of the header can be read: all of it is set aside.
    fn headless(&self, found: &Found, replayed: &mut Replayed) -> Result<(), StoreError> {
        let bytes = self.disk.read(&found.name, usize::MAX);
        let bytes = bytes.map_err(|error| StoreError::io(&found.name, &error))?;
        self.set_aside(found, &bytes, &(0..bytes.len()), "no readable header", replayed)
    }

    fn set_aside(
        &self,
        found: &Found,
        bytes: &[u8],
        range: &Range<usize>,
        what: &str,
        replayed: &mut Replayed,
    ) -> Result<(), StoreError> {
        let damaged = bytes.get(range.clone()).unwrap_or_default();
        let length = damaged.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let name = format!("{}-{}.damaged", found.name, range.start);
        tracing::error!(
            segment = found.name,
            offset = range.start,
            bytes = length,
            what,
            kept_as = name,
            "damaged bytes in the wal were set aside"
        );
        replayed.quarantined_records += 1;
        replayed.quarantined_bytes += length as u64;
        let kept = self.disk.set_aside(&name, &damaged[..length]);
        kept.map_err(|error| StoreError::io(format!("setting aside {name}"), &error))
    }

    /// Takes a record in. The answer is what is wrong with it, if its bytes are as they
    /// were written and yet cannot be read.
    async fn record(&self, seq: Seq, body: &[u8]) -> Result<Option<StoreError>, StoreError> {
        let Record { head, sections } = match damage(record::read(body))? {
            Ok(record) => record,
            Err(fault) => return Ok(Some(fault)),
        };
        let tenant = self.flusher.tenants.get(&head.tenant).await?;
        let rows = match damage(Sections::read(&tenant, seq, sections))? {
            Ok(rows) => rows,
            Err(fault) => return Ok(Some(fault)),
        };
        let unflushed = rows.runs.iter().filter(|(kind, _)| tenant.flushed(*kind) < seq).cloned().collect();
        tenant.apply(seq, unflushed, self.clock.monotonic());
        if let Some(key) = head.key {
            let age_ms = self.clock.now_unix_millis().saturating_sub(head.time_unix_ms).max(0);
            self.dedup.restore(&head.tenant, key, head.counts, Duration::from_millis(age_ms.unsigned_abs()));
        }
        let (spans, logs) = (rows.batch(Kind::Spans), rows.batch(Kind::Logs));
        self.observer.replayed(&head.tenant, seq, spans, logs, head.tick);
        Ok(None)
    }
}

/// Tells damage from every other error.
fn damage<T>(result: Result<T, StoreError>) -> Result<Result<T, StoreError>, StoreError> {
    match result {
        Err(error) if !matches!(error, StoreError::Damaged { .. }) => Err(error),
        other => Ok(other),
    }
}

/// The rows of a record.
struct Sections {
    runs: Vec<(Kind, Run)>,
}

impl Sections {
    /// Reads every section that is not flushed, and those that the observer wants to see.
    /// A fault is found before anything of the record is visible.
    fn read(tenant: &TenantState, seq: Seq, sections: Vec<(Kind, &[u8])>) -> Result<Self, StoreError> {
        let mut runs = Vec::with_capacity(sections.len());
        for (kind, bytes) in sections {
            if tenant.flushed(kind) >= seq && !matches!(kind, Kind::Spans | Kind::Logs) {
                continue;
            }
            match kind {
                // First in every record: the samples after it need the series.
                Kind::Series => runs.extend(restore(&tenant.series, read_series(bytes)?)),
                Kind::Samples => {
                    let run = read_samples(bytes, &tenant.series)?;
                    runs.push((kind, Run::Samples(Arc::new(run))));
                }
                _ => runs.push((kind, Run::Rows(Arc::new(Rows::new(kind, read_table(bytes, kind)?)?)))),
            }
        }
        Ok(Self { runs })
    }

    fn batch(&self, wanted: Kind) -> Option<&arrow_array::RecordBatch> {
        self.runs.iter().find_map(|(kind, run)| match run {
            Run::Rows(rows) if *kind == wanted => Some(&rows.batch),
            _ => None,
        })
    }
}

fn restore(table: &SeriesTable, entries: Vec<SeriesEntry>) -> Option<(Kind, Run)> {
    let mut pairs = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(meta) = &entry.meta {
            table.describe(entry.labels.metric(), meta);
        }
        pairs.push((table.restore(entry.series_id, entry.labels), entry.day));
    }
    series_run(table, pairs)
}
