//! From the tree of an expression to its plan.

use std::collections::BTreeMap;

use isinglass_lang::promql::ast::{
    self, AggregateOp, At, Binary, BinaryOp, Duration, Expr, ExprKind, MatchOp, Matcher, RangeSelector,
    Selector, ValueType,
};
use isinglass_lang::promql::{has_non_empty_matcher, walk};

use super::{
    Aggregate, Join, Leaf, Map, MapFunction, Matching, Plan, Scalar, Set, Subquery, Vector, Wanted,
    WindowInput, WithScalar, calls, invariant,
};
use crate::error::{ErrorKind, EvalError, Result};
use crate::labels::METRIC_NAME;

/// Makes plans for a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Builder {
    /// First and last time of the query, milliseconds.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// What `step()` says, milliseconds: 0 of an instant query.
    pub(crate) step_ms: i64,
    /// Of a subquery that names none, milliseconds.
    pub(crate) subquery_step_ms: i64,
    /// Only counts and sums of histograms are wanted of what is planned.
    pub(super) stats: bool,
}

/// A plan and whether its result is to be sorted.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// The order of an instant query's series is that of the expression.
    pub(crate) ordered: bool,
    /// Some part of it follows from the order of the series.
    pub(crate) order_matters: bool,
}

impl Builder {
    /// For a query from a time to another, which need not be the time of a step.
    pub(crate) fn new((start_ms, end_ms): (i64, i64), step_ms: i64, subquery_step_ms: i64) -> Self {
        Self { start_ms, end_ms, step_ms, subquery_step_ms, stats: false }
    }

    /// For arguments of what looks at buckets.
    pub(super) fn wants_buckets(&self) -> Self {
        Self { stats: false, ..*self }
    }

    /// For arguments of what looks at counts and sums only.
    pub(super) fn wants_stats(&self) -> Self {
        Self { stats: true, ..*self }
    }

    /// The plan of an expression whose durations are known.
    pub(crate) fn plan(&self, expr: &Expr) -> Result<Planned> {
        let plan = match expr.value_type() {
            ValueType::Scalar => Plan::Scalar(self.scalar(expr)?),
            ValueType::Vector => Plan::Vector(self.vector(expr)?),
            ValueType::Text => Plan::Text(self.text(expr)?),
            ValueType::Matrix => {
                let (input, range_ms) = self.window_input(expr)?;
                Plan::Matrix(input, range_ms)
            }
        };
        let ordered = matches!(&plan, Plan::Vector(vector) if gives_an_order(vector));
        Ok(Planned { plan: invariant::hoist(plan), ordered, order_matters: order_matters(expr) })
    }

    pub(super) fn scalar(&self, expr: &Expr) -> Result<Scalar> {
        Ok(match &expr.kind {
            ExprKind::Number(number) => Scalar::Const(number.value),
            ExprKind::Paren(inner) => self.scalar(inner)?,
            ExprKind::Unary(unary) if unary.negative => negated(self.scalar(&unary.expr)?),
            ExprKind::Unary(unary) => self.scalar(&unary.expr)?,
            ExprKind::Binary(binary) => {
                let (left, right) = (self.scalar(&binary.lhs)?, self.scalar(&binary.rhs)?);
                folded(binary.op, left, right)
            }
            ExprKind::Call(call) => calls::scalar(self, call)?,
            _ => return Err(unexpected(expr, "a scalar")),
        })
    }

    pub(super) fn vector(&self, expr: &Expr) -> Result<Vector> {
        Ok(match &expr.kind {
            ExprKind::Paren(inner) => self.vector(inner)?,
            ExprKind::Selector(selector) => Vector::Select(self.leaf(selector, expr.span), Wanted::Value),
            ExprKind::Unary(unary) => {
                let input = self.vector(&unary.expr)?;
                if unary.negative { negated_vector(input) } else { input }
            }
            ExprKind::Binary(binary) => self.binary(expr, binary)?,
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate)?,
            ExprKind::Call(call) => calls::vector(self, expr, call)?,
            _ => return Err(unexpected(expr, "an instant vector")),
        })
    }

    /// A text, without the brackets around it.
    pub(super) fn text(&self, expr: &Expr) -> Result<String> {
        match &expr.bare().kind {
            ExprKind::Text(text) => Ok(text.clone()),
            _ => Err(unexpected(expr, "a string")),
        }
    }

    /// A range selector or subquery, and its window.
    pub(super) fn window_input(&self, expr: &Expr) -> Result<(WindowInput, i64)> {
        match &expr.bare().kind {
            ExprKind::Range(range) => self.range(range),
            ExprKind::Subquery(subquery) => {
                let step_ms = match &subquery.step {
                    Some(step) => millis(step)?,
                    None => self.subquery_step_ms,
                };
                let input = WindowInput::Subquery(Subquery {
                    plan: self.evaluated(&subquery.expr)?,
                    step_ms: step_ms.max(1),
                    offset_ms: optional_millis(subquery.offset.as_ref())?,
                    at_ms: subquery.at.map(|at| self.at(at)),
                });
                Ok((input, millis(&subquery.range)?))
            }
            _ => Err(unexpected(expr, "a range vector")),
        }
    }

    /// What a subquery evaluates: a scalar is a series without labels.
    fn evaluated(&self, expr: &Expr) -> Result<Vector> {
        match expr.value_type() {
            ValueType::Scalar => Ok(Vector::FromScalar(self.scalar(expr)?)),
            _ => self.vector(expr),
        }
    }

    fn range(&self, range: &RangeSelector) -> Result<(WindowInput, i64)> {
        let ExprKind::Selector(selector) = &range.selector.bare().kind else {
            return Err(unexpected(&range.selector, "a selector"));
        };
        let leaf = self.leaf(selector, range.selector.span);
        Ok((WindowInput::Samples(leaf), millis(&range.range)?))
    }

    pub(super) fn leaf(&self, selector: &Selector, span: ast::Span) -> Leaf {
        Leaf {
            matchers: selector.matchers.clone(),
            offset_ms: optional_millis(selector.offset.as_ref()).unwrap_or_default(),
            at_ms: selector.at.map(|at| self.at(at)),
            extension: selector.extension,
            stats: self.stats,
            span,
        }
    }

    pub(super) fn at(&self, at: At) -> i64 {
        match at {
            At::Time(time_ms) => time_ms,
            At::Start => self.start_ms,
            At::End => self.end_ms,
        }
    }

    fn binary(&self, expr: &Expr, binary: &Binary) -> Result<Vector> {
        if matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower) && self.stats {
            return self.wants_buckets().binary(expr, binary);
        }
        let scalars =
            (binary.lhs.value_type() == ValueType::Scalar, binary.rhs.value_type() == ValueType::Scalar);
        match scalars {
            (false, false) => self.of_two_vectors(expr, binary),
            (true, _) => self.with_scalar(expr, binary, &binary.rhs, &binary.lhs, true),
            (_, true) => self.with_scalar(expr, binary, &binary.lhs, &binary.rhs, false),
        }
    }

    fn with_scalar(
        &self,
        expr: &Expr,
        binary: &Binary,
        vector: &Expr,
        scalar: &Expr,
        scalar_first: bool,
    ) -> Result<Vector> {
        Ok(Vector::WithScalar(Box::new(WithScalar {
            op: binary.op,
            bool_modifier: binary.bool_modifier,
            vector: self.vector(vector)?,
            scalar: self.scalar(scalar)?,
            scalar_first,
            span: expr.span,
        })))
    }

    fn of_two_vectors(&self, expr: &Expr, binary: &Binary) -> Result<Vector> {
        let (left, right) = (self.vector(&binary.lhs)?, self.vector(&binary.rhs)?);
        let matching = matching(binary);
        if binary.op.is_set() {
            let Matching { on, labels, .. } = matching;
            return Ok(Vector::Set(Box::new(Set { op: binary.op, left, right, on, labels })));
        }
        Ok(Vector::Join(Box::new(Join {
            op: binary.op,
            bool_modifier: binary.bool_modifier,
            left,
            right,
            matching,
            span: expr.span,
        })))
    }

    fn aggregate(&self, aggregate: &ast::Aggregate) -> Result<Vector> {
        let (mut param, mut label) = (None, String::new());
        match &aggregate.param {
            Some(text) if aggregate.op == AggregateOp::CountValues => label = self.text(text)?,
            Some(scalar) => param = Some(self.scalar(scalar)?),
            None => {}
        }
        if aggregate.op == AggregateOp::CountValues && label.is_empty() {
            return Err(EvalError::execution(format!("invalid label name {label:?}")));
        }
        let mut grouping = aggregate.grouping.clone();
        grouping.sort_unstable();
        grouping.dedup();
        Ok(Vector::Aggregate(Box::new(Aggregate {
            op: aggregate.op,
            input: self.vector(&aggregate.expr)?,
            param,
            label,
            grouping,
            without: aggregate.without,
            span: aggregate.expr.span,
            param_span: aggregate.param.as_ref().map(|param| param.span).unwrap_or_default(),
        })))
    }
}

/// Milliseconds of a duration that was resolved before.
fn millis(duration: &Duration) -> Result<i64> {
    match duration {
        Duration::Millis(millis) => Ok(*millis),
        Duration::Computed(_) => Err(EvalError::internal("a duration was not resolved")),
    }
}

fn optional_millis(duration: Option<&Duration>) -> Result<i64> {
    duration.map_or(Ok(0), millis)
}

fn unexpected(expr: &Expr, wanted: &str) -> EvalError {
    let message = format!("{expr} is not {wanted}");
    EvalError::of(ErrorKind::BadData, message)
}

fn negated(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Const(value) => Scalar::Const(-value),
        other => Scalar::Negated(Box::new(other)),
    }
}

fn folded(op: BinaryOp, left: Scalar, right: Scalar) -> Scalar {
    match (&left, &right) {
        (Scalar::Const(one), Scalar::Const(other)) => {
            Scalar::Const(crate::arithmetic::scalars(op, *one, *other))
        }
        _ => Scalar::Binary(op, Box::new(left), Box::new(right)),
    }
}

fn negated_vector(input: Vector) -> Vector {
    let function = MapFunction::Negate;
    Vector::Map(Box::new(Map { function, params: Vec::new(), input }))
}

fn matching(binary: &Binary) -> Matching {
    let Some(matching) = &binary.matching else {
        return Matching {
            cardinality: ast::Cardinality::OneToOne,
            on: false,
            labels: Vec::new(),
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
    };
    let mut labels = matching.labels.clone();
    labels.sort_unstable();
    labels.dedup();
    Matching {
        cardinality: matching.cardinality,
        on: matching.on,
        labels,
        include: matching.include.clone(),
        fill_left: matching.fill_left,
        fill_right: matching.fill_right,
    }
}

/// Whether the value of an expression, or of a part of it, follows from the order of series: of
/// equal values some are kept, or come first.
fn order_matters(expr: &Expr) -> bool {
    let mut found = false;
    walk(expr, &mut |expr| {
        found |= match &expr.kind {
            ExprKind::Aggregate(aggregate) => {
                matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk)
            }
            ExprKind::Call(call) => matches!(call.function.name, "sort" | "sort_desc"),
            _ => false,
        };
    });
    found
}

/// Whether an expression says in which order its series come.
fn gives_an_order(vector: &Vector) -> bool {
    match vector {
        Vector::Sort(_) => true,
        Vector::Aggregate(aggregate) => {
            matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk)
        }
        _ => false,
    }
}

/// The labels of what is absent: those that a selector wants to be equal to something. As upstream
/// has it, a matcher after that takes the label away again, one before it does not; and its storage
/// has put those last that only leave series out (`PostingsForMatchers`).
pub(super) fn fixed_labels(expr: &Expr) -> Vec<(String, String)> {
    let matchers = match &expr.bare().kind {
        ExprKind::Selector(selector) => &selector.matchers,
        ExprKind::Range(range) => match &range.selector.bare().kind {
            ExprKind::Selector(selector) => &selector.matchers,
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let mut fixed: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let (leaving_out, others): (Vec<_>, Vec<_>) = matchers
        .iter()
        .filter(|matcher| matcher.label != METRIC_NAME)
        .partition(|matcher| leaves_out(matcher));
    for matcher in others.into_iter().chain(leaving_out) {
        if matcher.op == MatchOp::Equal && !fixed.contains_key(&*matcher.label) {
            fixed.insert(&matcher.label, Some(&matcher.value));
        } else if let Some(value) = fixed.get_mut(&*matcher.label) {
            *value = None;
        }
    }
    let kept = fixed.into_iter().filter_map(|(label, value)| Some((label.to_owned(), value?.to_owned())));
    kept.collect()
}

/// Whether a matcher says only what a label must not be, and it may be missing.
fn leaves_out(matcher: &Matcher) -> bool {
    matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotMatches)
        && !has_non_empty_matcher(std::slice::from_ref(matcher))
}
