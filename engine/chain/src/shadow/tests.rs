use std::sync::Arc;

use isinglass_model::clock::ManualClock;
use serde_json::{Value, json};

use super::*;
use crate::chain::tests::spans;

/// 2023-11-14 in nanoseconds.
const NOW: i64 = 1_700_000_000_000_000_000;

fn load(bindings: &[Value]) -> Chain {
    let config = serde_json::from_value(json!({ "bindings": bindings, "instances_max": 1 })).unwrap();
    Chain::load(&config, Arc::new(ManualClock::at(NOW))).unwrap_or_else(|error| panic!("{error}"))
}

fn file(name: &str, world: &str, file: &str, config: Value) -> Value {
    let path = format!("{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"));
    json!({ "name": name, "world": world, "source": format!("file:{path}"), "config": config })
}

fn tried(mut binding: Value) -> Value {
    binding["shadow"] = json!(true);
    binding
}

fn only<'a>(chain: &'a Chain, tenant: &'a Tenant) -> Shadow<'a> {
    let mut all = chain.shadows(tenant, Signal::Traces);
    let one = all.next().unwrap();
    assert!(all.next().is_none());
    one
}

#[test]
fn a_validator_is_asked_and_not_obeyed() {
    let deny = |services: &[&str]| {
        file("deny", "validator", "examples/deny-service", json!({ "services": services }))
    };
    let chain = load(&[deny(&["service-0"]), tried(deny(&["service-1"]))]);
    let tenant = Tenant::default();
    let enforced = chain.validate(&tenant, &spans(9), NOW);
    let refused =
        |verdicts: &Verdicts| (0..9).filter(|row| verdicts.refusal(*row).is_some()).collect::<Vec<_>>();
    assert_eq!(refused(&enforced), [0, 3, 6]);
    let shadow = only(&chain, &tenant);
    assert_eq!(refused(&shadow.validate(&tenant, &spans(9), NOW).unwrap()), [1, 4, 7]);
    assert_eq!(shadow.enforced(&tenant), Some((shadow.plugin(), shadow.digest())));
    let stats: Vec<_> =
        chain.stats().iter().map(|stats| (stats.shadow, stats.rejects.values().sum())).collect();
    assert_eq!(stats, [(false, 3), (true, 3)]);
}

#[test]
fn a_limiter_has_buckets_of_its_own() {
    let limit = |items: u32| {
        let config = json!({ "items_per_second": items, "items_burst": items });
        json!({ "name": "limit", "source": "builtin:rate-limit", "world": "limiter", "config": config })
    };
    let chain = load(&[limit(100), tried(limit(10))]);
    let tenant = Tenant::default();
    let batch = spans(9);
    let ask = |shadow: Shadow<'_>| {
        shadow.limit(&tenant, (Signal::Traces, 10), &[&batch], NOW, Duration::ZERO).unwrap()
    };
    let shadow = only(&chain, &tenant);
    assert_eq!(ask(shadow), Decision::Allow);
    assert!(matches!(ask(shadow), Decision::Deny { .. }));
    for _ in 0..11 {
        assert_eq!(chain.limit(&tenant, &[&batch], NOW), Decision::Allow);
    }
    assert!(matches!(chain.limit(&tenant, &[&batch], NOW), Decision::Deny { .. }), "99 of 100 were taken");
}

#[test]
fn a_deriver_adds_to_no_metric() {
    let metrics = json!({ "name": "x", "source": "builtin:span-metrics", "world": "deriver" });
    let chain = load(&[tried(metrics)]);
    let tenant = Tenant::default();
    assert!(chain.derive(&tenant, &spans(9), NOW).is_empty() && chain.derivers().is_empty());
    let shadow = only(&chain, &tenant);
    let deltas = shadow.derive(&tenant, &spans(9), NOW).unwrap();
    assert!(!deltas.is_empty() && !shadow.metrics(&tenant).is_empty());
}

/// One that fails is left alone after a while, and the enforced chain does not notice.
#[test]
fn a_failure_is_its_own() {
    let hostile = tried(file("hostile", "validator", "test/hostile-validator", json!({ "does": "trap" })));
    let chain = load(&[hostile]);
    let tenant = Tenant::default();
    let kinds: Vec<_> =
        (0..6).map(|_| only(&chain, &tenant).validate(&tenant, &spans(3), NOW).unwrap_err().kind).collect();
    assert_eq!(kinds, ["trap", "trap", "trap", "trap", "trap", "open"]);
    let verdicts = chain.validate(&tenant, &spans(3), NOW);
    assert_eq!((verdicts.keeps_all(), verdicts.plugin_errors), (true, 0));
    assert!(chain.bound(&tenant)[0].left_alone);
}
