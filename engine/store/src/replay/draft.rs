//! Samples on their way into one commit.
//!
//! They are put into files that no commit names, so that none of them is seen and a crash leaves
//! orphans only. The rows of `series` that they need are committed before them. Then one commit
//! takes in all of these files, and takes out what they replace.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use isinglass_model::Kind;
use isinglass_model::batch::SampleBatch;
use isinglass_model::ids::day_of_millis;
use isinglass_model::series::SeriesRef;

use super::stored::ids;
use crate::append::Life;
use crate::files::{Gone, NewFile};
use crate::head::{Run, SampleRun, sorted_rows};
use crate::store::Core;
use crate::tables::Replaced;
use crate::tenant::TenantState;
use crate::upkeep::PAIRS_MAX;
use crate::{Resolver, Store, StoreError};

/// What is to go: samples of metrics within a time.
#[derive(Debug, Clone, Default)]
pub struct Gap {
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// In milliseconds, the end excluded.
    pub time_ms: Range<i64>,
}

/// Samples that nobody sees yet.
pub struct Draft {
    core: Arc<Core>,
    tenant: Arc<TenantState>,
    files: Vec<NewFile>,
    /// What has no row in `series` yet.
    pairs: BTreeSet<(SeriesRef, i32)>,
}

impl Store {
    /// Begins a draft for the tenant, in the life that the series of a resolver are of.
    pub async fn draft(&self, tenant: &isinglass_model::Tenant, of: &Resolver) -> Result<Draft, StoreError> {
        let core = Arc::clone(&self.core);
        let tenant = core.flusher.tenants.get(tenant).await.map_err(StoreError::for_writer)?;
        same_life(&tenant, of.life())?;
        Ok(Draft { core, tenant, files: Vec::new(), pairs: BTreeSet::new() })
    }
}

fn same_life(tenant: &TenantState, life: Life) -> Result<(), StoreError> {
    match tenant.life == life && !tenant.is_retired() {
        true => Ok(()),
        false => Err(StoreError::unavailable("the tenant was deleted meanwhile")),
    }
}

impl Draft {
    /// Puts samples, in any order, into files.
    pub async fn add(&mut self, samples: SampleBatch) -> Result<(), StoreError> {
        if samples.is_empty() {
            return Ok(());
        }
        let mut last = None;
        for (series, time) in samples.series.iter().zip(&samples.time_ms) {
            let pair = (*series, day_of_millis(*time));
            if last != Some(pair) && !self.tenant.series.days.of(pair.1).contains(*series) {
                self.pairs.insert(pair);
            }
            last = Some(pair);
        }
        let table = Arc::clone(&self.tenant.series);
        let sort = move || {
            let run = Run::Samples(Arc::new(SampleRun::from_batch(samples)));
            sorted_rows(Kind::Samples, &[run], &table)
        };
        let sorted = tokio::task::spawn_blocking(sort).await;
        let sorted = sorted.map_err(|error| StoreError::Internal(error.to_string()))??;
        let files = &self.core.flusher.files;
        self.files.extend(files.put_samples(&self.tenant.name, sorted).await?);
        Ok(())
    }

    /// Commits all of it, in the place of what is in the gap. What is there is in files, or will
    /// not be replaced: flush before. Goes on to its end when the caller goes away.
    pub async fn commit(self, gap: Gap, provenance: serde_json::Value) -> Result<Replaced, StoreError> {
        let work = tokio::spawn(self.committed(gap, provenance));
        work.await.map_err(|error| StoreError::Internal(format!("a commit ended early: {error}")))?
    }

    async fn committed(self, gap: Gap, provenance: serde_json::Value) -> Result<Replaced, StoreError> {
        let Self { core, tenant, files, pairs } = self;
        let pairs: Vec<_> = pairs.into_iter().collect();
        for pairs in pairs.chunks(PAIRS_MAX) {
            core.record_series(&tenant, pairs.to_vec()).await?;
        }
        let micros = |ms: i64| ms.saturating_mul(1_000);
        let gone = Gone {
            metrics: ids(gap.metrics.iter().map(String::as_str)),
            time: micros(gap.time_ms.start)..micros(gap.time_ms.end),
        };
        let replaced = core.upkeep.replace(&tenant, Arc::new(gone), files, provenance).await;
        if let Err(error) = &replaced {
            core.flusher.fenced.note(error);
        }
        replaced?.ok_or_else(|| StoreError::unavailable("files were rewritten meanwhile; try again"))
    }

    /// Removes its files.
    pub async fn abandon(self) {
        self.core.flusher.files.discard_samples(&self.tenant.name, &self.files).await;
    }
}
