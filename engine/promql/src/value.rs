//! Samples, series and results.

use std::sync::Arc;

use crate::histogram::Histogram;
use crate::labels::Labels;

/// The one NaN that marks a series as stale: its bits, not its being NaN.
/// Prometheus, `model/value`: `StaleNaN`.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the stale marker, bit for bit.
#[inline]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// A float or a native histogram.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// A sample and its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Its value.
    pub sample: Sample,
}

/// A series of a result: its points by time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its labels, with the metric name where it has one.
    pub labels: Labels,
    /// Its points; times rise.
    pub points: Vec<Point>,
}

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number at a time.
    Scalar(i64, f64),
    /// A text at a time.
    Text(i64, String),
    /// Series with one point each, in the order that the query asked for.
    Vector(Vec<Series>),
    /// Series with their points, sorted by labels.
    Matrix(Vec<Series>),
}
