//! Whether the parts of an expression fit each other.
//!
//! The rules, their order and their words are those of Prometheus. On the way what depends on
//! types is settled: only two vectors are matched, set operators pair many with many, and the
//! second argument of `info` may match everything.

mod binary;

use super::ast::{Aggregate, AggregateOp, Call, Expr, ExprKind, MatchOp, Matcher, Selector, Span, ValueType};
use super::error::ParseError;
use super::functions::{Function, Variadic};
use super::{quoted, regex};

/// Checks a whole tree and settles what depends on types.
pub(super) fn check(text: &str, expr: &mut Expr) -> Result<(), ParseError> {
    Checker { text }.expr(expr).map(|_| ())
}

/// Whether at least one matcher does not match the empty text, so that not all series are selected.
pub fn has_non_empty_matcher(matchers: &[Matcher]) -> bool {
    matchers.iter().any(|matcher| match matcher.op {
        MatchOp::Equal => !matcher.value.is_empty(),
        MatchOp::NotEqual => matcher.value.is_empty(),
        MatchOp::Matches => !regex::matches_empty(&matcher.value),
        MatchOp::NotMatches => regex::matches_empty(&matcher.value),
    })
}

/// The type as error messages name it.
fn documented(value: ValueType) -> &'static str {
    match value {
        ValueType::Scalar => "scalar",
        ValueType::Text => "string",
        ValueType::Vector => "instant vector",
        ValueType::Matrix => "range vector",
    }
}

/// The type as the message about subqueries names it.
fn internal(value: ValueType) -> &'static str {
    match value {
        ValueType::Scalar => "scalar",
        ValueType::Text => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

type Checked<T = ()> = Result<T, ParseError>;

struct Checker<'a> {
    text: &'a str,
}

impl Checker<'_> {
    fn fault<T>(&self, span: Span, message: impl Into<String>) -> Checked<T> {
        Err(ParseError::new(self.text, span, message))
    }

    /// Checks an expression and gives the type of its value.
    fn expr(&self, expr: &mut Expr) -> Checked<ValueType> {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Number(_) => Ok(ValueType::Scalar),
            ExprKind::Text(_) => Ok(ValueType::Text),
            ExprKind::Selector(selector) => self.selector(selector, span),
            ExprKind::Range(range) => self.expr(&mut range.selector).map(|_| ValueType::Matrix),
            ExprKind::Subquery(subquery) => self.subquery(&mut subquery.expr, span),
            ExprKind::Call(call) => self.call(call, span),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Binary(binary) => self.binary(binary, span),
            ExprKind::Unary(unary) => self.unary(&mut unary.expr, span),
            ExprKind::Paren(inner) => self.expr(inner),
        }
    }

    fn expect(&self, expr: &mut Expr, wanted: ValueType, context: &str) -> Checked {
        let got = self.expr(expr)?;
        if got == wanted {
            return Ok(());
        }
        let (wanted, got) = (documented(wanted), documented(got));
        self.fault(expr.span, format!("expected type {wanted} in {context}, got {got}"))
    }

    fn selector(&self, selector: &Selector, span: Span) -> Checked<ValueType> {
        if let Some(name) = &selector.name {
            let others = selector.matchers.split_last().map_or(&[][..], |(_, others)| others);
            if let Some(other) = others.iter().find(|matcher| matcher.label == "__name__") {
                let (name, other) = (quoted(name), quoted(&other.value));
                return self.fault(span, format!("metric name must not be set twice: {name} or {other}"));
            }
        } else if !selector.of_info && !has_non_empty_matcher(&selector.matchers) {
            return self.fault(span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(ValueType::Vector)
    }

    fn subquery(&self, inner: &mut Expr, span: Span) -> Checked<ValueType> {
        match self.expr(inner)? {
            ValueType::Vector => Ok(ValueType::Matrix),
            other => {
                let other = internal(other);
                self.fault(span, format!("subquery is only allowed on instant vector, got {other} instead"))
            }
        }
    }

    fn unary(&self, inner: &mut Expr, span: Span) -> Checked<ValueType> {
        match self.expr(inner)? {
            value @ (ValueType::Scalar | ValueType::Vector) => Ok(value),
            other => self.fault(
                span,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got \"{}\"",
                    documented(other)
                ),
            ),
        }
    }

    fn aggregate(&self, aggregate: &mut Aggregate) -> Checked<ValueType> {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
        if let Some(param) = &mut aggregate.param {
            let wanted = match aggregate.op {
                AggregateOp::CountValues => ValueType::Text,
                _ => ValueType::Scalar,
            };
            self.expect(param, wanted, "aggregation parameter")?;
        }
        Ok(ValueType::Vector)
    }

    fn call(&self, call: &mut Call, span: Span) -> Checked<ValueType> {
        let function = call.function;
        self.argument_count(function, call.args.len(), span)?;
        if function.name == "info"
            && let Some(labels) = call.args.get_mut(1)
        {
            self.labels_of_info(labels, span)?;
        }
        let context = format!("call to function \"{}\"", function.name);
        for (at, arg) in call.args.iter_mut().enumerate() {
            let Some(wanted) = function.args.get(at).or(function.args.last()) else { break };
            self.expect(arg, *wanted, &context)?;
        }
        Ok(function.returns)
    }

    fn argument_count(&self, function: &Function, got: usize, span: Span) -> Checked {
        let named = function.args.len();
        let (least, most) = match function.variadic {
            Variadic::No => (named, named),
            Variadic::Optional(last) => (named.saturating_sub(last), named),
            Variadic::Any => (named.saturating_sub(1), usize::MAX),
        };
        let (bound, wanted) = match function.variadic {
            Variadic::No => ("", named),
            _ if got < least => ("at least ", least),
            _ => ("at most ", most),
        };
        if (least..=most).contains(&got) {
            return Ok(());
        }
        let name = function.name;
        self.fault(span, format!("expected {bound}{wanted} argument(s) in call to \"{name}\", got {got}"))
    }

    /// The second argument of `info` names labels, not series.
    fn labels_of_info(&self, labels: &mut Expr, span: Span) -> Checked {
        let value = labels.value_type();
        if value != ValueType::Vector {
            let got = documented(value);
            return self.fault(
                span,
                format!("expected type instant vector in call to function \"info\", got {got}"),
            );
        }
        match &mut labels.kind {
            ExprKind::Selector(Selector { name: Some(_), .. }) => {
                self.fault(labels.span, "expected label selectors only, got vector selector instead")
            }
            ExprKind::Selector(selector) => {
                selector.of_info = true;
                Ok(())
            }
            _ => self.fault(labels.span, "expected label selectors only"),
        }
    }
}
