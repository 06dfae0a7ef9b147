//! From raw label bytes to a series.
//!
//! A sample's labels are hundreds of bytes and its value is sixteen. So a label
//! set that was seen before is recognised by a hash of the bytes as the sender
//! wrote them, before anything is parsed.

use crate::labels::LabelSet;
use crate::reason::{Reason, code};

/// A series of one tenant, for as long as the process lives. Never stored:
/// files and the WAL hold `series_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u32);

/// 128-bit hash of a label set's bytes as they came over the wire, salted with
/// a number drawn at start ([`SeriesResolver::salt`]), so that nobody outside
/// can make two label sets collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// What the validators said of a label set. A label set is judged once under
/// one digest of the chain; the verdict stays with the series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Not yet judged: its samples go on only after the chain has seen the labels.
    Pending,
    /// Kept.
    Keep,
    /// Every sample of the series is rejected for this reason.
    Reject(std::sync::Arc<Refusal>),
}

/// A refusal that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason code.
    pub reason: Reason,
    /// One sentence for a person.
    pub message: String,
    /// `name@version` of the plugin, empty for the core.
    pub plugin: String,
    /// Its sha256 in hex, empty for the core.
    pub digest: String,
}

/// A fingerprint that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The series.
    pub series: SeriesRef,
    /// What the chain said of it.
    pub judgement: Judgement,
}

/// What a metric is, apart from its samples.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricMeta {
    /// `counter`, `gauge`, `histogram`, `gaugehistogram`, `summary`, `info`,
    /// `stateset` or `unknown`.
    pub metric_type: String,
    /// UCUM or Prometheus unit, may be empty.
    pub unit: String,
    /// Help text, may be empty.
    pub help: String,
}

/// Why a series could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The tenant's cap on series in memory.
    #[error("the tenant has {limit} series, which is its limit (max_series_per_user)")]
    TooManySeries {
        /// The cap.
        limit: usize,
    },
    /// The tenant's cap on active series of one metric.
    #[error("metric {metric:?} has {limit} series, which is its limit (max_series_per_metric)")]
    TooManySeriesOfMetric {
        /// Its name.
        metric: String,
        /// The cap.
        limit: usize,
    },
}

impl ResolveError {
    /// The code under which the rows of the series are refused.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooManySeries { .. } => code::MAX_SERIES_PER_USER,
            Self::TooManySeriesOfMetric { .. } => code::MAX_SERIES_PER_METRIC,
        }
    }
}

/// Handed to `decode`, which looks every label set up and adds the new ones.
///
/// Implemented by `store`; one value per request, the index behind it is shared.
pub trait SeriesResolver {
    /// The salt of fingerprints of this process.
    fn salt(&self) -> u64;

    /// Whether these raw bytes were seen before.
    fn lookup(&mut self, fingerprint: Fingerprint) -> Option<Known>;

    /// Adds a label set under the fingerprint it was read from. A label set
    /// that is there already (other order on the wire, another sender) gets its
    /// existing ref and judgement.
    fn intern(&mut self, fingerprint: Fingerprint, labels: LabelSet) -> Result<Known, ResolveError>;

    /// Notes type, unit and help of a metric family; the last writer wins.
    fn describe(&mut self, metric: &str, meta: &MetricMeta);
}
