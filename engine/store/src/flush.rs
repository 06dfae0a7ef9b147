//! When rows go from memory into files, and in which order.
//!
//! A flush freezes the rows of one (tenant, kind), commits them with the number of the
//! last record among them, and only then lets go of them. The label sets of samples go
//! before the samples. One that fails leaves everything as it was and is tried again with
//! the very same rows, because the commit may have landed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use isinglass_model::{Clock, Kind};
use tokio::sync::Notify;

use crate::config::StoreConfig;
use crate::fence::Fenced;
use crate::head::{Generation, sorted_rows};
use crate::lock::Lock;
use crate::tables::{Reach, TableFiles};
use crate::tenant::{Backlog, TenantState, Usage};
use crate::tenants::Tenants;
use crate::{Seq, StoreError};

/// Figures of all flushes.
#[derive(Debug, Default)]
pub(crate) struct FlushStats {
    pub(crate) flushes: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) nanos: AtomicU64,
}

/// Moves rows from memory into files.
pub(crate) struct Flusher {
    pub(crate) config: Arc<StoreConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) files: Arc<dyn TableFiles>,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) usage: Arc<Usage>,
    /// Woken when memory has become free.
    pub(crate) freed: Arc<Notify>,
    pub(crate) stats: FlushStats,
    /// Whether the last flush failed.
    pub(crate) stalled: Arc<AtomicBool>,
    pub(crate) fenced: Fenced,
    /// The folder stays ours until the last flush has ended.
    pub(crate) _lock: Option<Lock>,
}

/// A table to be flushed.
type Task = (Arc<TenantState>, Backlog);

impl Flusher {
    /// Flushes what the policy says. `wal_oldest` is the last record of the oldest WAL
    /// segment, if the WAL is over its bound.
    pub(crate) async fn run_due(self: &Arc<Self>, wal_oldest: Option<Seq>) {
        self.flush_tasks(self.due(wal_oldest)).await;
    }

    /// Flushes every row that is unflushed now and belongs to a record up to `up_to`.
    /// All tables are tried; the first error is returned.
    pub(crate) async fn flush_all(self: &Arc<Self>, up_to: Seq) -> Result<(), StoreError> {
        let tasks = self.tasks().into_iter().filter(|(_, backlog)| backlog.first <= up_to);
        let results = futures::stream::iter(tasks)
            .map(|(tenant, backlog)| self.flush_table(tenant, backlog.kind, up_to))
            .buffer_unordered(self.config.flush_concurrency.max(1));
        results.fold(Ok(()), async |all: Result<(), StoreError>, one| all.and(one)).await
    }

    /// Flushes the largest tables until the head is half empty.
    pub(crate) async fn relieve(self: &Arc<Self>) {
        let mut tasks = self.tasks();
        tasks.sort_by_key(|(_, backlog)| std::cmp::Reverse(backlog.bytes));
        self.flush_tasks(self.largest(tasks)).await;
    }

    async fn flush_tasks(self: &Arc<Self>, tasks: Vec<Task>) {
        if self.fenced.reason().is_some() {
            return;
        }
        futures::stream::iter(tasks)
            .for_each_concurrent(self.config.flush_concurrency.max(1), async |(tenant, backlog)| {
                // Counted and reported where it happened; tried again later.
                let _ = self.flush_table(tenant, backlog.kind, backlog.first).await;
            })
            .await;
    }

    /// Flushes a table in a task of its own: who waits for it may go away in the middle,
    /// and half a commit must not meet the next one.
    async fn flush_table(
        self: &Arc<Self>,
        tenant: Arc<TenantState>,
        kind: Kind,
        up_to: Seq,
    ) -> Result<(), StoreError> {
        let flusher = Arc::clone(self);
        let task = tokio::spawn(async move { flusher.flush_until(&tenant, kind, up_to).await });
        task.await.unwrap_or_else(|error| Err(StoreError::Internal(format!("flush: {error}"))))
    }

    fn tasks(&self) -> Vec<Task> {
        let tenants = self.tenants.all().into_iter();
        tenants
            .flat_map(|tenant| {
                tenant.backlog().into_iter().map(move |backlog| (Arc::clone(&tenant), backlog))
            })
            .collect()
    }

    fn due(&self, wal_oldest: Option<Seq>) -> Vec<Task> {
        let now = self.clock.monotonic();
        let mut tasks = self.tasks();
        tasks.retain(|(_, backlog)| backlog.retry_at <= now);
        tasks.sort_by_key(|(_, backlog)| std::cmp::Reverse(backlog.bytes));
        let old = |backlog: &Backlog| wal_oldest.is_some_and(|oldest| backlog.first <= oldest);
        let (mut due, rest): (Vec<Task>, Vec<Task>) =
            tasks.into_iter().partition(|(_, backlog)| self.is_due(backlog, now) || old(backlog));
        let leaving: u64 = due.iter().map(|(_, backlog)| backlog.bytes).sum();
        if self.usage.total_bytes().saturating_sub(leaving) > self.config.head_bytes / 4 * 3 {
            due.extend(self.largest(rest));
        }
        due
    }

    fn is_due(&self, backlog: &Backlog, now: Duration) -> bool {
        let age = now.saturating_sub(backlog.since);
        backlog.bytes >= self.config.flush_bytes
            || (age >= Duration::from_millis(self.config.flush_age_ms)
                && backlog.bytes >= self.config.flush_small_bytes)
            || age >= Duration::from_millis(self.config.flush_age_max_ms)
    }

    /// As many of these as it takes to make the head half empty.
    fn largest(&self, tasks: Vec<Task>) -> Vec<Task> {
        let mut left = self.usage.total_bytes();
        let half = self.config.head_bytes / 2;
        let mut largest = Vec::new();
        for (tenant, backlog) in tasks {
            if left <= half {
                break;
            }
            left = left.saturating_sub(backlog.bytes);
            largest.push((tenant, backlog));
        }
        largest
    }

    /// Flushes a table until no row of a record up to `up_to` is left in memory.
    async fn flush_until(&self, tenant: &TenantState, kind: Kind, up_to: Seq) -> Result<(), StoreError> {
        let _one_at_a_time = tenant.flushing[kind as usize - 1].lock().await;
        while let Some(rows) = tenant.freeze(kind, up_to) {
            if has_series(kind) {
                self.flush_series(tenant, rows.last).await?;
            }
            self.commit(tenant, kind, rows).await?;
        }
        Ok(())
    }

    /// Flushes the label sets that samples up to a record need.
    pub(crate) async fn flush_series(&self, tenant: &TenantState, up_to: Seq) -> Result<(), StoreError> {
        let _one_at_a_time = tenant.flushing[Kind::Series as usize - 1].lock().await;
        while let Some(rows) = tenant.freeze(Kind::Series, up_to) {
            self.commit(tenant, Kind::Series, rows).await?;
        }
        Ok(())
    }

    async fn commit(
        &self,
        tenant: &TenantState,
        kind: Kind,
        rows: Arc<Generation>,
    ) -> Result<(), StoreError> {
        let start = self.clock.monotonic();
        match self.try_commit(tenant, kind, &rows).await {
            Ok(()) => {
                let took = self.clock.monotonic().saturating_sub(start);
                self.stalled.store(false, Ordering::Relaxed);
                self.stats.flushes.fetch_add(1, Ordering::Relaxed);
                self.stats.rows.fetch_add(rows.rows as u64, Ordering::Relaxed);
                self.stats
                    .nanos
                    .fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
                tracing::debug!(tenant = %tenant.name, %kind, rows = rows.rows, up_to = rows.last, ?took, "flushed");
                self.freed.notify_waiters();
                Ok(())
            }
            Err(error) => {
                self.stalled.store(true, Ordering::Relaxed);
                self.fenced.note(&error);
                // Nothing is free, but who waits for it shall know that it may take long.
                self.freed.notify_waiters();
                self.stats.failures.fetch_add(1, Ordering::Relaxed);
                let pause = tenant.failed(kind, self.clock.monotonic());
                tracing::warn!(tenant = %tenant.name, %kind, %error, again_in = ?pause, "flush failed");
                Err(error)
            }
        }
    }

    /// Erases what is due; what fails is tried again later.
    pub(crate) async fn erase_due(&self) {
        let now = self.clock.monotonic();
        for tenant in self.tenants.all() {
            for kind in tenant.erasures(now) {
                let _ = self.erase_table(&tenant, kind).await;
            }
        }
    }

    /// Takes the files of a deleted tenant out of a table.
    pub(crate) async fn erase_table(&self, tenant: &TenantState, kind: Kind) -> Result<(), StoreError> {
        let _one_at_a_time = tenant.flushing[kind as usize - 1].lock().await;
        let erased = self.erase(tenant, kind).await;
        if let Err(error) = &erased {
            self.fenced.note(error);
            let pause = tenant.failed(kind, self.clock.monotonic());
            tracing::warn!(tenant = %tenant.name, %kind, %error, again_in = ?pause, "erasure failed");
        }
        erased
    }

    /// The same for one who has the lock of the table's flushes.
    async fn erase(&self, tenant: &TenantState, kind: Kind) -> Result<(), StoreError> {
        let Some(up_to) = tenant.erasing(kind) else { return Ok(()) };
        let (table, gone) = self.files.erase(&tenant.name, kind, up_to).await?;
        tracing::info!(tenant = %tenant.name, %kind, files = gone.len(), up_to, "files of a deleted tenant left the table");
        tenant.erased(kind, table, gone);
        Ok(())
    }

    async fn try_commit(
        &self,
        tenant: &TenantState,
        kind: Kind,
        rows: &Arc<Generation>,
    ) -> Result<(), StoreError> {
        self.erase(tenant, kind).await?;
        let (series, frozen) = (Arc::clone(&tenant.series), Arc::clone(rows));
        let sorted = tokio::task::spawn_blocking(move || sorted_rows(kind, frozen.runs(), &series)).await;
        let sorted = sorted.map_err(|error| StoreError::Internal(error.to_string()))??;
        let Some(after) = tenant.table_flushed(kind) else { return Ok(()) };
        let reach = Reach { after, up_to: rows.last };
        let table = self.files.commit(&tenant.name, kind, sorted, reach).await?;
        if table.flushed < rows.last {
            let reason = format!("committed up to {}, the table says {}", rows.last, table.flushed);
            return Err(StoreError::Table { tenant: tenant.name.clone(), kind, reason });
        }
        tenant.committed(kind, table)
    }
}

/// Kinds whose rows refer to rows of `series`.
fn has_series(kind: Kind) -> bool {
    matches!(kind, Kind::Samples | Kind::Histograms | Kind::Exemplars)
}
