//! What is to be computed: typed, with all times and durations known.
//!
//! A plan is made once for a query. It holds no data and no grid: the same plan is evaluated at
//! one time, at many, or inside a subquery at others.

mod build;
mod calls;
mod invariant;

use isinglass_lang::promql::ast::{AggregateOp, BinaryOp, Cardinality, Extension, Matcher, Span};

pub(crate) use build::{Builder, Planned};

/// A number at each step.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    Const(f64),
    /// The time of the step, seconds.
    Time,
    /// `scalar(v)`.
    Of(Box<Vector>),
    Binary(BinaryOp, Box<Scalar>, Box<Scalar>),
    Negated(Box<Scalar>),
    MinOf(Box<Scalar>, Box<Scalar>),
    MaxOf(Box<Scalar>, Box<Scalar>),
}

/// Series with a sample at each step.
#[derive(Debug, Clone)]
pub(crate) enum Vector {
    Select(Leaf, Wanted),
    Window(Box<Window>),
    /// `absent_over_time`, with the labels that its selector fixes.
    AbsentOverTime(Box<Window>, Vec<(String, String)>),
    Map(Box<Map>),
    /// `vector(s)`, and functions of time without an argument.
    FromScalar(Scalar),
    /// A vector and a scalar, in the order they are written.
    WithScalar(Box<WithScalar>),
    Join(Box<Join>),
    Set(Box<Set>),
    Aggregate(Box<Aggregate>),
    Absent(Box<Vector>, Vec<(String, String)>),
    Classic(Box<Classic>),
    LabelReplace(Box<LabelReplace>),
    LabelJoin(Box<LabelJoin>),
    Sort(Box<Sort>),
    Info(Box<Info>),
    /// Its value does not depend on the step: evaluated once.
    Invariant(Box<Vector>),
}

/// What a selector reads, and when.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) offset_ms: i64,
    /// The time that `@` fixes, milliseconds.
    pub(crate) at_ms: Option<i64>,
    pub(crate) extension: Option<Extension>,
    /// Only counts and sums of its histograms are wanted.
    pub(crate) stats: bool,
    pub(crate) span: Span,
}

/// What of a sample becomes the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Value,
    /// Its time, seconds.
    Timestamp,
    /// Its start time, seconds, where it is known.
    StartTimestamp,
}

/// A function of the samples of a window.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) function: WindowFunction,
    /// Scalars that it takes besides.
    pub(crate) params: Vec<Scalar>,
    pub(crate) input: WindowInput,
    /// The window, milliseconds.
    pub(crate) range_ms: i64,
    /// Where the argument stands.
    pub(crate) span: Span,
    /// Where the first parameter stands.
    pub(crate) param_span: Span,
}

/// Where the samples of a window come from.
#[derive(Debug, Clone)]
pub(crate) enum WindowInput {
    Samples(Leaf),
    Subquery(Subquery),
}

/// An expression evaluated at times of its own.
#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub(crate) plan: Vector,
    pub(crate) step_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
}

/// Functions of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WindowFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Last,
    First,
    Present,
    Stddev,
    Stdvar,
    Mad,
    Quantile,
    Changes,
    Resets,
    Deriv,
    PredictLinear,
    DoubleExponential,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMin,
    TimeOfMax,
}

/// A function of each sample by itself.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    pub(crate) function: MapFunction,
    pub(crate) params: Vec<Scalar>,
    pub(crate) input: Vector,
}

/// Functions of a sample.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MapFunction {
    /// Of floats only; histograms go.
    Float(fn(f64) -> f64),
    Negate,
    Clamp,
    ClampMin,
    ClampMax,
    Round,
    /// Seconds since the epoch to a part of the date.
    Date(DatePart),
    /// The time of the step where there is a sample.
    Timestamp,
    /// There is none where samples come from an expression.
    StartTimestamp,
    HistogramCount,
    HistogramSum,
    HistogramAvg,
    HistogramStddev,
    HistogramStdvar,
    /// Of this name, from the source.
    Brought(&'static str),
}

/// Parts of a date, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatePart {
    Minute,
    Hour,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

/// Arithmetic or comparison of a vector with a scalar.
#[derive(Debug, Clone)]
pub(crate) struct WithScalar {
    pub(crate) op: BinaryOp,
    pub(crate) bool_modifier: bool,
    pub(crate) vector: Vector,
    pub(crate) scalar: Scalar,
    /// The scalar stands to the left.
    pub(crate) scalar_first: bool,
    pub(crate) span: Span,
}

/// How series of two sides are paired.
#[derive(Debug, Clone)]
pub(crate) struct Matching {
    pub(crate) cardinality: Cardinality,
    pub(crate) on: bool,
    /// Sorted.
    pub(crate) labels: Vec<String>,
    pub(crate) include: Vec<String>,
    pub(crate) fill_left: Option<f64>,
    pub(crate) fill_right: Option<f64>,
}

/// Arithmetic or comparison of two vectors.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) op: BinaryOp,
    pub(crate) bool_modifier: bool,
    pub(crate) left: Vector,
    pub(crate) right: Vector,
    pub(crate) matching: Matching,
    pub(crate) span: Span,
}

/// `and`, `or`, `unless`.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) op: BinaryOp,
    pub(crate) left: Vector,
    pub(crate) right: Vector,
    pub(crate) on: bool,
    /// Sorted.
    pub(crate) labels: Vec<String>,
}

/// An aggregation.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) input: Vector,
    pub(crate) param: Option<Scalar>,
    /// The label of `count_values`.
    pub(crate) label: String,
    /// Sorted.
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
    /// Where the input stands.
    pub(crate) span: Span,
    /// Where the parameter stands.
    pub(crate) param_span: Span,
}

/// A function of histograms, classic ones included.
#[derive(Debug, Clone)]
pub(crate) struct Classic {
    pub(crate) function: ClassicFunction,
    pub(crate) params: Vec<Scalar>,
    pub(crate) input: Vector,
    /// Where the vector stands.
    pub(crate) span: Span,
    /// Where each parameter stands.
    pub(crate) param_spans: Vec<Span>,
}

/// Functions of histograms, classic ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClassicFunction {
    Quantile,
    Fraction,
    /// Several quantiles at once, each in a series with its value in this label.
    Quantiles(String),
}

/// `label_replace`.
#[derive(Debug, Clone)]
pub(crate) struct LabelReplace {
    pub(crate) input: Vector,
    pub(crate) to: String,
    pub(crate) replacement: String,
    pub(crate) from: String,
    pub(crate) pattern: regex::Regex,
}

/// `label_join`.
#[derive(Debug, Clone)]
pub(crate) struct LabelJoin {
    pub(crate) input: Vector,
    pub(crate) to: String,
    pub(crate) separator: String,
    pub(crate) from: Vec<String>,
}

/// An order, that only an instant query shows.
#[derive(Debug, Clone)]
pub(crate) struct Sort {
    pub(crate) input: Vector,
    pub(crate) by: SortBy,
    pub(crate) descending: bool,
}

/// What is sorted by.
#[derive(Debug, Clone)]
pub(crate) enum SortBy {
    Value,
    Labels(Vec<String>),
}

/// `info`.
#[derive(Debug, Clone)]
pub(crate) struct Info {
    pub(crate) input: Vector,
    /// Of its second argument.
    pub(crate) matchers: Vec<Matcher>,
    /// How the times of the info series differ from those of the steps.
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
}

/// A plan of either type, or what needs none.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Scalar(Scalar),
    Vector(Vector),
    Text(String),
    /// A range selector by itself, of an instant query.
    Matrix(WindowInput, i64),
}

impl Leaf {
    /// The time that the samples of a step are looked up for.
    #[inline]
    pub(crate) fn reference(&self, time_ms: i64) -> i64 {
        reference(time_ms, self.at_ms, self.offset_ms)
    }
}

/// The time that samples are looked up for, with `@` and `offset`.
#[inline]
pub(crate) fn reference(time_ms: i64, at_ms: Option<i64>, offset_ms: i64) -> i64 {
    at_ms.unwrap_or(time_ms).saturating_sub(offset_ms)
}
