//! What is written from time to time: derived metrics, and what plugins that are tried out said.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use isinglass_model::Tenant;
use isinglass_store::{Append, Life, Resolver, Tick as TickMark};

use crate::derived::{Tick, write_tick};
use crate::error::IngestError;
use crate::ingest::Ingest;
use crate::shadow::ShadowStats;

/// How long a flush waits for plugins that are tried out.
const SETTLE_MAX: Duration = Duration::from_secs(10);

pub(crate) type SharedBoard = Arc<crate::derived::OfTenant>;

impl Ingest {
    /// Writes the derived metrics of all tenants now.
    ///
    /// An error names the first tenant whose tick was not stored; the others are
    /// written, and what failed is in the next tick.
    pub async fn tick(&self) -> Result<(), IngestError> {
        let _one_at_a_time = self.0.ticking.lock().await;
        let mut first_error = Ok(());
        for (tenant, board) in self.0.board.tenants() {
            match self.tick_tenant(&tenant, &board).await {
                Ok(()) => board.lock().commit_tick(),
                Err(error) => {
                    board.lock().abort_tick(self.0.board.limits, self.0.board.now());
                    self.0.recorder.tenant(&tenant, |stats| stats.failed_ticks += 1);
                    tracing::warn!(%tenant, %error, "derived metrics were not written; the next tick covers them");
                    first_error = first_error.and(Err(error));
                }
            }
        }
        first_error
    }

    async fn tick_tenant(&self, tenant: &Tenant, board: &SharedBoard) -> Result<(), IngestError> {
        let resolver = self.0.store.resolver(tenant).await?;
        let (this, of_tenant, board) = (self.clone(), tenant.clone(), Arc::clone(board));
        match self.compute(move || Ok(this.read_tick(&of_tenant, &board, resolver))).await? {
            Some(append) => self.append_tick(tenant, append).await,
            None => Ok(()),
        }
    }

    fn read_tick(&self, tenant: &Tenant, board: &SharedBoard, mut resolver: Resolver) -> Option<Append> {
        let inner = &*self.0;
        resolver.limit(inner.live.of_series(tenant));
        let mut settled = inner.board.settled(tenant, board);
        // No counter in the tick begins after it.
        let now = inner.clock.now_unix_nanos();
        let chain = inner.chains.current();
        let tick = write_tick(&inner.board, tenant, &mut settled, &chain, &mut resolver, now);
        tick.map(|tick| tick_record(tenant, resolver.life(), tick))
    }

    pub(crate) async fn append_tick(&self, tenant: &Tenant, append: Append) -> Result<(), IngestError> {
        let samples = (append.samples.len() + append.histograms.len()) as u64;
        self.0.store.append(append).await?;
        self.0.recorder.tenant(tenant, |stats| stats.derived_samples += samples);
        Ok(())
    }

    /// Answers when everything received, derived metrics included, is in
    /// committed tables.
    pub async fn flush(&self) -> Result<(), IngestError> {
        // What waits in the log is not counted yet; a flush of the store waits for it too,
        // and says why if it cannot come.
        if self.0.store.is_replaying() {
            self.0.store.flush().await?;
        }
        self.tick().await?;
        self.settle_shadows().await?;
        Ok(self.0.store.flush().await?)
    }

    /// Answers when what plugins that are tried out said of all requests that were answered can
    /// be asked for, or when they take too long.
    pub async fn settle_shadows(&self) -> Result<(), IngestError> {
        self.0.shadows.settle(SETTLE_MAX).await;
        self.write_shadows().await
    }

    /// Writes what plugins that are tried out said so far.
    pub(crate) async fn write_shadows(&self) -> Result<(), IngestError> {
        let inner = &*self.0;
        let stopping = inner.stopping.load(Ordering::Acquire);
        inner.shadows.expire(&inner.chains.current(), inner.clock.monotonic(), stopping);
        let mut first_error = Ok(());
        for (tenant, said) in self.0.shadows.take() {
            let rows = self.0.shadows.rows(&said, self.0.clock.now_unix_nanos());
            let rows = rows.map_err(|error| IngestError::Internal(error.to_string()))?;
            let count = rows.num_rows();
            let append = Append { shadow: Some(rows), ..Append::new(tenant.clone()) };
            match self.0.store.append(append).await {
                Ok(_) => self.0.shadows.written(count),
                Err(error) => {
                    tracing::warn!(%tenant, %error, "rows of shadow were not written; they come with the next");
                    self.0.shadows.put_back(&tenant, said);
                    first_error = first_error.and(Err(error.into()));
                }
            }
        }
        first_error
    }

    /// Counts about plugins that are tried out.
    pub fn shadow_stats(&self) -> ShadowStats {
        self.0.shadows.stats()
    }

    /// Held while a tick is written: there is one at a time.
    pub(crate) async fn one_tick(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.ticking.lock().await
    }
}

/// A tick as one record of the log.
pub(crate) fn tick_record(tenant: &Tenant, life: Life, tick: Tick) -> Append {
    Append {
        life,
        tick: Some(TickMark { covers: tick.covers }),
        samples: tick.samples,
        histograms: tick.histograms,
        exemplars: tick.exemplars,
        ..Append::new(tenant.clone())
    }
}

pub(crate) async fn tick_forever(ingest: Ingest) {
    let mut interval = tokio::time::interval(Duration::from_millis(ingest.0.config.tick_interval_ms.max(1)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.tick().await;
    let mut failed = false;
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            // What failed a moment ago waits for its time.
            () = ingest.0.board.tick_is_wanted(), if !failed => {}
        }
        // What failed is logged, counted and part of the next tick.
        failed = ingest.tick().await.is_err();
        let _ = ingest.write_shadows().await;
        let chains = Arc::clone(&ingest.0.chains);
        // What came of it is logged and counted.
        let _ = tokio::task::spawn_blocking(move || chains.roll_back_failing()).await;
    }
}
