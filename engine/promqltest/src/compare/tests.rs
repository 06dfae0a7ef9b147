use std::sync::Arc;

use isinglass_promql::Labels;

use super::wire::WireHistogram;
use super::*;
use crate::backend::{Answer, Found, Outcome, Row};
use crate::points::{self, Slot};
use crate::script::{CommandKind, Eval, Expected, ExpectedSeries, Script, Times, Window};
use crate::text::series;

fn eval(text: &str) -> Eval {
    match Script::parse("test", text).unwrap().commands.pop().unwrap().kind {
        CommandKind::Eval(eval) => *eval,
        other => panic!("{other:?}"),
    }
}

/// Series in the notation of scripts, one point every minute from 0.
fn rows(lines: &[&str]) -> Vec<Row> {
    lines
        .iter()
        .map(|line| {
            let (labels, rest) = series::prefix(line).unwrap();
            let slots = points::parse(rest).unwrap().into_iter().enumerate();
            let points = slots.filter_map(|(at, slot)| Some((at as i64 * 60_000, found(slot)?))).collect();
            Row { labels, points }
        })
        .collect()
}

fn found(slot: Slot) -> Option<Found> {
    match slot {
        Slot::Missing => None,
        Slot::Float(value) => Some(Found::Float(value)),
        Slot::Histogram { histogram, .. } => Some(Found::Histogram(histogram)),
    }
}

fn wire(rows: Vec<Row>) -> Vec<Row> {
    let wire = |found| match found {
        Found::Histogram(histogram) => Found::Wire(WireHistogram::from(&*histogram)),
        other => other,
    };
    let row = |row: Row| Row {
        labels: row.labels,
        points: row.points.into_iter().map(|(time_ms, found)| (time_ms, wire(found))).collect(),
    };
    rows.into_iter().map(row).collect()
}

fn outcome_matches(eval: &Eval, outcome: &Outcome) -> bool {
    let window = match eval.times {
        Times::Range(window) => window,
        Times::Instant(time_ms) => Window { start_ms: time_ms, end_ms: time_ms, step_ms: 0 },
    };
    check_outcome(&eval.expect, eval.expect.window.unwrap_or(window), outcome).is_ok()
}

/// Whether a vector, in the notation of scripts, is what an instant eval expects; both as an engine
/// and as the HTTP API would give it.
fn check(expected: &str, got: &[&str], equal: bool, equal_on_the_wire: bool) {
    let eval = eval(&format!("eval instant at 0 x\n{expected}"));
    let vector = rows(got);
    let on_the_wire = Outcome::Vector(wire(vector.clone()));
    assert_eq!(outcome_matches(&eval, &Outcome::Vector(vector)), equal, "{expected:?} {got:?}");
    assert_eq!(outcome_matches(&eval, &on_the_wire), equal_on_the_wire, "wire: {expected:?} {got:?}");
}

#[test]
fn all_expected_series_and_no_others() {
    check("", &[], true, true);
    check("a 1\n{} 2", &["{} 2", "a 1"], true, true);
    check("a 1", &["a 1.0000000001"], true, true);
    check("a NaN", &["a NaN"], true, true);
    for (expected, got) in [
        ("", &["a 1"][..]),
        ("a 1", &[]),
        ("a 1", &["a 2"]),
        ("a 1", &["{} 1"]),
        ("a 1", &["a 1", "a 1"]),
        ("a 1", &["a 1", "b 1"]),
        ("a 1\nb 1", &["a 1"]),
        ("a _", &["a 0"]),
        ("a 0", &["a {{}}"]),
        ("a {{}}", &["a 0"]),
    ] {
        check(expected, got, false, false);
    }
}

#[test]
fn order_counts_where_it_is_expected() {
    check("a 1\nb 2", &["b 2", "a 1"], true, true);
    check("expect ordered\na 1\nb 2", &["a 1", "b 2"], true, true);
    check("expect ordered\na 1\nb 2", &["b 2", "a 1"], false, false);
}

#[test]
fn histograms() {
    let check = |expected: &str, got: &str, equal, on_the_wire| {
        check(&format!("a {{{{{expected}}}}}"), &[&format!("a {{{{{got}}}}}")], equal, on_the_wire);
    };
    check("sum:1 count:2 buckets:[1 0 1]", "sum:1 count:2 buckets:[1 0 1 0 0]", true, true);
    check("buckets:[0 0 1]", "buckets:[1] offset:2", true, true);
    check("n_buckets:[1 2]", "n_buckets:[0 1 2] n_offset:-1", true, true);
    check("sum:1", "sum:1.0000001", true, true);
    check("sum:1", "sum:1.1", false, false);
    check("count:1", "count:2", false, false);
    check("buckets:[1 2]", "buckets:[2 1]", false, false);
    check("buckets:[1]", "n_buckets:[1]", false, false);
    check("z_bucket:1 z_bucket_w:0.5", "z_bucket:2 z_bucket_w:0.5", false, false);
    check("z_bucket:1 z_bucket_w:0.5", "z_bucket:1 z_bucket_w:0.25", false, false);
    check("z_bucket_w:0.5", "z_bucket_w:0.25", false, true);
    check("schema:1", "schema:2", false, true);
    check("schema:-53 custom_values:[1 2]", "schema:-53 custom_values:[1 3]", false, true);
}

#[test]
fn hints_count_where_they_are_written() {
    let gauge = "a {{sum:1 counter_reset_hint:gauge}}";
    check("a {{sum:1}}", &[gauge], true, true);
    check(gauge, &[gauge], true, true);
    check(gauge, &["a {{sum:1}}"], false, true);
    check("a {{sum:1 counter_reset_hint:unknown}}", &[gauge], false, true);
}

fn check_range(expected: &str, got: &[&str], equal: bool) {
    let eval = eval(&format!("eval range from 0 to 2m step 1m x\n{expected}"));
    let matrix = Outcome::Matrix(rows(got));
    assert_eq!(outcome_matches(&eval, &matrix), equal, "{expected:?} {got:?}");
}

#[test]
fn range_vectors() {
    check_range("a 1 2 3\nb _ 5 _", &["a 1 2 3", "b _ 5 _"], true);
    check_range("b 1\na 1", &["a 1", "b 1"], true);
    check_range("a 1", &["b 1", "a 1"], false);
    check_range("b 1\na 1", &["b 1", "a 1"], false);
    check_range("a 1 2", &["a 1 2 3"], false);
    check_range("a 1 2 3", &["a 1 2"], false);
    check_range("a 1 _ 3", &["a 1 3"], false);
    check_range("a 1 2 3 4", &["a 1 2 3"], false);
    check_range("a 1 {{sum:1}}", &["a 1 {{sum:1}}"], true);
    check_range("a 1 {{sum:1}}", &["a 1 1"], false);
    check_range("7", &["{} 7 7 7"], false);
}

#[test]
fn kinds_of_results() {
    let check = |text: &str, outcome: Outcome, equal: bool| {
        assert_eq!(outcome_matches(&eval(text), &outcome), equal, "{text:?} {outcome:?}");
    };
    check("eval instant at 0 1\n1", Outcome::Scalar(1.0), true);
    check("eval instant at 0 1\n1", Outcome::Scalar(2.0), false);
    check("eval instant at 0 1\n1", Outcome::Vector(rows(&["{} 1"])), false);
    check("eval instant at 0 1\n{} 1", Outcome::Scalar(1.0), false);
    check("eval instant at 0 1", Outcome::Scalar(1.0), false);
    check("eval instant at 0 x\nexpect string `a`", Outcome::Text("a".to_owned()), true);
    check("eval instant at 0 x\nexpect string `a`", Outcome::Text("b".to_owned()), false);
    check("eval instant at 0 x", Outcome::Text(String::new()), false);
    let window = "eval instant at 2m x[2m]\nexpect range vector from 1m to 2m step 1m\n a 1 2";
    let matrix = |start_ms: i64| {
        let points = vec![(start_ms, Found::Float(1.0)), (start_ms + 60_000, Found::Float(2.0))];
        Outcome::Matrix(vec![Row { labels: Labels::new([("__name__", "a")]), points }])
    };
    check(window, matrix(60_000), true);
    check(window, matrix(0), false);
    check("eval_ordered instant at 0 x\n a 1", Outcome::Matrix(rows(&["a 1"])), false);
}

#[test]
fn warnings_and_infos() {
    let check = |expected: &str, warnings: &[&str], infos: &[&str], equal: bool| {
        let eval = eval(&format!("eval instant at 0 x\n{expected}"));
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let answer = Answer {
            warnings: owned(warnings),
            infos: owned(infos),
            ..Answer::of(Outcome::Vector(Vec::new()))
        };
        assert_eq!(check_annotations(&eval.expect, &answer).is_ok(), equal, "{expected:?} {answer:?}");
    };
    check("", &["any"], &["any"], true);
    check("expect no_warn", &[], &["any"], true);
    check("expect no_warn", &["any"], &[], false);
    check("expect no_info", &["any"], &["any"], false);
    check("expect warn", &["a", "b"], &[], true);
    check("expect warn", &[], &["a"], false);
    check("expect info", &["a"], &[], false);
    check("expect warn msg: a (1:2)", &["a (1:2)"], &[], true);
    check("expect warn msg: a (1:2)", &["a (1:3)"], &[], false);
    check("expect warn msg: a\nexpect warn regex: ^b", &["a", "bc"], &[], true);
    check("expect warn msg: a\nexpect warn regex: ^b", &["a"], &[], false);
    check("expect warn msg: a", &["a", "b"], &[], false);
}

#[test]
fn errors() {
    let check = |text: &str, error: &str, equal: bool| {
        let expected = eval(text).expect.fail.unwrap();
        assert_eq!(check_error(&expected, error).is_ok(), equal, "{text:?} {error:?}");
    };
    check("eval instant at 0 x\nexpect fail", "anything\nat all", true);
    check("eval instant at 0 x\nexpect fail msg: no", "no", true);
    check("eval instant at 0 x\nexpect fail msg: no", "no!", false);
    check("eval instant at 0 x\nexpect fail regex: n.", "say no!", true);
    check("eval instant at 0 x\nexpect fail regex: n.", "n", false);
}

/// The result that an eval describes.
fn described(eval: &Eval) -> Outcome {
    let window = match eval.times {
        Times::Range(window) => Some(window),
        Times::Instant(_) => eval.expect.window,
    };
    let series = match &eval.expect.result {
        Expected::Scalar(value) => return Outcome::Scalar(*value),
        Expected::Text(text) => return Outcome::Text(text.clone()),
        Expected::Series(series) => series.iter().cloned(),
    };
    let (start_ms, step_ms) = window.map_or((0, 0), |window| (window.start_ms, window.step_ms));
    let row = |series: ExpectedSeries| {
        let slots = (0..).zip(series.slots);
        let points = slots.filter_map(|(at, slot)| Some((start_ms + at * step_ms, found(slot)?))).collect();
        Row { labels: series.labels, points }
    };
    let mut rows: Vec<_> = series.map(row).collect();
    if window.is_none() {
        return Outcome::Vector(rows);
    }
    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    Outcome::Matrix(rows)
}

#[test]
fn what_upstream_expects_equals_itself() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/promql"));
    let mut evals = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        for (line, eval) in Script::read(&path).unwrap().evals() {
            let exact = described(eval);
            let on_the_wire = match exact.clone() {
                Outcome::Vector(rows) => Outcome::Vector(wire(rows)),
                Outcome::Matrix(rows) => Outcome::Matrix(wire(rows)),
                other => other,
            };
            assert!(outcome_matches(eval, &exact), "{}:{line}", path.display());
            assert!(outcome_matches(eval, &on_the_wire), "{}:{line}", path.display());
            evals += 1;
        }
    }
    assert_eq!(evals, 1550);
}

#[test]
fn spans_that_claim_more_buckets_than_there_are() {
    let mut rows = rows(&["a {{buckets:[1]}}"]);
    if let Found::Histogram(histogram) = &mut rows[0].points[0].1 {
        Arc::make_mut(histogram).positive_spans[0].length = u32::MAX;
    }
    let eval = eval("eval instant at 0 x\n a {{buckets:[1]}}");
    assert!(outcome_matches(&eval, &Outcome::Vector(rows)));
}
