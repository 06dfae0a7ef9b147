//! What is tested, and its answers.

use std::fmt;
use std::sync::Arc;

use isinglass_promql::{Histogram, Labels, Sample, Value};

use crate::compare::wire::WireHistogram;

/// A store with a PromQL engine: lookback 5 minutes, subqueries every minute where they do not say
/// otherwise, at most 10,000 samples a query, everything experimental on, metric names dropped at
/// the end of a query, start timestamps used.
pub trait Backend {
    /// Forgets all data.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    fn clear(&mut self) -> Result<(), String>;

    /// Adds series to those that are there already. What comes again with the same time and value
    /// is no error.
    ///
    /// Upstream's store keeps the counter-reset hints of gauges only. Of other histograms it gives
    /// the first one of a chunk back as unknown and the next ones as not reset, and it begins a chunk
    /// where counts went down; scripts expect hints as they come back from there.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String>;

    /// Evaluates a query at one time, in milliseconds since the epoch; it may be negative.
    fn instant(&mut self, query: &str, time_ms: i64) -> Answer;

    /// Evaluates a query at each step from the start to the end, both included.
    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer;
}

impl<B: Backend + ?Sized> Backend for Box<B> {
    fn clear(&mut self) -> Result<(), String> {
        (**self).clear()
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        (**self).load(series)
    }

    fn instant(&mut self, query: &str, time_ms: i64) -> Answer {
        (**self).instant(query, time_ms)
    }

    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
        (**self).range(query, start_ms, end_ms, step_ms)
    }
}

/// A series to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedSeries {
    /// Its labels, with the metric name.
    pub labels: Labels,
    /// Its points; times rise.
    pub points: Vec<LoadedPoint>,
}

/// A sample to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedPoint {
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Since when it counts, in milliseconds since the epoch; `None` where nobody says. Upstream
    /// keeps 0 for "nobody says", so that `Some(0)` means the same.
    pub start_ms: Option<i64>,
    /// Its value. The float [`STALE`](isinglass_promql::value::STALE) is the stale marker, of
    /// series of histograms as well.
    pub sample: Sample,
}

/// What a back end says to a query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The result, or the text of the error.
    pub result: Result<Outcome, String>,
    /// Warnings as they are shown, with the position at the end.
    pub warnings: Vec<String>,
    /// Infos likewise.
    pub infos: Vec<String>,
}

impl Answer {
    /// A result without warnings and infos.
    pub fn of(outcome: impl Into<Outcome>) -> Self {
        Self { result: Ok(outcome.into()), warnings: Vec::new(), infos: Vec::new() }
    }

    /// An error.
    pub fn error(text: impl Into<String>) -> Self {
        Self { result: Err(text.into()), warnings: Vec::new(), infos: Vec::new() }
    }
}

/// A result. An engine's [`Value`] becomes one with `into`; a client of the HTTP API, which sees
/// less of a histogram, builds it with [`Found::Wire`].
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A number.
    Scalar(f64),
    /// A text.
    Text(String),
    /// Series with one point each, in the order of the answer.
    Vector(Vec<Row>),
    /// Series with their points, in the order of the answer.
    Matrix(Vec<Row>),
}

/// A series of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its labels.
    pub labels: Labels,
    /// Times in milliseconds since the epoch, and values.
    pub points: Vec<(i64, Found)>,
}

/// A value of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A float.
    Float(f64),
    /// A native histogram, of which all is compared.
    Histogram(Arc<Histogram>),
    /// A native histogram as the HTTP API shows it: count, sum and buckets are compared.
    Wire(WireHistogram),
}

impl From<Sample> for Found {
    fn from(sample: Sample) -> Self {
        match sample {
            Sample::Float(value) => Self::Float(value),
            Sample::Histogram(histogram) => Self::Histogram(histogram),
        }
    }
}

impl From<Value> for Outcome {
    fn from(value: Value) -> Self {
        let rows = |series: Vec<isinglass_promql::Series>| {
            let row = |series: isinglass_promql::Series| Row {
                labels: series.labels,
                points: series.points.into_iter().map(|point| (point.time_ms, point.sample.into())).collect(),
            };
            series.into_iter().map(row).collect()
        };
        match value {
            Value::Scalar(_, number) => Self::Scalar(number),
            Value::Text(_, text) => Self::Text(text),
            Value::Vector(series) => Self::Vector(rows(series)),
            Value::Matrix(series) => Self::Matrix(rows(series)),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => write!(f, "{value}"),
            Self::Histogram(histogram) => f.write_str(&histogram.to_test_text()),
            Self::Wire(histogram) => write!(f, "{histogram:?}"),
        }
    }
}
