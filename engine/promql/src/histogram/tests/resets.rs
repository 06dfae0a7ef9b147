//! Counter resets.

use super::histogram;

fn check(previous: &str, current: &str, expected: bool) {
    assert_eq!(histogram(current).detect_reset(&histogram(previous)), expected, "{previous} then {current}");
}

#[test]
fn hints_decide() {
    check("{{count:5 buckets:[5]}}", "{{count:1 buckets:[1] counter_reset_hint:not_reset}}", false);
    check("{{count:1 buckets:[1]}}", "{{count:5 buckets:[5] counter_reset_hint:reset}}", true);
    check("{{count:5 buckets:[5]}}", "{{count:1 buckets:[1] counter_reset_hint:gauge}}", true);
}

#[test]
fn any_count_that_falls() {
    let before = "{{count:7 z_bucket:1 z_bucket_w:0.001 buckets:[1 2] n_buckets:[3]}}";
    check(before, before, false);
    check(before, "{{count:6 z_bucket:1 z_bucket_w:0.001 buckets:[1 2] n_buckets:[2]}}", true);
    check(before, "{{count:9 z_bucket:0 z_bucket_w:0.001 buckets:[4 2] n_buckets:[3]}}", true);
    check(before, "{{count:9 z_bucket:1 z_bucket_w:0.001 buckets:[4 1] n_buckets:[3]}}", true);
    check(before, "{{count:9 z_bucket:1 z_bucket_w:0.001 buckets:[4 2] n_buckets:[2]}}", true);
    check(before, "{{count:9 z_bucket:1 z_bucket_w:0.001 buckets:[1 2 2] n_buckets:[3]}}", false);
}

#[test]
fn a_sum_may_fall() {
    check("{{count:1 sum:5 buckets:[1]}}", "{{count:1 sum:-5 buckets:[1]}}", false);
}

#[test]
fn buckets_that_vanish() {
    check("{{count:3 buckets:[1 2]}}", "{{count:9 buckets:[9]}}", true);
    check("{{count:3 buckets:[1 2]}}", "{{count:9 offset:1 buckets:[9]}}", true);
    check("{{count:3 buckets:[0 3]}}", "{{count:9 offset:1 buckets:[9]}}", false);
    check("{{count:3 buckets:[3 0]}}", "{{count:9 buckets:[9]}}", false);
    check("{{count:3 buckets:[3]}}", "{{count:9 n_buckets:[9]}}", true);
}

#[test]
fn schemas() {
    check("{{schema:0 count:3 buckets:[3]}}", "{{schema:1 count:9 buckets:[9]}}", true);
    check("{{schema:1 count:3 buckets:[0 1 2]}}", "{{schema:0 count:3 offset:1 buckets:[3]}}", false);
    check("{{schema:1 count:3 buckets:[0 1 2]}}", "{{schema:0 count:4 offset:1 buckets:[2 2]}}", true);
    check("{{schema:-53 count:1 custom_values:[1] buckets:[1]}}", "{{count:3 buckets:[3]}}", true);
    check("{{count:3 buckets:[3]}}", "{{schema:-53 count:4 custom_values:[1] buckets:[4]}}", true);
}

#[test]
fn zero_buckets() {
    let wide = "{{count:5 z_bucket:5 z_bucket_w:1}}";
    check(wide, "{{count:6 z_bucket:6 z_bucket_w:0.5}}", true);
    // (0.5, 1] falls into the wider zero bucket.
    check("{{count:5 z_bucket:2 z_bucket_w:0.5 buckets:[3]}}", wide, false);
    check(
        "{{count:5 z_bucket:3 z_bucket_w:0.5 buckets:[2]}}",
        "{{count:7 z_bucket:4 z_bucket_w:1 offset:1 buckets:[3]}}",
        true,
    );
    // A populated bucket lies across the new threshold.
    check(
        "{{count:5 z_bucket:2 z_bucket_w:0.5 buckets:[3]}}",
        "{{count:9 z_bucket:9 z_bucket_w:0.75}}",
        true,
    );
}

#[test]
fn custom_bounds() {
    let before = "{{schema:-53 count:15 custom_values:[2 4 6] buckets:[1 2 5 7]}}";
    check(before, "{{schema:-53 count:16 custom_values:[2 4 6] buckets:[1 2 5 8]}}", false);
    check(before, "{{schema:-53 count:16 custom_values:[2 4 6] buckets:[1 2 4 9]}}", true);
    check(before, "{{schema:-53 count:15 custom_values:[2 3 4 6] buckets:[1 0 1 5 8]}}", true);
    check(
        before,
        "{{schema:-53 count:450 custom_values:[1 2 3 4 5 6 7 8] buckets:[10 20 30 40 50 60 70 80 90]}}",
        false,
    );
    check(before, "{{schema:-53 count:15 custom_values:[1] buckets:[0 15]}}", false);
}
