//! What the configuration of `span-metrics` changes, as Prometheus' API shows it, and what bounds it.

use std::collections::BTreeMap;

use isinglass_testkit::otlp::{self, Attribute, Span, Value, text};

use crate::harness::{Client, Server, now_nanos};
use crate::service_graph::query;

fn span(name: &str, at: u8, attributes: Vec<Attribute>) -> Span {
    let start = now_nanos() - 2_000_000_000;
    Span { span_id: vec![at + 1; 8], attributes, ..Span::server(name, start, start + 3_000_000) }
}

async fn send(client: &Client, spans: &[Span]) {
    client.otlp("traces", otlp::traces(&[text("service.name", "shop")], spans)).await.ok();
}

/// The values of a query by one label.
async fn by(client: &Client, metric: &str, label: &str) -> BTreeMap<String, f64> {
    query(client, &format!("sum by ({label}) ({metric})")).await
}

fn values<const N: usize>(label: &str, values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    values.map(|(value, number)| (format!("{label}={value}"), number)).into()
}

#[tokio::test]
async fn the_profiles_run_beside_each_other() {
    let server = Server::start_with(
        r#"
        [[plugins.bindings]]
        name = "span-metrics"
        source = "builtin:span-metrics"
        world = "deriver"

        [plugins.config.span-metrics]
        span_multiplier_attribute = "ratio"
        span_name_sanitizing = "on"
        span_name_patterns = ["GET /users/<_>"]

        [[plugins.bindings]]
        name = "of-otel"
        source = "builtin:span-metrics"
        world = "deriver"

        [plugins.config.of-otel]
        profile = "otel"
        unit = "ms"

        [[plugins.config.of-otel.filter_policies]]
        include = { match_type = "regex", attributes = [{ key = "name", value = "^(GET|PUT) /" }] }
        exclude = { match_type = "glob", attributes = [{ key = "name", value = "*health*" }] }
        "#,
    );
    let client = server.client();
    let ratio = vec![("ratio".to_owned(), Value::Double(0.25))];
    let mut spans = vec![span("GET /orders/1", 0, ratio)];
    let names = ["GET /orders/2", "GET /health", "GET /users/bob", "tick"];
    spans.extend((1..).zip(names).map(|(at, name)| span(name, at, vec![])));
    send(&client, &spans).await;
    client.flush().await;
    let tempo = [("GET /orders/<_>", 5.0), ("GET /health", 1.0), ("GET /users/<_>", 1.0), ("tick", 1.0)];
    let tempo = values("span_name", tempo);
    assert_eq!(by(&client, "traces_spanmetrics_calls_total", "span_name").await, tempo);
    assert_eq!(by(&client, "traces_spanmetrics_latency_count", "span_name").await, tempo);
    let otel = [("GET /orders/1", 1.0), ("GET /orders/2", 1.0), ("GET /users/bob", 1.0)];
    let otel = values("span_name", otel);
    assert_eq!(by(&client, "traces_span_metrics_calls_total", "span_name").await, otel);
    let sums = by(&client, "traces_span_metrics_duration_milliseconds_sum", "service_name").await;
    assert_eq!(sums, values("service_name", [("shop", 9.0)]));
    let edges = query(&client, "traces_service_graph_request_total").await;
    assert_eq!(
        edges,
        BTreeMap::from([("client=user connection_type=virtual_node server=shop".to_owned(), 8.0)])
    );
    for (name, count) in [("sanitized_span_names", 3.0), ("span_names", 5.0), ("span_names_sanitized", 4.0)] {
        let label = format!("name=\"{name}\"");
        assert!(client.metric("isinglass_plugin_counter_total", &[&label]).await >= count, "{name}");
    }
}

#[tokio::test]
async fn series_and_values_of_labels_are_bounded() {
    let names = ["a", "b", "c", "d"];
    let spans: Vec<Span> = names.iter().zip(0..).map(|(name, at)| span(name, at, vec![])).collect();
    let calls = "traces_spanmetrics_calls_total";

    let few_series = Server::start_with("[ingest]\nderived_series_max = 3\n");
    send(&few_series.client(), &spans).await;
    few_series.client().flush().await;
    let found = by(&few_series.client(), calls, "metric_overflow").await;
    assert_eq!(found, BTreeMap::from([(String::new(), 3.0), ("metric_overflow=true".to_owned(), 1.0)]));

    let few_values = Server::start_with("[ingest]\nderived_label_values_max = 2\n");
    send(&few_values.client(), &spans).await;
    few_values.client().flush().await;
    let wanted = values("span_name", [("a", 1.0), ("b", 1.0), ("__cardinality_overflow__", 2.0)]);
    assert_eq!(by(&few_values.client(), calls, "span_name").await, wanted);
}

#[tokio::test]
async fn what_is_broken_is_counted_and_in_no_metric() {
    let server = Server::start();
    let client = server.client();
    let broken = vec![("blob".to_owned(), Value::Bytes(vec![0xff, 0xfe]))];
    let backwards = Span { end_unix_nanos: now_nanos() - 9_000_000_000, ..span("backwards", 1, vec![]) };
    send(&client, &[span("broken", 0, broken), backwards, span("whole", 2, vec![])]).await;
    client.flush().await;
    let calls = by(&client, "traces_spanmetrics_calls_total", "span_name").await;
    assert_eq!(calls, values("span_name", [("backwards", 1.0), ("whole", 1.0)]));
    assert_eq!(client.count("rejected where reason = 'invalid_utf8'").await, 1);
    let seconds = by(&client, "traces_spanmetrics_latency_sum", "span_name").await;
    assert_eq!(seconds, values("span_name", [("backwards", 0.0), ("whole", 0.003)]));
}
