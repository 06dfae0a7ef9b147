//! The queries that an instant eval stands for.
//!
//! Data do not change, so that a query whose selectors all have a fixed `@ T` gives the same at any
//! time. As upstream does, an instant eval at T is run as it is written, and rewritten at -10 T,
//! 0, T/5, T and 10 T. Each of these is run once more as a range query of three steps, in
//! [`run`](crate::run).

use isinglass_lang::promql::ast::{At, Expr, ExprKind};

use crate::pending;

/// Functions whose value depends on the time of evaluation even where their arguments do not.
const DEPEND_ON_TIME: [&str; 16] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "start_timestamp",
    "step",
    "time",
    "timestamp",
    "year",
];

/// Calls whose value depends on the range of a query and not only on the time.
const DEPEND_ON_RANGE: [&str; 4] = ["start()", "end()", "range()", "step()"];

/// A query and when it is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The query.
    pub query: String,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
}

/// All variants of an instant query: first as it is written, then rewritten. A query that cannot be
/// parsed has no others.
pub fn variants(query: &str, time_ms: i64) -> Vec<Variant> {
    let mut variants = vec![Variant { query: query.to_owned(), time_ms }];
    if let Some(query) = rewritten(query, time_ms) {
        let others = other_times(time_ms).into_iter();
        variants.extend(others.map(|time_ms| Variant { query: query.clone(), time_ms }));
    }
    variants
}

/// Whether the value at a time is the same in a range query around it.
pub fn same_in_range(query: &str) -> bool {
    !DEPEND_ON_RANGE.iter().any(|call| query.contains(call))
}

fn other_times(time_ms: i64) -> Vec<i64> {
    if time_ms == 0 {
        return vec![-1000, 0, 1000];
    }
    vec![time_ms.saturating_mul(-10), 0, time_ms / 5, time_ms, time_ms.saturating_mul(10)]
}

/// The query with `@ T` on every selector that has no time yet; `None` where it depends on the time
/// of evaluation nevertheless.
fn rewritten(query: &str, time_ms: i64) -> Option<String> {
    let mut expr = pending::parse(query).ok()?;
    fix_time(&mut expr, At::Time(time_ms)).then(|| pending::print(&expr))
}

/// Pushes the time down to the selectors and outermost subqueries. What is inside a subquery follows
/// from its time and stays as it is. Whether the value now is the same at all times.
fn fix_time(expr: &mut Expr, time: At) -> bool {
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) => true,
        ExprKind::Selector(selector) => {
            fix(&mut selector.at, time);
            true
        }
        ExprKind::Range(range) => fix_time(&mut range.selector, time),
        ExprKind::Subquery(subquery) => {
            fix(&mut subquery.at, time);
            true
        }
        ExprKind::Call(call) => {
            let mut fixed = !DEPEND_ON_TIME.contains(&call.function.name);
            for arg in &mut call.args {
                fixed &= fix_time(arg, time);
            }
            fixed
        }
        ExprKind::Aggregate(aggregate) => {
            let param = aggregate.param.as_mut().is_none_or(|param| fix_time(param, time));
            fix_time(&mut aggregate.expr, time) && param
        }
        ExprKind::Binary(binary) => {
            let lhs = fix_time(&mut binary.lhs, time);
            fix_time(&mut binary.rhs, time) && lhs
        }
        ExprKind::Unary(unary) => fix_time(&mut unary.expr, time),
        ExprKind::Paren(inner) => fix_time(inner, time),
    }
}

/// `@ start()` and `@ end()` are T as well in an instant query at T.
fn fix(at: &mut Option<At>, time: At) {
    if !matches!(at, Some(At::Time(_))) {
        *at = Some(time);
    }
}
