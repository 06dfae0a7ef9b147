//! Native histograms: buckets of exponential or custom bounds with float counts.
//!
//! Format and arithmetic: <https://prometheus.io/docs/specs/native_histograms/>.

use std::sync::Arc;

/// The schema of custom bounds.
pub const CUSTOM_BUCKETS: i32 = -53;

/// Whether counts went down since the sample before, as far as the sender says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum ResetHint {
    /// To be found out by comparing.
    #[default]
    Unknown,
    /// They did.
    Reset,
    /// They did not.
    NotReset,
    /// It may go down at any time: a gauge.
    Gauge,
}

/// Buckets that follow each other, as in the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BucketSpan {
    /// Empty buckets since the end of the span before; of the first one, the index of its bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// A native histogram with absolute float counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Resolution: -4 to 8, or [`CUSTOM_BUCKETS`].
    pub schema: i32,
    /// What the sender says of resets.
    pub reset_hint: ResetHint,
    /// Width of the zero bucket to each side.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations.
    pub sum: f64,
    /// Which positive buckets there are.
    pub positive_spans: Vec<BucketSpan>,
    /// Their counts.
    pub positive: Vec<f64>,
    /// Which negative buckets there are.
    pub negative_spans: Vec<BucketSpan>,
    /// Their counts.
    pub negative: Vec<f64>,
    /// Upper bounds of custom buckets; the last bucket ends at +Inf and has none here.
    pub custom_bounds: Arc<[f64]>,
}
