//! What is asked in PromQL, and what is answered.

use std::time::Duration;

use isinglass_lang::promql::ast::Matcher;
use isinglass_promql::{Labels, Point, Used, Value};

use super::facts::ScanFacts;

/// An expression to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromqlRequest {
    /// The expression.
    pub text: String,
    /// When.
    pub time: PromqlTime,
    /// How long a sample counts, milliseconds; `None` = as configured.
    pub lookback_ms: Option<i64>,
    /// A shorter deadline than the configured one.
    pub deadline: Option<Duration>,
    /// Whether to wait until everything that was acknowledged before can be seen.
    pub strong: bool,
    /// Whether to leave results of earlier queries aside.
    pub fresh: bool,
}

impl PromqlRequest {
    /// An expression at a time; all else as configured.
    pub fn new(text: impl Into<String>, time: PromqlTime) -> Self {
        Self { text: text.into(), time, lookback_ms: None, deadline: None, strong: false, fresh: false }
    }
}

/// The times at which an expression is evaluated, milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromqlTime {
    /// One.
    Instant {
        /// When.
        time_ms: i64,
    },
    /// `start`, `start + step`, … up to `end`.
    Range {
        /// The first.
        start_ms: i64,
        /// None is later.
        end_ms: i64,
        /// Their distance; at least 1.
        step_ms: i64,
    },
}

/// A value, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct PromqlAnswer {
    /// The value.
    pub value: Value,
    /// Reasons why it may not be what was wanted.
    pub warnings: Vec<String>,
    /// Things that may be worth a look.
    pub infos: Vec<String>,
    /// Samples and series read, and memory held.
    pub used: Used,
    /// What was read of files.
    pub scan: ScanFacts,
    /// From the arrival of the query until its turn.
    pub waited: Duration,
    /// From its turn until its value was there.
    pub evaluated: Duration,
}

/// Which series a question about labels is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataSelection {
    /// Selectors, of which one is enough; every series if there is none.
    pub matchers: Vec<Vec<Matcher>>,
    /// Only series written on this UTC day or later, milliseconds since the epoch.
    pub start_ms: Option<i64>,
    /// Only series written on this UTC day or earlier, milliseconds since the epoch.
    pub end_ms: Option<i64>,
    /// So many are enough.
    pub limit: Option<usize>,
}

/// What was found, and whether there was more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// At most as many as the limit; sorted.
    pub items: T,
    /// Whether something was left out.
    pub truncated: bool,
    /// Reasons why something may be missing.
    pub warnings: Vec<String>,
}

/// What senders said of a metric family.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricMetadata {
    /// Its name; of a classic histogram or summary the one without `_bucket`, `_sum`, `_count`.
    pub metric: String,
    /// `counter`, `gauge`, `histogram`, `gaugehistogram`, `summary`, `info`, `stateset`, `unknown`.
    pub kind: String,
    /// Help text, may be empty.
    pub help: String,
    /// Unit, may be empty.
    pub unit: String,
}

/// Exemplars of the series that an expression selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemplarRequest {
    /// The expression; only its selectors count, without their ranges and offsets.
    pub text: String,
    /// From this time on, milliseconds since the epoch.
    pub start_ms: i64,
    /// Up to this time.
    pub end_ms: i64,
}

/// Exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// Labels of the series.
    pub labels: Labels,
    /// By time.
    pub exemplars: Vec<Exemplar>,
}

/// An exemplar.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its own labels: `trace_id`, `span_id` and attributes.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
}

/// Samples of one series as they are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RawSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its samples, stale markers among them as floats; times rise.
    pub points: Vec<Point>,
}

/// What the series of a tenant are made of; each list holds the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series.
    pub series: u64,
    /// Distinct pairs of label name and value.
    pub label_pairs: u64,
    /// Smallest and largest time of rows that are not in files yet, milliseconds since the epoch.
    pub head_time_ms: Option<(i64, i64)>,
    /// Series of each metric.
    pub series_by_metric: Vec<(String, u64)>,
    /// Distinct values of each label.
    pub values_by_label: Vec<(String, u64)>,
    /// Bytes of the distinct values of each label.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Series of each pair, written `name=value`.
    pub series_by_pair: Vec<(String, u64)>,
}
