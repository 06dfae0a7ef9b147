//! The write path as a whole: what it is made of, its start and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isinglass_chain::LiveChain;
use isinglass_decode::LogsConfig;
use isinglass_model::functions::FunctionSource;
use isinglass_model::kind::Signal;
use isinglass_model::{Clock, Counts, SystemTable, Tenant};
use isinglass_store::{Deleted, Lock, SeriesLimits, Store, StoreConfig};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::config::IngestConfig;
use crate::derived::{Board, Limits};
use crate::error::IngestError;
use crate::live::Live;
use crate::plugin_costs::PluginCosts;
use crate::plugins::Plugins;
use crate::refused::Allowance;
use crate::replay::{Jobs, ReplaysTable};
use crate::shadow::Shadows;
use crate::stats::{IngestStats, Recorder};
use crate::ticks::tick_forever;

/// The write path. Cheap to clone.
#[derive(Clone)]
pub struct Ingest(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) chains: Arc<LiveChain>,
    pub(crate) board: Arc<Board>,
    pub(crate) config: IngestConfig,
    pub(crate) logs: LogsConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) allowance: Allowance,
    pub(crate) live: Live,
    pub(crate) recorder: Recorder,
    pub(crate) shadows: Shadows,
    /// Held by who sends rows of `rejected` again.
    pub(crate) reingesting: Arc<tokio::sync::Mutex<()>>,
    pub(crate) stopping: AtomicBool,
    pub(crate) ticker: parking_lot::Mutex<Option<JoinHandle<()>>>,
    /// One tick at a time: a flush must not read counters that a tick under way covers.
    pub(crate) ticking: tokio::sync::Mutex<()>,
    pub(crate) replays: Arc<Jobs>,
}

impl Ingest {
    /// Opens the store and answers when all that it has acknowledged can be seen.
    /// Needs a tokio runtime.
    pub async fn start(
        store: StoreConfig,
        chains: Arc<LiveChain>,
        config: IngestConfig,
        logs: LogsConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngestError> {
        let lock = Lock::take(&store.data_dir)?;
        let ingest = Self::start_early(lock, store, chains, config, logs, clock).await?;
        ingest.store().caught_up().await?;
        Ok(ingest)
    }

    /// Opens the store and answers when requests can be taken. What a crash left
    /// uncounted is counted while the store reads its log, in the log's order and
    /// before anything that comes later.
    pub async fn start_early(
        lock: Lock,
        store: StoreConfig,
        chains: Arc<LiveChain>,
        config: IngestConfig,
        logs: LogsConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngestError> {
        let stale_after = Duration::from_millis(config.derived_stale_after_ms);
        let board = Arc::new(Board::new(
            Arc::clone(&chains),
            Arc::clone(&clock),
            Limits { series_max: config.derived_series_max, values_max: config.derived_label_values_max },
            stale_after,
        ));
        let store = Store::open_early(lock, store, Arc::clone(&clock), Arc::<Board>::clone(&board)).await?;
        let slots = match config.compute_slots {
            0 => 2 * std::thread::available_parallelism().map_or(2, usize::from),
            slots => slots,
        };
        let ingest = Self(Arc::new(Inner {
            store,
            chains,
            board,
            allowance: Allowance::new(config.rejected_rows_per_minute),
            live: Live::new(&config, Arc::clone(&clock)),
            slots: Arc::new(Semaphore::new(slots)),
            config,
            logs,
            clock,
            recorder: Recorder::default(),
            shadows: Shadows::start(),
            reingesting: Arc::default(),
            stopping: AtomicBool::new(false),
            ticker: parking_lot::Mutex::new(None),
            ticking: tokio::sync::Mutex::new(()),
            replays: Arc::default(),
        }));
        *ingest.0.ticker.lock() = Some(tokio::spawn(tick_forever(ingest.clone())));
        Ok(ingest)
    }

    /// Bounds of derived series.
    pub(crate) fn derived_limits(&self) -> Limits {
        self.0.board.limits
    }

    /// How many series a tenant may have.
    pub(crate) fn series_limits(&self, tenant: &Tenant) -> SeriesLimits {
        self.0.live.of_series(tenant)
    }

    /// Takes no more, writes the derived metrics, flushes and closes the store.
    pub async fn close(&self) -> Result<(), IngestError> {
        self.0.stopping.store(true, Ordering::Release);
        let ticker = self.0.ticker.lock().take();
        if let Some(ticker) = ticker {
            ticker.abort();
        }
        self.0.replays.stop().await;
        let board = Arc::clone(&self.0.board);
        // What fails there is in no tick; the log has it.
        let _ = tokio::task::spawn_blocking(move || board.expire_all()).await;
        let ticked = self.tick().await;
        // What was not written is lost, and little.
        let _ = self.write_shadows().await;
        self.0.store.clone().close().await?;
        ticked
    }

    /// Deletes a tenant, see [`Store::delete_tenant`]. Goes on to its end when the caller
    /// goes away.
    pub async fn delete_tenant(&self, tenant: &Tenant) -> Result<Option<Deleted>, IngestError> {
        self.0.shadows.forget(tenant);
        let (store, tenant) = (self.0.store.clone(), tenant.clone());
        let work = tokio::spawn(async move { store.delete_tenant(&tenant).await });
        Ok(work
            .await
            .map_err(|error| IngestError::Internal(format!("a deletion ended early: {error}")))??)
    }

    pub(crate) fn board(&self) -> &Board {
        &self.0.board
    }

    pub(crate) fn replays(&self) -> &Jobs {
        &self.0.replays
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn config(&self) -> &IngestConfig {
        &self.0.config
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The plugin chains: the one in use, and how another takes its place.
    pub fn chains(&self) -> &Arc<LiveChain> {
        &self.0.chains
    }

    /// The functions that its plugins bring to queries.
    pub fn functions(&self) -> Arc<dyn FunctionSource> {
        Arc::<LiveChain>::clone(&self.0.chains)
    }

    /// What is known here and asked for in SQL: `system.plugins`, `system.plugin_costs` and
    /// `system.replays`.
    pub fn system_tables(&self) -> Vec<Arc<dyn SystemTable>> {
        let chains = &self.0.chains;
        vec![
            Arc::new(Plugins::new(chains)),
            Arc::new(PluginCosts::new(chains)),
            Arc::new(ReplaysTable::new(&self.0.replays)),
        ]
    }

    pub(crate) fn reingesting(&self) -> &Arc<tokio::sync::Mutex<()>> {
        &self.0.reingesting
    }

    pub(crate) fn now_unix_nanos(&self) -> i64 {
        self.0.clock.now_unix_nanos()
    }

    /// Counts items that were sent again: what is stored now is received once more, and the
    /// refusal from before stays counted.
    pub(crate) fn reingested(
        &self,
        tenant: &Tenant,
        signal: Signal,
        counts: &Counts,
        outcomes: [(&'static str, u64); 3],
    ) {
        self.0.recorder.signal(tenant, signal, |stats| stats.counts.add(counts));
        self.0.recorder.tenant(tenant, |stats| {
            for (outcome, items) in outcomes.into_iter().filter(|(_, items)| *items > 0) {
                *stats.reingested.entry(outcome).or_default() += items;
            }
        });
    }

    /// Counts since start.
    pub fn stats(&self) -> IngestStats {
        self.0.recorder.snapshot()
    }
}
