//! What counts as the same answer.

use std::collections::{BTreeMap, BTreeSet};

use isinglass_lang::promql::ast::{AggregateOp, Expr, ExprKind};
use isinglass_lang::promql::parse;
use isinglass_promql::Labels;

use crate::backend::{Answer, Found, Outcome, Row};
use crate::compare::almost_equal;
use crate::compare::wire::WireHistogram;

/// How two answers differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In which respect.
    pub aspect: Aspect,
    /// How, in words; the reference comes first.
    pub text: String,
}

/// Respects in which answers can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// One is an error and the other is none.
    Error,
    /// Kinds of results, series or values.
    Result,
    /// The order of series.
    Order,
    /// Warnings.
    Warnings,
    /// Infos.
    Infos,
}

impl Aspect {
    /// As it is written in the table of known differences.
    pub fn text(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Result => "result",
            Self::Order => "order",
            Self::Warnings => "warnings",
            Self::Infos => "infos",
        }
    }
}

/// The first difference of two answers to a query. Two errors are the same whatever they say.
pub fn difference(query: &str, reference: &Answer, ours: &Answer) -> Option<Difference> {
    let (theirs, our) = match (&reference.result, &ours.result) {
        (Err(_), Err(_)) => return None,
        (Err(fault), Ok(_)) => return found(Aspect::Error, format!("an error: {fault}; not ours")),
        (Ok(_), Err(fault)) => return found(Aspect::Error, format!("no error; ours: {fault}")),
        (Ok(theirs), Ok(our)) => (theirs, our),
    };
    if let Err(text) = check_outcome(theirs, our) {
        return found(Aspect::Result, text);
    }
    if let Err(text) = check_order(query, theirs, our) {
        return found(Aspect::Order, text);
    }
    if let Err(text) = check_texts(&reference.warnings, &ours.warnings) {
        return found(Aspect::Warnings, text);
    }
    check_texts(&reference.infos, &ours.infos).err().and_then(|text| found(Aspect::Infos, text))
}

fn found(aspect: Aspect, text: String) -> Option<Difference> {
    Some(Difference { aspect, text })
}

fn check_outcome(theirs: &Outcome, our: &Outcome) -> Result<(), String> {
    match (theirs, our) {
        (Outcome::Scalar(theirs), Outcome::Scalar(our)) if almost_equal(*theirs, *our) => Ok(()),
        (Outcome::Text(theirs), Outcome::Text(our)) if theirs == our => Ok(()),
        (Outcome::Vector(theirs), Outcome::Vector(our)) | (Outcome::Matrix(theirs), Outcome::Matrix(our)) => {
            check_rows(theirs, our)
        }
        _ => Err(format!("{theirs:?}; ours: {our:?}")),
    }
}

fn check_rows(theirs: &[Row], our: &[Row]) -> Result<(), String> {
    let mut missing: BTreeMap<&Labels, &Row> = our.iter().map(|row| (&row.labels, row)).collect();
    for row in theirs {
        let Some(our) = missing.remove(&row.labels) else {
            return Err(format!("{} is not in ours", row.labels));
        };
        check_points(row, our).map_err(|text| format!("{}: {text}", row.labels))?;
    }
    match missing.keys().next() {
        Some(labels) => Err(format!("{labels} is only in ours")),
        None if theirs.len() != our.len() => Err("a series comes twice in ours".to_owned()),
        None => Ok(()),
    }
}

fn check_points(theirs: &Row, our: &Row) -> Result<(), String> {
    for (their_point, our_point) in theirs.points.iter().zip(&our.points) {
        let ((their_ms, their_value), (our_ms, our_value)) = (their_point, our_point);
        if their_ms != our_ms {
            return Err(format!("a point at {their_ms} ms; ours at {our_ms} ms"));
        }
        if !equal(their_value, our_value) {
            return Err(format!("at {their_ms} ms {their_value}; ours {our_value}"));
        }
    }
    if theirs.points.len() != our.points.len() {
        return Err(format!("{} points; ours {}", theirs.points.len(), our.points.len()));
    }
    Ok(())
}

fn equal(theirs: &Found, our: &Found) -> bool {
    match (theirs, our) {
        (Found::Float(theirs), Found::Float(our)) => almost_equal(*theirs, *our),
        (Found::Float(_), _) | (_, Found::Float(_)) => false,
        (theirs, our) => equal_histograms(&wire(theirs), &wire(our)),
    }
}

/// Where zero buckets of several widths meet, how wide that of the sum is depends on the order of the
/// series, and buckets of finer schemas that reach into a widened one count twice, so that all are
/// more than the count (`reconcileZeroBuckets`, which comes before `reduceResolution`).
fn equal_histograms(theirs: &WireHistogram, our: &WireHistogram) -> bool {
    let counts_twice = || {
        !(theirs.adds_up() && our.adds_up())
            && almost_equal(theirs.count, our.count)
            && almost_equal(theirs.sum, our.sum)
    };
    theirs.almost_equals(our) || theirs.differs_in_width_of_zero(our) || counts_twice()
}

fn wire(found: &Found) -> WireHistogram {
    match found {
        Found::Wire(histogram) => histogram.clone(),
        Found::Histogram(histogram) => (&**histogram).into(),
        Found::Float(value) => WireHistogram { count: *value, sum: *value, buckets: Vec::new() },
    }
}

/// Where the language gives an order; which of equal values comes first it does not say.
fn check_order(query: &str, theirs: &Outcome, our: &Outcome) -> Result<(), String> {
    let (Outcome::Vector(theirs), Outcome::Vector(our)) = (theirs, our) else { return Ok(()) };
    let Ok(expr) = parse(query) else { return Ok(()) };
    let order = order(&expr);
    let same = |theirs: &Row, our: &Row| match &order {
        Order::None => true,
        Order::Labels(_) => theirs.labels == our.labels,
        Order::Values => theirs.points.iter().zip(&our.points).all(|(theirs, our)| equal(&theirs.1, &our.1)),
    };
    // Upstream's comparison of texts says of an empty one and another that each comes after the
    // other, so that their order depends on how it sorts (natsort, `Compare`).
    if let Order::Labels(names) = &order
        && theirs.iter().any(|row| names.iter().any(|name| row.labels.get(name).is_empty()))
    {
        return Ok(());
    }
    match theirs.iter().zip(our).position(|(theirs, our)| !same(theirs, our)) {
        Some(at) => Err(format!("{} comes at place {}; ours {}", theirs[at].labels, at + 1, our[at].labels)),
        None => Ok(()),
    }
}

enum Order {
    None,
    /// By these labels.
    Labels(Vec<String>),
    Values,
}

fn order(expr: &Expr) -> Order {
    match &expr.bare().kind {
        ExprKind::Call(call) => match call.function.name {
            "sort" | "sort_desc" => Order::Values,
            "sort_by_label" | "sort_by_label_desc" => Order::Labels(texts(&call.args)),
            _ => Order::None,
        },
        // With groups, the order of the groups is that of a hash table upstream.
        ExprKind::Aggregate(aggregate)
            if matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk)
                && aggregate.grouping.is_empty()
                && !aggregate.without =>
        {
            Order::Values
        }
        _ => Order::None,
    }
}

fn texts(args: &[Expr]) -> Vec<String> {
    let text = |arg: &Expr| match &arg.bare().kind {
        ExprKind::Text(text) => Some(text.clone()),
        _ => None,
    };
    args.iter().filter_map(text).collect()
}

/// As sets, positions aside. Upstream shows ten at most and then says how many more there are.
fn check_texts(theirs: &[String], ours: &[String]) -> Result<(), String> {
    let cut = theirs.iter().any(|text| text.contains("omitted"));
    let their: BTreeSet<&str> =
        theirs.iter().filter(|text| !text.contains("omitted")).map(|text| plain(text)).collect();
    let our: BTreeSet<&str> =
        ours.iter().filter(|text| !text.contains("omitted")).map(|text| plain(text)).collect();
    if let Some(missing) = their.difference(&our).next() {
        return Err(format!("{missing:?} is not in ours: {our:?}"));
    }
    match our.difference(&their).next() {
        Some(surplus) if !cut => Err(format!("{surplus:?} is only in ours")),
        _ => Ok(()),
    }
}

/// A text without the position at its end. 3.5 names metrics that have no name, 3.14 does not
/// (`maybeAddMetricName`).
fn plain(text: &str) -> &str {
    let plain = match text.rsplit_once(" (") {
        Some((plain, position)) if position.ends_with(')') && position.contains(':') => plain,
        _ => text,
    };
    plain.strip_suffix(" for metric name \"\"").unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(rows: &[(&str, f64)]) -> Answer {
        let row = |(name, value): &(&str, f64)| Row {
            labels: Labels::new([("__name__", *name)]),
            points: vec![(0, Found::Float(*value))],
        };
        Answer::of(Outcome::Vector(rows.iter().map(row).collect()))
    }

    fn check(query: &str, theirs: &Answer, ours: &Answer, aspect: Option<Aspect>) {
        assert_eq!(difference(query, theirs, ours).map(|found| found.aspect), aspect, "{query}");
    }

    #[test]
    fn results() {
        let one = vector(&[("a", 1.0), ("b", f64::NAN)]);
        check("x", &one, &vector(&[("b", f64::NAN), ("a", 1.000_000_1)]), None);
        check("x", &one, &vector(&[("a", 1.0)]), Some(Aspect::Result));
        check("x", &one, &vector(&[("a", 2.0), ("b", f64::NAN)]), Some(Aspect::Result));
        check("x", &vector(&[]), &one, Some(Aspect::Result));
        check("x", &one, &vector(&[("a", 1.0), ("a", 1.0), ("b", f64::NAN)]), Some(Aspect::Result));
        check("x", &vector(&[("a", 0.0)]), &vector(&[("a", -0.0)]), None);
        check("x", &Answer::error("a"), &Answer::error("b"), None);
        check("x", &Answer::error("a"), &one, Some(Aspect::Error));
        check("x", &one, &Answer::error("a"), Some(Aspect::Error));
    }

    #[test]
    fn orders() {
        let (one, other) = (vector(&[("a", 1.0), ("b", 2.0)]), vector(&[("b", 2.0), ("a", 1.0)]));
        for (query, aspect) in [
            ("x", None),
            ("sort(x)", Some(Aspect::Order)),
            ("(sort_by_label(x, \"__name__\"))", Some(Aspect::Order)),
            ("sort_by_label(x, \"missing\")", None),
            ("topk(2, x)", Some(Aspect::Order)),
            ("topk by (a) (2, x)", None),
        ] {
            check(query, &one, &other, aspect);
        }
        check("sort(x)", &vector(&[("a", 1.0), ("b", 1.0)]), &vector(&[("b", 1.0), ("a", 1.0)]), None);
    }

    #[test]
    fn warnings_and_infos() {
        let noted = |warnings: &[&str], infos: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            Answer { warnings: owned(warnings), infos: owned(infos), ..vector(&[]) }
        };
        check("x", &noted(&["a (1:2)"], &[]), &noted(&["a (3:4)"], &[]), None);
        check("x", &noted(&["a (1:2)"], &[]), &noted(&[], &[]), Some(Aspect::Warnings));
        check("x", &noted(&[], &[]), &noted(&[], &["b"]), Some(Aspect::Infos));
        check("x", &noted(&["2 more warning annotations omitted"], &[]), &noted(&["a"], &[]), None);
    }
}
