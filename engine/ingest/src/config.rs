//! Settings of the write path.

use serde::{Deserialize, Serialize};

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
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            tick_interval_ms: 15_000,
            derived_stale_after_ms: 900_000,
            derived_series_max: 10_000,
            replay_memory_bytes: 128 << 20,
            compute_slots: 0,
            compute_wait_ms: 5_000,
            rejected_rows_per_minute: isinglass_model::tables::rejected::ROWS_PER_MINUTE_MAX,
        }
    }
}
