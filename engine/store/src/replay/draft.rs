//! Rows of metrics on their way into one commit of each of their tables.
//!
//! They are put into files that no commit names, so that none of them is seen and a crash leaves
//! orphans only. The rows of `series` that they need are committed before them. Then one commit
//! a table takes in all of its files, and takes out what they replace: of `samples`, then of
//! `histograms` and `exemplars`, if there is anything to be done to these.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use isinglass_model::Kind;
use isinglass_model::batch::{ExemplarBatch, HistogramBatch, SampleBatch};
use isinglass_model::ids::day_of_millis;
use isinglass_model::series::SeriesRef;

use super::stored::ids;
use crate::append::Life;
use crate::files::{Gone, NewFile};
use crate::head::{Rows, Run, SampleRun, exemplar_rows, histogram_rows, sorted_rows};
use crate::store::Core;
use crate::tables::Replaced;
use crate::tenant::TenantState;
use crate::upkeep::PAIRS_MAX;
use crate::{Resolver, Store, StoreError};

/// What is to go: rows of metrics within a time.
#[derive(Debug, Clone, Default)]
pub struct Gap {
    /// Names of the metrics.
    pub metrics: Vec<String>,
    /// In milliseconds, the end excluded.
    pub time_ms: Range<i64>,
}

/// Rows of metrics.
#[derive(Debug, Clone, Default)]
pub struct DraftRows {
    /// Of `samples`.
    pub samples: SampleBatch,
    /// Of `histograms`.
    pub histograms: HistogramBatch,
    /// Of `exemplars`.
    pub exemplars: ExemplarBatch,
}

/// What became of the tables. `None`: there was nothing to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplacedRows {
    /// Of `samples`.
    pub samples: Replaced,
    /// Of `histograms`.
    pub histograms: Option<Replaced>,
    /// Of `exemplars`.
    pub exemplars: Option<Replaced>,
}

/// Rows that nobody sees yet.
pub struct Draft {
    core: Arc<Core>,
    tenant: Arc<TenantState>,
    samples: Vec<NewFile>,
    histograms: Vec<NewFile>,
    exemplars: Vec<NewFile>,
    /// What has no row in `series` yet.
    pairs: BTreeSet<(SeriesRef, i32)>,
}

impl Store {
    /// Begins a draft for the tenant, in the life that the series of a resolver are of.
    pub async fn draft(&self, tenant: &isinglass_model::Tenant, of: &Resolver) -> Result<Draft, StoreError> {
        let core = Arc::clone(&self.core);
        let tenant = core.flusher.tenants.get(tenant).await.map_err(StoreError::for_writer)?;
        same_life(&tenant, of.life())?;
        let (samples, histograms, exemplars) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Draft { core, tenant, samples, histograms, exemplars, pairs: BTreeSet::new() })
    }
}

fn same_life(tenant: &TenantState, life: Life) -> Result<(), StoreError> {
    match tenant.life == life && !tenant.is_retired() {
        true => Ok(()),
        false => Err(StoreError::unavailable("the tenant was deleted meanwhile")),
    }
}

impl Draft {
    /// Puts rows, in any order, into files.
    pub async fn add(&mut self, rows: DraftRows) -> Result<(), StoreError> {
        let DraftRows { samples, histograms, exemplars } = rows;
        self.note(samples.series.iter().copied().zip(samples.time_ms.iter().copied()));
        self.note(histograms.rows.iter().map(|row| (row.series, row.time_ms)));
        self.note(exemplars.series.iter().copied().zip(exemplars.time_ms.iter().copied()));
        if !samples.is_empty() {
            let run = Run::Samples(Arc::new(SampleRun::from_batch(samples)));
            self.samples.extend(self.put(Kind::Samples, run).await?);
        }
        if !histograms.is_empty() {
            let batch = histogram_rows(&histograms, &self.tenant.series)?;
            let run = Run::Rows(Arc::new(Rows::new(Kind::Histograms, batch)?));
            self.histograms.extend(self.put(Kind::Histograms, run).await?);
        }
        if !exemplars.is_empty() {
            let batch = exemplar_rows(&exemplars, &self.tenant.series)?;
            let run = Run::Rows(Arc::new(Rows::new(Kind::Exemplars, batch)?));
            self.exemplars.extend(self.put(Kind::Exemplars, run).await?);
        }
        Ok(())
    }

    /// Notes which rows of `series` are needed.
    fn note(&mut self, rows: impl Iterator<Item = (SeriesRef, i64)>) {
        let mut last = None;
        for (series, time_ms) in rows {
            let pair = (series, day_of_millis(time_ms));
            if last != Some(pair) && !self.tenant.series.days.of(pair.1).contains(series) {
                self.pairs.insert(pair);
            }
            last = Some(pair);
        }
    }

    async fn put(&self, kind: Kind, run: Run) -> Result<Vec<NewFile>, StoreError> {
        let table = Arc::clone(&self.tenant.series);
        let sorted = tokio::task::spawn_blocking(move || sorted_rows(kind, &[run], &table)).await;
        let sorted = sorted.map_err(|error| StoreError::Internal(error.to_string()))??;
        self.core.flusher.files.put_drafts(&self.tenant.name, kind, sorted).await
    }

    /// Commits all of it, in the place of what is in the gap. What is there is in files, or will
    /// not be replaced: flush before. Goes on to its end when the caller goes away.
    pub async fn commit(self, gap: Gap, provenance: serde_json::Value) -> Result<ReplacedRows, StoreError> {
        let work = tokio::spawn(self.committed(gap, provenance));
        work.await.map_err(|error| StoreError::Internal(format!("a commit ended early: {error}")))?
    }

    async fn committed(
        mut self,
        gap: Gap,
        provenance: serde_json::Value,
    ) -> Result<ReplacedRows, StoreError> {
        let pairs: Vec<_> = std::mem::take(&mut self.pairs).into_iter().collect();
        for pairs in pairs.chunks(PAIRS_MAX) {
            self.core.record_series(&self.tenant, pairs.to_vec()).await?;
        }
        let micros = |ms: i64| ms.saturating_mul(1_000);
        let gone = Arc::new(Gone {
            metrics: ids(gap.metrics.iter().map(String::as_str)),
            time: micros(gap.time_ms.start)..micros(gap.time_ms.end),
        });
        let result = self.replace_all(&gone, &provenance).await;
        if result.is_err() {
            // Those of tables whose turn did not come.
            self.abandon().await;
        }
        result
    }

    async fn replace_all(
        &mut self,
        gone: &Arc<Gone>,
        provenance: &serde_json::Value,
    ) -> Result<ReplacedRows, StoreError> {
        let files = std::mem::take(&mut self.samples);
        let samples = self.replace(Kind::Samples, gone, files, provenance).await?;
        let partly =
            |kind| move |error| StoreError::Partly { done: Kind::Samples, kind, reason: Box::new(error) };
        let files = std::mem::take(&mut self.histograms);
        let histograms = self.replace_some(Kind::Histograms, gone, files, provenance).await;
        let histograms = histograms.map_err(partly(Kind::Histograms))?;
        let files = std::mem::take(&mut self.exemplars);
        let exemplars = self.replace_some(Kind::Exemplars, gone, files, provenance).await;
        Ok(ReplacedRows { samples, histograms, exemplars: exemplars.map_err(partly(Kind::Exemplars))? })
    }

    /// Leaves a table alone to which nothing is to be done.
    async fn replace_some(
        &self,
        kind: Kind,
        gone: &Arc<Gone>,
        files: Vec<NewFile>,
        provenance: &serde_json::Value,
    ) -> Result<Option<Replaced>, StoreError> {
        if files.is_empty() && !self.tenant.files(kind).iter().any(|file| gone.may_be_in(file)) {
            return Ok(None);
        }
        self.replace(kind, gone, files, provenance).await.map(Some)
    }

    async fn replace(
        &self,
        kind: Kind,
        gone: &Arc<Gone>,
        files: Vec<NewFile>,
        provenance: &serde_json::Value,
    ) -> Result<Replaced, StoreError> {
        let Core { upkeep, flusher, .. } = &*self.core;
        let replaced = upkeep.replace(&self.tenant, kind, Arc::clone(gone), files, provenance.clone()).await;
        if let Err(error) = &replaced {
            flusher.fenced.note(error);
        }
        replaced?.ok_or_else(|| StoreError::unavailable("files were rewritten meanwhile; try again"))
    }

    /// Removes its files.
    pub async fn abandon(self) {
        let of = [
            (Kind::Samples, self.samples),
            (Kind::Histograms, self.histograms),
            (Kind::Exemplars, self.exemplars),
        ];
        for (kind, files) in of {
            self.core.flusher.files.discard_drafts(&self.tenant.name, kind, &files).await;
        }
    }
}
