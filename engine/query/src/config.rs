//! Limits on queries. Each says what happens at it.

use std::time::Duration;

use isinglass_lang::gate;
use serde::{Deserialize, Serialize};

use crate::functions::FunctionLimits;

/// Everything about queries that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Threads that run one query, apart from those that take data in and from those of other
    /// queries; 0 = one per core.
    pub threads: usize,
    /// Queries at the same time; more wait for [`Self::queue_wait_ms`].
    pub concurrent_max: usize,
    /// How long a query waits for its turn before it is refused with 503.
    pub queue_wait_ms: u64,
    /// How long a query may take, planning and sending included; then 504.
    pub deadline_ms: u64,
    /// How long a query may be planned of that; then 504. A planner that does not notice is left
    /// alone until it ends by itself.
    pub planning_ms: u64,
    /// Queries that are planned at the same time, those that were left alone included; more
    /// wait, then 503.
    pub planners_max: usize,
    /// Rows of a result; one more ends the query with 413.
    pub result_rows_max: u64,
    /// Bytes of a result in memory; more end the query with 413.
    pub result_bytes_max: u64,
    /// Memory of the operators of one query; beyond it the query ends with 413.
    pub query_memory_bytes: usize,
    /// Memory of the operators of all queries together.
    pub memory_bytes: usize,
    /// Footers and page indexes of Parquet files kept in memory; the least
    /// recently used go first.
    pub metadata_cache_bytes: usize,
    /// Token indexes of log lines kept in memory; the least recently used go first.
    pub token_cache_bytes: usize,
    /// Bytes that one call of a function may make for one batch of rows, such as `repeat`; more
    /// end the query with 400.
    pub function_bytes_max: u64,
    /// Steps that one call may take for one batch of rows of a function whose time grows with
    /// the product of its arguments, such as `levenshtein`; more end the query with 400.
    pub function_steps_max: u64,
    /// Bytes that a regular expression may be compiled into; more are refused with 400.
    pub regex_bytes_max: usize,
    /// Bytes of a query text.
    pub text_bytes_max: usize,
    /// Tokens of a query text.
    pub tokens_max: usize,
    /// Bytes of a literal in a query text.
    pub literal_bytes_max: usize,
    /// Brackets inside brackets.
    pub brackets_max: usize,
    /// Depth of the tree of a query text.
    pub depth_max: usize,
    /// Finished queries that `system.queries` remembers, of all tenants together; the
    /// oldest go first.
    pub queries_kept: usize,
    /// Rows that a query may read of one table of the schema `system`; one more ends
    /// it with 413.
    pub system_rows_max: u64,
    /// Tables that a query reads once every named query (`WITH`) is written out.
    pub relations_max: u64,
    /// PromQL. Threads, turns, deadline and memory are those of SQL.
    pub promql: PromqlConfig,
}

/// What a query in PromQL may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromqlConfig {
    /// Samples that the selectors of a query read; one more ends it with 422.
    pub samples_max: u64,
    /// Series that the selectors of a query read, and series of an answer about labels; one
    /// more ends a query with 422, and is left out of such an answer with a warning.
    pub series_max: u64,
    /// How long a sample counts if the query does not say.
    pub lookback_ms: u64,
    /// Steps of a range query after the first; one more is refused with 400.
    pub points_max: u64,
    /// Memory of results of range queries that are kept for those who ask again; 0 = none are.
    pub result_cache_bytes: usize,
}

impl Default for PromqlConfig {
    fn default() -> Self {
        Self {
            samples_max: 2_000_000_000,
            series_max: 5_000_000,
            lookback_ms: 300_000,
            points_max: 11_000,
            result_cache_bytes: 16 << 20,
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        let gate::Limits { text_bytes_max, tokens_max, brackets_max, depth_max } = gate::Limits::default();
        let functions = FunctionLimits::default();
        Self {
            threads: 0,
            concurrent_max: 8,
            queue_wait_ms: 5_000,
            deadline_ms: 30_000,
            planning_ms: 5_000,
            planners_max: 16,
            result_rows_max: 1_000_000,
            result_bytes_max: 256 << 20,
            query_memory_bytes: 256 << 20,
            memory_bytes: 512 << 20,
            metadata_cache_bytes: 32 << 20,
            token_cache_bytes: 32 << 20,
            function_bytes_max: functions.bytes_max,
            function_steps_max: functions.steps_max,
            regex_bytes_max: 1 << 20,
            text_bytes_max,
            tokens_max,
            literal_bytes_max: 8 << 10,
            brackets_max,
            depth_max,
            queries_kept: 1_000,
            system_rows_max: 1_000_000,
            relations_max: 64,
            promql: PromqlConfig::default(),
        }
    }
}

impl QueryConfig {
    /// The limits of the gate.
    pub(crate) fn gate(&self) -> gate::Limits {
        gate::Limits {
            text_bytes_max: self.text_bytes_max,
            tokens_max: self.tokens_max,
            brackets_max: self.brackets_max,
            depth_max: self.depth_max,
        }
    }

    /// The limits of functions.
    pub(crate) fn functions(&self) -> FunctionLimits {
        FunctionLimits { bytes_max: self.function_bytes_max, steps_max: self.function_steps_max }
    }

    /// How long a query may be planned.
    pub(crate) fn planning(&self) -> Duration {
        Duration::from_millis(self.planning_ms)
    }

    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    pub(crate) fn deadline(&self, wanted: Option<Duration>) -> Duration {
        let longest = Duration::from_millis(self.deadline_ms);
        wanted.map_or(longest, |wanted| wanted.min(longest))
    }
}

/// What one query may ask for, within the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SqlOptions {
    /// A shorter deadline.
    pub deadline: Option<Duration>,
    /// Fewer rows.
    pub rows_max: Option<u64>,
    /// Whether to wait until everything that was acknowledged before can be seen.
    pub strong: bool,
}
