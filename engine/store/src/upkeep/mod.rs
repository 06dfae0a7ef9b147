//! What keeps tables small and fast after rows are in them: merging files, removing rows
//! past their retention, deleting files that nobody needs.
//!
//! ```text
//! every interval, table by table:
//!   retention: files whose rows are all too old ──▶ one commit that removes them
//!   plan: files of a window or a day that is over ──▶ merge ──▶ one commit that swaps them
//!   vacuum: files that neither the table nor a view names, after a grace ──▶ delete
//! ```
//!
//! One merge runs at a time, within its memory. Queries never notice: they hold a view,
//! and the files of a view stay.
//!
//! | file | holds |
//! |---|---|
//! | [`plan`] | which files to merge next |
//! | [`ha`] | which series are one but for the replica that wrote them |
//! | [`rules`], [`selector`] | retention of single series and streams |
//! | [`steady`] | the wall clock, if it was not set lately |
//! | [`vacuum`] | which replaced files may be deleted |
//! | [`orphans`] | and which that nobody names |
//! | [`config`] | what can be configured |

mod config;
mod ha;
mod orphans;
mod plan;
mod rules;
mod selector;
mod steady;
mod vacuum;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use isinglass_model::{Clock, Kind};

pub use config::{CompactionConfig, HaConfig, Keep, KeepByKind, RetentionConfig, RetentionRule, RuleKind};
pub(crate) use ha::PAIRS_MAX;
use orphans::Idle;
use plan::{Job, Times, in_unit};
pub(crate) use rules::Rules;
use rules::{Matched, OfTable};
use steady::Steady;
use vacuum::Vacuum;

use crate::StoreError;
use crate::config::StoreConfig;
use crate::fence::Fenced;
use crate::files::{Gone, NewFile};
use crate::removals::Removals;
use crate::store::Core;
use crate::tables::{DataFile, Replace, Replaced, Rewrite, Rewritten, TableFiles, TableState};
use crate::tenant::TenantState;
use crate::tenants::Tenants;

/// Merges of one table in one round, so that every table has its turn.
const MERGES_A_ROUND: usize = 4;

/// Figures of the upkeep.
#[derive(Debug, Default)]
pub(crate) struct UpkeepStats {
    pub(crate) merges: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) deleted: AtomicU64,
    pub(crate) nanos: AtomicU64,
}

/// The upkeep of all tables.
pub(crate) struct Upkeep {
    pub(crate) config: Arc<StoreConfig>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) files: Arc<dyn TableFiles>,
    pub(crate) tenants: Arc<Tenants>,
    pub(crate) fenced: Fenced,
    pub(crate) stats: UpkeepStats,
    /// Removals of data files.
    pub(crate) removals: Removals,
    pub(crate) rules: Rules,
    /// Where rows of `series` go into the log; set once the store is whole.
    pub(crate) core: OnceLock<Weak<Core>>,
    /// One round at a time.
    pub(crate) state: tokio::sync::Mutex<State>,
}

/// What one round leaves to the next.
#[derive(Debug, Default)]
pub(crate) struct State {
    steady: Steady,
    vacuum: Vacuum,
    idle: Idle,
    matched: Matched,
}

impl Upkeep {
    /// Looks at all tables again and again.
    pub(crate) async fn run(self: Arc<Self>) {
        let pause = Duration::from_millis(self.config.compaction.interval_ms.max(1));
        while self.fenced.reason().is_none() {
            tokio::time::sleep(pause).await;
            self.round().await;
        }
    }

    /// One look at all tables. What fails is counted, reported, and tried in the next one.
    pub(crate) async fn round(&self) {
        let mut state = self.state.lock().await;
        let trusted = state.steady.look(&*self.clock);
        if let Some(now_unix_ms) = trusted
            && let Some(_removing) = self.removals.begin()
        {
            let deleted = state.idle.run(self, now_unix_ms).await;
            self.stats.deleted.fetch_add(deleted, Ordering::Relaxed);
        }
        for tenant in self.tenants_to_look_at().await {
            // Samples go before the rows of their series.
            for kind in Kind::ALL.into_iter().rev() {
                let result = self.table(&tenant, kind, trusted, &mut state).await;
                self.count_failure(&tenant, kind, result);
            }
        }
    }

    /// Merges all files as if all days were over.
    pub(crate) async fn compact(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        for tenant in self.tenants_to_look_at().await {
            // Samples go before the rows of their series.
            for kind in Kind::ALL.into_iter().rev() {
                while self.merge_next(&tenant, kind, i64::MAX, &mut state).await? {}
            }
        }
        Ok(())
    }

    /// Files of a tenant that wait for their deletion.
    pub(crate) async fn waiting(&self, tenant: &TenantState) -> usize {
        let state = self.state.lock().await;
        Kind::ALL.into_iter().map(|kind| state.vacuum.waiting(&tenant.name, kind)).sum()
    }

    /// Tenants in memory; all where rows of idle ones may be too old.
    async fn tenants_to_look_at(&self) -> Vec<Arc<TenantState>> {
        if !self.config.retention.is_set() {
            return self.tenants.all();
        }
        let mut found = Vec::new();
        for name in self.tenants.names() {
            match self.tenants.find(&name).await {
                Ok(tenant) => found.extend(tenant),
                Err(error) => tracing::warn!(tenant = %name, %error, "no upkeep for a tenant"),
            }
        }
        found
    }

    async fn table(
        &self,
        tenant: &TenantState,
        kind: Kind,
        trusted: Option<i64>,
        state: &mut State,
    ) -> Result<(), StoreError> {
        if !tenant.has_table(kind) {
            return Ok(());
        }
        if let Some(now_unix_ms) = trusted {
            self.expire(tenant, kind, now_unix_ms, state).await?;
        }
        let now_unix_ms = self.clock.now_unix_millis();
        for _ in 0..MERGES_A_ROUND {
            if !self.merge_next(tenant, kind, now_unix_ms, state).await? {
                break;
            }
        }
        let Some(_removing) = self.removals.begin() else { return Ok(()) };
        let deleted = state.vacuum.run(self, tenant, kind, trusted).await?;
        self.stats.deleted.fetch_add(deleted, Ordering::Relaxed);
        Ok(())
    }

    /// Removes the files whose rows are all past their retention.
    async fn expire(
        &self,
        tenant: &TenantState,
        kind: Kind,
        now_unix_ms: i64,
        state: &mut State,
    ) -> Result<(), StoreError> {
        let keep_from = match self.rules_of(tenant, kind, now_unix_ms, state) {
            Some(rules) => rules.keep_any_from(),
            None => self.keep_from(tenant, kind, now_unix_ms),
        };
        let Some(keep_from) = keep_from else { return Ok(()) };
        let too_old = |file: &&DataFile| file.time.is_some_and(|(_, last)| last < keep_from);
        let inputs: Vec<DataFile> = tenant.files(kind).iter().filter(too_old).cloned().collect();
        if inputs.is_empty() {
            return Ok(());
        }
        let rewrite = Rewrite { drop_all: true, ..self.rewrite(kind, Job { inputs, level: 0 }, None) };
        self.apply(tenant, kind, &rewrite, state).await
    }

    /// Merges what is to be merged next, if anything is.
    async fn merge_next(
        &self,
        tenant: &TenantState,
        kind: Kind,
        now_unix_ms: i64,
        state: &mut State,
    ) -> Result<bool, StoreError> {
        let config = &self.config.compaction;
        let times = Times::new(kind, now_unix_ms, config.late_ms);
        let trusted = state.steady.look(&*self.clock);
        let rules = trusted.and_then(|now_unix_ms| self.rules_of(tenant, kind, now_unix_ms, state));
        let files = tenant.files(kind);
        let past_a_rule = || {
            let file = rules.as_ref()?.next(&files)?;
            Some(Job { level: file.level, inputs: vec![file] })
        };
        let Some(job) = plan::next(&files, times, config).or_else(past_a_rule) else { return Ok(false) };
        let keep_from = trusted.and_then(|now_unix_ms| self.keep_from(tenant, kind, now_unix_ms));
        let mut rewrite = self.rewrite(kind, job, keep_from.filter(|_| rules.is_none()));
        if let Some(rules) = rules {
            rewrite.kept = rules.kept(&rewrite.inputs);
            rewrite.drop_rows = Some(Arc::new(rules));
        }
        if kind == Kind::Samples && config.ha.is_on() {
            rewrite.ha = self.replicas(tenant, &rewrite.inputs).await?;
        }
        self.apply(tenant, kind, &rewrite, state).await?;
        Ok(true)
    }

    fn rules_of(
        &self,
        tenant: &TenantState,
        kind: Kind,
        now_unix_ms: i64,
        state: &mut State,
    ) -> Option<OfTable> {
        let general = self.config.retention.of(&tenant.name, kind);
        self.rules.of(tenant, kind, now_unix_ms, general, &mut state.matched)
    }

    fn keep_from(&self, tenant: &TenantState, kind: Kind, now_unix_ms: i64) -> Option<i64> {
        let keep = self.config.retention.of(&tenant.name, kind)?;
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        Some(in_unit(kind, now_unix_ms.saturating_sub(keep_ms)))
    }

    fn rewrite(&self, kind: Kind, job: Job, keep_from: Option<i64>) -> Rewrite {
        let config = &self.config.compaction;
        Rewrite {
            zstd_level: match (job.level, kind) {
                (0 | 1, _) => config.zstd_level,
                (_, Kind::Logs) => config.zstd_level_last_logs,
                _ => config.zstd_level_last,
            },
            inputs: job.inputs,
            level: job.level,
            drop_all: false,
            keep_from,
            drop_rows: None,
            kept: None,
            ha: None,
            file_bytes: config.file_bytes,
            memory_bytes: config.memory_bytes,
            attribute_columns_max: config.attribute_columns_max,
        }
    }

    /// Replaces rows of a table of metrics; no merge runs meanwhile. `None`: another process was
    /// first.
    pub(crate) async fn replace(
        &self,
        tenant: &TenantState,
        kind: Kind,
        gone: Arc<Gone>,
        added: Vec<NewFile>,
        provenance: serde_json::Value,
    ) -> Result<Option<Replaced>, StoreError> {
        let mut state = self.state.lock().await;
        let config = &self.config.compaction;
        let files = tenant.files(kind);
        let inputs = plan::by_day(files.iter().filter(|file| gone.may_be_in(file)));
        let replace = Replace {
            kind,
            inputs,
            gone,
            added,
            provenance,
            zstd_level: config.zstd_level,
            file_bytes: config.file_bytes,
            memory_bytes: config.memory_bytes,
        };
        // A deletion comes before the commit or after it, and waits for no merge.
        let writing = parking_lot::Mutex::new(None);
        let may = || {
            *writing.lock() = Arc::clone(&tenant.writing).try_read_owned().ok();
            match writing.lock().is_none() || tenant.is_retired() {
                true => Err(StoreError::unavailable("the tenant was deleted meanwhile")),
                false => Ok(()),
            }
        };
        let known = parking_lot::Mutex::new(Ok(()));
        let publish = |table: &TableState| *known.lock() = tenant.replaced(kind, table.clone());
        let gate = &tenant.flushing[kind as usize - 1];
        let done = self.files.replace(&tenant.name, &replace, gate, &may, &publish).await?;
        known.into_inner()?;
        if done.is_some() {
            let paths = replace.inputs.iter().flatten().map(|file| file.path.clone()).collect();
            state.vacuum.replaced(&tenant.name, kind, paths, self.clock.monotonic());
        } else {
            self.files.discard_drafts(&tenant.name, kind, &replace.added).await;
        }
        Ok(done)
    }

    async fn apply(
        &self,
        tenant: &TenantState,
        kind: Kind,
        rewrite: &Rewrite,
        state: &mut State,
    ) -> Result<(), StoreError> {
        let start = self.clock.monotonic();
        let gate = &tenant.flushing[kind as usize - 1];
        let known = parking_lot::Mutex::new(Ok(()));
        let publish = |table: &TableState| *known.lock() = tenant.rewritten(kind, table.clone());
        let done = self.files.rewrite(&tenant.name, kind, rewrite, gate, &publish).await?;
        known.into_inner()?;
        let took = self.clock.monotonic().saturating_sub(start);
        let Some(done) = done else {
            tracing::info!(tenant = %tenant.name, %kind, "another rewrite was first, ours is discarded");
            return Ok(());
        };
        let replaced = rewrite.inputs.iter().map(|file| file.path.clone()).collect();
        state.vacuum.replaced(&tenant.name, kind, replaced, self.clock.monotonic());
        self.stats.count(&done, took);
        tracing::info!(
            tenant = %tenant.name, %kind, level = rewrite.level, files = rewrite.inputs.len(),
            bytes_in = done.bytes_in, bytes_out = done.bytes_out, rows_in = done.rows_in,
            rows_out = done.rows_out, duplicates = done.duplicates, expired = done.expired, replicas = done.replicas, ?took,
            "files rewritten"
        );
        Ok(())
    }

    fn count_failure(&self, tenant: &TenantState, kind: Kind, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.fenced.note(&error);
            self.stats.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(tenant = %tenant.name, %kind, %error, "upkeep failed, tried again later");
        }
    }
}

impl UpkeepStats {
    fn count(&self, done: &Rewritten, took: Duration) {
        let add = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
        add(&self.merges, 1);
        add(&self.bytes_in, done.bytes_in);
        add(&self.bytes_out, done.bytes_out);
        add(&self.duplicates, done.duplicates);
        add(&self.conflicts, done.conflicts);
        add(&self.expired, done.expired);
        add(&self.nanos, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}
