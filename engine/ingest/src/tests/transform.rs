//! Transformers on the write path: what is stored, what is set aside, and what is nowhere.

use isinglass_testkit::otlp;

use super::*;

const SECRET: &str = "ann@example.org";

/// The built-in validator behind a transformer from `plugins/dist`.
fn chain(file: &str, config: serde_json::Value) -> serde_json::Value {
    let path = format!("{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"));
    json!({
        "bindings": [
            { "name": "validate", "source": "builtin:validate", "world": "validator" },
            { "name": "first", "source": format!("file:{path}"), "world": "transformer", "config": config,
              "budget": { "cpu_hard_ms": 2_000 } },
        ],
        "tenants": { "calm": { "first": { "does": "" } } },
    })
}

fn redact(config: serde_json::Value) -> serde_json::Value {
    let mut chain = chain("examples/redact", config);
    chain["tenants"] = json!({});
    chain
}

impl Rig {
    /// What is in the head of a table, as text.
    pub(super) async fn shown(&self, kind: Kind) -> String {
        let view = self.ingest.store().view(&Tenant::default()).await.unwrap();
        let batches = view.table(kind).head_batches(&HeadFilter::default()).unwrap();
        batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|row| crate::refused::row_text(batch, row)))
            .collect::<Vec<_>>()
            .join("\n")
    }

    pub(super) async fn labels(&self) -> Vec<String> {
        let view = self.ingest.store().view(&Tenant::default()).await.unwrap();
        let mut labels: Vec<_> = view
            .series()
            .series(&[], None, 1_000)
            .unwrap()
            .items
            .iter()
            .map(|s| s.labels.to_string())
            .collect();
        labels.sort();
        labels
    }

    /// All files below the folder, as they are on disk.
    fn on_disk(&self) -> Vec<u8> {
        fn read(folder: &std::path::Path, into: &mut Vec<u8>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => read(&entry.path(), into),
                    false => into.extend(std::fs::read(entry.path()).unwrap()),
                }
            }
        }
        let mut bytes = Vec::new();
        read(self.dir.path(), &mut bytes);
        bytes
    }

    pub(super) fn hides(&self, secret: &str) -> bool {
        !self.on_disk().windows(secret.len()).any(|window| window == secret.as_bytes())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_redacted_reaches_neither_table_nor_disk() {
    let rig = Rig::with_chain(redact(json!({ "emails": true, "keys": ["user", "password"] }))).await;
    let now = NOW.unsigned_abs();
    let long = format!("{SECRET} {}", "x".repeat(300 << 10));
    let body = loki::request(&[
        loki::Stream::new("{app=\"a\", user=\"ann\"}")
            .line(now, &format!("mail to {SECRET}"))
            .line(now, &long),
        // Decode refuses it before any plugin sees it.
        loki::Stream::new(&format!("{{app=\"{SECRET}")).line(now, SECRET),
    ]);
    let outcome = rig.push(Protocol::LokiPush, body).await.unwrap();
    assert_eq!(outcome.counts, counts(3, 1, &[("invalid_labels", 1), ("line_too_long", 1)]));
    assert!(outcome.fault_text().contains(SECRET), "its sender is told: {}", outcome.fault_text());
    let logs = rig.shown(Kind::Logs).await;
    assert!(logs.contains(r#""body":"mail to ***""#) && logs.contains(r#"user=\"***\""#), "{logs}");
    let rejected = rig.shown(Kind::Rejected).await;
    assert!(rejected.contains(r#"\"body\":\"*** xxx"#), "a validator's refusal, as it was transformed");
    assert!(rejected.contains(r#"{\"withheld\":\"no transformer has seen it\"}"#), "{rejected}");
    assert!(rig.hides(SECRET));
    rig.ingest.flush().await.unwrap();
    assert!(rig.hides(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_spans_are_counted_and_kept_nowhere() {
    let rig =
        Rig::with_chain(redact(json!({ "drop_spans": ["GET /healthz"], "remove": ["net.peer.ip"] }))).await;
    let span = |name: &str, n: u8| {
        let mut span = otlp::Span::server(name, NOW.unsigned_abs(), NOW.unsigned_abs() + 5);
        (span.trace_id, span.span_id) = (vec![n; 16], vec![n; 8]);
        span.attributes.push(otlp::text("net.peer.ip", "10.9.8.7"));
        span
    };
    let spans = [span("GET /healthz", 1), span("GET /", 2), span("GET /healthz", 3)];
    let body = otlp::traces(&[otlp::text("service.name", "shop")], &spans);
    let outcome = rig.push(Protocol::OtlpTraces, body).await.unwrap();
    assert_eq!(outcome.counts, counts(3, 1, &[("dropped:span_name", 2)]));
    assert_eq!((outcome.counts.refused_total(), outcome.faults), (0, vec![]));
    assert_eq!(rig.rows("default", Kind::Rejected).await, 0);
    let spans = rig.shown(Kind::Spans).await;
    assert!(!spans.contains("10.9.8.7"), "{spans}");
    assert!(rig.hides("healthz") && rig.hides("10.9.8.7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn label_sets_become_others_once_and_for_all_senders() {
    let rig = Rig::with_chain(redact(
        json!({ "remove": ["pod"], "rename": ["env=environment"], "keys": ["user"] }),
    ))
    .await;
    let request = |at: i64| {
        remote_write::request(&[
            Series::new(&[("__name__", "up"), ("env", "x"), ("pod", "a")]).sample(at, 1.0),
            Series::new(&[("__name__", "up"), ("env", "x"), ("pod", "b")]).sample(at + 1, 2.0),
            Series::new(&[("__name__", "up"), ("environment", "x")]).sample(at + 2, 3.0),
            Series::new(&[("__name__", "up"), ("user", "ann-secret")]).sample(at, 4.0),
            Series::new(&[("__name__", "up"), ("env", "x"), ("environment", "secret")]).sample(at, 5.0),
            Series::new(&[("__name__", "up"), ("env", &"v".repeat(2_049)), ("user", "bob-secret")])
                .sample(at, 6.0),
        ])
    };
    let rejected = [("duplicate_label_names", 1), ("label_value_too_long", 1)];
    for n in 0..3 {
        let outcome = rig.push(Protocol::RemoteWrite1, request(NOW_MS + 10 * n)).await.unwrap();
        assert_eq!(outcome.counts, counts(6, 4, &rejected), "{n}: {}", outcome.fault_text());
    }
    assert_eq!(rig.labels().await, ["up{environment=\"x\"}", "up{user=\"***\"}"]);
    assert_eq!(rig.rows("default", Kind::Samples).await, 12);
    let shown = rig.shown(Kind::Rejected).await;
    assert!(shown.contains(r#"user=\\\"***\\\""#) && shown.contains("withheld"), "{shown}");
    assert!(rig.hides("secret"));
    // The first request showed six label sets, the others none but what a failure left open.
    let stats = rig.ingest.chains().current().stats();
    assert_eq!(stats.iter().find(|stats| stats.binding == "first").unwrap().rows, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_moved_series_do_not_pile_up() {
    let rig = Rig::with_chain(redact(json!({ "remove": ["pod"] }))).await;
    let pod = |n: usize| format!("{n:06}{}", "p".repeat(1_900));
    for round in 0..6 {
        let series: Vec<_> = (0..1_000)
            .map(|n| {
                let at = NOW_MS + 1_000 * round + n;
                Series::new(&[("__name__", "up"), ("pod", &pod((1_000 * round + n) as usize))])
                    .sample(at, 1.0)
            })
            .collect();
        let outcome = rig.push(Protocol::RemoteWrite1, remote_write::request(&series)).await.unwrap();
        assert_eq!(outcome.counts, counts(1_000, 1_000, &[]));
    }
    assert_eq!(rig.labels().await, ["up{}"]);
    // A label set whose text was let go of is known all the same.
    let again = Series::new(&[("__name__", "up"), ("pod", &pod(1))]).sample(NOW_MS + 9_000, 1.0);
    let outcome = rig.push(Protocol::RemoteWrite1, remote_write::request(&[again])).await.unwrap();
    assert_eq!(outcome.counts, counts(1, 1, &[]));
    assert_eq!(rig.labels().await, ["up{}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_transformer_failed_over_is_refused_and_stored_nowhere() {
    let rig = Rig::with_chain(chain("test/hostile-transformer", json!({ "does": "trap" }))).await;
    let line = loki::request(&[loki::Stream::new("{app=\"a\"}").line(NOW.unsigned_abs(), SECRET)]);
    let sample = remote_write::request(&[series("up", 1).sample(NOW_MS, 1.0)]);
    for _ in 0..8 {
        for (protocol, body) in [(Protocol::LokiPush, &line), (Protocol::RemoteWrite1, &sample)] {
            let error = rig.push(protocol, body.clone()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.retry_after().is_some());
            assert!(error.to_string().starts_with("transformer first failed ("), "{error}");
        }
    }
    for kind in Kind::ALL {
        assert_eq!(rig.rows("default", kind).await, 0, "{kind}");
    }
    assert!(rig.hides(SECRET));
    let stats = rig.ingest.stats();
    for stats in stats.tenants["default"].signals.values() {
        assert_eq!(stats.counts, counts(8, 0, &[("plugin_error", 8)]));
    }
    // Where it does not fail, the same requests are taken.
    let outcome = rig.push_as("calm", Protocol::LokiPush, line).await.unwrap();
    assert_eq!(outcome.counts, counts(1, 1, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_failed_transformer_refuses_are_withheld() {
    let mut bindings = chain("test/hostile-transformer", json!({ "does": "not_json" }));
    bindings["bindings"][1]["on_error"] = json!("reject");
    bindings["bindings"][1]["signals"] = json!(["logs"]);
    let rig = Rig::with_chain(bindings).await;
    let line = loki::request(&[loki::Stream::new("{app=\"a\"}").line(NOW.unsigned_abs(), SECRET)]);
    let outcome = rig.push(Protocol::LokiPush, line).await.unwrap();
    assert_eq!(outcome.counts, counts(1, 0, &[("plugin_error", 1)]));
    assert!(rig.shown(Kind::Rejected).await.contains("withheld"));
    assert!(rig.hides(SECRET));
    // Another signal does not notice.
    let sample = remote_write::request(&[series("up", 1).sample(NOW_MS, 1.0)]);
    assert_eq!(rig.push(Protocol::RemoteWrite1, sample).await.unwrap().counts, counts(1, 1, &[]));
}

/// A label set that a transformer makes is shown to it when it comes over the wire.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_no_exception_when_it_arrives() {
    let rig = Rig::with_chain(redact(json!({ "rename": ["a=b", "b=c"] }))).await;
    let one = |label: &str| Series::new(&[("__name__", "up"), (label, "1")]);
    for (at, label) in [(0, "a"), (1, "b"), (2, "a"), (3, "b"), (4, "c")] {
        let body = remote_write::request(&[one(label).sample(NOW_MS + at, 1.0)]);
        assert_eq!(rig.push(Protocol::RemoteWrite1, body).await.unwrap().counts, counts(1, 1, &[]));
    }
    assert_eq!(rig.labels().await, ["up{b=\"1\"}", "up{c=\"1\"}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_exemplars_are_transformed_too() {
    let rig = Rig::with_chain(redact(json!({ "keys": ["user"], "remove": ["pod"] }))).await;
    let series = series("up", 1).sample(NOW_MS, 1.0);
    let series = series.exemplar(&[("user", "ann-secret"), ("zone", "1"), ("pod", "p-secret")], NOW_MS, 1.0);
    let outcome = rig.push(Protocol::RemoteWrite1, remote_write::request(&[series])).await.unwrap();
    assert_eq!(
        outcome.counts,
        Counts { stored_exemplars: 1, ..counts(2, 2, &[]) },
        "{}",
        outcome.fault_text()
    );
    let shown = rig.shown(Kind::Exemplars).await;
    assert!(shown.contains(r#""user":"\"***\"""#) && shown.contains(r#""zone":"\"1\"""#), "{shown}");
    assert!(!shown.contains("pod") && rig.hides("secret"), "{shown}");
}
