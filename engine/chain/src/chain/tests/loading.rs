//! What is refused when a chain is loaded.

use super::*;
use crate::config::Budget;
use crate::config::{Binding, Source};

fn check(binding: Value, fault: &str) {
    let error = try_load(json!({ "bindings": [binding] }), clock()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(fault), "{error}");
}

fn of_bytes(bytes: &[u8]) -> ChainError {
    let source = Source::Bytes(bytes.into());
    let binding = Binding { source, ..Binding::builtin("given", World::Validator, json!({})) };
    let config = ChainConfig { bindings: vec![binding], ..ChainConfig::default() };
    Chain::load(&config, clock()).map(|_| ()).unwrap_err()
}

/// A component with one import and nothing else.
fn importing(name: &str) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    // Type 0: an instance without exports.
    bytes.extend([7, 3, 1, 0x42, 0]);
    let mut section = vec![1, 0, name.len() as u8];
    section.extend(name.as_bytes());
    section.extend([5, 0]);
    bytes.extend([10, section.len() as u8]);
    bytes.extend(section);
    bytes
}

#[test]
fn the_default_chain_loads() {
    let chain = Chain::load(&ChainConfig::default(), clock()).unwrap();
    let plugins: Vec<_> = chain.stats().into_iter().map(|stats| stats.plugin).collect();
    assert_eq!(plugins, ["validate@0.1.0", "rate-limit@0.1.0", "span-metrics@0.1.0"]);
    let metrics: Vec<_> = chain.derivers()[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        metrics,
        [
            "traces_spanmetrics_calls_total",
            "traces_spanmetrics_latency",
            "traces_spanmetrics_size_total",
            "traces_service_graph_request_total",
            "traces_service_graph_request_failed_total",
            "traces_service_graph_request_server_seconds",
            "traces_service_graph_request_client_seconds",
            "traces_service_graph_unpaired_spans_total",
            "traces_service_graph_dropped_spans_total",
        ]
    );
    assert_eq!(chain.validators_digest().len(), 64);
}

#[test]
fn what_is_no_component_is_refused() {
    assert!(of_bytes(b"").to_string().contains("not a usable component"));
    assert!(of_bytes(b"\0asm\x01\0\0\0").to_string().contains("not a usable component"));
    let large = vec![0; Budget::default().component_bytes_max as usize + 1];
    assert!(of_bytes(&large).to_string().contains("component has 8388609 bytes, the limit is 8388608"));
    // Without imports and exports.
    let error = of_bytes(b"\0asm\x0d\0\x01\0").to_string();
    assert!(error.contains("a validator must export isinglass:plugin/lifecycle@0.1.2#describe"), "{error}");
}

#[test]
fn an_import_outside_of_the_interface_is_named() {
    let error = of_bytes(&importing("wasi:filesystem/types@0.2.0"));
    assert!(error.to_string().contains("component imports \"wasi:filesystem/types@0.2.0\""), "{error}");
    assert_eq!(error.kind(), isinglass_model::ErrorKind::Forbidden);
    let known = of_bytes(&importing("isinglass:plugin/log@0.1.0"));
    assert!(known.to_string().contains("must export"), "{known}");
}

#[test]
fn the_source_must_exist() {
    let binding = json!({ "name": "x", "world": "validator", "source": "file:/nonexistent/x.wasm" });
    check(binding, "cannot read /nonexistent/x.wasm");
    let binding = json!({ "name": "x", "world": "validator", "source": "builtin:x" });
    check(binding, "there is no built-in plugin \"x\"; there are: validate, rate-limit, span-metrics");
}

#[test]
fn a_component_of_another_world_is_refused() {
    let binding = json!({ "name": "x", "world": "deriver", "source": "builtin:validate" });
    check(binding, "a deriver must export isinglass:plugin/derive@0.1.2#run");
}

#[test]
fn a_configuration_that_the_plugin_refuses_names_the_tenant() {
    let binding = json!({
        "name": "x", "world": "validator", "source": "builtin:validate",
        "config": { "line_bytes": 1 },
    });
    check(binding, "plugin binding \"x\": configuration refused: ");
    let binding = json!({
        "name": "x", "world": "validator", "source": "builtin:validate",
        "tenants": { "acme": { "line_bytes_max": "many" } },
    });
    check(binding, "plugin binding \"x\": configuration of tenant \"acme\" refused: ");
}

#[test]
fn a_plugin_that_fails_while_it_starts_is_refused() {
    for (does, kind) in [("trap", "trap"), ("spin", "time"), ("grow", "memory"), ("recurse", "trap")] {
        let config = json!({ "does": does, "in": "configure" });
        let binding = with(hostile(World::Validator, does), "config", config);
        check(binding, &format!("plugin binding \"hostile\": configure failed: {kind}: "));
    }
}

#[test]
fn native_needs_rates() {
    let limiter = hostile(World::Limiter, "nothing");
    check(limiter.clone(), "on_error = \"native\" needs rates");
    check(with(limiter.clone(), "fallback", json!({ "items_per_second": -1.0 })), "rates must be at least 0");
    load(json!({ "bindings": [with(limiter.clone(), "fallback", json!({ "items_per_second": 1.0 }))] }));
    load(json!({ "bindings": [with(limiter, "on_error", json!("pass"))] }));
}

#[test]
fn the_digest_follows_everything_that_verdicts_depend_on() {
    let validate = json!({ "name": "v", "world": "validator", "source": "builtin:validate" });
    let digest = |binding: Value, more: Value| {
        let mut config = json!({ "bindings": [binding] });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        load(config).validators_digest().to_owned()
    };
    let digests = [
        digest(validate.clone(), json!({})),
        digest(with(validate.clone(), "config", json!({ "line_bytes_max": 1 })), json!({})),
        digest(with(validate.clone(), "signals", json!(["logs"])), json!({})),
        digest(validate.clone(), json!({ "tenants": { "acme": { "v": { "line_bytes_max": 1 } } } })),
        digest(hostile(World::Validator, ""), json!({})),
    ];
    assert_eq!(digests.iter().collect::<std::collections::HashSet<_>>().len(), digests.len());
    assert_eq!(digests[0], digest(validate, json!({ "instances_max": 1 })));
}

#[test]
fn a_tenant_is_told_how_the_plugins_are_bound_for_it() {
    let mut config = ChainConfig::default();
    let own = json!({ "items_per_second": 7 });
    config.tenants.insert("acme".into(), [("rate-limit".to_owned(), own)].into());
    let chain = Chain::load(&config, clock()).unwrap();
    let own = |tenant: &str| -> Vec<(u16, String, bool)> {
        let bound = chain.bound(&Tenant::new(tenant).unwrap()).into_iter();
        bound.map(|bound| (bound.order, bound.stats.binding, bound.own_config)).collect()
    };
    let of = |limits| {
        let names = [("validate", false), ("rate-limit", limits), ("span-metrics", false)];
        (0_u16..).zip(names).map(|(at, (name, own))| (at, name.to_owned(), own)).collect::<Vec<_>>()
    };
    assert_eq!((own("acme"), own("umbrella")), (of(true), of(false)));
    let derivers = &chain.bound(&Tenant::default())[2];
    assert_eq!((&derivers.signals[..], derivers.on_error), (&[Signal::Traces][..], OnError::Skip));
}
