//! The tree of a PromQL expression. Every node knows the bytes it was read from.
//!
//! Names and shapes follow the language's own documentation
//! (<https://prometheus.io/docs/prometheus/latest/querying/basics/>); what the tree keeps is
//! what a printer needs to write the same expression again.

use super::functions::Function;

/// Bytes of the text that a node was read from: `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// An expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression can be.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x1F`, `Inf`, `5m`.
    Number(Number),
    /// `"text"`.
    Text(String),
    /// `up{job="x"} offset 5m @ 10`.
    Selector(Selector),
    /// `up[5m]`; offset, `@` and the extension stand in the selector.
    Range(RangeSelector),
    /// `expr[1h:5m]`.
    Subquery(Subquery),
    /// `rate(up[5m])`.
    Call(Call),
    /// `sum by (job) (up)`.
    Aggregate(Aggregate),
    /// `a + on (job) b`.
    Binary(Binary),
    /// `-a`.
    Unary(Unary),
    /// `(a)`.
    Paren(Box<Expr>),
}

/// A number as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// Its value; of a duration, its seconds.
    pub value: f64,
    /// Written as a duration, such as `5m`.
    pub duration: bool,
}

/// An instant vector selector.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selector {
    /// The metric name where it stands before the braces.
    pub name: Option<String>,
    /// All matchers; one `__name__="…"` comes last for [`Selector::name`].
    pub matchers: Vec<Matcher>,
    /// `offset …`; negative = into the future.
    pub offset: Option<Duration>,
    /// `@ …`.
    pub at: Option<At>,
    /// `smoothed` or `anchored`.
    pub extension: Option<Extension>,
    /// Written as the second argument of `info`, where matchers may all match the empty text.
    pub of_info: bool,
}

/// A matcher of one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// Label name.
    pub label: String,
    /// How it is compared.
    pub op: MatchOp,
    /// Value, or a pattern that is anchored at both ends.
    pub value: String,
}

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `=~`.
    Matches,
    /// `!~`.
    NotMatches,
}

/// What an `@` names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// Milliseconds since the epoch.
    Time(i64),
    /// `start()`.
    Start,
    /// `end()`.
    End,
}

/// How a selector looks beyond its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// Values at the bounds are interpolated.
    Smoothed,
    /// Values at the bounds are those of the samples before.
    Anchored,
}

/// A range vector selector.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeSelector {
    /// What is selected. Its span ends before the bracket, or where its offset or `@` ends.
    pub selector: Box<Expr>,
    /// Width of the window.
    pub range: Duration,
}

/// An expression evaluated at many times.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Box<Expr>,
    /// Width of the window.
    pub range: Duration,
    /// Distance of two evaluations, `None` = the default.
    pub step: Option<Duration>,
    /// `offset …`.
    pub offset: Option<Duration>,
    /// `@ …`.
    pub at: Option<At>,
}

/// A length of time: known, or to be computed from the step and range of the query.
#[derive(Debug, Clone, PartialEq)]
pub enum Duration {
    /// Milliseconds.
    Millis(i64),
    /// An expression in seconds.
    Computed(Box<DurationExpr>),
}

/// A duration expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands.
    pub span: Span,
}

/// What a duration expression can be.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationKind {
    /// `5m` or `300`.
    Number(Number),
    /// `step()`.
    Step,
    /// `range()`.
    Range,
    /// `min_of(a, b)`.
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`.
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `a + b`, with `+ - * / % ^`.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `-a`.
    Negated(Box<DurationExpr>),
    /// `+a`.
    Plus(Box<DurationExpr>),
    /// `(a)`.
    Paren(Box<DurationExpr>),
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// Its arguments, as many as it takes.
    pub args: Vec<Expr>,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Box<Expr>,
    /// The parameter of those that have one.
    pub param: Option<Box<Expr>>,
    /// Labels of `by` or `without`, as written.
    pub grouping: Vec<String>,
    /// `without` instead of `by`.
    pub without: bool,
}

/// Aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the language")]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

/// An operation of two sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// Which.
    pub op: BinaryOp,
    /// Left side.
    pub lhs: Box<Expr>,
    /// Right side.
    pub rhs: Box<Expr>,
    /// How series are paired, where both sides are vectors.
    pub matching: Option<Matching>,
    /// `bool`.
    pub bool_modifier: bool,
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the language")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Unless,
    /// `</`: keeps the observations of a histogram up to a bound.
    TrimUpper,
    /// `>/`: keeps the observations of a histogram from a bound.
    TrimLower,
}

/// How the series of two sides are paired.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// How many series of a side may go with one of the other.
    pub cardinality: Cardinality,
    /// `on (…)`, else `ignoring (…)`.
    pub on: bool,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Labels of `group_left (…)` or `group_right (…)`.
    pub include: Vec<String>,
    /// `fill_left`, or `fill`.
    pub fill_left: Option<f64>,
    /// `fill_right`, or `fill`.
    pub fill_right: Option<f64>,
}

/// How many series of a side may go with one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Cardinality {
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// An operation of one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// `-`, else `+`.
    pub negative: bool,
    /// The side.
    pub expr: Box<Expr>,
}

/// Types of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number at each time.
    Scalar,
    /// A text.
    Text,
    /// Series with one sample at each time.
    Vector,
    /// Series with a window of samples at each time.
    Matrix,
}

impl Expr {
    /// The type of its value.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::Text(_) => ValueType::Text,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Range(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            ExprKind::Unary(unary) => unary.expr.value_type(),
            ExprKind::Paren(inner) => inner.value_type(),
        }
    }

    /// The expression without the brackets around it.
    pub fn bare(&self) -> &Self {
        match &self.kind {
            ExprKind::Paren(inner) => inner.bare(),
            _ => self,
        }
    }
}

impl BinaryOp {
    /// `== != < <= > >=`.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
        )
    }

    /// `and or unless`.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }
}

impl AggregateOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// Whether it takes a parameter.
    pub fn has_param(self) -> bool {
        matches!(
            self,
            Self::Topk | Self::Bottomk | Self::CountValues | Self::Quantile | Self::Limitk | Self::LimitRatio
        )
    }
}

impl MatchOp {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}
