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
            "unknown key \"item_per_second\"; known are items_per_second, items_burst, \
            bytes_per_second, bytes_burst, metrics, logs, traces",
        ),
        (
            r#"{"logs": {"x": 5}}"#,
            "unknown key \"logs.x\"; known are items_per_second, items_burst, \
            bytes_per_second, bytes_burst",
        ),
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
