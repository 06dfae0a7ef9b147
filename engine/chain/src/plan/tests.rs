use isinglass_model::kind::Signal;

use super::*;
use crate::abi::BucketOut;

fn bucket(key: &str, rate_per_second: f64, burst: f64) -> BucketOut {
    BucketOut { key: key.to_owned(), rate_per_second, burst }
}

fn plan(buckets: Vec<BucketOut>, costs: &[(u32, f64)]) -> PlanOut {
    let (bucket_of_cost, cost) = costs.iter().copied().unzip();
    PlanOut { buckets, bucket_of_cost, cost }
}

fn check_fault(plan: PlanOut, fault: &str) {
    let failure = Bill::default().add(&Tenant::default(), &"a".into(), &plan).unwrap_err();
    assert!(failure.message.contains(fault), "{failure}");
}

#[test]
fn plans_are_checked() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check_fault(plan(vec![bucket("k", rate, 1.0)], &[]), "has rate");
        check_fault(plan(vec![bucket("k", 1.0, rate)], &[]), "and burst");
    }
    check_fault(plan(vec![bucket("", 1.0, 1.0)], &[]), "is no key");
    check_fault(plan(vec![bucket(&"k".repeat(256), 1.0, 1.0)], &[]), "is no key");
    check_fault(plan(vec![bucket("native:items", 1.0, 1.0)], &[]), "is no key");
    check_fault(plan(vec![bucket("k", 1.0, 1.0)], &[(1, 1.0)]), "points to bucket 1 of 1");
    check_fault(plan(vec![bucket("k", 1.0, 1.0)], &[(0, -1.0)]), "a cost of -1");
    check_fault(plan(vec![bucket("k", 1.0, 1.0)], &[(0, f64::NAN)]), "a cost of NaN");
    check_fault(plan((0..1_001).map(|n| bucket(&n.to_string(), 1.0, 1.0)).collect(), &[]), "too large");
    let mut uneven = plan(vec![bucket("k", 1.0, 1.0)], &[(0, 1.0)]);
    uneven.cost.push(1.0);
    check_fault(uneven, "bucket-of-cost has 1 entries, cost has 2");
    check_fault(plan(vec![bucket("k", 1.0, 1.0), bucket("k", 2.0, 1.0)], &[]), "two rates");
}

fn settle_one(buckets: &Buckets, plans: &[PlanOut], now: Duration) -> Option<Decision> {
    let mut bill = Bill::default();
    for plan in plans {
        bill.add(&Tenant::default(), &"a".into(), plan).unwrap();
    }
    settle(buckets, vec![("limiter", bill)], now).err().map(|(_, decision)| decision)
}

#[test]
fn costs_of_one_request_are_added_up() {
    let buckets = Buckets::new(100);
    let half = || plan(vec![bucket("items", 10.0, 100.0)], &[(0, 30.0), (0, 20.0)]);
    assert_eq!(settle_one(&buckets, &[half(), half()], Duration::ZERO), None);
    let Some(Decision::Deny { reason, retry_after, message }) =
        settle_one(&buckets, &[half()], Duration::ZERO)
    else {
        panic!("the bucket is empty");
    };
    assert_eq!((&*reason, retry_after), ("rate_limited", Duration::from_secs(5)));
    assert_eq!(
        message,
        "tenant \"default\" is over its rate: bucket \"items\" of limiter gives 10 a second with a burst of 100, \
         the request costs 50"
    );
}

#[test]
fn a_cost_over_the_burst_says_that_it_never_passes() {
    let buckets = Buckets::new(100);
    let large = plan(vec![bucket("items", 10.0, 100.0)], &[(0, 101.0)]);
    let Some(Decision::TooLarge { message }) = settle_one(&buckets, &[large], Duration::ZERO) else {
        panic!("must be too large");
    };
    assert!(message.starts_with("the request costs 101 and can never pass: bucket \"items\""), "{message}");
}

#[test]
fn a_plan_without_cost_is_free() {
    let buckets = Buckets::new(100);
    assert_eq!(settle_one(&buckets, &[plan(vec![], &[])], Duration::ZERO), None);
    let free = plan(vec![bucket("items", 1e-9, 1e-9)], &[(0, 0.0)]);
    assert_eq!(settle_one(&buckets, &[free], Duration::ZERO), None);
}

#[test]
fn a_rate_of_a_signal_replaces_the_general_one() {
    let rates: SignalRates = serde_json::from_str(
        r#"{"items_per_second": 10, "logs": {"items_per_second": 1, "items_burst": 4}}"#,
    )
    .unwrap();
    let buckets = Buckets::new(100);
    let take = |signal, cost| {
        let bill = Bill::native(&Tenant::default(), &"a".into(), &rates, Unit::Items, [(signal, cost)]);
        settle(&buckets, vec![("rate-limit", bill)], Duration::ZERO).err().map(|(_, decision)| decision)
    };
    assert_eq!(take(Signal::Logs, 4), None);
    let Some(Decision::Deny { message, .. }) = take(Signal::Logs, 1) else {
        panic!("logs are over their own rate")
    };
    assert!(
        message.contains("bucket \"logs.items\" of rate-limit gives 1 a second with a burst of 4"),
        "{message}"
    );
    // Twenty seconds of the general rate, of which logs took nothing.
    assert_eq!(take(Signal::Traces, 200), None);
    assert!(take(Signal::Metrics, 1).is_some());
}

#[test]
fn the_bucket_of_a_stream_has_a_reason_of_its_own() {
    let buckets = Buckets::new(100);
    let one = || plan(vec![bucket("per_stream:lines {a=\"b\"}", 1.0, 1.0)], &[(0, 1.0)]);
    assert_eq!(settle_one(&buckets, &[one()], Duration::ZERO), None);
    let Some(Decision::Deny { reason, message, .. }) = settle_one(&buckets, &[one()], Duration::ZERO) else {
        panic!("the bucket is empty");
    };
    assert_eq!(reason, "per_stream_rate_limit");
    assert!(message.contains(r#"bucket "lines {a=\"b\"}" of limiter"#), "{message}");
}
