//! Limits on queries. Each says what happens at it.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashMap;
use isinglass_lang::gate;
use isinglass_model::Tenant;
use serde::{Deserialize, Serialize};

use crate::functions::FunctionLimits;
use crate::turns::TenantTurns;

/// Everything about queries that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Threads that run one query, apart from those that take data in and from those of other
    /// queries; 0 = one per core.
    pub threads: usize,
    /// Queries at the same time; more wait for [`Self::queue_wait_ms`].
    pub concurrent_max: usize,
    /// Queries of one tenant at the same time; 0 = all but one of them, so that there is a turn for
    /// another tenant.
    pub tenant_concurrent_max: usize,
    /// Queries of one tenant that may wait for a turn; more are refused with 429.
    pub tenant_queue_max: usize,
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
    /// Bytes that a query may read from data files; more end it with 413, or 422 where it is PromQL.
    /// 0 = as many as it likes.
    pub read_bytes_max: u64,
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
    /// Queries that took at least so long are in `system.slow_queries`; 0 = all are.
    pub slow_ms: u64,
    /// Queries that `system.slow_queries` remembers, of all tenants together; of the tenant with
    /// the most of them the oldest goes first.
    pub slow_queries_kept: usize,
    /// Rows that a query may read of one table of the schema `system`; one more ends
    /// it with 413.
    pub system_rows_max: u64,
    /// Tables that a query reads once every named query (`WITH`) is written out.
    pub relations_max: u64,
    /// PromQL. Threads, turns, deadline and memory are those of SQL.
    pub promql: PromqlConfig,
    /// What is different for single tenants, by their names.
    pub tenants: BTreeMap<String, TenantLimits>,
}

/// What is different for one tenant; what is not said is as for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of `QueryConfig` and `PromqlConfig`")]
pub struct TenantLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_concurrent_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_queue_max: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_memory_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series_max: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points_max: Option<u64>,
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
    /// Memory of decoded samples of files that are kept for those who ask for the same series
    /// again; 0 = none are.
    pub sample_cache_bytes: usize,
    /// Memory of results of range queries that are kept for those who ask again; 0 = none are.
    pub result_cache_bytes: usize,
    /// Statements of SQL whose rows are samples, by the names of their metrics.
    pub views: BTreeMap<String, PromqlView>,
}

/// A SELECT whose rows are samples: `time`, `value` and texts, which are labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenView")]
pub struct PromqlView {
    /// The statement. `$start` and `$end` stand for the ends of the time that is wanted.
    pub sql: String,
    /// Who can read it; everybody if nobody is named.
    pub tenants: Vec<String>,
}

/// A text, or a table.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a statement of SQL, or a table with `sql` and `tenants`")]
enum WrittenView {
    Sql(String),
    Table(ViewTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewTable {
    sql: String,
    #[serde(default)]
    tenants: Vec<String>,
}

impl From<WrittenView> for PromqlView {
    fn from(written: WrittenView) -> Self {
        match written {
            WrittenView::Sql(sql) => Self { sql, tenants: Vec::new() },
            WrittenView::Table(ViewTable { sql, tenants }) => Self { sql, tenants },
        }
    }
}

impl PromqlView {
    pub(crate) fn is_of(&self, tenant: &Tenant) -> bool {
        self.tenants.is_empty() || self.tenants.iter().any(|name| name == tenant.as_str())
    }
}

impl Default for PromqlConfig {
    fn default() -> Self {
        Self {
            samples_max: 2_000_000_000,
            series_max: 5_000_000,
            lookback_ms: 300_000,
            points_max: 11_000,
            sample_cache_bytes: 32 << 20,
            result_cache_bytes: 16 << 20,
            views: BTreeMap::new(),
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
            tenant_concurrent_max: 0,
            tenant_queue_max: 64,
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
            read_bytes_max: 0,
            function_bytes_max: functions.bytes_max,
            function_steps_max: functions.steps_max,
            regex_bytes_max: 1 << 20,
            text_bytes_max,
            tokens_max,
            literal_bytes_max: 8 << 10,
            brackets_max,
            depth_max,
            queries_kept: 1_000,
            slow_ms: 1_000,
            slow_queries_kept: 1_000,
            system_rows_max: 1_000_000,
            relations_max: 64,
            promql: PromqlConfig::default(),
            tenants: BTreeMap::new(),
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

    /// The same with what is different for a tenant.
    fn with(&self, own: &TenantLimits) -> Self {
        let mut config = self.clone();
        let set = |field: &mut usize, own: Option<usize>| *field = own.unwrap_or(*field);
        set(&mut config.tenant_concurrent_max, own.tenant_concurrent_max);
        set(&mut config.tenant_queue_max, own.tenant_queue_max);
        set(&mut config.query_memory_bytes, own.query_memory_bytes);
        let set = |field: &mut u64, own: Option<u64>| *field = own.unwrap_or(*field);
        set(&mut config.deadline_ms, own.deadline_ms);
        set(&mut config.read_bytes_max, own.read_bytes_max);
        set(&mut config.promql.samples_max, own.samples_max);
        set(&mut config.promql.series_max, own.series_max);
        set(&mut config.promql.points_max, own.points_max);
        config
    }

    /// The turns of a tenant.
    pub(crate) fn turns(&self) -> TenantTurns {
        let concurrent_max = match self.tenant_concurrent_max {
            0 => self.concurrent_max.saturating_sub(1).max(1),
            own => own,
        };
        TenantTurns { concurrent_max, queue_max: self.tenant_queue_max }
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

/// The configuration as each tenant has it.
#[derive(Debug)]
pub(crate) struct Configs {
    all: QueryConfig,
    own: HashMap<String, QueryConfig>,
}

impl Configs {
    pub(crate) fn new(config: &QueryConfig) -> Self {
        let own = config.tenants.iter().map(|(tenant, own)| (tenant.clone(), config.with(own)));
        Self { all: config.clone(), own: own.collect() }
    }

    pub(crate) fn of(&self, tenant: &Tenant) -> &QueryConfig {
        self.own.get(tenant.as_str()).unwrap_or(&self.all)
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
