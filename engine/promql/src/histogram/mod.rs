//! Native histograms: buckets of exponential or custom bounds with float counts.
//!
//! Format and arithmetic: <https://prometheus.io/docs/specs/native_histograms/>.
//! Where the specification is silent, Prometheus 3.14 decides, down to the order of additions.
//!
//! | module | holds |
//! |---|---|
//! | [`bounds`] | where buckets begin and end |
//! | [`bucket`] | walking over buckets, up and down |
//! | `indexed`, `cell`, `side`, `runs`, `body` | the shared machinery: spans as indices, sums with and without compensation |
//! | `add`, `kahan`, `scale`, `zero`, `custom` | arithmetic between histograms |
//! | `compact`, `resolution`, `validate`, `equal` | layout |
//! | `accumulate` | sums and means of many |
//! | `reset` | counter resets |
//! | `trim` | the operators `</` and `>/` |
//! | `quantile`, `fraction`, `moments` | estimates from buckets |
//! | [`classic`], [`convert`] | histograms of cumulative `le` series, and their conversion |
//! | `text`, `print`, `json` | notations |

pub mod bounds;
pub mod bucket;
pub mod classic;
pub mod convert;

mod accumulate;
mod add;
mod body;
mod cell;
mod compact;
mod custom;
mod equal;
mod error;
mod fraction;
mod hints;
mod indexed;
mod json;
mod kahan;
mod moments;
mod print;
mod quantile;
mod reset;
mod resolution;
mod runs;
mod scale;
mod side;
mod text;
mod trim;
mod validate;
mod zero;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use accumulate::{HistogramMean, HistogramSum};
pub use add::Added;
pub use bucket::Bucket;
pub use error::{HistogramError, LayoutFault};
pub use hints::{compared_hint, hint_after};
pub use kahan::Compensated;
pub use print::format_float;
pub use quantile::{NanEffect, Quantile};

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

impl Default for Histogram {
    /// No observations, schema 0.
    fn default() -> Self {
        Histogram {
            schema: 0,
            reset_hint: ResetHint::Unknown,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_spans: Vec::new(),
            positive: Vec::new(),
            negative_spans: Vec::new(),
            negative: Vec::new(),
            custom_bounds: Arc::from([]),
        }
    }
}

impl Histogram {
    /// Whether the bounds are the sender's own rather than powers of a base.
    #[inline]
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS
    }

    /// Bytes of memory by the rule of Prometheus, which limits on samples count with:
    /// the size of its structure, and eight for each span, count and custom bound.
    pub fn size_bytes(&self) -> usize {
        const STRUCTURE: usize = 168;
        let spans = self.positive_spans.len() + self.negative_spans.len();
        let counts = self.positive.len() + self.negative.len();
        STRUCTURE + 8 * (spans + counts + self.custom_bounds.len())
    }
}
