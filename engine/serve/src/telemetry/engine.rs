//! What ingest, chain, store and query count, read at each scrape.

use std::collections::BTreeMap;
use std::fmt;

use isinglass_ingest::Ingest;
use isinglass_model::MemoryLimit;
use isinglass_query::{QueryEngine, TokenStats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::caches;
use super::items::{TenantNames, items};
use super::plugins::{named, plugins, shadows};
use super::tables::tables;
use crate::app::{Gate, QueryGate};

/// Labels of one row.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Collects from the engine.
pub(super) struct Engine {
    ingest: Ingest,
    query: QueryEngine,
    gates: (Gate, QueryGate),
    names: TenantNames,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn new(
        ingest: Ingest,
        query: QueryEngine,
        tenant_labels_max: usize,
        gates: (Gate, QueryGate),
    ) -> Self {
        Self { ingest, query, gates, names: TenantNames::new(tenant_labels_max) }
    }
}

impl Collector for Engine {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let encoder = &mut encoder;
        items(encoder, &self.names.fold(self.ingest.stats().tenants))?;
        plugins(encoder, &self.ingest.chains().current().stats())?;
        shadows(encoder, self.ingest.shadow_stats())?;
        let mut costs = BTreeMap::new();
        for (plugin, shadow, tenants) in self.ingest.chains().current().cpu_by_tenant() {
            for (tenant, seconds) in tenants {
                let key = (plugin.clone(), shadow, self.names.shown(tenant.as_str()));
                *costs.entry(key).or_insert(0.0) += seconds;
            }
        }
        let label = |((plugin, shadow, tenant), seconds)| {
            let mut labels = named(plugin, shadow);
            labels.push(("tenant", tenant));
            (labels, seconds)
        };
        let help = "CPU time of plugins by tenant";
        counter(encoder, "isinglass_plugin_tenant_cpu_seconds", help, costs.into_iter().map(label))?;
        let help = "New versions of plugins that failed and were taken back";
        let rolled_back = [(Labels::new(), self.ingest.chains().rolled_back())];
        counter(encoder, "isinglass_plugin_rollbacks", help, rolled_back)?;
        let durability = vec![("level", self.ingest.store().config().durability.to_string())];
        gauge(encoder, "isinglass_durability", "When a write is acknowledged", [(durability, 1.0)])?;
        tables(encoder, &self.ingest.store().stats())?;
        caches::metadata(encoder, self.query.metadata_stats())?;
        token_indexes(encoder, self.query.token_stats())?;
        memory_limit(encoder, self.query.memory_limit())?;
        let (writes, queries) = &self.gates;
        let taken = [(writes.what(), writes.taken()), ("queries", queries.taken())];
        let turns = taken.map(|(what, taken)| (vec![("kind", what.to_owned())], taken as f64));
        gauge(encoder, "isinglass_requests_in_progress", "Requests that are being worked on", turns)
    }
}

/// Without a limit there is no value: nobody could divide by it.
fn memory_limit(encoder: &mut DescriptorEncoder<'_>, limit: &MemoryLimit) -> fmt::Result {
    let bytes = Some(limit.bytes()).filter(|bytes| *bytes != u64::MAX);
    let help = "Memory that the process may hold";
    let rows = bytes.map(|bytes| (Labels::new(), bytes as f64));
    gauge(encoder, "isinglass_memory_limit_bytes", help, rows)
}

fn token_indexes(encoder: &mut DescriptorEncoder<'_>, stats: TokenStats) -> fmt::Result {
    let help = "Token indexes of log lines held in memory";
    let cached = [(Labels::new(), stats.cached_bytes as f64)];
    gauge(encoder, "isinglass_token_indexes_cached_bytes", help, cached)?;
    let help = "Token indexes that queries asked for and that were missing, damaged or of another release";
    counter(encoder, "isinglass_token_indexes_unusable", help, [(Labels::new(), stats.unusable)])
}

/// Writes a counter with one value per label set.
pub(super) fn counter<V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels, V)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in rows {
        if labels.is_empty() {
            metric.encode_counter::<NoLabelSet, V, f64>(&value, None)?;
        } else {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, V, f64>(&value, None)?;
        }
    }
    Ok(())
}

/// Writes a gauge with one value per label set.
pub(super) fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels, f64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        if labels.is_empty() {
            metric.encode_gauge(&value)?;
        } else {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}
