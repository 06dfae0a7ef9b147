//! The built-in limiter and the buckets behind it, with a clock that a test moves.

use std::time::Duration;

use super::*;
use crate::config::Binding;
use crate::plan::{Bill, settle};
use crate::rates::Unit;

fn chain(config: Value) -> (Chain, Arc<ManualClock>) {
    let clock = clock();
    let config = json!({
        "bindings": [{ "name": "rate-limit", "source": "builtin:rate-limit", "world": "limiter" }],
        "config": { "rate-limit": config },
        "tenants": { "large": { "rate-limit": { "items_per_second": 1000.0 } } },
    });
    (load_at(config, Arc::clone(&clock)), clock)
}

fn limit(chain: &Chain, name: &str, rows: &[usize]) -> Decision {
    let batches: Vec<_> = rows.iter().map(|rows| spans(*rows)).collect();
    let shown: Vec<&dyn Columns> = batches.iter().map(|batch| batch as &dyn Columns).collect();
    chain.limit(&tenant(name), &shown, NOW)
}

#[test]
fn rates_are_unlimited_by_default() {
    let (chain, _) = chain(json!({}));
    for _ in 0..10 {
        assert_eq!(chain.admit(&tenant("acme"), Signal::Logs, 1 << 40), Decision::Allow);
        assert_eq!(limit(&chain, "acme", &[10_000, 10_000]), Decision::Allow);
    }
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let (chain, clock) = chain(json!({ "items_per_second": 10.0, "items_burst": 50.0 }));
    assert_eq!(limit(&chain, "acme", &[30, 20]), Decision::Allow);
    let Decision::Deny { retry_after, .. } = limit(&chain, "acme", &[5]) else {
        panic!("the bucket is empty");
    };
    assert_eq!(retry_after, Duration::from_millis(500));
    clock.advance(Duration::from_millis(499));
    assert!(matches!(limit(&chain, "acme", &[5]), Decision::Deny { .. }));
    clock.advance(Duration::from_millis(1));
    assert_eq!(limit(&chain, "acme", &[5]), Decision::Allow);
    // The wall clock has no say.
    clock.jump_to(NOW + 3_600_000_000_000);
    assert!(matches!(limit(&chain, "acme", &[5]), Decision::Deny { .. }));
    clock.advance(Duration::from_secs(3_600));
    assert!(matches!(limit(&chain, "acme", &[51]), Decision::TooLarge { .. }));
    assert_eq!(limit(&chain, "acme", &[50]), Decision::Allow);
}

#[test]
fn tenants_have_buckets_and_rates_of_their_own() {
    let (chain, _) = chain(json!({ "items_per_second": 10.0, "items_burst": 50.0 }));
    assert_eq!(limit(&chain, "acme", &[50]), Decision::Allow);
    assert!(matches!(limit(&chain, "acme", &[1]), Decision::Deny { .. }));
    for (name, rate) in [("other", "gives 10 a second"), ("large", "gives 1000 a second")] {
        assert_eq!(limit(&chain, name, &[50]), Decision::Allow);
        let Decision::Deny { message, .. } = limit(&chain, name, &[50]) else {
            panic!("the bucket is empty");
        };
        assert!(message.contains(rate), "{message}");
    }
}

#[test]
fn bytes_are_taken_at_the_door() {
    let (chain, clock) = chain(json!({ "bytes_per_second": 1000.0, "bytes_burst": 2000.0 }));
    let admit = |bytes| chain.admit(&tenant("acme"), Signal::Metrics, bytes);
    assert_eq!(admit(2_000), Decision::Allow);
    assert!(matches!(admit(1), Decision::Deny { .. }));
    assert_eq!(limit(&chain, "acme", &[1_000]), Decision::Allow);
    clock.advance(Duration::from_secs(2));
    assert_eq!(admit(2_000), Decision::Allow);
    let Decision::TooLarge { message } = admit(2_001) else { panic!("over the burst") };
    assert!(message.contains("the request costs 2001 and can never pass"), "{message}");
}

/// The plugin and the host's fallback read the same configuration the same way.
#[test]
fn the_native_fallback_agrees_with_the_plugin() {
    let config = json!({
        "items_per_second": 10.0, "bytes_per_second": 8.0, "bytes_burst": 40.0,
        "logs": { "items_per_second": 2.0, "items_burst": 3.0 }, "traces": { "bytes_per_second": 0.0 },
    });
    let bindings = vec![Binding::builtin("rate-limit", World::Limiter, config.clone())];
    let rates: crate::rates::SignalRates = serde_json::from_value(config).unwrap();
    let clock = clock();
    let plugin = ChainConfig { bindings, ..ChainConfig::default() };
    let chain = Chain::load(&plugin, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    let native = Buckets::new(1_000);
    let mut decisions = std::collections::HashSet::new();
    for step in 0_u64..200 {
        clock.advance(Duration::from_millis(step * 37 % 400));
        let cost = step * 7 % 30 + 1;
        let signal = Signal::ALL[step as usize % 3];
        let shape = [Shape::Samples, Shape::Logs, Shape::Spans][step as usize % 3];
        let batch = Fake { shape, ..spans(cost as usize) };
        for unit in [Unit::Items, Unit::Bytes] {
            let by_plugin = match unit {
                Unit::Items => chain.limit(&tenant("acme"), &[&batch], NOW),
                Unit::Bytes => chain.admit(&tenant("acme"), signal, cost),
            };
            let bill = Bill::native(&tenant("acme"), &"a".into(), &rates, unit, [(signal, cost)]);
            let settled = settle(&native, vec![("rate-limit", bill)], clock.monotonic());
            let by_host = settled.err().map_or(Decision::Allow, |(_, decision)| decision);
            assert_eq!(by_plugin, by_host, "step {step}");
            decisions.insert(std::mem::discriminant(&by_host));
        }
    }
    assert_eq!(decisions.len(), 3, "the steps should allow, deny and find too large");
}
