//! The operators `</` and `>/`, as the scripts of promqltest give them.

use super::{assert_same, histogram};
use Trim::{Lower, Upper};

const INF: f64 = f64::INFINITY;

#[derive(Debug, Clone, Copy)]
enum Trim {
    /// `</`
    Upper(f64),
    /// `>/`
    Lower(f64),
}

fn check(text: &str, cases: &[(Trim, &str)]) {
    let before = histogram(text);
    for &(trim, expected) in cases {
        let trimmed = match trim {
            Upper(bound) => before.trim_upper(bound),
            Lower(bound) => before.trim_lower(bound),
        };
        assert_same(&trimmed, &histogram(expected), &format!("{trim:?} of {text}"));
    }
}

#[test]
fn both_sides_and_zero() {
    check(
        "{{schema:0 sum:123.75 count:34 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 8 16] n_buckets:[1 2]}}",
        &[
            (
                Lower(-INF),
                "{{schema:0 sum:123.75 count:34 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 8 16] n_buckets:[1 2]}}",
            ),
            (
                Upper(INF),
                "{{schema:0 sum:123.75 count:34 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 8 16] n_buckets:[1 2]}}",
            ),
            (Lower(INF), "{{schema:0 z_bucket_w:0.001}}"),
            (Upper(-INF), "{{schema:0 z_bucket_w:0.001}}"),
            (
                Lower(0.0),
                "{{schema:0 sum:120.20840280171308 count:30.5 z_bucket:0.5 z_bucket_w:0.001 buckets:[2 4 8 16]}}",
            ),
            (
                Upper(0.0),
                "{{schema:0 sum:-3.53578390593273768 count:3.5 z_bucket:0.5 z_bucket_w:0.001 n_buckets:[1 2]}}",
            ),
            (
                Upper(2.0),
                "{{count:10 sum:3.5355339059327373 z_bucket:1 z_bucket_w:0.001 buckets:[2 4] n_buckets:[1 2]}}",
            ),
            (Lower(2.0), "{{count:24 sum:113.13708498984761 z_bucket_w:0.001 offset:2 buckets:[8 16]}}"),
            (
                Lower(-1.0),
                "{{count:32 sum:119.50104602052653 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 8 16] n_buckets:[1]}}",
            ),
            (Upper(-1.0), "{{count:2 sum:-2.8284271247461903 z_bucket_w:0.001 n_offset:1 n_buckets:[2]}}"),
        ],
    );
}

#[test]
fn only_positive() {
    check(
        "{{schema:0 sum:8.0210678118654755 count:12 z_bucket:2 z_bucket_w:0.5 buckets:[10]}}",
        &[
            (
                Lower(0.5),
                "{{schema:0 count:10 sum:7.0710678118654755 z_bucket:0 z_bucket_w:0.5 buckets:[10]}}",
            ),
            (
                Lower(0.1),
                "{{schema:0 count:11.6 sum:7.551067811865476 z_bucket:1.6 z_bucket_w:0.5 buckets:[10]}}",
            ),
            (
                Lower(0.0),
                "{{schema:0 sum:8.0210678118654755 count:12 z_bucket:2 z_bucket_w:0.5 buckets:[10]}}",
            ),
            (Upper(0.5), "{{schema:0 count:2 sum:0.5 z_bucket:2 z_bucket_w:0.5}}"),
            (Upper(0.1), "{{schema:0 count:0.4 sum:0.02 z_bucket:0.4 z_bucket_w:0.5}}"),
            (Upper(0.0), "{{schema:0 z_bucket_w:0.5}}"),
        ],
    );
}

#[test]
fn only_the_zero_bucket() {
    check(
        "{{schema:0 count:5 sum:0 z_bucket:5 z_bucket_w:0.1 }}",
        &[
            (Lower(0.1), "{{schema:0 count:0 sum:0 z_bucket:0 z_bucket_w:0.1 }}"),
            (Upper(0.1), "{{schema:0 count:5 sum:0 z_bucket:5 z_bucket_w:0.1 }}"),
            (Lower(0.05), "{{schema:0 count:1.25 sum:0.09375 z_bucket:1.25 z_bucket_w:0.1 }}"),
            (Upper(0.05), "{{schema:0 count:3.75 sum:-0.09375 z_bucket:3.75 z_bucket_w:0.1 }}"),
            (Lower(0.0), "{{schema:0 count:2.5 sum:0.125 z_bucket:2.5 z_bucket_w:0.1 }}"),
            (Upper(0.0), "{{schema:0 count:2.5 sum:-0.125 z_bucket:2.5 z_bucket_w:0.1 }}"),
            (Lower(-0.05), "{{schema:0 count:3.75 sum:0.09375 z_bucket:3.75 z_bucket_w:0.1 }}"),
            (Upper(-0.05), "{{schema:0 count:1.25 sum:-0.09375 z_bucket:1.25 z_bucket_w:0.1 }}"),
            (Upper(-0.1), "{{schema:0 count:0 sum:0 z_bucket:0 z_bucket_w:0.1 }}"),
            (Lower(-0.1), "{{schema:0 count:5 sum:0 z_bucket:5 z_bucket_w:0.1 }}"),
        ],
    );
}

#[test]
fn custom() {
    check(
        "{{schema:-53 sum:172.5 count:15 custom_values:[5 10 15 20] buckets:[1 6 4 3 1]}}",
        &[
            (Upper(15.0), "{{schema:-53 count:11 sum:97.5 custom_values:[5 10 15 20] buckets:[1 6 4]}}"),
            (
                Lower(15.0),
                "{{schema:-53 count:4 sum:72.5 custom_values:[5 10 15 20] offset:3 buckets:[3 1]}}",
            ),
            (Upper(13.0), "{{schema:-53 count:9.4 sum:75.1 custom_values:[5 10 15 20] buckets:[1 6 2.4]}}"),
            (
                Lower(13.0),
                "{{schema:-53 count:5.6 sum:94.9 custom_values:[5 10 15 20] offset:2 buckets:[1.6 3 1]}}",
            ),
            (Upper(7.5), "{{schema:-53 count:4 sum:21.25 custom_values:[5 10 15 20] buckets:[1 3]}}"),
            (Upper(50.0), "{{schema:-53 count:14 sum:150.0 custom_values:[5 10 15 20] buckets:[1 6 4 3]}}"),
            (Upper(-INF), "{{schema:-53 custom_values:[5 10 15 20]}}"),
            (Lower(INF), "{{schema:-53 custom_values:[5 10 15 20]}}"),
            (Upper(INF), "{{schema:-53 sum:172.5 count:15 custom_values:[5 10 15 20] buckets:[1 6 4 3 1]}}"),
            (Lower(-INF), "{{schema:-53 sum:172.5 count:15 custom_values:[5 10 15 20] buckets:[1 6 4 3 1]}}"),
            (Lower(0.0), "{{schema:-53 sum:172.5 count:15 custom_values:[5 10 15 20] buckets:[1 6 4 3 1]}}"),
            (Upper(0.0), "{{schema:-53 custom_values:[5 10 15 20]}}"),
        ],
    );
}

#[test]
fn custom_with_negative_bounds() {
    check(
        "{{schema:-53 sum:172.5 count:15 custom_values:[-10 5 10 15 20] buckets:[2 1 6 4 3 1]}}",
        &[
            (Upper(2.0), "{{schema:-53 count:2.8 sum:-23.2 custom_values:[-10 5 10 15 20] buckets:[2 0.8]}}"),
            (
                Upper(-4.0),
                "{{schema:-53 count:2.4 sum:-22.8 custom_values:[-10 5 10 15 20] buckets:[2 0.4]}}",
            ),
            (Upper(-15.0), "{{schema:-53 count:2 sum:-30 custom_values:[-10 5 10 15 20] buckets:[2]}}"),
        ],
    );
}

#[test]
fn narrow_zero_bucket() {
    check(
        "{{schema:0 sum:-6.75 z_bucket:5 z_bucket_w:0.01 buckets:[2 3] n_buckets:[1 2 3]}}",
        &[
            (
                Upper(-0.005),
                "{{count:7.25 sum:-12.03019028017131 z_bucket:1.25 z_bucket_w:0.01 n_buckets:[1 2 3]}}",
            ),
            (Lower(0.0), "{{count:7.5 sum:5.669354249492381 z_bucket:2.5 z_bucket_w:0.01 buckets:[2 3]}}"),
        ],
    );
}

#[test]
fn custom_without_bounds() {
    check(
        "{{schema:-53 sum:100.0 count:100 buckets:[100]}}",
        &[
            (Upper(10.0), "{{schema:-53 sum:0.0 count:0 buckets:[0]}}"),
            (Lower(10.0), "{{schema:-53 sum:0.0 count:0 buckets:[0]}}"),
            (Upper(INF), "{{schema:-53 sum:100 count:100 buckets:[100]}}"),
            (Lower(INF), "{{schema:-53 sum:0 count:0 buckets:[0]}}"),
            (Lower(-INF), "{{schema:-53 sum:100 count:100 buckets:[100]}}"),
            (Upper(-INF), "{{schema:-53 sum:0 count:0 buckets:[0]}}"),
        ],
    );
}

#[test]
fn custom_split_at_zero() {
    check(
        "{{schema:-53 sum:33.0 count:100 custom_values:[0] buckets:[1 100]}}",
        &[
            (Upper(10.0), "{{schema:-53 sum:0.0 count:1 custom_values:[0] buckets:[1 0]}}"),
            (Upper(0.0), "{{schema:-53 sum:0.0 count:1 custom_values:[0] buckets:[1 0]}}"),
            (Upper(-10.0), "{{schema:-53 sum:-10.0 count:1 custom_values:[0] buckets:[1 0]}}"),
            (Lower(-10.0), "{{schema:-53 sum:0.0 count:100 custom_values:[0] buckets:[0 100]}}"),
            (Lower(0.0), "{{schema:-53 sum:0.0 count:100 custom_values:[0] buckets:[0 100]}}"),
            (Lower(10.0), "{{schema:-53 sum:1000.0 count:100 custom_values:[0] buckets:[0 100]}}"),
        ],
    );
}

#[test]
fn custom_split_above_zero() {
    check(
        "{{schema:-53 sum:33 count:101 custom_values:[5] buckets:[1 100]}}",
        &[
            (Upper(10.0), "{{schema:-53 sum:2.5 count:1 custom_values:[5] buckets:[1 0]}}"),
            (Upper(2.0), "{{schema:-53 sum:0.4 count:0.4 custom_values:[5] buckets:[0.4 0]}}"),
        ],
    );
}

#[test]
fn custom_split_below_zero() {
    check(
        "{{schema:-53 sum:33 count:101 custom_values:[-5] buckets:[1 100]}}",
        &[
            (Lower(0.0), "{{schema:-53 sum:0.0 count:100 custom_values:[-5] buckets:[0 100]}}"),
            (Lower(10.0), "{{schema:-53 sum:1000.0 count:100 custom_values:[-5] buckets:[0 100]}}"),
        ],
    );
}
