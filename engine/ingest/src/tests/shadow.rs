//! Plugins that are tried out: what is said of them, and that nothing else changes.

use isinglass_testkit::otlp;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::*;

const SECRET: &str = "ann@example.org";

fn binding(name: &str, world: &str, file: &str, config: Value) -> Value {
    let path = format!("{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"));
    json!({ "name": name, "world": world, "source": format!("file:{path}"), "config": config })
}

fn tried(name: &str, world: &str, file: &str, config: Value) -> Value {
    let mut binding = binding(name, world, file, config);
    binding["shadow"] = json!(true);
    binding
}

fn deny(services: &[&str]) -> Value {
    json!({ "services": services })
}

async fn rig(bindings: &[Value]) -> Rig {
    Rig::with_chain(json!({ "bindings": bindings })).await
}

fn spans(service: &str, count: u8) -> Vec<u8> {
    let span = |n: u8| otlp::Span {
        span_id: vec![n + 1; 8],
        attributes: vec![otlp::text("user", SECRET)],
        ..otlp::Span::server("GET /", NOW as u64, NOW as u64 + 1_000)
    };
    otlp::traces(&[otlp::text("service.name", service)], &(0..count).map(span).collect::<Vec<_>>())
}

impl Rig {
    /// Rows of `shadow`.
    async fn said(&self) -> Vec<Value> {
        self.ingest.settle_shadows().await.unwrap();
        let text = self.shown(Kind::Shadow).await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The same, added up: `what sender reason live field` and the number of items.
    async fn sums(&self) -> Vec<(String, u64)> {
        let mut sums = std::collections::BTreeMap::<String, u64>::new();
        for row in self.said().await {
            let parts = ["what", "sender", "reason", "live", "field"]
                .map(|key| row[key].as_str().unwrap_or("-").to_owned());
            *sums.entry(parts.join(" ")).or_default() += row["items"].as_u64().unwrap();
        }
        sums.into_iter().collect()
    }

    async fn has_said(&self, wanted: &[(&str, u64)]) {
        let wanted: Vec<_> = wanted.iter().map(|(group, items)| ((*group).to_owned(), *items)).collect();
        assert_eq!(self.sums().await, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_validator_would_refuse_is_told_beside_what_the_live_one_did() {
    let validator = |shadow: bool, services: &[&str]| {
        let make = if shadow { tried } else { binding };
        make("deny", "validator", "examples/deny-service", deny(services))
    };
    let rig = rig(&[validator(false, &["bots", "both"]), validator(true, &["shop", "both"])]).await;
    for (service, count) in [("shop", 5), ("bots", 3), ("both", 2), ("other", 1)] {
        rig.push(Protocol::OtlpTraces, spans(service, count)).await.unwrap();
    }
    assert_eq!(rig.rows("default", Kind::Spans).await, 6);
    assert_eq!(rig.rows("default", Kind::Rejected).await, 5);
    rig.has_said(&[
        ("kept bots - service_denied -", 3),
        ("refused both service_denied service_denied -", 2),
        ("refused shop service_denied kept -", 5),
        ("seen both - - -", 2),
        ("seen bots - - -", 3),
        ("seen other - - -", 1),
        ("seen shop - - -", 5),
    ])
    .await;
    let said = rig.said().await;
    let example = said.iter().find(|row| row["sender"] == "shop" && row["what"] == "refused").unwrap();
    assert!(example["message"].as_str().unwrap().contains("shop"), "{example}");
    assert!(example["item"].as_str().unwrap().contains(r#""name":"GET /""#), "{example}");
    assert_eq!((&example["name"], &example["world"]), (&json!("deny"), &json!("validator")));
    assert_eq!(rig.ingest.shadow_stats().skipped, 0);
}

/// One side of a call, in a request of its own.
fn side(service: &str, kind: u64, id: u8, parent: u8) -> Vec<u8> {
    let span = otlp::Span {
        kind,
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        ..otlp::Span::server("call", NOW as u64, NOW as u64 + 1_000)
    };
    otlp::traces(&[otlp::text("service.name", service)], &[span])
}

const CLIENT: u64 = 3;
const SERVER: u64 = 2;

impl Rig {
    /// Series of a metric that a trial would add to, and how much.
    async fn derived(&self, metric: &str) -> Vec<(Value, f64)> {
        let metric = format!("traces_service_graph_{metric}_total");
        let said = self.said().await.into_iter().filter(|row| row["field"] == metric.as_str());
        let mut said: Vec<_> = said
            .map(|row| {
                let labels = serde_json::from_str(row["item"].as_str().unwrap()).unwrap();
                (labels, row["value"].as_f64().unwrap())
            })
            .collect();
        said.sort_by_key(|(labels, _): &(Value, f64)| labels.to_string());
        said
    }
}

/// Halves of a trial wait apart from those of what is enforced, within the trial's own bounds, and
/// go with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deriver_that_pairs_rows_does_so_on_trial() {
    let graph = |shadow: bool, wait_ms: u32| {
        let config = json!({ "service_graph": { "wait_ms": wait_ms, "pending_max": 3 } });
        let source = "builtin:span-metrics";
        json!({ "name": "graph", "source": source, "world": "deriver", "shadow": shadow, "config": config })
    };
    let rig = rig(&[graph(false, 60_000), graph(true, 2_000)]).await;
    let push = async |body| _ = rig.push(Protocol::OtlpTraces, body).await.unwrap();
    push(side("shop", CLIENT, 1, 0)).await;
    assert_eq!(rig.derived("request").await, []);
    push(side("cart", SERVER, 2, 1)).await;
    let called = |client: &str, server: &str| json!({ "client": client, "server": server });
    assert_eq!(rig.derived("request").await, [(called("shop", "cart"), 1.0)]);
    // What is alone is told once its wait is over, which is that of the trial.
    push(side("shop", CLIENT, 3, 0)).await;
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(rig.derived("unpaired_spans").await, []);
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(rig.derived("unpaired_spans").await, [(json!({ "client": "shop" }), 1.0)]);
    for id in 10..15 {
        push(side("shop", CLIENT, id, 0)).await;
    }
    assert_eq!(rig.derived("dropped_spans").await.iter().map(|(_, spans)| spans).sum::<f64>(), 2.0);
    assert_eq!(rig.ingest.shadow_stats().skipped, 0);
    // What waits at a stop is told then: the three of one client.
    let rows = rig.rows("default", Kind::Shadow).await;
    let rig = rig.restart().await;
    assert_eq!(rig.rows("default", Kind::Shadow).await, rows + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_field_by_field() {
    let config =
        json!({ "keys": ["user"], "rename": ["http.method=method"], "drop_spans": ["GET /healthz"] });
    let rig = rig(&[tried("redact", "transformer", "examples/redact", config)]).await;
    let span = |name: &str, n: u8| otlp::Span {
        span_id: vec![n; 8],
        attributes: vec![otlp::text("user", SECRET), otlp::text("http.method", "GET")],
        ..otlp::Span::server(name, NOW as u64, NOW as u64 + 1)
    };
    let all = [span("GET /", 1), span("GET /", 2), span("GET /healthz", 3)];
    rig.push(Protocol::OtlpTraces, otlp::traces(&[otlp::text("service.name", "shop")], &all)).await.unwrap();
    let samples = remote_write::request(&[
        Series::new(&[("__name__", "up"), ("job", "api"), ("user", "ann")])
            .sample(NOW_MS, 1.0)
            .sample(NOW_MS + 1, 1.0),
        Series::new(&[("__name__", "up"), ("job", "api")]).sample(NOW_MS, 1.0),
    ]);
    rig.push(Protocol::RemoteWrite1, samples).await.unwrap();
    assert_eq!((rig.rows("default", Kind::Spans).await, rig.rows("default", Kind::Samples).await), (3, 3));
    assert!(rig.shown(Kind::Spans).await.contains(SECRET), "nothing is changed");
    let said = rig.said().await;
    let changed = |field: &str| {
        let row = said.iter().find(|row| row["what"] == "changed" && row["field"] == field);
        let row = row.unwrap_or_else(|| panic!("{field} in {said:#?}"));
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        (text("sender"), text("before"), text("after"))
    };
    let of =
        |sender: &str, before: &str, after: &str| (sender.to_owned(), before.to_owned(), after.to_owned());
    assert_eq!(changed("attributes['user']"), of("shop", &format!("\"{SECRET}\""), "\"***\""));
    assert_eq!(changed("labels['user']"), of("api", "ann", "***"));
    let sums = rig.sums().await;
    let items = |group: &str| sums.iter().find(|(known, _)| known == group).map(|(_, items)| *items);
    assert_eq!(items("changed shop - kept attributes['user']"), Some(2));
    assert_eq!(items("changed api - kept labels['user']"), Some(2));
    assert_eq!(items("dropped shop span_name kept -"), Some(1));
    assert_eq!(items("seen api - - -"), Some(3));
}

/// What a live redactor takes out, no plugin that is tried out is shown.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_redacted_leaks() {
    let live = binding("redact", "transformer", "examples/redact", json!({ "emails": true }));
    let candidate = tried("redact", "transformer", "examples/redact", json!({ "keys": ["user"] }));
    // In the list it stands before the live one.
    let refuse = tried("deny", "validator", "examples/deny-service", deny(&["shop"]));
    let rig = rig(&[candidate, refuse, live]).await;
    rig.push(Protocol::OtlpTraces, spans("shop", 3)).await.unwrap();
    let stream =
        loki::Stream::new(&format!("{{service_name=\"shop\", user=\"{SECRET}\"}}")).line(NOW as u64, SECRET);
    rig.push(Protocol::LokiPush, loki::request(&[stream])).await.unwrap();
    let labels = [("__name__", "up"), ("job", "shop"), ("user", SECRET)];
    let samples = remote_write::request(&[Series::new(&labels).sample(NOW_MS, 1.0)]);
    rig.push(Protocol::RemoteWrite1, samples).await.unwrap();
    let said = rig.said().await;
    assert!(said.len() >= 6, "{said:#?}");
    assert!(rig.hides(SECRET));
    rig.ingest.flush().await.unwrap();
    assert!(rig.hides(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn limiters_and_derivers_take_and_count_apart() {
    let limit = json!({ "items_per_second": 4, "items_burst": 4 });
    let rig = rig(&[
        json!({ "name": "span-metrics", "source": "builtin:span-metrics", "world": "deriver" }),
        tried("limit", "limiter", "rate-limit", limit),
        tried("span-metrics", "deriver", "span-metrics", json!({})),
    ])
    .await;
    for _ in 0..2 {
        rig.push(Protocol::OtlpTraces, spans("shop", 3)).await.unwrap();
        rig.push(Protocol::OtlpTraces, spans("bots", 3)).await.unwrap_or_else(|error| panic!("{error}"));
    }
    // The second pair is a repeat.
    rig.ingest.tick().await.unwrap();
    let calls = rig.values("traces_spanmetrics_calls_total").await;
    assert_eq!(calls.values().sum::<f64>(), 6.0);
    let said = rig.said().await;
    let of = |what: &str, field: &str| {
        let rows =
            said.iter().filter(|row| row["what"] == what && row["field"].as_str().unwrap_or("") == field);
        rows.map(|row| {
            (row["sender"].as_str().unwrap().to_owned(), row["items"].clone(), row["value"].as_f64())
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(of("refused", ""), [("bots".to_owned(), json!(3), None)]);
    let derived: f64 = of("derived", "traces_spanmetrics_calls_total").iter().map(|row| row.2.unwrap()).sum();
    assert_eq!(derived, 6.0);
    let labels = said.iter().find(|row| row["field"] == "traces_spanmetrics_calls_total").unwrap();
    assert!(labels["item"].as_str().unwrap().contains(r#""service":"#), "{labels}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_left_alone_and_nobody_else_notices() {
    for does in ["trap", "spin", "grow"] {
        let rig = rig(&[{
            let mut hostile = tried("x", "validator", "test/hostile-validator", json!({ "does": does }));
            hostile["budget"] = json!({ "cpu_soft_ms": 5, "cpu_hard_ms": 50 });
            hostile
        }])
        .await;
        for n in 0..8 {
            let outcome = rig.push(Protocol::OtlpTraces, spans(&format!("s{n}"), 2)).await.unwrap();
            assert_eq!(outcome.counts.stored, 2);
        }
        assert_eq!(rig.rows("default", Kind::Spans).await, 16);
        let sums = rig.sums().await;
        let failed: u64 =
            sums.iter().filter(|(group, _)| group.starts_with("failed")).map(|(_, items)| items).sum();
        assert_eq!(failed, 16, "{does}: {sums:?}");
        assert!(
            sums.iter().any(|(group, items)| group == "failed  open - -" && *items == 6),
            "{does}: {sums:?}"
        );
    }
}

/// A request of any protocol, about things that the plugins below have an opinion on.
fn request() -> impl Strategy<Value = (Protocol, Vec<u8>)> {
    let service = prop::sample::select(vec!["shop", "bots", "web"]);
    let name = prop::sample::select(vec!["GET /", "GET /healthz", "POST /"]);
    let spans = (service.clone(), prop::collection::vec((name, any::<u8>(), any::<bool>()), 0..6));
    let spans = spans.prop_map(|(service, spans)| {
        let span = |(name, n, user): (&str, u8, bool)| otlp::Span {
            span_id: vec![n.max(1); 8],
            attributes: if user { vec![otlp::text("user", SECRET)] } else { Vec::new() },
            ..otlp::Span::server(name, NOW as u64 + u64::from(n), NOW as u64 + 1_000)
        };
        let spans: Vec<_> = spans.into_iter().map(span).collect();
        (Protocol::OtlpTraces, otlp::traces(&[otlp::text("service.name", service)], &spans))
    });
    let logs = (service, prop::collection::vec((any::<u8>(), "[a-z@. ]{0,20}"), 1..5)).prop_map(
        |(service, lines)| {
            let stream = loki::Stream::new(&format!("{{service_name=\"{service}\"}}"));
            let stream =
                lines.iter().fold(stream, |stream, (n, line)| stream.line(NOW as u64 + u64::from(*n), line));
            (Protocol::LokiPush, loki::request(&[stream]))
        },
    );
    let labels =
        ("[a-c]", prop::sample::select(vec!["short", "a value that is too long for the limit"]), any::<u8>());
    let samples = prop::collection::vec(labels, 1..6).prop_map(|all| {
        let series = all.iter().map(|(name, value, n)| {
            Series::new(&[("__name__", name), ("user", value), ("job", "j")])
                .sample(NOW_MS + i64::from(*n), f64::from(*n))
        });
        (Protocol::RemoteWrite1, remote_write::request(&series.collect::<Vec<_>>()))
    });
    prop_oneof![spans, logs, samples]
}

/// The same requests, with and without plugins that are tried out beside the same chain: the same
/// answers and the same tables.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_tried_out_changes_what_is_stored() {
    let live = || {
        vec![
            binding("redact", "transformer", "examples/redact", json!({ "keys": ["user"], "mask": "x" })),
            binding("validate", "validator", "validate", json!({ "label_value_bytes_max": 20 })),
            binding("deny", "validator", "examples/deny-service", deny(&["bots"])),
            binding("limit", "limiter", "rate-limit", json!({ "items_per_second": 1, "items_burst": 150 })),
            binding("span-metrics", "deriver", "span-metrics", json!({})),
        ]
    };
    let mut beside = live();
    beside.extend([
        tried(
            "redact",
            "transformer",
            "examples/redact",
            json!({ "emails": true, "drop_spans": ["GET /"], "rename": ["user=u"] }),
        ),
        tried(
            "validate",
            "validator",
            "validate",
            json!({ "label_value_bytes_max": 3, "line_bytes_max": 5 }),
        ),
        tried("deny", "validator", "examples/deny-service", deny(&["shop"])),
        tried("limit", "limiter", "rate-limit", json!({ "items_per_second": 1, "items_burst": 10 })),
        tried("span-metrics", "deriver", "span-metrics", json!({})),
        tried("hostile", "validator", "test/hostile-validator", json!({ "does": "trap" })),
    ]);
    let (without, with) = (rig(&live()).await, rig(&beside).await);
    let (mut runner, strategy) = (TestRunner::deterministic(), request());
    for at in 0..80 {
        let (protocol, body) = strategy.new_tree(&mut runner).unwrap().current();
        let answers = [without.push(protocol, body.clone()).await, with.push(protocol, body).await];
        let [one, other] = answers.map(|answer| match answer {
            Ok(outcome) => Ok((outcome.counts, outcome.faults, outcome.duplicate)),
            Err(error) => Err(error.to_string()),
        });
        assert_eq!(one, other, "request {at}");
        if at % 20 == 19 {
            for rig in [&without, &with] {
                rig.ingest.tick().await.unwrap();
                rig.clock.advance(Duration::from_secs(1));
            }
        }
    }
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Shadow) {
        let sorted = |text: String| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let (one, other) = (sorted(without.shown(kind).await), sorted(with.shown(kind).await));
        assert_eq!(one, other, "{kind}");
    }
    assert_eq!(without.ingest.stats(), with.ingest.stats());
    assert_eq!(without.rows("default", Kind::Shadow).await, 0);
    let sums = with.sums().await;
    for what in ["refused", "changed", "dropped", "derived", "failed", "seen", "kept"] {
        assert!(sums.iter().any(|(group, _)| group.starts_with(what)), "{what} in {sums:#?}");
    }
}
