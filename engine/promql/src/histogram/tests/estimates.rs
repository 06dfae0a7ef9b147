//! Estimates from buckets, as the scripts of promqltest give them.

use super::{close, histogram};
use Estimate::{Avg, Fraction, Quantile, Stddev, Stdvar};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

#[derive(Debug, Clone, Copy)]
enum Estimate {
    Avg,
    Stddev,
    Stdvar,
    Quantile(f64),
    Fraction(f64, f64),
}

fn check(text: &str, cases: &[(Estimate, f64)]) {
    let histogram = histogram(text);
    for &(estimate, expected) in cases {
        let found = match estimate {
            Avg => histogram.avg(),
            Stddev => histogram.stddev(),
            Stdvar => histogram.stdvar(),
            Quantile(q) => histogram.quantile(q).value,
            Fraction(lower, upper) => histogram.fraction(lower, upper).0,
        };
        assert!(close(found, expected), "{estimate:?} of {text}: {found}, not {expected}");
    }
}

#[test]
fn one_observation_a_power() {
    check(
        "{{schema:0 sum:5 count:4 buckets:[1 2 1]}}",
        &[
            (Avg, 1.25),
            (Fraction(1.0, 2.0), 0.5),
            (Fraction(0.0, 8.0), 1.0),
            (Quantile(0.5), std::f64::consts::SQRT_2),
        ],
    );
}

#[test]
fn variance_of_small_numbers() {
    check(
        "{{schema:2 count:4 sum:10 buckets:[1 0 0 0 1 0 0 1 1]}}",
        &[(Stddev, 1.0787993180043811), (Stdvar, 1.163807968526718)],
    );
}

#[test]
fn variance_below_zero() {
    check(
        "{{schema:0 count:10 sum:-112946 z_bucket:0 n_buckets:[0 0 1 1 1 0 1 1 0 0 3 0 0 0 1 0 0 1]}}",
        &[(Stddev, 27556.344499842), (Stdvar, 759352122.1939945)],
    );
}

#[test]
fn variance_in_one_bucket() {
    check(
        "{{schema:0 count:10 sum:-100 z_bucket:0 n_buckets:[0 0 0 0 10]}}",
        &[(Stddev, 1.3137084989848), (Stdvar, 1.725830020304794)],
    );
}

#[test]
fn variance_with_an_infinite_sum() {
    check(
        "{{schema:3 count:7 sum:Inf z_bucket:1 buckets:[0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 0 1 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 ] n_buckets:[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 ]}}",
        &[(Stddev, INF), (Stdvar, INF)],
    );
}

#[test]
fn positive_with_zero_bucket() {
    check(
        "{{schema:0 count:12 sum:100 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]}}",
        &[
            (Quantile(1.001), INF),
            (Quantile(1.0), 16.0),
            (Quantile(0.99), 15.67072476139083),
            (Quantile(0.9), 12.99603834169977),
            (Quantile(0.6), 4.594793419988138),
            (Quantile(0.5), 1.5874010519681994),
            (Quantile(0.1), 0.0006),
            (Quantile(0.0), 0.0),
            (Quantile(-1.0), -INF),
            (Fraction(0.0, 0.0005), 0.08333333333333333),
            (Quantile(0.08333333333333333), 0.0005),
            (Fraction(1.0, 2.0), 0.25),
            (Fraction(-2.0, -1.0), 0.0),
            (Fraction(-2.0, -1.5), 0.0),
            (Fraction(-8.0, -1.0), 0.0),
            (Fraction(-6.0, -1.0), 0.0),
            (Fraction(-6.0, -1.5), 0.0),
            (Fraction(42.0, 3.25), 0.0),
            (Fraction(0.0, 0.0), 0.0),
            (Fraction(0.000001, 0.000001), 0.0),
            (Fraction(42.0, 42.0), 0.0),
            (Fraction(-3.1, -3.1), 0.0),
            (Fraction(3.25, NAN), NAN),
            (Fraction(NAN, 42.0), NAN),
            (Fraction(NAN, NAN), NAN),
            (Fraction(-INF, INF), 1.0),
        ],
    );
}

#[test]
fn negative_with_zero_bucket() {
    check(
        "{{schema:0 count:12 sum:100 z_bucket:2 z_bucket_w:0.001 n_buckets:[2 3 0 1 4]}}",
        &[
            (Quantile(1.001), INF),
            (Quantile(1.0), 0.0),
            (Quantile(0.99), -0.00006),
            (Quantile(0.9), -0.0006),
            (Quantile(0.5), -1.5874010519681996),
            (Quantile(0.1), -12.996038341699768),
            (Quantile(0.0), -16.0),
            (Quantile(-1.0), -INF),
            (Fraction(0.0, INF), 0.0),
            (Fraction(-INF, 0.0), 1.0),
            (Fraction(-0.001, 0.0), 0.16666666666666666),
            (Fraction(0.0, 0.001), 0.0),
            (Fraction(-0.0005, 0.0), 0.08333333333333333),
            (Quantile(0.9166666666666666), -0.0005),
            (Fraction(-2.0, -1.0), 0.25),
            (Fraction(-2.0, -1.5), 0.10375937481971091),
            (Fraction(-8.0, -1.0), 0.3333333333333333),
            (Quantile(0.36791979160657035), -6.0),
            (Fraction(-6.0, -1.0), 0.29874687506009634),
            (Fraction(-6.0, -1.5), 0.15250624987980724),
            (Fraction(42.0, 3.25), 0.0),
            (Fraction(0.0, 0.0), 0.0),
            (Fraction(0.000001, 0.000001), 0.0),
            (Fraction(42.0, 42.0), 0.0),
            (Fraction(-3.1, -3.1), 0.0),
            (Fraction(3.25, NAN), NAN),
            (Fraction(NAN, 42.0), NAN),
            (Fraction(NAN, NAN), NAN),
            (Fraction(-INF, INF), 1.0),
        ],
    );
}

#[test]
fn both_sides_with_zero_bucket() {
    check(
        "{{schema:0 count:24 sum:100 z_bucket:4 z_bucket_w:0.001 buckets:[2 3 0 1 4] n_buckets:[2 3 0 1 4]}}",
        &[
            (Quantile(1.001), INF),
            (Quantile(1.0), 16.0),
            (Quantile(0.99), 15.34822590920423),
            (Quantile(0.9), 10.556063286183155),
            (Quantile(0.7), 1.2030250360821164),
            (Fraction(0.0, INF), 0.5),
            (Fraction(-INF, 0.0), 0.5),
            (Fraction(-0.001, 0.0), 0.08333333333333333),
            (Fraction(0.0, 0.001), 0.08333333333333333),
            (Fraction(-0.0005, 0.0005), 0.08333333333333333),
            (Quantile(0.5416666666666666), 0.0005),
            (Fraction(1.0, 6.0), 0.14937343753004825),
            (Fraction(1.5, 6.0), 0.07625312493990366),
            (Fraction(-2.0, -1.0), 0.125),
            (Fraction(-2.0, -1.5), 0.051879687409855456),
            (Fraction(-8.0, -1.0), 0.16666666666666666),
            (Fraction(-6.0, -1.0), 0.14937343753004817),
            (Fraction(-6.0, -1.5), 0.07625312493990362),
            (Fraction(42.0, 3.25), 0.0),
            (Fraction(0.0, 0.0), 0.0),
            (Fraction(0.000001, 0.000001), 0.0),
            (Fraction(42.0, 42.0), 0.0),
            (Fraction(-3.1, -3.1), 0.0),
            (Fraction(3.25, NAN), NAN),
            (Fraction(NAN, 42.0), NAN),
            (Fraction(NAN, NAN), NAN),
            (Fraction(-INF, INF), 1.0),
        ],
    );
}

#[test]
fn custom_buckets() {
    check(
        "{{schema:-53 sum:5 count:4 custom_values:[5 10] buckets:[1 2 1]}}",
        &[(Fraction(5.0, 10.0), 0.5), (Quantile(0.5), 7.5)],
    );
}
