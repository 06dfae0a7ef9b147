//! When two answers are the same.

use isinglass_promql::Histogram;
use isinglass_promqltest::backend::{Answer, Found, Outcome, Row};
use isinglass_promqltest::compare::almost_equal;

/// How two answers differ. Series are read in another order, so sums may differ in their last bits,
/// and groups may come in another order; scripts that ask for an order check it.
pub(super) fn difference(one: &Answer, other: &Answer) -> Option<String> {
    let texts = |answer: &Answer| {
        (answer.result.as_ref().err().cloned(), answer.warnings.clone(), answer.infos.clone())
    };
    if texts(one) != texts(other) {
        return Some(format!("{:?}\n   is not {:?}", texts(one), texts(other)));
    }
    match (&one.result, &other.result) {
        (Ok(a), Ok(b)) if !same(a, b) => Some(format!("{a:?}\n   is not {b:?}")),
        _ => None,
    }
}

fn same(one: &Outcome, other: &Outcome) -> bool {
    match (one, other) {
        (Outcome::Scalar(a), Outcome::Scalar(b)) => almost_equal(*a, *b),
        (Outcome::Vector(a), Outcome::Vector(b)) | (Outcome::Matrix(a), Outcome::Matrix(b)) => {
            let sorted = |rows: &[Row]| {
                let mut rows = rows.to_vec();
                rows.sort_by(|one, other| one.labels.cmp(&other.labels));
                rows
            };
            a.len() == b.len() && sorted(a).iter().zip(&sorted(b)).all(|(a, b)| same_row(a, b))
        }
        (a, b) => a == b,
    }
}

fn same_row(one: &Row, other: &Row) -> bool {
    let same = |((one_ms, one), (other_ms, other)): (&(i64, Found), &(i64, Found))| {
        one_ms == other_ms
            && match (one, other) {
                (Found::Float(a), Found::Float(b)) => almost_equal(*a, *b),
                (Found::Histogram(a), Found::Histogram(b)) => same_histogram(a, b),
                _ => false,
            }
    };
    one.labels == other.labels
        && one.points.len() == other.points.len()
        && one.points.iter().zip(&other.points).all(same)
}

fn same_histogram(one: &Histogram, other: &Histogram) -> bool {
    let all = |of: &Histogram| {
        let mut all = vec![of.count, of.sum, of.zero_count, of.zero_threshold];
        all.extend(of.positive.iter().chain(&of.negative).chain(of.custom_bounds.iter()));
        all
    };
    let layout = |of: &Histogram| {
        (
            of.schema,
            of.reset_hint,
            of.positive_spans.clone(),
            of.negative_spans.clone(),
            of.custom_bounds.len(),
        )
    };
    layout(one) == layout(other) && all(one).iter().zip(all(other)).all(|(a, b)| almost_equal(*a, b))
}
