//! Settings of the write path.

use std::collections::BTreeMap;

use isinglass_model::Tenant;
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits::{OwnLimits, TenantLimits};

/// `[ingest]` in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// How often derived metrics are written, in milliseconds.
    pub tick_interval_ms: u64,
    /// Derived series that got nothing for this long end, in milliseconds.
    pub derived_stale_after_ms: u64,
    /// Derived series per tenant and plugin; what comes beyond is counted in one
    /// series with the label `metric_overflow="true"`.
    pub derived_series_max: usize,
    /// Distinct values of one label of derived series, per tenant and plugin; what comes beyond
    /// is counted under the value `__cardinality_overflow__`. 0 = no limit.
    pub derived_label_values_max: usize,
    /// What a replay may hold in memory: rows of a tick must fit. At most an eighth of what the
    /// process may have.
    pub replay_memory_bytes: u64,
    /// Requests that are decoded and judged at the same time; others wait.
    /// 0 = twice the number of cores.
    pub compute_slots: usize,
    /// Longest wait for a compute slot in milliseconds; then 503.
    pub compute_wait_ms: u64,
    /// Rows a minute and tenant that go into the table `rejected`; beyond that
    /// refused items are counted only.
    pub rejected_rows_per_minute: u32,
    /// Limits on what is active: series, streams, traces, order.
    pub limits: TenantLimits,
    /// What is another for single tenants.
    #[serde(deserialize_with = "named")]
    pub tenants: BTreeMap<String, OwnLimits>,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            tick_interval_ms: 15_000,
            derived_stale_after_ms: 900_000,
            derived_series_max: 10_000,
            derived_label_values_max: 0,
            replay_memory_bytes: 128 << 20,
            compute_slots: 0,
            compute_wait_ms: 5_000,
            rejected_rows_per_minute: isinglass_model::tables::rejected::ROWS_PER_MINUTE_MAX,
            limits: TenantLimits::default(),
            tenants: BTreeMap::new(),
        }
    }
}

/// A misspelt tenant would have the limits of all others without anybody noticing.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, OwnLimits>, D::Error> {
    let tenants = BTreeMap::<String, OwnLimits>::deserialize(deserializer)?;
    for name in tenants.keys() {
        Tenant::new(name).map_err(|fault| serde::de::Error::custom(format!("tenant {name:?}: {fault}")))?;
    }
    Ok(tenants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_are_those_that_there_can_be() {
        let error =
            serde_json::from_str::<IngestConfig>(r#"{"tenants": {"a/b": {}}}"#).unwrap_err().to_string();
        assert!(error.starts_with("tenant \"a/b\": tenant id has the character '/'"), "{error}");
    }
}
