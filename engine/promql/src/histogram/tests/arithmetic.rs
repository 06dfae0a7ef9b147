//! Sums, differences, means and multiples.

use super::{assert_same, histogram};
use crate::histogram::{Added, Histogram, HistogramError, HistogramMean, HistogramSum, ResetHint};

fn sum(texts: &[&str]) -> Histogram {
    let mut sum = HistogramSum::new(histogram(texts[0]));
    for text in &texts[1..] {
        sum.add(&histogram(text)).expect(text);
    }
    sum.total()
}

fn mean(texts: &[&str]) -> Histogram {
    let mut mean = HistogramMean::new(histogram(texts[0]));
    for text in &texts[1..] {
        mean.add(&histogram(text)).expect(text);
    }
    mean.mean()
}

fn total(mut sum: Histogram, lost: Option<Histogram>) -> Histogram {
    if let Some(lost) = lost {
        sum.add(&lost).expect("same layout");
    }
    sum
}

fn check(what: &str, found: &Histogram, expected: &str) {
    assert_same(found, &histogram(expected), what);
}

/// Sums that cancel, and two schemas.
const CANCELLING: [&str; 4] = [
    "{{schema:0 count:25 sum:3.1 z_bucket:4 z_bucket_w:0.001 buckets:[1 2 0 1 1] n_buckets:[2 4 0 0 1 9]}}",
    "{{schema:0 count:41 sum:1e100 z_bucket:5 z_bucket_w:0.001 buckets:[1 3 1 2 1 1 1] n_buckets:[0 1 4 2 7 0 0 0 0 5 5 2]}}",
    "{{schema:0 count:41 sum:-1e100 z_bucket:5 z_bucket_w:0.001 buckets:[1 3 1 2 1 1 1] n_buckets:[0 1 4 2 7 0 0 0 0 5 5 2]}}",
    "{{schema:1 count:0 sum:1.3 z_bucket:3 z_bucket_w:0.001 buckets:[2 4 2 3 2 2] n_buckets:[1 2 5 3 8 1 1 1 1 6 3]}}",
];

/// Counts too far apart for one float.
const FAR_APART: [&str; 8] = [
    "{{schema:0 count:1e10 sum:5.30921651659898 z_bucket:1.78264e50 z_bucket_w:0.001 buckets:[1.78264E+50 1.78264E+215 1.78264E+219 3363.5121756487] n_buckets:[1178.20696291113 731.697776280323 715.201503759399 1386.11378876781 855.572553278132]}}",
    "{{schema:0 count:1e-6 sum:0.961118537914768 z_bucket:0.76342771 z_bucket_w:0.001 buckets:[0.76342771 0.76342771 0.76342771 195.70084087969] n_buckets:[421.30382970055 0 450441.779]}}",
    "{{schema:0 count:1e-6 sum:1.62091361305318 z_bucket:1.9592258 z_bucket_w:0.001 buckets:[1.9592258 1.9592258 1.9592258 1135.74692279] n_buckets:[0 4504.41779 588.599358265103 40.3760942760943]}}",
    "{{schema:0 count:1e-6 sum:0.865089463758091 z_bucket:7.69805412 z_bucket_w:0.001 buckets:[2.258E+220 2.258E+220 2.3757689E+217 1078.68071312804] n_buckets:[349.905284031261 0 0 0.161173466838949 588.599358]}}",
    "{{schema:0 count:1e-6 sum:0.323055185914577 z_bucket:458.90154 z_bucket_w:0.001 buckets:[7.69805412 7.69805412 2.258E+220 3173.28218135701]}}",
    "{{schema:0 count:1e-6 sum:0.951811357687154 z_bucket:1.78264e50 z_bucket_w:0.001 buckets:[458.90154 458.90154 7.69805412 2178.35] n_buckets:[2054.92644438789 844.560108898123]}}",
    "{{schema:0 count:1e-6 sum:0 z_bucket:5 z_bucket_w:0.001 buckets:[0 0 1.78264E+219 376.770478890989]}}",
    "{{schema:0 count:1e-6 sum:0 z_bucket:0 z_bucket_w:0.001 buckets:[0 0 458.90154 250325.5] n_buckets:[0 0.0000000011353 0 608.697257]}}",
];

/// Counts that overflow when added up.
const OVERFLOWING: [&str; 8] = [
    "{{schema:0 count:1.7976931348623157e+308 sum:5.30921651659898 z_bucket:1.78264e50 z_bucket_w:0.001 buckets:[1.78264E+50 1.78264E+215 1.78264E+219 3363.5121756487] n_buckets:[1178.20696291113 731.697776280323 715.201503759399 1386.11378876781 855.572553278132]}}",
    "{{schema:0 count:1e308 sum:0.961118537914768 z_bucket:0.76342771 z_bucket_w:0.001 buckets:[0.76342771 0.76342771 0.76342771 195.70084087969] n_buckets:[421.30382970055 0 450441.779]}}",
    "{{schema:0 count:1e-6 sum:1.62091361305318 z_bucket:1.9592258 z_bucket_w:0.001 buckets:[1.9592258 1.9592258 1.9592258 1135.74692279] n_buckets:[0 4504.41779 588.599358265103 40.3760942760943]}}",
    "{{schema:0 count:1e-6 sum:0.865089463758091 z_bucket:7.69805412 z_bucket_w:0.001 buckets:[2.258E+220 2.258E+220 2.3757689E+217 1078.68071312804] n_buckets:[349.905284031261 0 0 0.161173466838949 588.599358]}}",
    "{{schema:0 count:1e-6 sum:0.323055185914577 z_bucket:458.90154 z_bucket_w:0.001 buckets:[7.69805412 7.69805412 2.258E+220 3173.28218135701]}}",
    "{{schema:0 count:1e-6 sum:0.951811357687154 z_bucket:1.78264e50 z_bucket_w:0.001 buckets:[458.90154 458.90154 7.69805412 2178.35] n_buckets:[2054.92644438789 844.560108898123]}}",
    "{{schema:0 count:1e-6 sum:0 z_bucket:5 z_bucket_w:0.001 buckets:[0 0 1.78264E+219 376.770478890989]}}",
    "{{schema:0 count:1e-6 sum:0 z_bucket:0 z_bucket_w:0.001 buckets:[0 0 458.90154 250325.5] n_buckets:[0 0.0000000011353 0 608.697257]}}",
];

#[test]
fn sums_keep_what_rounding_takes() {
    check(
        "sum",
        &sum(&CANCELLING),
        "{{schema:0 count:107 sum:4.4 z_bucket:17 z_bucket_w:0.001 buckets:[5 14 7 7 3 2 2] n_buckets:[3 13 19 6 17 18 0 0 0 10 10 4]}}",
    );
    check(
        "sum",
        &sum(&FAR_APART),
        "{{schema:0 count:10000000000.000008 sum:10.03120467492675 z_bucket:3.56528e+50 z_bucket_w:0.001 buckets:[2.258e+220 2.2580178264e+220 2.6169037689e+220 261827.54331269444] n_buckets:[4004.342521030831 6080.675675179582 451745.57986202446 2035.3483135107433 1444.171911278132]}}",
    );
    check(
        "sum",
        &sum(&OVERFLOWING),
        "{{schema:0 count:Inf sum:10.03120467492675 z_bucket:3.56528e+50 z_bucket_w:0.001 buckets:[2.258e+220 2.2580178264e+220 2.6169037689e+220 261827.54331269444] n_buckets:[4004.342521030831 6080.675675179582 451745.57986202446 2035.3483135107433 1444.171911278132]}}",
    );
}

#[test]
fn means_survive_an_overflow() {
    check(
        "mean",
        &mean(&CANCELLING),
        "{{schema:0 count:26.75 sum:1.1 z_bucket:4.25 z_bucket_w:0.001 buckets:[1.25 3.5 1.75 1.75 0.75 0.5 0.5] n_buckets:[0.75 3.25 4.75 1.5 4.25 4.5 0 0 0 2.5 2.5 1]}}",
    );
    check(
        "mean",
        &mean(&FAR_APART),
        "{{schema:0 count:1250000000.000001 sum:1.2539005843658437 z_bucket:4.4566e49 z_bucket_w:0.001 buckets:[2.8225e+219 2.822522283e+219 3.271129711125e+219 32728.442914086805] n_buckets:[500.5428151288539 760.0844593974477 56468.19748275306 254.4185391888429 180.5214889097665]}}",
    );
    check(
        "mean",
        &mean(&OVERFLOWING),
        "{{schema:0 count:3.497116418577895e+307 sum:1.2539005843658437 z_bucket:4.4566e49 z_bucket_w:0.001 buckets:[2.8225e+219 2.822522283e+219 3.271129711125e+219 32728.442914086805] n_buckets:[500.5428151288539 760.0844593974477 56468.19748275306 254.4185391888429 180.5214889097665]}}",
    );
}

#[test]
fn scaling() {
    let base = "{{schema:0 count:30 sum:33 z_bucket:3 z_bucket_w:0.001 buckets:[3 3 3] n_buckets:[6 6 6]}}";
    for (factor, expected) in [
        (
            3.0,
            "{{schema:0 count:90 sum:99 z_bucket:9 z_bucket_w:0.001 buckets:[9 9 9] n_buckets:[18 18 18]}}",
        ),
        (
            -1.0,
            "{{schema:0 count:-30 sum:-33 z_bucket:-3 z_bucket_w:0.001 buckets:[-3 -3 -3] n_buckets:[-6 -6 -6]}}",
        ),
        (0.0, "{{z_bucket_w:0.001}}"),
    ] {
        let mut scaled = histogram(base);
        scaled.mul(factor);
        check(&format!("times {factor}"), &scaled, expected);
        assert_eq!(scaled.reset_hint == ResetHint::Gauge, factor < 0.0);
    }
    for (divisor, expected) in [
        (3.0, "{{schema:0 count:10 sum:11 z_bucket:1 z_bucket_w:0.001 buckets:[1 1 1] n_buckets:[2 2 2]}}"),
        (0.0, "{{schema:0 count:Inf sum:Inf z_bucket_w:0.001 z_bucket:Inf}}"),
        (-0.0, "{{schema:0 count:-Inf sum:-Inf z_bucket_w:0.001 z_bucket:-Inf}}"),
    ] {
        let mut scaled = histogram(base);
        scaled.div(divisor);
        check(&format!("by {divisor}"), &scaled, expected);
    }
}

/// Plain sum and difference of two; a histogram for an error means that the kinds do not fit.
fn check_pair(one: &str, other: &str, sum: &str, difference: &str, reconciled: bool) {
    let expected = Added { counter_reset_collision: false, custom_buckets_reconciled: reconciled };
    let (mut added, mut compensated) = (histogram(one), histogram(one));
    assert_eq!(added.add(&histogram(other)), Ok(expected));
    check(&format!("{one} + {other}"), &added, sum);
    let mut lost = None;
    assert_eq!(compensated.kahan_add(&histogram(other), &mut lost), Ok(expected));
    check(&format!("{one} + {other}, compensated"), &total(compensated, lost), sum);
    let mut left = histogram(one);
    assert_eq!(left.sub(&histogram(other)), Ok(expected));
    check(&format!("{one} - {other}"), &left, difference);
}

#[test]
fn layouts_that_differ() {
    check_pair(
        "{{count:3 sum:3 buckets:[1 2]}}",
        "{{count:3 sum:1 buckets:[1 0 2] offset:-3 n_buckets:[1]}}",
        "{{count:6 sum:4 buckets:[1 0 2 1 2] offset:-3 n_buckets:[1]}}",
        "{{count:0 sum:2 buckets:[-1 0 -2 1 2] offset:-3 n_buckets:[-1]}}",
        false,
    );
}

#[test]
fn layouts_with_room_for_the_other() {
    let many = "{{count:36 sum:3 offset:-2 buckets:[1 2 3 4 5 6 7 8]}}";
    for (other, sum, difference) in [
        (
            "{{count:6 sum:1 offset:3 buckets:[1 2 3]}}",
            "{{count:42 sum:4 offset:-2 buckets:[1 2 3 4 5 7 9 11]}}",
            "{{count:30 sum:2 offset:-2 buckets:[1 2 3 4 5 5 5 5]}}",
        ),
        (
            "{{count:1 sum:1 offset:-2 buckets:[1 0 0 0 0 0 0 0]}}",
            "{{count:37 sum:4 offset:-2 buckets:[2 2 3 4 5 6 7 8]}}",
            "{{count:35 sum:2 offset:-1 buckets:[2 3 4 5 6 7 8]}}",
        ),
        (
            "{{count:2 sum:1 offset:5 buckets:[1 1]}}",
            "{{count:38 sum:4 offset:-2 buckets:[1 2 3 4 5 6 7 9 1]}}",
            "{{count:34 sum:2 offset:-2 buckets:[1 2 3 4 5 6 7 7 -1]}}",
        ),
    ] {
        check_pair(many, other, sum, difference, false);
    }
}

#[test]
fn schemas_that_differ_take_the_coarser() {
    check_pair(
        "{{schema:1 count:10 sum:4 buckets:[1 2 3 4]}}",
        "{{schema:0 count:3 sum:1 buckets:[1 1 1]}}",
        "{{schema:0 count:13 sum:5 buckets:[2 6 5]}}",
        "{{schema:0 count:7 sum:3 buckets:[0 4 3]}}",
        false,
    );
    check_pair(
        "{{schema:0 count:3 sum:1 buckets:[1 1 1]}}",
        "{{schema:2 count:10 sum:4 buckets:[1 2 3 4]}}",
        "{{schema:0 count:13 sum:5 buckets:[2 10 1]}}",
        "{{schema:0 count:-7 sum:-3 buckets:[0 -8 1]}}",
        false,
    );
}

#[test]
fn zero_buckets_grow_to_the_end_of_populated_buckets() {
    // 0.3 lies in (0.25, 0.5], which is populated, so the zero bucket grows to 0.5.
    check_pair(
        "{{count:7 sum:1 z_bucket:1 z_bucket_w:0.01 offset:-2 buckets:[1 2 3]}}",
        "{{count:3 sum:1 z_bucket:2 z_bucket_w:0.3 buckets:[1]}}",
        "{{count:10 sum:2 z_bucket:6 z_bucket_w:0.5 buckets:[4]}}",
        "{{count:4 sum:0 z_bucket:2 z_bucket_w:0.5 buckets:[2]}}",
        false,
    );
    // The same on the negative side, which makes the positive side lose a bucket more.
    check_pair(
        "{{count:7 sum:1 z_bucket:1 z_bucket_w:0.01 buckets:[2 3] n_offset:0 n_buckets:[1]}}",
        "{{count:3 sum:1 z_bucket:3 z_bucket_w:0.75}}",
        "{{count:10 sum:2 z_bucket:7 z_bucket_w:1 offset:1 buckets:[3]}}",
        "{{count:4 sum:0 z_bucket:1 z_bucket_w:1 offset:1 buckets:[3]}}",
        false,
    );
}

#[test]
fn custom_bounds_that_differ_are_reconciled() {
    let one = "{{schema:-53 sum:1 count:1 custom_values:[5 10] buckets:[1]}}";
    check_pair(
        one,
        one,
        "{{schema:-53 sum:2 count:2 custom_values:[5 10] buckets:[2]}}",
        "{{schema:-53 custom_values:[5 10]}}",
        false,
    );
    check_pair(
        "{{schema:-53 sum:1 count:1 custom_values:[10] buckets:[1]}}",
        "{{schema:-53 sum:1 count:1 custom_values:[2 10] buckets:[1]}}",
        "{{schema:-53 count:2 sum:2 custom_values:[10] buckets:[2]}}",
        "{{schema:-53 custom_values:[10]}}",
        true,
    );
    check_pair(
        "{{schema:-53 sum:555 count:450 custom_values:[1 2 3 4 5 6 7 8] buckets:[10 20 30 40 50 60 70 80 90]}}",
        "{{schema:-53 sum:55 count:15 custom_values:[2 4 6] buckets:[1 2 5 7]}}",
        "{{schema:-53 sum:610 count:465 custom_values:[2 4 6] buckets:[31 72 115 247]}}",
        "{{schema:-53 sum:500 count:435 custom_values:[2 4 6] buckets:[29 68 105 233]}}",
        true,
    );
    check_pair(
        "{{schema:-53 sum:1 count:3 custom_values:[1] buckets:[1 2]}}",
        "{{schema:-53 sum:1 count:3 custom_values:[2] buckets:[2 1]}}",
        "{{schema:-53 sum:2 count:6 buckets:[6]}}",
        "{{schema:-53}}",
        true,
    );
}

#[test]
fn kinds_do_not_mix() {
    let (mut one, other) = (histogram("{{count:1 buckets:[1]}}"), histogram("{{schema:-53}}"));
    let before = one.clone();
    let mut lost = None;
    assert_eq!(one.add(&other), Err(HistogramError::IncompatibleSchemas));
    assert_eq!(one.sub(&other), Err(HistogramError::IncompatibleSchemas));
    assert_eq!(one.kahan_add(&other, &mut lost), Err(HistogramError::IncompatibleSchemas));
    assert_eq!((one, lost), (before, None));
}

#[test]
fn hints_of_sums() {
    use ResetHint::{Gauge, NotReset, Reset, Unknown};
    for (one, other, sum, collision) in [
        (Unknown, Unknown, Unknown, false),
        (Unknown, Reset, Unknown, false),
        (NotReset, Unknown, Unknown, false),
        (NotReset, NotReset, NotReset, false),
        (Gauge, Reset, Gauge, false),
        (Unknown, Gauge, Gauge, false),
        (Reset, NotReset, Unknown, true),
        (NotReset, Reset, Unknown, true),
    ] {
        let mut found = Histogram { reset_hint: one, ..Histogram::default() };
        let added = found.add(&Histogram { reset_hint: other, ..Histogram::default() }).expect("same kind");
        assert_eq!(
            (found.reset_hint, added.counter_reset_collision),
            (sum, collision),
            "{one:?} + {other:?}"
        );
    }
}

#[test]
fn a_foreign_compensation_is_added_and_not_lost() {
    let mut sum = histogram("{{count:1 sum:1 buckets:[1]}}");
    let mut lost = Some(histogram("{{count:2 sum:2 offset:3 buckets:[2]}}"));
    sum.kahan_add(&histogram("{{count:4 sum:4 buckets:[4]}}"), &mut lost).expect("same kind");
    check("sum", &total(sum, lost), "{{count:7 sum:7 buckets:[5 0 0 2]}}");
}
