//! What was made into the tables.

use std::collections::BTreeSet;

use isinglass_model::Tenant;
use isinglass_model::batch::HistogramRow;
use isinglass_model::deltas::DerivedMetric;
use isinglass_model::labels::LabelSet;
use isinglass_model::series::{SeriesRef, SeriesResolver as _};
use isinglass_store::{Draft, DraftRows, Gap, Replaced, Resolver};

use super::pending::{Pending, push_exemplar};
use super::report::{Written, WrittenRows};
use super::{Provenance, ReplayError};
use crate::derived::{meta, row_names};
use crate::ingest::Ingest;

/// Rows of a replay that nobody sees yet.
pub(super) struct Writing {
    draft: Draft,
    resolver: Resolver,
    /// The store's refs by those of the replay; `None` where the tenant has no room.
    refs: Vec<Option<SeriesRef>>,
}

impl Writing {
    pub(super) async fn begin(
        ingest: &Ingest,
        tenant: &Tenant,
        metrics: &[DerivedMetric],
    ) -> Result<Self, ReplayError> {
        let mut resolver = ingest.store().resolver(tenant).await?;
        resolver.limit(ingest.series_limits(tenant));
        metrics.iter().for_each(|metric| resolver.describe(&metric.name, &meta(metric)));
        let draft = ingest.store().draft(tenant, &resolver).await?;
        Ok(Self { draft, resolver, refs: Vec::new() })
    }

    /// Takes rows whose refs are places in `series`.
    pub(super) async fn add(&mut self, pending: Pending, series: &[LabelSet]) -> Result<(), ReplayError> {
        let Pending { mut samples, histograms, exemplars } = pending;
        for labels in &series[self.refs.len()..] {
            self.refs.push(self.resolver.intern_labels(labels.clone()).ok().map(|known| known.series));
        }
        let known = |series: &SeriesRef| self.refs.get(series.0 as usize).copied().flatten();
        samples.retain_series(|series| known(&series).is_some());
        samples.series.iter_mut().for_each(|series| *series = known(series).unwrap_or(*series));
        let mut rows = DraftRows { samples, ..DraftRows::default() };
        rows.histograms.rows.extend(
            histograms
                .into_iter()
                .filter_map(|row| known(&row.series).map(|series| HistogramRow { series, ..row })),
        );
        for row in 0..exemplars.len() {
            if let Some(series) = known(&exemplars.series[row]) {
                push_exemplar(&mut rows.exemplars, &exemplars, row);
                rows.exemplars.series.last_mut().into_iter().for_each(|of| *of = series);
            }
        }
        Ok(self.draft.add(rows).await?)
    }

    /// Commits all of it in the place of what these metrics have within the range.
    pub(super) async fn commit(
        self,
        metrics: BTreeSet<String>,
        provenance: &Provenance,
    ) -> Result<Written, ReplayError> {
        let time_ms = provenance.from_ms..provenance.to_ms;
        let gap = Gap { metrics: metrics.into_iter().collect(), time_ms };
        let provenance =
            serde_json::to_value(provenance).map_err(|error| ReplayError::Internal(error.to_string()))?;
        let replaced = self.draft.commit(gap, provenance).await?;
        let Replaced { version, removed, added } = replaced.samples;
        let rows = |Replaced { version, removed, added }| WrittenRows { version, removed, added };
        let (histograms, exemplars) = (replaced.histograms.map(rows), replaced.exemplars.map(rows));
        Ok(Written { version, removed, added, histograms, exemplars })
    }

    /// Nothing of it was ever there.
    pub(super) async fn abandon(self) {
        self.draft.abandon().await;
    }
}

/// Names of the metrics whose rows are those of derived metrics.
pub(super) fn names<'a>(metrics: impl IntoIterator<Item = &'a DerivedMetric>) -> BTreeSet<String> {
    metrics.into_iter().flat_map(row_names).collect()
}
