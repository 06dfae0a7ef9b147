//! What a deriver gives back: increments of derived metrics, as columns.

/// What kind of metric a deriver writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerivedKind {
    /// `values` holds one increment per series.
    Counter,
    /// `values` holds the sum, `buckets` the counts per bucket.
    Histogram,
}

/// A metric that a deriver writes, declared once when the plugin is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedMetric {
    /// Metric name, for a histogram without `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// Its kind.
    pub kind: DerivedKind,
    /// Help text.
    pub help: String,
    /// Unit, may be empty.
    pub unit: String,
    /// Upper bounds of a histogram's buckets, ascending, without +Inf.
    pub bounds: Vec<f64>,
}

/// One label of the derived series, dictionary-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedLabel {
    /// Label name.
    pub name: String,
    /// One key per derived series into `values`.
    pub keys: Vec<u32>,
    /// Distinct values.
    pub values: Vec<String>,
}

/// Increments of one metric for the `series` derived series of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedIncrements {
    /// Index into the plugin's declared metrics.
    pub metric: u16,
    /// Per series: the increment of a counter, the sum of a histogram.
    pub values: Vec<f64>,
    /// Histograms: per series `bounds.len() + 1` counts, not cumulative, the
    /// last one for +Inf. Empty for counters.
    pub buckets: Vec<u64>,
}

/// An exemplar of a derived histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedExemplar {
    /// Index into the plugin's declared metrics.
    pub metric: u16,
    /// Which derived series.
    pub series: u32,
    /// The observed value.
    pub value: f64,
    /// Row of the input batch it came from: time and ids are taken from there
    /// by the host.
    pub row: u32,
}

/// The result of one deriver over one batch, checked by the host: every key,
/// series and row lies in range, every text is UTF-8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deltas {
    /// Which binding of the chain it came from.
    pub binding: u16,
    /// Number of derived series.
    pub series: u32,
    /// Labels, each with `series` keys.
    pub labels: Vec<DerivedLabel>,
    /// Increments, each with `series` values.
    pub increments: Vec<DerivedIncrements>,
    /// Exemplars.
    pub exemplars: Vec<DerivedExemplar>,
}
