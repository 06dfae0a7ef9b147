//! The metric names of a tenant and what is known of them.

use std::sync::Arc;

use isinglass_model::ids;
use isinglass_model::labels::METRIC_NAME;
use isinglass_model::series::MetricMeta;

use super::index::Metric;
use super::table::{Inner, SeriesTable};

#[derive(Default)]
pub(super) struct MetricEntry {
    meta: Option<Arc<MetricMeta>>,
    /// How many series the index has of it.
    series: usize,
    /// Numbers of the label names of its series, sorted.
    names: Vec<u32>,
}

impl SeriesTable {
    /// Notes what a metric family is. Families without series count against the
    /// cap on series, so that names alone cannot fill the memory.
    pub(crate) fn describe(&self, metric: &str, meta: &MetricMeta) {
        let known = |inner: &Inner| inner.metrics.get(metric).and_then(|e| e.meta.clone());
        if known(&self.inner.read()).is_some_and(|known| *known == *meta) {
            return;
        }
        let mut inner = self.inner.write();
        let room = inner.metrics.len() < self.active_max;
        match inner.metrics.get_mut(metric) {
            Some(entry) => entry.meta = Some(Arc::new(meta.clone())),
            None if room => {
                inner.metrics.entry(metric.into()).or_default().meta = Some(Arc::new(meta.clone()));
            }
            None => {}
        }
    }

    /// Type, unit and help of a metric, looked up under its family's name too:
    /// senders describe `latency`, not `latency_bucket`.
    pub(crate) fn meta(&self, metric: &str) -> Option<Arc<MetricMeta>> {
        self.inner.read().meta(metric)
    }

    /// Metrics that have series, sorted by name.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let inner = self.inner.read();
        let with_series = inner.metrics.iter().filter(|(_, entry)| entry.series > 0);
        with_series.map(|(name, entry)| inner.metric(name, entry)).collect()
    }

    pub(crate) fn metric(&self, name: &str) -> Option<Metric> {
        let inner = self.inner.read();
        let (name, entry) = inner.metrics.get_key_value(name)?;
        (entry.series > 0).then(|| inner.metric(name, entry))
    }

    /// Names of the labels that series of a metric have, sorted.
    pub(crate) fn names_of_metric(&self, metric: &str) -> Vec<Arc<str>> {
        let inner = self.inner.read();
        let numbers = inner.metrics.get(metric).map(|entry| entry.names.as_slice()).unwrap_or_default();
        let names = numbers.iter().filter_map(|number| inner.labels.name_at(*number));
        let mut names: Vec<Arc<str>> = names.map(|name| Arc::clone(&name.text)).collect();
        names.sort_unstable();
        names
    }
}

/// What OpenMetrics appends to the name of a family.
const FAMILY_SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];

impl Inner {
    /// Counts a series of a metric, and notes its label names.
    pub(super) fn count(&mut self, metric: &str, position: u32) {
        let Self { metrics, labels, .. } = self;
        if !metrics.contains_key(metric) {
            metrics.insert(metric.into(), MetricEntry::default());
        }
        let Some(entry) = metrics.get_mut(metric) else { return };
        entry.series += 1;
        let own = labels.name_number(METRIC_NAME);
        for name in labels.pairs(position).map(|pair| pair.name).filter(|name| Some(*name) != own) {
            if let Err(at) = entry.names.binary_search(&name) {
                entry.names.insert(at, name);
            }
        }
    }

    fn meta(&self, metric: &str) -> Option<Arc<MetricMeta>> {
        let of = |name: &str| self.metrics.get(name).and_then(|entry| entry.meta.clone());
        of(metric).or_else(|| {
            let mut families = FAMILY_SUFFIXES.iter().filter_map(|suffix| metric.strip_suffix(suffix));
            families.find_map(of)
        })
    }

    fn metric(&self, name: &Arc<str>, entry: &MetricEntry) -> Metric {
        Metric {
            name: Arc::clone(name),
            metric_id: ids::metric_id(name),
            meta: self.meta(name).unwrap_or_default(),
            series: entry.series,
        }
    }
}
