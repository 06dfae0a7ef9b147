//! From a text to its value.

use isinglass_lang::promql::ast::{Expr, ValueType};
use isinglass_lang::promql::{parse, resolve_durations};

use crate::annotations::Annotations;
use crate::block::{Block, Cell};
use crate::describe::Times;
use crate::error::{ErrorKind, EvalError, Result};
use crate::exec::{self, Context, Usage};
use crate::grid::Grid;
use crate::labels::Labels;
use crate::merge::same_labels;
use crate::order::sorted_by;
use crate::plan::{Builder, Plan, Planned, Vector};
use crate::signature::METADATA;
use crate::source::Source;
use crate::value::{Point, Sample, Series, Value};

/// How expressions are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A sample counts for so long at most, milliseconds.
    pub lookback_ms: i64,
    /// The step of a subquery that names none, milliseconds.
    pub subquery_step_ms: i64,
    /// Threads that may read one selection.
    pub parts: usize,
    /// Whether start times tell resets of counters.
    pub start_times: bool,
    /// What a query may use.
    pub limits: Limits,
}

/// What a query may use. Beyond, it ends with an error that names the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Samples read by all its selectors.
    pub samples_max: u64,
    /// Series read by all its selectors.
    pub series_max: u64,
    /// Bytes of series that are held at once.
    pub memory_bytes_max: usize,
    /// Times at which an expression is evaluated, subqueries included.
    pub steps_max: usize,
    /// How errors call them.
    pub names: LimitNames,
}

/// How errors call limits: by the settings that change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Limits`")]
pub struct LimitNames {
    pub samples_max: &'static str,
    pub series_max: &'static str,
    pub memory_bytes_max: &'static str,
    pub steps_max: &'static str,
}

impl Default for LimitNames {
    fn default() -> Self {
        Self {
            samples_max: "samples_max",
            series_max: "series_max",
            memory_bytes_max: "memory_bytes_max",
            steps_max: "steps_max",
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            samples_max: 2_000_000_000,
            series_max: 5_000_000,
            memory_bytes_max: 256 << 20,
            steps_max: 1_000_000,
            names: LimitNames::default(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback_ms: 300_000,
            subquery_step_ms: 60_000,
            parts: 1,
            start_times: true,
            limits: Limits::default(),
        }
    }
}

/// The value of a query and what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Reasons why it may not be what was wanted.
    pub warnings: Vec<String>,
    /// Things that may be worth a look.
    pub infos: Vec<String>,
    /// What it took.
    pub used: Used,
}

/// What a query took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Samples read.
    pub samples: u64,
    /// Series read.
    pub series: u64,
    /// Most bytes of series held at once.
    pub peak_bytes: usize,
    /// Stretches of a range that the cache of results had.
    pub cache_hits: u64,
    /// Those that it could have had, and were evaluated.
    pub cache_misses: u64,
}

/// Says why a query has to end: it was canceled, or its time is over.
pub type Ended<'a> = &'a (dyn Fn() -> Option<EvalError> + Sync);

/// Evaluates an expression at one time, milliseconds since the epoch.
pub fn instant(
    text: &str,
    time_ms: i64,
    source: &dyn Source,
    options: &Options,
    ended: Ended<'_>,
) -> Result<Answer> {
    Query::new(text, Times::Instant(time_ms)).run(source, options, ended)
}

/// Evaluates an expression from `start_ms` to at most `end_ms`, every `step_ms`.
pub fn range(
    text: &str,
    (start_ms, end_ms, step_ms): (i64, i64, i64),
    source: &dyn Source,
    options: &Options,
    ended: Ended<'_>,
) -> Result<Answer> {
    Query::new(text, Times::Range { start_ms, end_ms, step_ms }).run(source, options, ended)
}

pub(crate) struct Query<'a> {
    text: &'a str,
    grid: Grid,
    /// What `end()` says; the last step may be earlier.
    end_ms: i64,
    /// What `step()` says.
    step_ms: i64,
    is_range: bool,
}

impl<'a> Query<'a> {
    pub(crate) fn new(text: &'a str, times: Times) -> Self {
        match times {
            Times::Instant(time_ms) => {
                Self { text, grid: Grid::instant(time_ms), end_ms: time_ms, step_ms: 0, is_range: false }
            }
            Times::Range { start_ms, end_ms, step_ms } => Self {
                text,
                grid: Grid::range(start_ms, end_ms, step_ms),
                end_ms: end_ms.max(start_ms),
                step_ms,
                is_range: true,
            },
        }
    }

    fn run(&self, source: &dyn Source, options: &Options, ended: Ended<'_>) -> Result<Answer> {
        let planned = self.plan(options)?;
        let cx = Context {
            source,
            lookback_ms: options.lookback_ms,
            parts: options.parts.max(1),
            chains: exec::Chains::default(),
            start_times: options.start_times,
            order_matters: planned.order_matters,
            annotations: Annotations::default(),
            limits: &options.limits,
            usage: Usage::default(),
            ended,
        };
        cx.check_steps(self.grid.steps)?;
        let value = self.evaluate(&planned, &cx)?;
        let (warnings, infos) = cx.annotations.written(self.text);
        let used = Used {
            samples: cx.usage.samples(),
            series: cx.usage.series(),
            peak_bytes: cx.usage.peak_bytes(),
            ..Used::default()
        };
        Ok(Answer { value, warnings, infos, used })
    }

    pub(crate) fn plan(&self, options: &Options) -> Result<Planned> {
        let mut expr = parse(self.text)?;
        resolve_durations(&mut expr, self.step_ms, self.end_ms.saturating_sub(self.grid.start_ms))?;
        self.check_type(&expr)?;
        Builder::new((self.grid.start_ms, self.end_ms), self.step_ms, options.subquery_step_ms).plan(&expr)
    }

    fn check_type(&self, expr: &Expr) -> Result<()> {
        let name = match expr.value_type() {
            ValueType::Matrix if self.is_range => "range vector",
            ValueType::Text if self.is_range => "string",
            _ => return Ok(()),
        };
        let message =
            format!("invalid expression type \"{name}\" for range query, must be Scalar or instant Vector");
        Err(EvalError::of(ErrorKind::BadData, message))
    }

    fn evaluate(&self, planned: &Planned, cx: &Context<'_>) -> Result<Value> {
        let grid = self.grid;
        match &planned.plan {
            Plan::Text(text) => Ok(Value::Text(grid.start_ms, text.clone())),
            Plan::Matrix(input, range_ms) => {
                Ok(Value::Matrix(exec::matrix(input, *range_ms, grid.start_ms, cx)?))
            }
            Plan::Scalar(scalar) => {
                let values = exec::evaluate_scalar(scalar, grid, cx)?;
                Ok(if self.is_range {
                    Value::Matrix(vec![of_scalar(&values, grid)])
                } else {
                    Value::Scalar(grid.start_ms, values[0])
                })
            }
            Plan::Vector(vector) => self.of_vector(vector, planned.ordered, cx),
        }
    }

    fn of_vector(&self, vector: &Vector, ordered: bool, cx: &Context<'_>) -> Result<Value> {
        let (block, _held) = exec::collect(vector, self.grid, cx)?;
        let mut series = series_of(block, self.grid, cx)?;
        if self.is_range || !ordered {
            // Parts of a source come in no order of their own.
            series = sorted_by(series, |one, other| one.labels.cmp(&other.labels), || cx.check())?;
        }
        Ok(if self.is_range { Value::Matrix(series) } else { Value::Vector(series) })
    }
}

fn of_scalar(values: &[f64], grid: Grid) -> Series {
    let point = |(time_ms, value): (i64, &f64)| Point { time_ms, sample: Sample::Float(*value) };
    Series { labels: Labels::empty(), points: grid.times().zip(values).map(point).collect() }
}

/// The series of a block, as a user sees them: names go that were to go, and series that are the
/// same then are made one.
pub(crate) fn series_of(mut block: Block, grid: Grid, cx: &Context<'_>) -> Result<Vec<Series>> {
    for (at, row) in block.rows.iter_mut().enumerate() {
        cx.check_at(at)?;
        if std::mem::take(&mut row.drop_name) {
            row.labels = row.labels.retain(|name| !METADATA.contains(&name));
        }
    }
    let block = same_labels(block, cx)?;
    let mut all = Vec::with_capacity(block.rows.len());
    for (at, row) in block.rows.iter().enumerate() {
        cx.check()?;
        let points = points(&block, at, grid);
        if !points.is_empty() {
            all.push(Series { labels: row.labels.clone(), points });
        }
    }
    Ok(all)
}

fn points(block: &Block, row: usize, grid: Grid) -> Vec<Point> {
    let point = |(step, time_ms)| {
        let sample = match block.cell(row, step) {
            Cell::Absent => return None,
            Cell::Float(value) => Sample::Float(value),
            Cell::Histogram(histogram) => Sample::Histogram(std::sync::Arc::clone(histogram)),
        };
        Some(Point { time_ms, sample })
    };
    grid.times().enumerate().filter_map(point).collect()
}
