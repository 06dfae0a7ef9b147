//! A series index for tests.

use std::collections::HashMap;

use isinglass_model::labels::LabelSet;
use isinglass_model::series::{
    Fingerprint, Judgement, Known, MetricMeta, ResolveError, SeriesRef, SeriesResolver,
};

/// Series in a table; every step is counted.
#[derive(Default)]
pub(super) struct Series {
    pub(super) by_fingerprint: HashMap<u128, SeriesRef>,
    pub(super) by_labels: HashMap<LabelSet, SeriesRef>,
    pub(super) labels: Vec<LabelSet>,
    /// What series are judged to be; others are kept.
    pub(super) judgements: HashMap<SeriesRef, Judgement>,
    pub(super) meta: Vec<(String, MetricMeta)>,
    /// 0 = no cap.
    pub(super) series_max: usize,
    /// Label sets that were handed in, known or not.
    pub(super) interned: usize,
}

impl Series {
    fn known(&self, series: SeriesRef) -> Known {
        Known { series, judgement: self.judgements.get(&series).cloned().unwrap_or(Judgement::Keep) }
    }

    /// A series as PromQL writes it.
    pub(super) fn text(&self, series: SeriesRef) -> String {
        self.labels[series.0 as usize].to_string()
    }
}

impl SeriesResolver for Series {
    fn salt(&self) -> u64 {
        42
    }

    fn lookup(&mut self, fingerprint: Fingerprint) -> Option<Known> {
        self.by_fingerprint.get(&fingerprint.0).copied().map(|series| self.known(series))
    }

    fn intern(&mut self, fingerprint: Fingerprint, labels: LabelSet) -> Result<Known, ResolveError> {
        self.interned += 1;
        let series = match self.by_labels.get(&labels).copied() {
            Some(series) => series,
            None if self.series_max > 0 && self.labels.len() == self.series_max => {
                return Err(ResolveError::TooManySeries { limit: self.series_max });
            }
            None => {
                let series = SeriesRef(self.labels.len() as u32);
                self.by_labels.insert(labels.clone(), series);
                self.labels.push(labels);
                series
            }
        };
        self.by_fingerprint.insert(fingerprint.0, series);
        Ok(self.known(series))
    }

    fn describe(&mut self, metric: &str, meta: &MetricMeta) {
        self.meta.push((metric.to_owned(), meta.clone()));
    }
}
