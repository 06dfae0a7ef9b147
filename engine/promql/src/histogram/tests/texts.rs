//! Notations.

use super::histogram;
use crate::histogram::{Histogram, ResetHint, format_float};

#[test]
fn floats() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (123456.0, "123456"),
        (1234567.0, "1.234567e+06"),
        (1e21, "1e+21"),
        (0.0001, "0.0001"),
        (0.00001234, "1.234e-05"),
        (1e-100, "1e-100"),
        (0.1 + 0.2, "0.30000000000000004"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(format_float(value), expected);
    }
}

#[test]
fn displays() {
    for (text, expected) in [
        ("{{}}", "{count:0, sum:0}"),
        (
            "{{schema:0 count:8 sum:1.5 z_bucket:1 z_bucket_w:0.001 buckets:[1 0 2] n_offset:1 n_buckets:[3 1]}}",
            "{count:8, sum:1.5, [-4,-2):1, [-2,-1):3, [-0.001,0.001]:1, (0.5,1]:1, (2,4]:2}",
        ),
        (
            "{{schema:-53 count:3 sum:9 custom_values:[5] buckets:[1 2]}}",
            "{count:3, sum:9, [-Inf,5]:1, (5,+Inf]:2}",
        ),
    ] {
        assert_eq!(histogram(text).to_string(), expected);
    }
}

#[test]
fn test_notation() {
    for (text, expected) in [
        ("{{}}", "{{}}"),
        ("{{ schema:1  sum:-0x10 count:+22 }}", "{{schema:1 count:22 sum:-16}}"),
        (
            "{{buckets:[5 0 7] offset:-3 n_buckets:[ 1 ] n_offset:2 z_bucket:3 z_bucket_w:0.5}}",
            "{{z_bucket:3 z_bucket_w:0.5 offset:-3 buckets:[5 0 7] n_offset:2 n_buckets:[1]}}",
        ),
        (
            "{{schema:-53 custom_values:[1 2.5] counter_reset_hint:gauge sum:Inf buckets:[1e6]}}",
            "{{schema:-53 sum:+Inf custom_values:[1 2.5] counter_reset_hint:gauge buckets:[1e+06]}}",
        ),
    ] {
        assert_eq!(histogram(text).to_test_text(), expected);
    }
}

#[test]
fn a_hint_is_told_from_none() {
    for (text, expected) in [
        ("{{}}", (ResetHint::Unknown, false)),
        ("{{counter_reset_hint:unknown}}", (ResetHint::Unknown, true)),
        ("{{counter_reset_hint:not_reset}}", (ResetHint::NotReset, true)),
        ("{{counter_reset_hint:reset}}", (ResetHint::Reset, true)),
    ] {
        let (found, given) = Histogram::parse_test(text).expect(text);
        assert_eq!((found.reset_hint, given), expected);
    }
}

#[test]
fn what_is_no_notation() {
    for (text, fault) in [
        ("", "between {{ and }}"),
        ("{{sum}}", "expected a key and a colon"),
        ("{{sum:x}}", "sum is no number"),
        ("{{schema:1.5}}", "schema is no integer"),
        ("{{sum:1 sum:2}}", "duplicate key \"sum\""),
        ("{{buckets:[1 2}}", "missing ]"),
        ("{{buckets:1}}", "no list in brackets"),
        ("{{colour:1}}", "bad histogram descriptor found: \"colour\""),
        ("{{counter_reset_hint:maybe}}", "unknown counter_reset_hint"),
    ] {
        let found = Histogram::parse_test(text).expect_err(text);
        assert!(found.contains(fault), "{text}: {found}");
    }
}

#[test]
fn json() {
    let buckets = |text| histogram(text).json_buckets().collect::<Vec<_>>();
    assert_eq!(
        buckets("{{schema:0 count:6 z_bucket:1 z_bucket_w:0.25 buckets:[1 0 2] n_buckets:[2]}}"),
        [(1, -1.0, -0.5, 2.0), (3, -0.25, 0.25, 1.0), (0, 0.5, 1.0, 1.0), (0, 2.0, 4.0, 2.0)]
    );
    let custom = buckets("{{schema:-53 count:3 custom_values:[5] buckets:[1 2]}}");
    assert_eq!(custom, [(3, f64::NEG_INFINITY, 5.0, 1.0), (0, 5.0, f64::INFINITY, 2.0)]);
}
