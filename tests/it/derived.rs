//! The derived span metrics against an independent computation over `spans`.

use std::collections::BTreeMap;

use isinglass_testkit::load;
use isinglass_testkit::otlp;

use crate::harness::{Client, Server, now_nanos};

/// 14 exponential buckets from 2 ms, as Tempo has them.
const BUCKETS: usize = 14;

type PerSeries = BTreeMap<String, f64>;

/// `key` of every row to `value`.
async fn per_series(client: &Client, query: &str) -> PerSeries {
    let rows = client.sql(query).await.into_iter();
    rows.map(|row| (row["key"].as_str().unwrap().to_owned(), row["value"].as_f64().unwrap())).collect()
}

/// What the metric says: increments over all lives of the process.
pub(crate) fn from_metric(name: &str, filter: &str) -> String {
    format!(
        "select key, sum(value) as value from (\
           select service || '|' || span_name || '|' || span_kind || '|' || status_code as key, \
                  start_time, max(value) as value \
           from metrics.{name} where {filter} group by 1, 2) group by key"
    )
}

/// What the spans say.
pub(crate) fn from_spans(expression: &str) -> String {
    format!(
        "select service || '|' || name || '|SPAN_KIND_' || upper(kind) || '|STATUS_CODE_' || upper(status) as key, \
                cast({expression} as double) as value from spans group by 1"
    )
}

/// Fails unless metric and spans agree for every series.
pub(crate) async fn check(client: &Client, metric: &str, filter: &str, expression: &str) {
    let derived = per_series(client, &from_metric(metric, filter)).await;
    let computed = per_series(client, &from_spans(expression)).await;
    let keys: Vec<_> = derived.keys().collect();
    assert_eq!(keys, computed.keys().collect::<Vec<_>>(), "{metric}: other series");
    for (key, want) in &computed {
        let got = derived[key];
        assert!(
            (got - want).abs() <= 1e-9 * want.abs().max(1.0),
            "{metric}{{{key}}} {filter}: {got}, spans say {want}"
        );
    }
}

/// All metrics of the plugin.
pub(crate) async fn check_all(client: &Client) {
    check(client, "traces_spanmetrics_calls_total", "true", "count(*)").await;
    check(client, "traces_spanmetrics_size_total", "true", "sum(size_bytes)").await;
    check(client, "traces_spanmetrics_latency_count", "true", "count(*)").await;
    check(client, "traces_spanmetrics_latency_sum", "true", "sum(duration) / 1e9").await;
    for bucket in 0..BUCKETS {
        let bound_ns = 2_000_000_u64 << bucket;
        let le = format!("le = '{}'", bound_ns as f64 / 1e9);
        let within = format!("count(*) filter (where duration <= {bound_ns})");
        check(client, "traces_spanmetrics_latency_bucket", &le, &within).await;
    }
    check(client, "traces_spanmetrics_latency_bucket", "le = '+Inf'", "count(*)").await;
}

#[tokio::test]
async fn equal_a_computation_over_spans() {
    let server = Server::start();
    let client = server.client();
    let start = now_nanos() - 60_000_000_000;
    for service in 0..8 {
        client.otlp("traces", load::traces(service, 500, start)).await.ok();
    }
    // The edges of buckets: bounds are inclusive, and a span may take no time.
    let edges = [0, 1, 1_999_999, 2_000_000, 2_000_001, 4_000_000, 16_384_000_000, 20_000_000_000];
    let spans: Vec<_> = edges
        .iter()
        .enumerate()
        .map(|(at, duration)| {
            let span_id = vec![at as u8 + 1; 8];
            otlp::Span { span_id, ..otlp::Span::server("edge", start, start + duration) }
        })
        .collect();
    client.otlp("traces", otlp::traces(&load::resource(0), &spans)).await.ok();
    client.flush().await;
    assert_eq!(client.count("spans").await, 4_008);
    check_all(&client).await;

    // Later spans are added to what is there.
    client.otlp("traces", load::traces(99, 300, start)).await.ok();
    client.flush().await;
    check_all(&client).await;
    assert!(client.metric("isinglass_derived_samples_total", &[]).await > 0.0);
}

#[tokio::test]
async fn exemplars_lead_to_stored_spans() {
    let server = Server::start();
    let client = server.client();
    client.otlp("traces", load::traces(1, 200, now_nanos() - 1_000_000_000)).await.ok();
    client.flush().await;
    let exemplars = client.count("exemplars").await;
    assert!(exemplars > 0, "the plugin gives exemplars");
    let found = "exemplars e join spans s on e.trace_id = s.trace_id and e.span_id = s.span_id";
    assert_eq!(client.count(found).await, exemplars);
}

#[tokio::test]
async fn a_graceful_restart_counts_on() {
    let mut server = Server::start();
    let start = now_nanos() - 60_000_000_000;
    server.client().otlp("traces", load::traces(1, 400, start)).await.ok();
    assert!(server.stop().success());
    server.start_again();
    let client = server.client();
    client.otlp("traces", load::traces(2, 400, start)).await.ok();
    client.flush().await;
    check_all(&client).await;
}
