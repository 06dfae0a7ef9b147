//! What a replay found.

use std::collections::BTreeMap;

use serde::Serialize;

/// The result of a replay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayReport {
    /// What was derived again, by what, from what.
    pub provenance: Provenance,
    /// Whether every metric rose by as much as it does in what is stored.
    pub reconciled: bool,
    /// Series by what became of them.
    pub series: SeriesCounts,
    /// What both sides say of each metric.
    pub metrics: Vec<MetricReport>,
    /// Series that differ, those that come first by name.
    pub differences: Vec<Difference>,
    /// What may be behind a difference.
    pub reasons: Vec<String>,
    /// Stored samples that the range has of these metrics.
    pub stored_samples: u64,
    /// Stored native histograms that it has of them.
    pub stored_histograms: u64,
    /// What was committed; `None`: nothing was to be.
    pub written: Option<Written>,
}

/// Where replayed samples are from. It stands in the commit that brings them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// Name of the binding.
    pub name: String,
    /// `name@version` of the plugin.
    pub plugin: String,
    /// Hash of the component.
    pub digest: String,
    /// Hash of its configuration.
    pub config_digest: String,
    /// The first millisecond since 1970 of the rows.
    pub from_ms: i64,
    /// The first that is not among them.
    pub to_ms: i64,
    /// What was asked for; counters that run across it made it later.
    pub asked_to_ms: i64,
    /// Length of a tick.
    pub tick_ms: i64,
    /// The tables that were read.
    pub sources: BTreeMap<String, SourceReport>,
    /// Samples that were made.
    pub samples: u64,
    /// Hash over all of them, in their order.
    pub samples_digest: String,
    /// Native histograms that were made.
    pub histograms: u64,
    /// The same of these.
    pub histograms_digest: String,
    /// Exemplars that were made.
    pub exemplars: u64,
    /// The same of these.
    pub exemplars_digest: String,
}

/// A table that was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// Delta version; `None`: there is no table yet.
    pub version: Option<i64>,
    /// Rows that were counted.
    pub rows: u64,
    /// Rows that were there twice, which count once.
    pub duplicates: u64,
}

/// How many series have what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SeriesCounts {
    /// The same samples on both sides, to the bit.
    pub identical: u64,
    /// The same rise by samples of other times.
    pub equal: u64,
    /// Another rise.
    pub different: u64,
    /// Nothing was replayed.
    pub only_stored: u64,
    /// Nothing is stored.
    pub only_replayed: u64,
}

/// By how much a metric rose, all series together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MetricReport {
    /// Its name.
    pub name: String,
    /// By what is stored.
    pub stored: f64,
    /// By what was derived again.
    pub replayed: f64,
    /// Whether these are the same.
    pub equal: bool,
    /// How often the stored counters began at 0 at most.
    pub lives: u64,
    /// What of it is in the overflow series.
    pub stored_overflow: f64,
    /// The same, derived again.
    pub replayed_overflow: f64,
    /// Of native histograms, whose counts are the numbers above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<NativeRise>,
}

/// By how much native histograms rose, besides their counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct NativeRise {
    /// Their sums, by what is stored.
    pub stored_sum: f64,
    /// By what was derived again.
    pub replayed_sum: f64,
    /// The most observations that one side has more in a bucket, of all series together.
    pub misplaced: f64,
}

/// A series that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Its labels.
    pub series: String,
    /// `different`, `only_stored` or `only_replayed`.
    pub what: &'static str,
    /// The first sample from which on it differs to the end.
    pub time_ms: i64,
    /// By how much the stored series had risen then.
    pub stored_then: f64,
    /// By how much the replayed one had.
    pub replayed_then: f64,
    /// By how much the stored series rose in all.
    pub stored: f64,
    /// By how much the replayed one did.
    pub replayed: f64,
    /// Of a native histogram, whose count is what rose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<NativeRise>,
}

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Version of the table `samples` with it.
    pub version: i64,
    /// Samples that went.
    pub removed: u64,
    /// Samples that came.
    pub added: u64,
    /// The same of `histograms`; `None`: there was nothing to be done.
    pub histograms: Option<WrittenRows>,
    /// The same of `exemplars`.
    pub exemplars: Option<WrittenRows>,
}

/// What was committed to another table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WrittenRows {
    /// Version of the table with it.
    pub version: i64,
    /// Rows that went.
    pub removed: u64,
    /// Rows that came.
    pub added: u64,
}
