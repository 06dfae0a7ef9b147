//! What a query is going to do, and what its result will look like.

mod labels;
mod print;

use std::collections::BTreeSet;

use isinglass_lang::promql::ast::{ExprKind, Matcher, ValueType};
use isinglass_lang::promql::{parse, walk};

use crate::engine::{Options, Query};
use crate::error::Result;
use crate::plan::Plan;

/// The times at which an expression is evaluated, milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// One.
    Instant(i64),
    /// `start`, `start + step`, … up to `end`.
    Range {
        /// The first.
        start_ms: i64,
        /// None is later.
        end_ms: i64,
        /// Their distance.
        step_ms: i64,
    },
}

/// The names of the labels that the series of a selector can have, if they are known.
pub type NamesOf<'a> = &'a dyn Fn(&[Matcher]) -> Option<BTreeSet<String>>;

/// What a query is going to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The type of its value.
    pub value_type: ValueType,
    /// The labels that its series can have, sorted; `None` if that is not known.
    pub labels: Option<Vec<String>>,
    /// Its plan, a node a line, what a node reads two spaces further to the right.
    pub plan: String,
}

/// Describes a query without evaluating it.
pub fn describe(text: &str, times: Times, options: &Options, names: NamesOf<'_>) -> Result<Description> {
    let query = Query::new(text, times);
    let planned = query.plan(options)?;
    Ok(Description {
        value_type: match &planned.plan {
            Plan::Scalar(_) => ValueType::Scalar,
            Plan::Vector(_) => ValueType::Vector,
            Plan::Text(_) => ValueType::Text,
            Plan::Matrix(..) => ValueType::Matrix,
        },
        labels: labels::of_plan(&planned.plan, names).map(|names| names.into_iter().collect()),
        plan: print::plan(&planned.plan),
    })
}

/// The matchers of all selectors of an expression.
pub fn selectors(text: &str) -> Result<Vec<Vec<Matcher>>> {
    let expr = parse(text)?;
    let mut found = Vec::new();
    walk(&expr, &mut |node| {
        if let ExprKind::Selector(selector) = &node.kind {
            found.push(selector.matchers.clone());
        }
    });
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Description {
        let names = |_: &[Matcher]| Some(["__name__", "job", "le"].map(str::to_owned).into());
        describe(
            text,
            Times::Range { start_ms: 0, end_ms: 60_000, step_ms: 15_000 },
            &Options::default(),
            &names,
        )
        .unwrap()
    }

    #[test]
    fn labels_follow_from_the_expression() {
        let check = |text: &str, wanted: &[&str]| {
            assert_eq!(described(text).labels.unwrap(), wanted, "{text}");
        };
        check("m", &["__name__", "job", "le"]);
        check("rate(m[5m])", &["job", "le"]);
        check("last_over_time(m[5m])", &["__name__", "job", "le"]);
        check("sum by (b, a) (m)", &["a", "b"]);
        check("sum without (job) (m)", &["le"]);
        check("sum(m)", &[]);
        check("topk by (a) (2, m)", &["__name__", "job", "le"]);
        check(r#"count_values by (a) ("value", m)"#, &["a", "value"]);
        check("m + on (x) n", &["x"]);
        check("m + ignoring (job) n", &["le"]);
        check("m * on (job) group_left (x) n", &["job", "le", "x"]);
        check("m > 1", &["__name__", "job", "le"]);
        check("m or sum by (z) (n)", &["__name__", "job", "le", "z"]);
        check("m unless sum by (z) (n)", &["__name__", "job", "le"]);
        check("histogram_quantile(0.9, sum by (le, x) (m))", &["x"]);
        check(r#"label_replace(sum(m), "to", "x", "", "")"#, &["to"]);
        check(r#"absent(m{a="b"})"#, &["a"]);
        check("vector(1)", &[]);
        check("1", &[]);
        let nobody = |_: &[Matcher]| None;
        let unknown = |text| describe(text, Times::Instant(0), &Options::default(), &nobody).unwrap().labels;
        assert_eq!(unknown("m"), None);
        assert_eq!(unknown("sum by (a) (m)"), Some(vec!["a".to_owned()]));
    }

    #[test]
    fn plans_are_trees() {
        let plan = described(r#"sum by (job) (rate(m{a=~"x"}[5m] offset 1m)) / on (job) n > 1"#).plan;
        assert_eq!(
            plan,
            "Compare > with a scalar\n\
             \x20 Join / on (job)\n\
             \x20   Aggregate sum by (job)\n\
             \x20     Window rate 5m\n\
             \x20       Select m{a=~\"x\"} offset 1m\n\
             \x20   Select n\n"
        );
        let subquery = described("max_over_time(n[1h:1m] offset 1h)").plan;
        assert_eq!(subquery, "Window max 1h\n  Subquery every 1m offset 1h\n    Select n\n");
        assert_eq!(described("1 + time()").plan, "Scalar\n");
    }

    #[test]
    fn selectors_of_an_expression() {
        let found = selectors(r#"sum(rate(a{x="1"}[5m])) / b offset 1h > 2"#).unwrap();
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert!(selectors("a{").is_err());
    }
}
