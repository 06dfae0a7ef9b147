//! Plugins with conditions: metrics, whose labels stand with the series, and trials.

use isinglass_testkit::otlp;
use serde_json::Value;

use super::*;

fn binding(name: &str, world: &str, source: &str, more: Value) -> Value {
    let mut binding = json!({ "name": name, "world": world, "source": source });
    for (key, value) in more.as_object().unwrap() {
        binding[key] = value.clone();
    }
    binding
}

fn file(name: &str) -> String {
    format!("file:{}/../../plugins/dist/examples/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}

async fn rig(bindings: &[Value]) -> Rig {
    Rig::with_chain(json!({ "bindings": bindings })).await
}

fn of(metric: &str, job: &str, more: &[(&str, &str)]) -> Series {
    Series::new(&[&[("__name__", metric), ("job", job)], more].concat())
}

impl Rig {
    /// What becomes of some series, once by themselves and once again, when their labels are known.
    async fn becomes(&self, series: impl Fn() -> Vec<Series>, wanted: Counts) {
        for _ in 0..2 {
            let outcome = self.push(Protocol::RemoteWrite1, remote_write::request(&series())).await.unwrap();
            assert_eq!(outcome.counts, wanted);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_sees_series_samples_and_histograms_of_a_service() {
    let strict = json!({ "label_value_bytes_max": 10, "future_grace_ms": 1_000 });
    let when = json!({ "service": ["pay"], "not": { "metric": ["up"] } });
    let rig =
        rig(&[binding("v", "validator", "builtin:validate", json!({ "config": strict, "when": when }))])
            .await;
    let (long, late) = ("v".repeat(11), NOW_MS + 5_000);
    let labels = [("a", long.as_str())];
    let all = || {
        vec![
            of("requests", "prod/pay", &labels).sample(NOW_MS, 1.0),
            of("requests", "shop", &labels).sample(NOW_MS, 1.0),
            of("up", "pay", &labels).sample(NOW_MS, 1.0),
        ]
    };
    rig.becomes(all, counts(3, 2, &[("label_value_too_long", 1)])).await;
    let all = || {
        let histogram = |job| of("seconds", job, &[]).histogram(late, 1.0, &[1]);
        vec![
            of("errors", "pay", &[]).sample(late, 1.0).sample(NOW_MS, 1.0),
            of("errors", "shop", &[]).sample(late, 1.0).sample(NOW_MS, 1.0),
            histogram("pay"),
            histogram("shop"),
        ]
    };
    let wanted = Counts { stored_histograms: 1, ..counts(6, 4, &[("too_far_in_future", 2)]) };
    rig.becomes(all, wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limiter_counts_samples_of_a_service() {
    let limit =
        json!({ "config": { "items_per_second": 3, "items_burst": 3 }, "when": { "service": ["pay"] } });
    let rig = rig(&[binding("l", "limiter", "builtin:rate-limit", limit)]).await;
    let push = async |job: &str, samples: i64| {
        let series = (0..samples).fold(of("up", job, &[]), |series, at| series.sample(NOW_MS + at, 1.0));
        rig.push(Protocol::RemoteWrite1, remote_write::request(&[series])).await
    };
    assert!(push("shop", 50).await.is_ok());
    assert!(push("pay", 3).await.is_ok());
    assert!(matches!(push("pay", 1).await, Err(IngestError::RateLimited { .. })));
    assert!(matches!(push("pay", 4).await, Err(IngestError::OverBurst { .. })));
    assert!(push("shop", 50).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transformer_changes_series_and_exemplars_of_a_service() {
    let redact = json!({ "config": { "keys": ["user"] }, "when": { "service": ["pay"] } });
    let rig = rig(&[binding("r", "transformer", &file("redact"), redact)]).await;
    let all = || {
        let series = |job| of("requests", job, &[("user", "ann")]).sample(NOW_MS, 1.0);
        let exemplar = |job| series(job).exemplar(&[("user", "ann-secret")], NOW_MS, 1.0);
        vec![exemplar("pay"), exemplar("shop")]
    };
    rig.becomes(all, Counts { stored_exemplars: 2, ..counts(4, 4, &[]) }).await;
    let mut series: Vec<String> = rig.values("requests").await.into_keys().collect();
    series.sort_unstable();
    assert_eq!(series, [r#"requests{job="pay", user="***"}"#, r#"requests{job="shop", user="ann"}"#]);
    let exemplars = rig.shown(Kind::Exemplars).await;
    assert_eq!(
        (exemplars.matches("***").count(), exemplars.matches("ann-secret").count()),
        (1, 1),
        "{exemplars}"
    );
}

/// A trial says of a sender what it would do with what it is shown of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_shown_what_it_would_see() {
    let when =
        json!({ "config": { "services": ["pay", "shop"] }, "when": { "service": ["pay"] }, "shadow": true });
    let limit = json!({ "config": { "items_per_second": 1, "items_burst": 1 }, "when": { "service": ["pay"] }, "shadow": true });
    let rig = rig(&[
        binding("deny", "validator", &file("deny-service"), when),
        binding("limit", "limiter", "builtin:rate-limit", limit),
    ])
    .await;
    for service in ["pay", "shop"] {
        let span = |n: u8| otlp::Span {
            span_id: vec![n + 1; 8],
            ..otlp::Span::server("GET /", NOW as u64, NOW as u64 + 1_000)
        };
        let spans: Vec<_> = (0..3).map(span).collect();
        let body = otlp::traces(&[otlp::text("service.name", service)], &spans);
        rig.push(Protocol::OtlpTraces, body).await.unwrap();
        let samples = of("up", service, &[]).sample(NOW_MS, 1.0).sample(NOW_MS + 1, 1.0);
        rig.push(Protocol::RemoteWrite1, remote_write::request(&[samples])).await.unwrap();
    }
    rig.ingest.settle_shadows().await.unwrap();
    let said = rig.shown(Kind::Shadow).await;
    let mut sums = std::collections::BTreeMap::<String, u64>::new();
    for row in said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let parts =
            ["name", "signal", "what", "sender"].map(|key| row[key].as_str().unwrap_or("-").to_owned());
        *sums.entry(parts.join(" ")).or_default() += row["items"].as_u64().unwrap();
    }
    let wanted = [
        ("deny metrics seen pay", 2),
        ("deny traces refused pay", 3),
        ("deny traces seen pay", 3),
        ("limit metrics refused pay", 2),
        ("limit metrics seen pay", 2),
        ("limit traces refused pay", 3),
        ("limit traces seen pay", 3),
    ];
    assert_eq!(sums.into_iter().collect::<Vec<_>>(), wanted.map(|(key, items)| (key.to_owned(), items)));
}
