//! Which series are one but for the replica that wrote them.
//!
//! Two Prometheus servers of one configuration send everything twice, under label sets that
//! differ in the replica's name. A merge of samples makes one series of them, without that
//! label. The row of the common series is committed to `series` before the merge begins, so
//! no file ever refers to a series that is not there; a crash between the two leaves a
//! series without samples, and the next merge finds it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use isinglass_model::labels::LabelSet;
use isinglass_model::series::SeriesRef;

use isinglass_model::{Counts, Kind};
use tokio::sync::oneshot;

use super::Upkeep;
use super::config::HaConfig;
use crate::StoreError;
use crate::files::{HaDedup, Replica};
use crate::pending::Pending;
use crate::series::{MatchOp, Matcher, SeriesTable, select};
use crate::store::{Core, closing};
use crate::tables::DataFile;
use crate::tenant::TenantState;
use crate::wal::record::{self, Head};
use crate::wal::section::put_series;

/// Rows of `series` in one record.
pub(crate) const PAIRS_MAX: usize = 10_000;

/// What is known of the replicas of a tenant.
pub(super) struct Replicas {
    pub(super) dedup: HaDedup,
    /// Each series of a replica, and the common one.
    pairs: Vec<(SeriesRef, SeriesRef)>,
}

/// Numbers by the order of their coming, from 1.
#[derive(Default)]
struct Numbers(HashMap<(u32, String), u32>);

impl Numbers {
    fn of(&mut self, cluster: u32, name: &str) -> u32 {
        let next = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        *self.0.entry((cluster, name.to_owned())).or_insert(next)
    }
}

impl Replicas {
    /// Finds the series that have both labels; `None` if there is none.
    pub(super) fn find(table: &SeriesTable, config: &HaConfig) -> Option<Self> {
        // Most tenants have none, and who has replicas has them among others.
        let both = [&config.cluster_label, &config.replica_label]
            .map(|name| Matcher::new(name, MatchOp::NotEqual, ""));
        let with_both = select(table, &both).ok()?;
        let (mut clusters, mut names) = (Numbers::default(), Numbers::default());
        let (mut replicas, mut pairs) = (hashbrown::HashMap::default(), Vec::new());
        for series in table.chunks_of(with_both).flatten() {
            let label = |name: &str| series.labels.get(name).filter(|value| !value.is_empty());
            let (Some(cluster), Some(replica)) = (label(&config.cluster_label), label(&config.replica_label))
            else {
                continue;
            };
            let others = series.labels.iter().filter(|(name, _)| *name != config.replica_label);
            let Ok(labels) = LabelSet::new(&mut others.collect::<Vec<_>>(), series.labels.temporality())
            else {
                continue;
            };
            let common = table.make(labels);
            let cluster = clusters.of(0, cluster);
            let replica = names.of(cluster, replica);
            replicas.insert(series.series_id, Replica { series_id: table.ids(common).1, cluster, replica });
            pairs.push((series.series, common));
        }
        let failover = Duration::from_millis(config.failover_ms);
        let dedup = HaDedup { replicas: Arc::new(replicas), failover };
        (!pairs.is_empty()).then_some(Self { dedup, pairs })
    }

    /// The (common series, day) pairs that no row of `series` is there for, of the days in
    /// which a replica wrote.
    pub(super) fn unrecorded(&self, table: &SeriesTable, days: (i32, i32)) -> Vec<(SeriesRef, i32)> {
        let mut found = Vec::new();
        for (day, set) in table.days.within(days.0, days.1) {
            let wanted = self.pairs.iter().filter(|(of, common)| set.contains(*of) && !set.contains(*common));
            found.extend(wanted.map(|(_, common)| (*common, day)));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Upkeep {
    /// What of these files becomes one; its rows of `series` are committed.
    pub(super) async fn replicas(
        &self,
        tenant: &TenantState,
        inputs: &[DataFile],
    ) -> Result<Option<HaDedup>, StoreError> {
        const DAY_US: i64 = 86_400_000_000;
        let (table, config) = (Arc::clone(&tenant.series), self.config.compaction.ha.clone());
        let found = tokio::task::spawn_blocking(move || Replicas::find(&table, &config)).await;
        let Some(found) = found.map_err(|error| StoreError::Internal(error.to_string()))? else {
            return Ok(None);
        };
        let day = |time: i64| i32::try_from(time.div_euclid(DAY_US)).unwrap_or(i32::MAX);
        let days =
            inputs.iter().map(|file| file.time.map_or((i32::MIN, i32::MAX), |(a, b)| (day(a), day(b))));
        let Some(days) = days.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return Ok(None) };
        let core = self.core.get().and_then(std::sync::Weak::upgrade).ok_or_else(closing)?;
        for pairs in found.unrecorded(&tenant.series, days).chunks(PAIRS_MAX) {
            core.record_series(tenant, pairs.to_vec()).await?;
        }
        Ok(Some(found.dedup))
    }
}

impl Core {
    /// Rows of `series` on the way that all rows take: through the log into the table. They
    /// are committed when this resolves.
    pub(crate) async fn record_series(
        &self,
        of: &TenantState,
        pairs: Vec<(SeriesRef, i32)>,
    ) -> Result<(), StoreError> {
        let (tenant, writing) = self.enter(&of.name).await?;
        if tenant.life != of.life {
            return Err(StoreError::unavailable("the tenant was deleted meanwhile"));
        }
        let (time_unix_ms, counts) = (self.clock.now_unix_millis(), Counts::default());
        let head =
            Head { tenant: of.name.clone(), time_unix_ms, key: None, tick: None, deletes: false, counts };
        let mut body = record::begin(&head);
        let (head_bytes, counts) = (body.len(), head.counts);
        record::section(&mut body, Kind::Series, |out| put_series(out, &pairs, &tenant.series))?;
        let (done, answer) = oneshot::channel();
        let (runs, of_tenant) = (Vec::new(), Arc::clone(&tenant));
        let pending = Pending {
            tenant: of_tenant,
            runs,
            pairs,
            ticket: None,
            counts,
            note: None,
            deletes: false,
            done,
        };
        self.push(body, head_bytes, pending).await?;
        drop(writing);
        let seq = answer.await.unwrap_or_else(|_| Err(closing()))?.seq;
        self.flusher.flush_series(&tenant, seq).await?;
        // While the log is behind, the rows are not in memory yet.
        if tenant.flushed(Kind::Series) < seq {
            return Err(StoreError::unavailable("the log is still being read"));
        }
        Ok(())
    }
}
