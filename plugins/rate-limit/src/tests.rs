use isinglass_plugin::testing::Table;

use super::*;

fn configured(config: &str) -> Result<RateLimit, String> {
    RateLimit::configure(Config::parse(config)?)
}

fn batch(shape: Shape, rows: usize) -> Batch {
    Batch { shape, rows, columns: Vec::new() }
}

/// What is taken by a request of 1,000 bytes and 10 items: `key rate burst cost`.
fn check(config: &str, signal: Signal, expected: &[&str]) {
    let plugin = configured(config).unwrap();
    let shape = match signal {
        Signal::Metrics => Shape::Samples,
        Signal::Logs => Shape::Logs,
        Signal::Traces => Shape::Spans,
    };
    let plans = [plugin.admit(signal, 1_000), plugin.limit(&batch(shape, 10))];
    let takes = plans.iter().flat_map(Plan::takes);
    let takes: Vec<String> =
        takes.map(|(b, cost)| format!("{} {} {} {cost}", b.key, b.rate_per_second, b.burst)).collect();
    assert_eq!(takes, expected, "{config}");
}

#[test]
fn nothing_is_limited_by_default() {
    check("", Signal::Metrics, &[]);
    check(r#"{"items_per_second": 0, "bytes_per_second": 0}"#, Signal::Logs, &[]);
}

#[test]
fn bursts_default_to_those_of_the_peers() {
    let config = r#"{"items_per_second": 10000, "bytes_per_second": 4000000}"#;
    check(config, Signal::Traces, &["bytes 4000000 6000000 1000", "items 10000 200000 10"]);
    check(r#"{"items_per_second": 0.01}"#, Signal::Traces, &["items 0.01 1 10"]);
    check(r#"{"items_per_second": 5, "items_burst": 7}"#, Signal::Logs, &["items 5 7 10"]);
}

#[test]
fn a_signal_has_buckets_of_its_own() {
    let config = r#"{"items_per_second": 5, "bytes_per_second": 10,
        "logs": {"items_per_second": 1, "items_burst": 2}, "traces": {"items_per_second": 0}}"#;
    check(config, Signal::Metrics, &["bytes 10 15 1000", "items 5 100 10"]);
    check(config, Signal::Logs, &["bytes 10 15 1000", "logs.items 1 2 10"]);
    check(config, Signal::Traces, &["bytes 10 15 1000"]);
}

#[test]
fn label_sets_are_not_items() {
    let plugin = configured(r#"{"items_per_second": 5}"#).unwrap();
    assert_eq!(plugin.limit(&batch(Shape::Series, 10)), Plan::unlimited());
}

#[test]
fn faults_name_the_key() {
    for (config, fault) in [
        (
            r#"{"item_per_second": 5}"#,
            "unknown key \"item_per_second\"; known are instances, strategy, requests_per_second, \
            requests_burst, items_per_second, items_burst, bytes_per_second, bytes_burst, metrics, logs, \
            traces, policies",
        ),
        (
            r#"{"logs": {"x": 5}}"#,
            "unknown key \"logs.x\"; known are requests_per_second, requests_burst, items_per_second, \
            items_burst, bytes_per_second, bytes_burst",
        ),
        (r#"{"instances": 0}"#, "instances is 0"),
        (r#"{"strategy": "x"}"#, "strategy is neither local nor global"),
        (r#"{"policies": [{}]}"#, "policies[0].name is not 1 to 64 bytes"),
        (r#"{"policies": [{"name": "a"}, {"name": "a"}]}"#, "two policies are named \"a\""),
        (
            r#"{"policies": [{"name": "a", "per": "pod"}]}"#,
            "policies[0].per is none of tenant, service, stream",
        ),
        (
            r#"{"policies": [{"name": "a", "per": "service", "signals": ["metrics"]}]}"#,
            "policies[0].signals has \"metrics\", which a policy of this kind is not for",
        ),
        (r#"{"policies": [{"name": "a", "items_per_second": -1}]}"#, "a.items_per_second is negative"),
        (r#"{"items_per_second": -1}"#, "items_per_second is negative"),
        (r#"{"logs": {"bytes_per_second": -1}}"#, "logs.bytes_per_second is negative"),
        (r#"{"items_burst": 1}"#, "items_burst is given without items_per_second"),
        (
            r#"{"items_per_second": 1, "items_burst": 0}"#,
            "items_burst is not above 0, so that nothing would ever pass",
        ),
        (r#"{"bytes_per_second": "1MB"}"#, "bytes_per_second is not a number"),
    ] {
        assert_eq!(configured(config).unwrap_err(), fault);
    }
}

#[test]
fn requests_and_shares() {
    let config = r#"{"requests_per_second": 2, "items_per_second": 10, "strategy": "global", "instances": 4,
        "logs": {"requests_per_second": 1, "requests_burst": 3}}"#;
    check(config, Signal::Metrics, &["requests 0.5 20 1", "items 2.5 200 10"]);
    check(config, Signal::Logs, &["logs.requests 0.25 3 1", "items 2.5 200 10"]);
}

const POLICIES: &str = r#"{"items_per_second": 100, "policies": [
    {"name": "each-stream", "per": "stream", "bytes_per_second": 10, "bytes_burst": 30},
    {"name": "each-service", "per": "service", "items_per_second": 1},
    {"name": "noisy", "services": ["cart"], "signals": ["logs"], "items_per_second": 2, "bytes_per_second": 4},
    {"name": "all", "items_per_second": 0.5}
]}"#;

fn takes(plugin: &RateLimit, batch: &Batch) -> Vec<String> {
    let plan = plugin.limit(batch);
    plan.takes().map(|(b, cost)| format!("{} {} {} {cost}", b.key, b.rate_per_second, b.burst)).collect()
}

#[test]
fn several_policies_at_once() {
    let plugin = configured(POLICIES).unwrap();
    let requests = plugin.further_requests();
    let logs = Table::new(&requests, Shape::Logs, 4)
        .text("service", &["shop", "cart", "cart", "shop"])
        .text("stream", &["{a}", "{b}", "{b}", "{c}"])
        .text("body", &["x", "yy", "zzz", ""])
        .batch();
    assert_eq!(
        takes(&plugin, &logs),
        [
            "items 100 2000 4",
            "per_stream:each-stream.bytes {a} 10 30 1",
            "per_stream:each-stream.bytes {b} 10 30 5",
            "per_stream:each-stream.bytes {c} 10 30 0",
            "each-service.items shop 1 20 2",
            "each-service.items cart 1 20 2",
            "noisy.items 2 40 2",
            "noisy.bytes 4 6 5",
            "all.items 0.5 10 4",
        ]
    );
    let spans = Table::new(&requests, Shape::Spans, 2).text("service", &["cart", "cart"]).batch();
    let expected = ["items 100 2000 2", "each-service.items cart 1 20 2", "all.items 0.5 10 2"];
    assert_eq!(takes(&plugin, &spans), expected);
    assert_eq!(takes(&plugin, &batch(Shape::Samples, 3)), ["items 100 2000 3", "all.items 0.5 10 3"]);
}

#[test]
fn a_plan_is_bounded_and_no_cost_is_lost() {
    let plugin =
        configured(r#"{"policies": [{"name": "p", "per": "stream", "items_per_second": 1}]}"#).unwrap();
    let streams: Vec<String> = (0..2_000).map(|at| format!("{{a=\"{at}{}\"}}", "x".repeat(300))).collect();
    let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
    let logs = Table::new(&plugin.further_requests(), Shape::Logs, 2_000).text("stream", &streams).batch();
    let plan = plugin.limit(&logs);
    assert!(plan.takes().all(|(bucket, _)| bucket.key.len() <= 255));
    assert_eq!(plan.takes().count(), 901);
    assert_eq!(plan.takes().map(|(_, cost)| cost).sum::<f64>(), 2_000.0);
    let mut keys: Vec<&str> = plan.takes().map(|(bucket, _)| &*bucket.key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 901);
}
