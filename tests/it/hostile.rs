//! Plugins that trap, loop, grow and lie. The host goes on, and nobody else
//! notices.
//!
//! A hostile plugin behaves for every tenant but those named after what it is to
//! do; next to them the tenant `neighbour` sends all the time.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isinglass_testkit::load;

use crate::harness::{Client, Server, now_nanos, root};

/// Told to all of them.
const ANY: &[&str] = &["trap", "spin", "grow", "recurse", "log_flood", "log_huge", "count_flood"];
const VALIDATOR: &[&str] = &[
    "refuse_all",
    "bad_index",
    "too_few_rows",
    "too_many_rows",
    "huge_output",
    "many_reasons",
    "long_message",
    "odd_code",
    "bad_utf8",
];
const TRANSFORMER: &[&str] = &[
    "drop_all",
    "odd_code",
    "bad_row",
    "no_column",
    "ids",
    "time",
    "null_required",
    "bad_entry",
    "bad_row_added",
    "empty_key",
    "not_json",
    "bad_utf8",
    "written_out",
    "huge_output",
];
const LIMITER: &[&str] = &[
    "nan_cost",
    "negative_cost",
    "infinite_cost",
    "negative_rate",
    "nan_burst",
    "zero_rate",
    "long_key",
    "many_buckets",
];
const DERIVER: &[&str] = &[
    "bad_index",
    "bad_slot",
    "too_few_keys",
    "bad_offsets",
    "offsets_beyond",
    "no_offsets",
    "bad_utf8",
    "same_label_twice",
    "odd_label",
    "name_label",
    "long_value",
    "bad_metric",
    "too_few_values",
    "nan",
    "negative",
    "too_few_buckets",
    "counter_with_buckets",
    "bad_exemplar_series",
    "bad_exemplar_row",
    "many_series",
    "huge_output",
];
/// Nothing that a host must call an error.
const TOLERATED: &[&str] =
    &["log_flood", "log_huge", "count_flood", "refuse_all", "drop_all", "many_reasons", "zero_rate"];

const SPANS: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(20);

fn binding(world: &str, behaviours: &[&str], more: &str) -> String {
    let file = root().join(format!("plugins/dist/test/hostile-{world}.wasm"));
    let mut text = String::new();
    for (name, world) in [("validate", "validator"), ("rate-limit", "limiter"), ("span-metrics", "deriver")] {
        writeln!(
            text,
            "[[plugins.bindings]]\nname = \"{name}\"\nsource = \"builtin:{name}\"\nworld = \"{world}\""
        )
        .unwrap();
        if world == "deriver" {
            text.push_str("signals = [\"traces\"]\n");
        }
    }
    let file = file.display();
    writeln!(
        text,
        "[[plugins.bindings]]\nname = \"hostile\"\nsource = \"file:{file}\"\nworld = \"{world}\"\n{more}"
    )
    .unwrap();
    for does in behaviours {
        writeln!(text, "[plugins.tenants.\"{does}\".hostile]\ndoes = \"{does}\"").unwrap();
    }
    text
}

/// Sends until told to stop; counts what was acknowledged.
async fn neighbour(
    client: Client,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    slowest_ms: Arc<AtomicU64>,
) {
    let client = client.tenant("neighbour");
    let mut seed = 0;
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        client.otlp("traces", load::traces(seed, 10, now_nanos() - 1_000_000)).await.ok();
        let took = u64::try_from(start.elapsed().as_millis()).unwrap();
        acknowledged.fetch_add(10, Ordering::Relaxed);
        slowest_ms.fetch_max(took, Ordering::Relaxed);
        seed += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn of(client: &Client, name: &str, tenant: &str) -> u64 {
    client.metric(name, &[&format!("tenant=\"{tenant}\""), "signal=\"traces\""]).await as u64
}

/// A request under one behaviour: answered in time, and nothing vanishes.
async fn check_one(server: &Server, world: &str, does: &str) {
    let client = server.client().tenant(does);
    let start = Instant::now();
    let answer = client.otlp("traces", load::traces(7, SPANS as usize, now_nanos() - 1_000_000)).await;
    assert!(start.elapsed() < PATIENCE, "{world} {does}: {:?}", start.elapsed());
    assert!(answer.status < 500, "{world} {does}: {} {}", answer.status, answer.text());
    let stored = client.count("spans").await;
    let received = of(&client, "isinglass_received_items_total", does).await;
    let rejected = of(&client, "isinglass_rejected_items_total", does).await;
    assert_eq!(received, stored + rejected, "{world} {does}: conservation");
    if !TOLERATED.contains(&does) {
        assert_eq!(stored, SPANS, "{world} {does}: its policy lets the batch pass: {}", answer.text());
    }
}

async fn check(world: &str, own: &[&str], more: &str) {
    let behaviours: Vec<_> = ANY.iter().chain(own).copied().collect();
    let mut server = Server::start_with(&binding(world, &behaviours, more));
    let stop = Arc::new(AtomicBool::new(false));
    let (acknowledged, slowest_ms) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let sending = tokio::spawn(neighbour(
        server.client(),
        Arc::clone(&stop),
        Arc::clone(&acknowledged),
        Arc::clone(&slowest_ms),
    ));
    for does in &behaviours {
        check_one(&server, world, does).await;
    }
    stop.store(true, Ordering::Relaxed);
    sending.await.expect("the neighbour was served all the time");
    assert!(server.is_running());
    let client = server.client().tenant("neighbour");
    assert_eq!(client.count("spans").await, acknowledged.load(Ordering::Relaxed), "{world}: the neighbour");
    let errors = client.metric("isinglass_plugin_errors_total", &["hostile"]).await;
    assert!(
        errors >= (behaviours.len() - TOLERATED.len()) as f64 / 2.0,
        "{world}: only {errors} errors are counted"
    );
    println!("{world}: slowest answer to the neighbour {} ms", slowest_ms.load(Ordering::Relaxed));

    client.flush().await;
    let calls = "select sum(value) from (select service, span_name, span_kind, status_code, max(value) as value \
                 from metrics.traces_spanmetrics_calls_total group by 1, 2, 3, 4)";
    assert_eq!(client.number(calls).await as u64, acknowledged.load(Ordering::Relaxed), "{world}: derived");
    assert_eq!(server.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_validators() {
    check("validator", VALIDATOR, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_transformers() {
    check("transformer", TRANSFORMER, "on_error = \"pass\"\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_limiters() {
    check("limiter", LIMITER, "fallback = { items_per_second = 100000 }\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_derivers() {
    check("deriver", DERIVER, "").await;
}

#[tokio::test]
async fn hostile_validator_that_must_not_be_passed_over() {
    let server = Server::start_with(&binding("validator", &["trap"], "on_error = \"reject\"\n"));
    let client = server.client().tenant("trap");
    let answer = client.otlp("traces", load::traces(1, 10, now_nanos() - 1_000_000)).await.ok();
    assert!(answer.text().contains("plugin_error"), "{}", answer.text());
    assert_eq!(client.count("spans").await, 0);
    assert_eq!(client.count("rejected where reason = 'plugin_error'").await, 10);
}
