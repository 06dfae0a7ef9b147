//! The queries that an instant eval stands for.
//!
//! Data do not change, so that a query whose selectors all have a fixed `@ T` gives the same at any
//! time. As upstream does, an instant eval at T is run as it is written, and rewritten at -10 T,
//! 0, T/5, T and 10 T. Each of these is run once more as a range query of three steps, in
//! [`run`](crate::run).

use isinglass_lang::promql::ast::{At, Expr, ExprKind};
use isinglass_lang::promql::{children_mut, parse};

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
    let mut expr = parse(query).ok()?;
    fix_time(&mut expr, At::Time(time_ms)).then(|| expr.to_string())
}

/// Pushes the time down to the selectors and outermost subqueries. What is inside a subquery follows
/// from its time and stays as it is. Whether the value now is the same at all times.
fn fix_time(expr: &mut Expr, time: At) -> bool {
    let mut fixed = true;
    match &mut expr.kind {
        ExprKind::Selector(selector) => fix(&mut selector.at, time),
        ExprKind::Subquery(subquery) => {
            fix(&mut subquery.at, time);
            return true;
        }
        ExprKind::Call(call) => fixed = !DEPEND_ON_TIME.contains(&call.function.name),
        _ => {}
    }
    for child in children_mut(expr) {
        fixed &= fix_time(child, time);
    }
    fixed
}

/// `@ start()` and `@ end()` are T as well in an instant query at T.
fn fix(at: &mut Option<At>, time: At) {
    if !matches!(at, Some(At::Time(_))) {
        *at = Some(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Option<&str>) {
        let others: Vec<_> = variants(query, 60_000).into_iter().skip(1).collect();
        match expected {
            None => assert_eq!(others, [], "{query}"),
            Some(expected) => {
                assert_eq!(others.len(), 5, "{query}");
                assert!(others.iter().all(|variant| variant.query == expected), "{query}: {others:?}");
            }
        }
    }

    #[test]
    fn every_selector_gets_the_time() {
        check("x", Some("x @ 60.000"));
        check("1", Some("1"));
        check("x @ 5", Some("x @ 5.000"));
        check("x @ start()", Some("x @ 60.000"));
        check("x offset 5m", Some("x @ 60.000 offset 5m"));
        check("rate(x[5m])", Some("rate(x[5m] @ 60.000)"));
        check("x + on () y", Some("x @ 60.000 + on () y @ 60.000"));
        check("topk(scalar(x), -(y))", Some("topk(scalar(x @ 60.000), -(y @ 60.000))"));
        check("sum(", None);
    }

    #[test]
    fn what_is_inside_a_subquery_stays() {
        check("max_over_time(x[5m:1m])", Some("max_over_time(x[5m:1m] @ 60.000)"));
        check("max_over_time(rate(x[1m])[5m:] @ 9)", Some("max_over_time(rate(x[1m])[5m:] @ 9.000)"));
        check("max_over_time(vector(time())[5m:])", Some("max_over_time(vector(time())[5m:] @ 60.000)"));
    }

    #[test]
    fn what_depends_on_the_time_has_no_variants() {
        for query in
            ["time()", "x + time()", "day_of_week()", "timestamp(x)", "predict_linear(x[5m], 1)", "end()"]
        {
            check(query, None);
        }
    }

    #[test]
    fn times_around_t() {
        let times =
            |time_ms| -> Vec<_> { variants("x", time_ms).iter().map(|variant| variant.time_ms).collect() };
        assert_eq!(times(60_000), [60_000, -600_000, 0, 12_000, 60_000, 600_000]);
        assert_eq!(times(0), [0, -1000, 0, 1000]);
    }

    #[test]
    fn what_depends_on_the_range_of_a_query() {
        assert!(same_in_range("x @ 5"));
        for query in ["start()", "x @ end()", "x[range()]", "x offset (step() * 2)"] {
            assert!(!same_in_range(query), "{query}");
        }
    }
}
