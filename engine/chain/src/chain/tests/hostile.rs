//! Plugins that misbehave, and what becomes of the batch.

use std::time::{Duration, Instant};

use super::*;

/// A hostile validator before the built-in one; every tenant of `cases` makes
/// the hostile one do what its name says.
fn validators(cases: &[(&str, &str)]) -> Chain {
    load(json!({
        "bindings": [
            patient(World::Validator),
            { "name": "validate", "source": "builtin:validate", "world": "validator" },
        ],
        "tenants": tenants(cases),
    }))
}

/// With time enough that only `spin` is stopped for its time: an unoptimised
/// host on a busy machine needs more than the usual budget to read a huge answer.
fn patient(world: World) -> Value {
    with(hostile(world, ""), "budget", json!({ "cpu_hard_ms": 2_000 }))
}

fn tenants(cases: &[(&str, &str)]) -> Value {
    let tenant = |(does, _): &(&str, &str)| ((*does).to_owned(), json!({ "hostile": { "does": does } }));
    Value::Object(cases.iter().map(tenant).collect())
}

fn failures_of(chain: &Chain, kind: &str) -> u64 {
    stats_of(chain, "hostile").failures.get(kind).copied().unwrap_or(0)
}

#[test]
fn a_failed_validator_is_passed_over_and_the_next_still_runs() {
    let cases = [
        ("trap", "trap"),
        ("spin", "time"),
        ("grow", "memory"),
        ("recurse", "trap"),
        ("huge_output", "output"),
        ("many_reasons", "contract"),
        ("long_message", "contract"),
        ("odd_code", "contract"),
        ("bad_utf8", "output"),
        ("bad_index", "contract"),
        ("too_few_rows", "contract"),
        ("too_many_rows", "contract"),
    ];
    let chain = validators(&cases);
    for (does, kind) in cases {
        let before = failures_of(&chain, kind);
        let verdicts = chain.validate(&tenant(does), &spans_without_trace(10, |row| row == 4), NOW);
        assert_eq!(failures_of(&chain, kind) - before, 1, "{does}: {:?}", failures(&chain));
        assert_eq!(verdicts.plugin_errors, 1, "{does}");
        assert_eq!(verdicts.rows, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0], "{does}");
        assert_eq!(verdicts.refusal(4).unwrap().reason, "invalid_trace_id", "{does}");
    }
    // Told nothing, it behaves.
    assert_eq!(chain.validate(&tenant("other"), &spans(10), NOW).plugin_errors, 0);
}

#[test]
fn the_instance_that_failed_is_gone() {
    let chain = load(json!({ "bindings": [hostile(World::Validator, "trap")] }));
    assert_eq!(stats_of(&chain, "hostile").instances, 1);
    assert!(stats_of(&chain, "hostile").memory_bytes >= 1 << 16);
    chain.validate(&tenant("acme"), &spans(1), NOW);
    let stats = stats_of(&chain, "hostile");
    assert_eq!((stats.instances, stats.memory_bytes), (0, 0));
    chain.validate(&tenant("acme"), &spans(1), NOW);
    assert_eq!(stats_of(&chain, "hostile").instances_started, 2);
}

/// The first one is made when the chain loads, and goes after its call like any other.
#[test]
fn a_fresh_instance_sees_one_call() {
    for (isolation, started) in [("warm", 1), ("fresh", 4)] {
        let binding = with(hostile(World::Validator, ""), "isolation", json!(isolation));
        let chain = load(json!({ "bindings": [binding] }));
        for _ in 0..4 {
            assert!(chain.validate(&tenant("acme"), &spans(3), NOW).keeps_all());
        }
        let stats = stats_of(&chain, "hostile");
        let left = u64::from(isolation == "warm");
        assert_eq!(
            (stats.calls, stats.instances_started, stats.instances),
            (4, started, left),
            "{isolation}"
        );
    }
}

#[test]
fn reject_refuses_every_row() {
    let binding = with(hostile(World::Validator, "trap"), "on_error", json!("reject"));
    let chain = load(json!({ "bindings": [binding] }));
    let verdicts = chain.validate(&tenant("acme"), &spans(3), NOW);
    assert_eq!(verdicts.rows, [1, 1, 1]);
    let refusal = verdicts.refusal(2).unwrap();
    assert_eq!(refusal.reason, "plugin_error");
    assert_eq!(refusal.message, "plugin hostile-validator@0.1.0 failed (trap)");
    assert_eq!(stats_of(&chain, "hostile").rejects["plugin_error"], 3);
}

#[test]
fn time_is_thread_cpu_time() {
    let chain = load(json!({ "bindings": [hostile(World::Validator, "spin")] }));
    let started = stats_of(&chain, "hostile").cpu_seconds;
    let began = Instant::now();
    chain.validate(&tenant("acme"), &spans(1), NOW);
    let stats = stats_of(&chain, "hostile");
    assert!((0.150..0.4).contains(&(stats.cpu_seconds - started)), "{}", stats.cpu_seconds);
    assert!(stats.slow_calls >= 1);
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_plugin_that_fails_again_and_again_is_left_alone_for_a_while() {
    let (clock, cases) = (clock(), [("trap", "trap")]);
    let bindings = json!([with(hostile(World::Validator, ""), "on_error", json!("reject"))]);
    let chain = load_at(json!({ "bindings": bindings, "tenants": tenants(&cases) }), Arc::clone(&clock));
    let refused = || chain.validate(&tenant("trap"), &spans(2), NOW).refusal(1).unwrap().message.clone();
    let started = || stats_of(&chain, "hostile").instances_started;
    for _ in 0..5 {
        assert!(refused().ends_with("failed (trap)"));
    }
    // Whoever is told to refuse what nobody looked at still does.
    let before = started();
    assert!(refused().ends_with("failed (open)"));
    assert_eq!((started(), failures_of(&chain, "open")), (before, 1));
    // After a second one call is tried, and then none for two.
    for (pause_ms, tried) in [(999, false), (1, true), (1_999, false), (1, true)] {
        clock.advance(Duration::from_millis(pause_ms));
        assert_eq!(refused().ends_with("failed (trap)"), tried, "after another {pause_ms} ms");
        assert!(refused().ends_with("failed (open)"));
    }
    let stats = stats_of(&chain, "hostile");
    assert_eq!((stats.open, stats.opened, stats.failures["trap"]), (1, 3, 7));
}

#[test]
fn a_hostile_tenant_configuration_harms_no_other_tenant() {
    let binding = with(hostile(World::Validator, ""), "tenants", json!({ "evil": { "does": "trap" } }));
    let chain = load(json!({ "bindings": [binding] }));
    std::thread::scope(|scope| {
        for name in ["evil", "good"] {
            let chain = &chain;
            scope.spawn(move || {
                for _ in 0..50 {
                    let verdicts = chain.validate(&tenant(name), &spans(10), NOW);
                    assert_eq!(verdicts.plugin_errors, u32::from(name == "evil"));
                }
            });
        }
    });
    assert_eq!(failures(&chain), [("open", 45), ("trap", 5)]);
    assert_eq!(stats_of(&chain, "hostile").open, 1);
    assert_eq!(stats_of(&chain, "hostile").calls, 50);
}

#[test]
fn a_failed_deriver_is_skipped_and_the_next_still_runs() {
    let cases = [
        ("trap", "trap"),
        ("spin", "time"),
        ("grow", "memory"),
        ("bad_index", "contract"),
        ("bad_slot", "contract"),
        ("too_few_keys", "contract"),
        ("bad_offsets", "contract"),
        ("offsets_beyond", "contract"),
        ("no_offsets", "contract"),
        ("bad_utf8", "contract"),
        ("same_label_twice", "contract"),
        ("odd_label", "contract"),
        ("name_label", "contract"),
        ("long_value", "contract"),
        ("bad_metric", "contract"),
        ("too_few_values", "contract"),
        ("nan", "contract"),
        ("negative", "contract"),
        ("too_few_buckets", "contract"),
        ("counter_with_buckets", "contract"),
        ("bad_exemplar_series", "contract"),
        ("bad_exemplar_row", "contract"),
        ("many_series", "contract"),
        ("huge_output", "output"),
    ];
    let chain = load(json!({
        "bindings": [
            patient(World::Deriver),
            { "name": "span-metrics", "source": "builtin:span-metrics", "world": "deriver" },
        ],
        "tenants": tenants(&cases),
    }));
    for (does, kind) in cases {
        let before = failures_of(&chain, kind);
        let deltas = chain.derive(&tenant(does), &spans(10), NOW);
        assert_eq!(failures_of(&chain, kind) - before, 1, "{does}: {:?}", failures(&chain));
        assert!(!deltas.is_empty(), "{does}");
        let of_next = |deltas: &Deltas| chain.derivers()[usize::from(deltas.binding)].name == "span-metrics";
        assert!(deltas.iter().all(of_next), "{does}");
    }
    let all = chain.derive(&tenant("other"), &spans(10), NOW);
    let derivers: std::collections::HashSet<u16> = all.iter().map(|deltas| deltas.binding).collect();
    assert_eq!(derivers.len(), 2);
}

fn limit(chain: &Chain, name: &str, rows: usize) -> Decision {
    chain.limit(&tenant(name), &[&spans(rows)], NOW)
}

#[test]
fn a_failed_limiter_is_replaced_by_the_hosts_own() {
    let cases = [
        ("trap", "trap"),
        ("spin", "time"),
        ("grow", "memory"),
        ("nan_cost", "contract"),
        ("negative_cost", "contract"),
        ("infinite_cost", "contract"),
        ("negative_rate", "contract"),
        ("nan_burst", "contract"),
        ("zero_rate", "contract"),
        ("long_key", "contract"),
        ("many_buckets", "contract"),
    ];
    let rates = json!({ "items_per_second": 10.0, "items_burst": 100.0 });
    let binding = with(patient(World::Limiter), "fallback", rates);
    let chain = load(json!({ "bindings": [binding], "tenants": tenants(&cases) }));
    for (does, kind) in cases {
        let before = failures_of(&chain, kind);
        assert_eq!(limit(&chain, does, 100), Decision::Allow, "{does}");
        let Decision::Deny { retry_after, message, .. } = limit(&chain, does, 1) else {
            panic!("{does}: never unlimited");
        };
        assert_eq!(retry_after, Duration::from_millis(100));
        assert!(message.contains("bucket \"items\" of hostile gives 10 a second"), "{message}");
        assert_eq!(failures_of(&chain, kind) - before, 2, "{does}: {:?}", failures(&chain));
    }
    assert_eq!(stats_of(&chain, "hostile").rejects["rate_limited"], cases.len() as u64);
    assert_eq!(limit(&chain, "other", 1_000), Decision::Allow, "without a fault the plugin decides");
}

#[test]
fn a_failed_limiter_passes_or_rejects_where_told_so() {
    let chain = |policy: &str| {
        load(json!({ "bindings": [with(hostile(World::Limiter, "trap"), "on_error", json!(policy))] }))
    };
    assert_eq!(limit(&chain("pass"), "acme", 100), Decision::Allow);
    let Decision::Unavailable { message } = limit(&chain("reject"), "acme", 100) else {
        panic!("must be refused");
    };
    assert_eq!(message, "rate limiter hostile failed (trap)");
}

#[test]
fn logs_and_counters_are_bounded() {
    let chain = validators(&[("log_flood", ""), ("count_flood", ""), ("log_huge", "")]);
    assert_eq!(chain.validate(&tenant("log_flood"), &spans(1), NOW).plugin_errors, 0);
    chain.validate(&tenant("count_flood"), &spans(1), NOW);
    chain.validate(&tenant("count_flood"), &spans(1), NOW);
    let stats = stats_of(&chain, "hostile");
    assert_eq!((stats.log_lines, stats.log_lines_dropped), (100, 9_900));
    assert_eq!((stats.counters.len(), stats.counters["name_0"]), (50, 2));
    assert_eq!(stats.counters_dropped, 2 * 950);
    // A line of 16 MiB is not copied, whatever becomes of the call.
    chain.validate(&tenant("log_huge"), &spans(1), NOW);
}

#[test]
fn a_call_waits_for_an_instance_and_then_fails() {
    let budget = json!({ "cpu_soft_ms": 5, "cpu_hard_ms": 400 });
    let slow = with(hostile(World::Validator, "spin"), "budget", budget);
    let chain = load(json!({ "bindings": [slow], "instances_max": 1, "instance_wait_ms": 50 }));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| chain.validate(&tenant("acme"), &spans(1), NOW));
        }
    });
    assert_eq!(failures(&chain), [("busy", 1), ("time", 1)]);
}

#[test]
fn instances_are_recycled() {
    let chain = load(json!({ "bindings": [hostile(World::Validator, "")] }));
    let batch = spans(1);
    for _ in 0..10_001 {
        chain.validate(&tenant("acme"), &batch, NOW);
    }
    let stats = stats_of(&chain, "hostile");
    assert_eq!((stats.calls, stats.instances_started, stats.instances), (10_001, 2, 1));
}

#[test]
fn variants_share_the_bound_on_instances() {
    let variants: serde_json::Map<_, _> =
        (0..5).map(|n| (format!("t{n}"), json!({ "hostile": { "rows_min": n } }))).collect();
    let chain =
        load(json!({ "bindings": [hostile(World::Validator, "")], "tenants": variants, "instances_max": 2 }));
    for n in 0..20 {
        assert_eq!(chain.validate(&tenant(&format!("t{}", n % 5)), &spans(1), NOW).plugin_errors, 0);
    }
    assert!(stats_of(&chain, "hostile").instances <= 2);
}
