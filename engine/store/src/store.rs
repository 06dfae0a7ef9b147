//! The store: what the other crates call.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use isinglass_model::{Clock, Kind, Tenant};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedRwLockReadGuard, Semaphore, oneshot};

use crate::append::{Append, Appended, BatchKey, Observer, Seq};
use crate::config::StoreConfig;
use crate::dedup::{Begin, Dedup};
use crate::error::StoreError;
use crate::flush::Flusher;
use crate::pending::{Pending, prepare};
use crate::recovery::rejoin;
use crate::removals::Removals;
use crate::report::Report;
use crate::room::Room;
use crate::series::Resolver;
use crate::stats::StoreStats;
use crate::tail::Tail;
use crate::tenant::TenantState;
use crate::upkeep::Upkeep;
use crate::view::View;
use crate::wal::{Disk, Job, Wal, WalSegment};

/// The store. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    pub(crate) core: Arc<Core>,
}

/// What all clones share.
pub(crate) struct Core {
    pub(crate) config: Arc<StoreConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) flusher: Arc<Flusher>,
    pub(crate) dedup: Dedup,
    pub(crate) wal: Wal<Pending>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) disk_room: Room,
    pub(crate) applier: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// The last record that is visible and that the observer knows of.
    pub(crate) applied: Arc<AtomicU64>,
    /// Who makes records visible.
    pub(crate) tail: Arc<Tail>,
    /// Wakes the maintenance task.
    pub(crate) wake: Arc<Notify>,
    /// Room in the WAL's queue, in units of [`ROOM_BYTES`].
    pub(crate) room: Arc<Semaphore>,
    pub(crate) room_units: u32,
    pub(crate) closing: AtomicBool,
    pub(crate) report: Report,
    pub(crate) upkeep: Arc<Upkeep>,
    /// Removals of segments of the log.
    pub(crate) log_removals: Removals,
    /// Held by the one backup that runs.
    pub(crate) backup: Arc<tokio::sync::Mutex<()>>,
    pub(crate) upkeep_task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    pub(crate) maintenance_task: Mutex<Option<tokio::task::JoinHandle<()>>>,
    /// When it was opened, on the monotonic clock.
    pub(crate) opened: Duration,
}

/// The unit in which room in the queue is counted.
pub(crate) const ROOM_BYTES: usize = 1 << 10;

/// How often the flush policy is asked if nobody wakes it.
const MAINTENANCE_EVERY: Duration = Duration::from_secs(1);
/// How often the disk is asked for its room.
const DISK_EVERY: Duration = Duration::from_millis(500);
/// How often at most.
const MAINTENANCE_PAUSE: Duration = Duration::from_millis(50);

/// How long a close waits for a round of the flush policy.
const CLOSE_WAIT: Duration = Duration::from_secs(10);

impl Store {
    /// Its configuration.
    pub fn config(&self) -> &StoreConfig {
        &self.core.config
    }

    /// The series of a tenant, for one request. A tenant that was not used since the start
    /// is loaded from its tables.
    pub async fn resolver(&self, tenant: &Tenant) -> Result<Resolver, StoreError> {
        let tenant = self.core.flusher.tenants.get(tenant).await.map_err(StoreError::for_writer)?;
        Ok(Resolver::new(Arc::clone(&tenant.series), tenant.life))
    }

    /// Whether a batch was stored in the last minutes; waits while it is being stored.
    pub async fn begin(&self, tenant: &Tenant, key: BatchKey) -> Begin {
        self.core.dedup.begin(tenant, key).await
    }

    /// Stores a request. Resolves after its record is as durable as configured and its
    /// rows are visible; while the log is still being read, or the head is full because
    /// tables cannot be written, its rows are seen later, and views of the tenant say so.
    /// If the caller goes away, the request may be stored all the same.
    pub async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let core = &*self.core;
        let is_tick = append.tick.is_some();
        core.takes(is_tick)?;
        core.wait_for_space(is_tick).await?;
        let (tenant, writing) = core.enter(&append.tenant).await?;
        if append.has_series() && append.life != tenant.life {
            return Err(StoreError::unavailable("the tenant was deleted while the request was read"));
        }
        let (done, answer) = oneshot::channel();
        let (body, head, pending) = prepare(append, tenant, core.clock.now_unix_millis(), done)?;
        core.push(body, head, pending).await?;
        drop(writing);
        let answer = answer.await.unwrap_or_else(|_| Err(StoreError::unavailable("the store is closing")));
        if is_tick {
            // What it covers may have been all that held the oldest segments.
            core.wake.notify_one();
        }
        answer
    }

    /// What can be seen of a tenant now. One that has never written anything has empty
    /// tables.
    pub async fn view(&self, tenant: &Tenant) -> Result<Arc<View>, StoreError> {
        let tenants = &self.core.flusher.tenants;
        Ok(match tenants.find(tenant).await? {
            Some(state) => state.view(),
            None => tenants.empty(tenant).view(),
        })
    }

    /// Tenants that are in memory or have tables, sorted.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.core.flusher.tenants.names()
    }

    /// Waits until everything of a tenant that was acknowledged before the call can be seen.
    pub async fn settled(&self, tenant: &Tenant) -> Result<(), StoreError> {
        let tail = &self.core.tail;
        if !tail.is_behind() {
            return Ok(());
        }
        let Some(state) = self.core.flusher.tenants.find(tenant).await? else {
            return Ok(());
        };
        let (_, expected) = state.progress();
        let there = || !tail.is_behind() || state.progress().0 >= expected;
        if tail.until(there).await { Ok(()) } else { Err(closing()) }
    }

    /// Waits until everything that was acknowledged before the call can be seen.
    pub async fn caught_up(&self) -> Result<(), StoreError> {
        let (tail, applied) = (&self.core.tail, &self.core.applied);
        let logged = tail.logged();
        let there = || !tail.is_behind() || (logged > 0 && applied.load(Ordering::Acquire) >= logged);
        if tail.until(there).await { Ok(()) } else { Err(closing()) }
    }

    /// Whether acknowledged records wait in the log, so that answers may lack them.
    pub fn is_replaying(&self) -> bool {
        self.core.tail.is_behind()
    }

    /// Whether writes can be taken at this moment.
    pub fn takes_writes(&self) -> Result<(), StoreError> {
        self.core.takes(false)
    }

    /// Whether this process can ever take writes again.
    pub fn is_healthy(&self) -> Result<(), StoreError> {
        self.core.flusher.fenced.reason().map_or(Ok(()), Err)
    }

    /// Flushes everything that was acknowledged before the call into committed tables.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.core.catch_up_flushing().await?;
        self.core.flusher.flush_all(self.core.applied.load(Ordering::Acquire)).await?;
        self.core.truncate().await
    }

    /// Flushes, and merges all files of each table as if all its days were over.
    pub async fn compact(&self) -> Result<(), StoreError> {
        self.flush().await?;
        self.core.upkeep.compact().await
    }

    /// Takes no more appends, flushes, and ends the threads. What is still in the log alone
    /// stays there for the next start. The folder is free when the last clone is gone.
    pub async fn close(self) -> Result<(), StoreError> {
        let core = self.core;
        core.closing.store(true, Ordering::Release);
        let blocking = Arc::clone(&core);
        let stopped = tokio::task::spawn_blocking(move || blocking.stop_threads()).await;
        stopped.map_err(|error| StoreError::Internal(error.to_string()))?;
        core.stop_upkeep().await;
        core.stop_maintenance().await;
        core.flusher.flush_all(Seq::MAX).await?;
        core.flusher.files.checker().settle().await;
        core.truncate().await
    }

    /// The segments of the log, oldest first.
    pub fn wal_segments(&self) -> Vec<WalSegment> {
        self.core.wal.segments()
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.core.clock
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> StoreStats {
        self.core.stats()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.core.config.data_dir).finish_non_exhaustive()
    }
}

pub(crate) fn closing() -> StoreError {
    StoreError::unavailable("the store is closing")
}

impl Core {
    /// Whether a record can be taken. One of a tick also where the disk is low: it frees more of
    /// the log than it takes.
    fn takes(&self, is_tick: bool) -> Result<(), StoreError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(closing());
        }
        let room = || self.disk_room.refusal().filter(|_| !is_tick);
        let refusal = self.flusher.fenced.reason().or_else(room);
        refusal.map_or(Ok(()), Err)
    }

    /// The applier has taken over from the reader of the log.
    pub(crate) fn went_live(&self) {
        self.flusher.tenants.replayed();
        let took = self.clock.monotonic().saturating_sub(self.opened);
        if self.report.replayed_in(took) {
            let (records, bytes) = (&self.report.records, &self.report.bytes);
            tracing::info!(
                records = records.load(Ordering::Relaxed),
                bytes = bytes.load(Ordering::Relaxed),
                quarantined = self.report.losses().count,
                ?took,
                "the log is read"
            );
        } else {
            tracing::info!("all acknowledged records are in memory again");
        }
    }

    /// Waits for the reader of the log, which stands still while tables cannot be written:
    /// then the error of a flush is the answer.
    async fn catch_up_flushing(&self) -> Result<(), StoreError> {
        let logged = self.tail.logged();
        let there =
            || !self.tail.is_behind() || (logged > 0 && self.applied.load(Ordering::Acquire) >= logged);
        loop {
            match tokio::time::timeout(MAINTENANCE_EVERY, self.tail.until(there)).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(closing()),
                Err(_) if self.flusher.stalled.load(Ordering::Relaxed) => {
                    self.flusher.flush_all(self.applied.load(Ordering::Acquire)).await?;
                }
                Err(_) => {}
            }
        }
    }

    /// Asks the volume of the log for its room.
    pub(crate) fn look_at_disk(&self) {
        if let Err(error) = self.disk_room.look(&*self.disk) {
            tracing::warn!(%error, "the volume of the wal does not say how much room it has");
        }
    }

    /// The tenant as it is now, which no deletion ends before the guard is dropped.
    pub(crate) async fn enter(
        &self,
        name: &Tenant,
    ) -> Result<(Arc<TenantState>, OwnedRwLockReadGuard<()>), StoreError> {
        loop {
            let tenant = self.flusher.tenants.get(name).await.map_err(StoreError::for_writer)?;
            let writing = Arc::clone(&tenant.writing).read_owned().await;
            if !tenant.is_retired() {
                return Ok((tenant, writing));
            }
        }
    }

    /// Waits for room in the queue and hands the record to the log.
    pub(crate) async fn push(&self, body: Vec<u8>, head: usize, pending: Pending) -> Result<(), StoreError> {
        let limit = crate::wal::BODY_BYTES_MAX;
        if body.len() > limit {
            return Err(StoreError::TooLarge { got: body.len(), limit });
        }
        let units = u32::try_from(body.len() / ROOM_BYTES + 1).unwrap_or(u32::MAX).min(self.room_units);
        let acquire = Arc::clone(&self.room).acquire_many_owned(units);
        let permit = tokio::time::timeout(self.append_wait(), acquire).await;
        let permit = permit.map_err(|_| StoreError::unavailable("the log is too slow, its queue is full"))?;
        let permit = permit.map_err(|_| closing())?;
        self.wal.push(Job { body, head, item: pending, permit }).map_err(|(_, error)| error)
    }

    fn append_wait(&self) -> Duration {
        Duration::from_millis(self.config.append_wait_ms)
    }

    /// Waits until the head and the WAL are below their bounds.
    async fn wait_for_space(&self, is_tick: bool) -> Result<(), StoreError> {
        if self.full(is_tick).is_none() {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + self.append_wait();
        loop {
            let freed = self.flusher.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            let Some(what) = self.full(is_tick) else {
                return Ok(());
            };
            self.wake.notify_one();
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                return Err(StoreError::unavailable(format!("{what} is full, flushes do not keep up")));
            }
        }
    }

    /// What has no room for a record. The log has some for ticks beyond its bound: without them
    /// nothing would be let go of that they are to cover, and the bound stood for good.
    fn full(&self, is_tick: bool) -> Option<&'static str> {
        // While tables cannot be written, records go into the log alone.
        let log_alone = || self.flusher.stalled.load(Ordering::Relaxed) || self.tail.is_behind();
        if self.flusher.usage.total_bytes() >= self.config.head_bytes && !log_alone() {
            return Some("the head");
        }
        let wal = self.wal.stats().disk_bytes.load(Ordering::Relaxed);
        let bound = self.config.wal_bytes_max.saturating_mul(2);
        let bound = match is_tick {
            false => bound,
            // Each covers all before it, so those that went in are enough to let go of the rest.
            true if self.flusher.stalled.load(Ordering::Relaxed) => bound.saturating_add(bound / 8),
            true => u64::MAX,
        };
        (wal >= bound).then_some("the wal")
    }

    /// Flushes what is due and lets go of WAL segments that nobody needs.
    pub(crate) async fn maintain(&self) -> Result<(), StoreError> {
        let wal = self.wal.stats().disk_bytes.load(Ordering::Relaxed);
        let oldest = self.wal.oldest_last();
        // At half of the bound, so that a tick is written before tables are flushed for it.
        let held = || self.observer.holds().zip(oldest).is_some_and(|(held, oldest)| held <= oldest);
        if wal > self.config.wal_bytes_max / 2 && held() {
            self.observer.wants_tick();
        }
        let oldest = oldest.filter(|_| wal > self.config.wal_bytes_max);
        self.flusher.erase_due().await;
        self.flusher.run_due(oldest).await;
        self.truncate().await
    }

    /// Removes the segments whose rows are all in tables and whose deltas are all in ticks.
    async fn truncate(&self) -> Result<(), StoreError> {
        if !self.wal.has_old() {
            return Ok(());
        }
        let saved = self.save_heads().await;
        let _removing = match self.log_removals.begin() {
            Some(removing) => Some(removing),
            // A backup copies the log. Writes are more important than that.
            None if self.wal_is_near_its_end() => {
                self.log_removals.insist();
                None
            }
            None => return saved,
        };
        let keep_from = self.keep_from();
        // A rename and a sync of the folder: short enough for a worker.
        self.wal.truncate(keep_from, self.disk_room.is_low())?;
        self.flusher.freed.notify_waiters();
        saved
    }

    /// Whether the log has come half of the way from its bound to where writes are refused.
    fn wal_is_near_its_end(&self) -> bool {
        let wal = self.wal.stats().disk_bytes.load(Ordering::Relaxed);
        wal >= self.config.wal_bytes_max.saturating_mul(3) / 2
    }

    async fn save_heads(&self) -> Result<(), StoreError> {
        let saver = self.wal.saver();
        let saved = tokio::task::spawn_blocking(move || saver.save_heads()).await;
        saved.map_err(|error| StoreError::Internal(error.to_string()))?
    }

    /// The first record that is still needed. What is applied is read first: a record that
    /// becomes visible meanwhile has a higher number.
    fn keep_from(&self) -> Seq {
        let applied = self.applied.load(Ordering::Acquire);
        let held = self.observer.holds().unwrap_or(Seq::MAX);
        let of_tenant = |tenant: &Arc<TenantState>| {
            Kind::ALL.into_iter().filter_map(|kind| tenant.first_needed(kind)).min()
        };
        let unflushed = self.flusher.tenants.all().iter().filter_map(of_tenant).min().unwrap_or(Seq::MAX);
        let apart = self.flusher.tenants.apart.first_needed().unwrap_or(Seq::MAX);
        (applied + 1).min(held).min(unflushed).min(apart)
    }

    /// Ends the upkeep wherever it is: what it has not committed is an orphan.
    async fn stop_upkeep(&self) {
        let task = self.upkeep_task.lock().take();
        if let Some(task) = task {
            task.abort();
            let _ = task.await;
        }
    }

    /// Lets a round of the flush policy end. It holds the store, and with it the folder, which
    /// somebody may want to open once this is closed.
    async fn stop_maintenance(&self) {
        let task = self.maintenance_task.lock().take();
        if let Some(task) = task {
            self.wake.notify_one();
            // A round that waits for the object store may take longer; the flush below waits too.
            let _ = tokio::time::timeout(CLOSE_WAIT, task).await;
        }
    }

    fn stop_threads(&self) {
        self.tail.close();
        self.wal.close();
        if let Some(applier) = self.applier.lock().take()
            && applier.join().is_err()
        {
            tracing::error!("the applier thread panicked");
        }
    }

    fn stats(&self) -> StoreStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (wal, flush) = (self.wal.stats(), &self.flusher.stats);
        let upkeep = &self.upkeep.stats;
        let tenants = self.flusher.tenants.all();
        let usage = |kind| self.flusher.usage.of(kind);
        let lost = self.report.losses();
        let checker = self.flusher.files.checker();
        let (checked_bytes, damaged_reads) = checker.figures();
        let replaying = self.tail.is_behind();
        let waiting = self.tail.logged().saturating_sub(of(&self.applied));
        StoreStats {
            wal_bytes: of(&wal.disk_bytes),
            wal_heads_bytes: of(&wal.heads_bytes),
            wal_spare_bytes: of(&wal.spare_bytes),
            wal_segments: of(&wal.segments),
            wal_records: of(&wal.records),
            wal_written_bytes: of(&wal.bytes),
            wal_syncs: of(&wal.syncs),
            wal_sync_time: Duration::from_nanos(of(&wal.sync_nanos)),
            wal_failures: of(&wal.failures),
            read_only: self.wal.read_only(),
            fenced: self.flusher.fenced.reason().is_some(),
            epoch: self.flusher.files.epoch(),
            objects: self.flusher.files.object_stats(),
            cache: checker.cache_stats(),
            checked_bytes,
            damaged_reads,
            disk_free: self.disk_room.figures(),
            disk_low: self.disk_room.is_low(),
            head_bytes: Kind::ALL.into_iter().map(|kind| (kind, usage(kind).0)).collect(),
            head_rows: Kind::ALL.into_iter().map(|kind| (kind, usage(kind).1)).collect(),
            flushes: of(&flush.flushes),
            flushed_rows: of(&flush.rows),
            flush_failures: of(&flush.failures),
            flush_time: Duration::from_nanos(of(&flush.nanos)),
            merges: of(&upkeep.merges),
            upkeep_failures: of(&upkeep.failures),
            merged_bytes_in: of(&upkeep.bytes_in),
            merged_bytes_out: of(&upkeep.bytes_out),
            merged_duplicates: of(&upkeep.duplicates),
            merged_conflicts: of(&upkeep.conflicts),
            expired_rows: of(&upkeep.expired),
            deleted_files: of(&upkeep.deleted),
            merge_time: Duration::from_nanos(of(&upkeep.nanos)),
            quarantined_records: lost.count,
            quarantined_bytes: lost.bytes,
            quarantined_seqs: lost.records,
            quarantined_time_unix_ms: lost.time_unix_ms,
            lost: lost.listed,
            replaying,
            replay_behind: if replaying { waiting } else { 0 },
            replayed_records: of(&self.report.records),
            replayed_bytes: of(&self.report.bytes),
            replay_time: self
                .report
                .replay_time()
                .unwrap_or_else(|| self.clock.monotonic().saturating_sub(self.opened)),
            tenants: tenants.len() as u64,
            tenants_apart: self.flusher.tenants.apart.listed(),
            series: tenants.iter().map(|tenant| tenant.series.len() as u64).sum(),
            duplicates: self.dedup.duplicates(),
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Before the folder is given back: nothing may be written after.
        if let Some(task) = self.upkeep_task.lock().take() {
            task.abort();
        }
        self.stop_threads();
    }
}

/// Runs the flush policy until the store is closed or gone.
pub(crate) async fn maintenance(core: Weak<Core>, wake: Arc<Notify>) {
    loop {
        // Early or late does not matter.
        let _ = tokio::time::timeout(MAINTENANCE_EVERY, wake.notified()).await;
        let Some(core) = core.upgrade().filter(|core| !core.closing.load(Ordering::Acquire)) else {
            return;
        };
        if let Err(error) = core.maintain().await {
            tracing::warn!(%error, "maintenance of the store failed");
        }
        let core = Arc::downgrade(&core);
        rejoin(&core).await;
        tokio::time::sleep(MAINTENANCE_PAUSE).await;
    }
}

/// Asks the disk for its room until the store is closed or gone.
pub(crate) async fn watch_disk(core: Weak<Core>) {
    loop {
        tokio::time::sleep(DISK_EVERY).await;
        let Some(core) = core.upgrade().filter(|core| !core.closing.load(Ordering::Acquire)) else {
            return;
        };
        core.look_at_disk();
    }
}
