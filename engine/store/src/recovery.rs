//! Reading the log into the head: at start, and whenever the applier has left records to it
//! (see [`crate::tail`]).
//!
//! Segments are read one after the other, so that memory does not grow with the WAL. Rows
//! that a table's transaction says it has are left out, the rest goes into the head; when
//! the head is full, tables are flushed in between. The observer is told of every record.
//! Appends go on meanwhile, into segments that are read when their turn comes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use isinglass_model::{Kind, Tenant};

use crate::apply::series_run;
use crate::head::{Rows, Run};
use crate::series::SeriesTable;
use crate::store::Core;
use crate::tail::Tail;
use crate::tenant::TenantState;
use crate::wal::record::{self, Record};
use crate::wal::replay::{Around, Segment};
use crate::wal::scan::headers_of;
use crate::wal::section::{SeriesEntry, read_samples, read_series, read_table};
use crate::{Seq, StoreError};

/// Bytes of records that are taken in at once at most, off the async threads.
const CHUNK_BYTES: usize = 1 << 20;
/// With so little left to read the applier waits for the reader.
const HANDOVER_BYTES: usize = 4 << 20;
/// As it does after so many rounds in which more came than that.
const ROUNDS_MAX: u32 = 10;
/// Tenants whose tables are opened at the same time.
const OPENED_AT_ONCE: usize = 16;
/// Waits after a failure double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

type Tenants = HashMap<Tenant, Arc<TenantState>, ahash::RandomState>;

/// Reads the log whenever that is wanted, until the store is closed or gone. Holds the
/// store only while it reads: who drops it must not wait for a replay.
pub(crate) async fn follow(core: Weak<Core>, tail: Arc<Tail>) {
    while tail.wanted().await {
        if catch_up(&core, &tail).await.is_none() {
            return;
        }
    }
}

/// Reads until the applier takes over. `None`: the store is closed or gone.
async fn catch_up(core: &Weak<Core>, tail: &Tail) -> Option<()> {
    let (mut rounds, mut pause) = (0, PAUSES.0);
    loop {
        let up_to = tail.logged();
        let after = core.upgrade()?.applied.load(Ordering::Acquire);
        match read(core, tail, after..up_to, None).await {
            Ok(bytes) => {
                let core = core.upgrade().filter(|_| !tail.is_closed())?;
                core.applied.fetch_max(up_to, Ordering::AcqRel);
                if tail.go_live(up_to) {
                    core.went_live();
                    return Some(());
                }
                rounds += 1;
                if bytes <= HANDOVER_BYTES || rounds > ROUNDS_MAX {
                    tail.hold();
                }
                pause = PAUSES.0;
            }
            Err(Stopped::Failed(error)) => {
                tail.release();
                tracing::warn!(%error, again_in = ?pause, "reading the log failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            Err(Stopped::Closed) => return None,
        }
    }
}

enum Stopped {
    /// To be tried again.
    Failed(StoreError),
    Closed,
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

fn alive(core: &Weak<Core>, tail: &Tail) -> Result<Arc<Core>, Stopped> {
    core.upgrade().filter(|_| !tail.is_closed()).ok_or(Stopped::Closed)
}

/// Tries the tables of those again that are set apart, and reads their records where the
/// tables can be read. Nobody else adds records of theirs meanwhile.
pub(crate) async fn rejoin(core: &Weak<Core>) {
    // While the log is read anyhow, its reader would come by the same records.
    let live = core.upgrade().filter(|core| !core.tail.is_behind());
    let Some((tail, now, due)) = live.map(|core| {
        let now = core.clock.monotonic();
        (Arc::clone(&core.tail), now, core.flusher.tenants.apart.due(now))
    }) else {
        return;
    };
    let (mut back, mut first) = (Tenants::default(), Seq::MAX);
    for (name, since) in due {
        let Some(core) = core.upgrade() else { return };
        match core.flusher.tenants.get_known(&name).await {
            Ok(state) => {
                first = first.min(since);
                back.insert(name, state);
            }
            Err(error) => core.flusher.tenants.apart.postpone(&name, error, now),
        }
    }
    if back.is_empty() {
        return;
    }
    let Some(last) = core.upgrade().map(|core| core.applied.load(Ordering::Acquire)) else { return };
    let back = Arc::new(back);
    let went = read(core, &tail, first.saturating_sub(1)..last, Some(&back)).await;
    let Some(core) = core.upgrade() else { return };
    for name in back.keys() {
        match &went {
            Ok(_) => core.flusher.tenants.apart.remove(name),
            Err(Stopped::Failed(error)) => core.flusher.tenants.apart.postpone(name, error.clone(), now),
            Err(Stopped::Closed) => {}
        }
    }
}

/// Reads the records after one, up to another, or those of some tenants; the answer is how
/// many bytes that were.
async fn read(
    core: &Weak<Core>,
    tail: &Tail,
    Range { start: after, end: up_to }: Range<Seq>,
    only: Option<&Arc<Tenants>>,
) -> Result<usize, Stopped> {
    let disk = Arc::clone(&alive(core, tail)?.disk);
    let listing = Arc::clone(&disk);
    let segments = Arc::new(blocking(move || headers_of(&*listing)).await??);
    let mut total = 0;
    for at in 0..segments.len() {
        if segments.get(at + 1).is_some_and(|(next, _)| next.first <= after + 1) {
            continue;
        }
        let (disk, segments) = (Arc::clone(&disk), Arc::clone(&segments));
        let segment = blocking(move || Segment::read(&*disk, &segments, at, up_to)).await??;
        total += segment.take(core, tail, after, only).await?;
    }
    Ok(total)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.to_string()))
}

impl Segment {
    /// Takes in the records after a number, or those of some tenants; the answer is how many
    /// bytes they have.
    async fn take(
        self,
        core: &Weak<Core>,
        tail: &Tail,
        after: Seq,
        only: Option<&Arc<Tenants>>,
    ) -> Result<usize, Stopped> {
        for damage in &self.parsed.damage {
            let range = self.around(damage);
            self.set_aside(&*alive(core, tail)?, &damage.bytes, range, "bytes that are no record")?;
        }
        let records: Vec<(Seq, Range<usize>)> =
            self.parsed.records.iter().filter(|(seq, _)| *seq > after).cloned().collect();
        let tenants = match only {
            Some(only) => Arc::clone(only),
            None => Arc::new(self.tenants(&*alive(core, tail)?, &records).await?),
        };
        let mut total = 0;
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let chunk_bytes = make_room(core, tail).await?;
            let count = rest.iter().take_while(|(_, body)| {
                let fits = bytes < chunk_bytes;
                bytes += body.len();
                fits
            });
            let (chunk, later) = rest.split_at(count.count());
            rest = later;
            let size: usize = chunk.iter().map(|(_, body)| body.len()).sum();
            let work = {
                let (core, bytes, tenants) =
                    (alive(core, tail)?, Arc::clone(&self.bytes), Arc::clone(&tenants));
                let chunk = chunk.to_vec();
                move || core.take_in(&chunk, &bytes, &tenants)
            };
            let (faults, result) = blocking(work).await?;
            for (seq, body, fault) in faults {
                let around = self.around_record(seq, &body);
                self.set_aside(&*alive(core, tail)?, &body, around, &fault.to_string())?;
            }
            result?;
            alive(core, tail)?.report.add(chunk.len() as u64, size as u64);
            total += size;
            tail.moved();
        }
        Ok(total)
    }

    /// Everybody who has a record here and whose tables can be read, loaded several at a time.
    async fn tenants(&self, core: &Core, records: &[(Seq, Range<usize>)]) -> Result<Tenants, StoreError> {
        let tenants = &core.flusher.tenants;
        let mut firsts: HashMap<Tenant, Seq, ahash::RandomState> = HashMap::default();
        for (seq, body) in records {
            if let Ok(head) = record::read_head(&self.bytes[body.clone()]) {
                firsts.entry(head.tenant).or_insert(*seq);
            }
        }
        firsts.retain(|name, _| tenants.apart.reason(name).is_none());
        futures::stream::iter(firsts)
            .map(|(name, first)| async move {
                match tenants.get_known(&name).await {
                    Ok(state) => Ok(Some((name, state))),
                    Err(error) if error.is_of_a_table() => {
                        tenants.apart.add(&name, first, error, core.clock.monotonic()).map(|()| None)
                    }
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(OPENED_AT_ONCE)
            .try_filter_map(async |loaded| Ok(loaded))
            .try_collect()
            .await
    }

    fn set_aside(
        &self,
        core: &Core,
        range: &Range<usize>,
        around: Around,
        what: &str,
    ) -> Result<(), StoreError> {
        let (lost, aside) = self.lost(range, around);
        let name = aside.name;
        if !core.report.lost(&lost) {
            return Ok(());
        }
        tracing::error!(
            segment = lost.segment,
            offset = lost.offset,
            bytes = lost.bytes,
            first_record = lost.records.0,
            last_record = lost.records.1,
            written_after_unix_ms = lost.time_unix_ms.0,
            written_before_unix_ms = lost.time_unix_ms.1,
            what,
            kept_as = name,
            "damaged bytes in the wal were set aside"
        );
        let kept = core.disk.set_aside(&name, aside.bytes);
        kept.map_err(|error| StoreError::io(format!("setting aside {name}"), &error))
    }
}

/// Flushes until the head has room; says for how many bytes of records at once.
async fn make_room(core: &Weak<Core>, tail: &Tail) -> Result<usize, Stopped> {
    let mut pause = PAUSES.0;
    loop {
        let core = alive(core, tail)?;
        let (used, bound) = (core.flusher.usage.total_bytes(), core.config.head_bytes);
        if used >= core.config.flush_bytes.min(bound / 2) {
            core.wake.notify_one();
        }
        if used < bound {
            return Ok(usize::try_from(bound / 16).unwrap_or(usize::MAX).clamp(1, CHUNK_BYTES));
        }
        core.flusher.relieve().await;
        if core.flusher.usage.total_bytes() >= bound {
            // The tables cannot be written now; appends need not wait for that.
            tail.release();
            drop(core);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// A record that cannot be read although its bytes are as they were written.
type Unreadable = (Seq, Range<usize>, StoreError);

impl Core {
    /// Takes records in. The answer is what cannot be read.
    fn take_in(
        &self,
        records: &[(Seq, Range<usize>)],
        bytes: &[u8],
        tenants: &Tenants,
    ) -> (Vec<Unreadable>, Result<(), StoreError>) {
        let mut faults = Vec::new();
        for (seq, body) in records {
            match self.take_in_one(*seq, &bytes[body.clone()], tenants) {
                Ok(None) => {}
                Ok(Some(fault)) => faults.push((*seq, body.clone(), fault)),
                Err(error) => return (faults, Err(error)),
            }
            self.applied.fetch_max(*seq, Ordering::AcqRel);
        }
        (faults, Ok(()))
    }

    fn take_in_one(
        &self,
        seq: Seq,
        body: &[u8],
        tenants: &Tenants,
    ) -> Result<Option<StoreError>, StoreError> {
        let Record { head, sections } = match damage(record::read(body))? {
            Ok(record) => record,
            Err(fault) => return Ok(Some(fault)),
        };
        // Those that are missing are set apart, or are not those that are looked for.
        let Some(tenant) = tenants.get(&head.tenant) else { return Ok(None) };
        // Another life may have begun since the segment was opened.
        let tenant = self.flusher.tenants.loaded(&head.tenant).unwrap_or_else(|| Arc::clone(tenant));
        let tenant = &*tenant;
        // A reading that failed half-way, and is made again, has brought it already.
        if seq <= tenant.progress().0 {
            return Ok(None);
        }
        // Nothing is derived from what was deleted.
        let watched = seq > tenant.deleted() && self.observer.wants(&head.tenant, seq);
        let rows = match damage(Sections::read(tenant, seq, sections, watched))? {
            Ok(rows) => rows,
            Err(fault) => return Ok(Some(fault)),
        };
        let unflushed = rows.unflushed(tenant, seq);
        tenant.apply(seq, unflushed, self.clock.monotonic());
        let batch = |kind| rows.batch(kind).filter(|_| watched);
        if head.deletes {
            tenant.end_at(seq);
            self.observer.deleted(&head.tenant, seq);
        } else {
            self.observer.replayed(&head.tenant, seq, batch(Kind::Spans), batch(Kind::Logs), head.tick);
        }
        Ok(None)
    }
}

/// What a start would take of a record, which is not applied; the inner error is why the
/// record would be set aside. Labels that it defines become known, as later records need them.
pub(crate) fn look_at(
    seq: Seq,
    body: &[u8],
    tenant: &TenantState,
) -> Result<Result<Vec<(Kind, Run)>, StoreError>, StoreError> {
    let read = record::read(body).and_then(|record| Sections::read(tenant, seq, record.sections, false));
    Ok(damage(read)?.map(|rows| rows.unflushed(tenant, seq)))
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
    fn read(
        tenant: &TenantState,
        seq: Seq,
        sections: Vec<(Kind, &[u8])>,
        watched: bool,
    ) -> Result<Self, StoreError> {
        let mut runs = Vec::with_capacity(sections.len());
        for (kind, bytes) in sections {
            let shown = watched && matches!(kind, Kind::Spans | Kind::Logs);
            if tenant.flushed(kind) >= seq && !shown {
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

    /// Those that no table has.
    fn unflushed(&self, tenant: &TenantState, seq: Seq) -> Vec<(Kind, Run)> {
        self.runs.iter().filter(|(kind, _)| tenant.flushed(*kind) < seq).cloned().collect()
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
