//! Refused items that are sent again: stored once, whole, and counted.

use std::collections::HashSet;

use isinglass_chain::{Binding, World};
use isinglass_model::kind::Signal;
use isinglass_testkit::otlp;
use serde_json::Value;

use super::*;
use crate::{Reingested, RejectedRow};

fn component(file: &str) -> Vec<u8> {
    let path = format!("{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

impl Rig {
    /// With a chain that others can be installed in.
    async fn changing(chain: Value) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let ingest = Self::changing_in(&dir, &clock, chain).await;
        Self { dir, clock, ingest }
    }

    async fn changing_in(dir: &TempDir, clock: &Arc<ManualClock>, chain: Value) -> Ingest {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        let chain: ChainConfig = serde_json::from_value(chain).unwrap();
        let chains = Arc::new(LiveChain::load(chain, dir.path(), Arc::clone(&clock)).unwrap());
        let store = StoreConfig { data_dir: dir.path().join("store"), ..StoreConfig::default() };
        let config = IngestConfig { tick_interval_ms: 3_600_000, ..IngestConfig::default() };
        Ingest::start(store, chains, config, LogsConfig::default(), clock).await.unwrap()
    }

    async fn rejected(&self) -> Vec<RejectedRow> {
        let text = self.shown(Kind::Rejected).await;
        let row = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            RejectedRow {
                time: row["time"].as_i64().unwrap(),
                signal: Signal::ALL.into_iter().find(|signal| signal.as_str() == text("signal")).unwrap(),
                reason: text("reason"),
                message: text("message"),
                plugin: text("plugin"),
                digest: text("digest"),
                item: text("item"),
            }
        };
        text.lines().map(row).collect()
    }

    async fn marks(&self) -> HashSet<String> {
        let text = self.shown(Kind::Reingested).await;
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends all rows of `rejected` again.
    async fn again(&self, dry_run: bool) -> Reingested {
        self.some_again(dry_run, usize::MAX).await
    }

    async fn some_again(&self, dry_run: bool, limit: usize) -> Reingested {
        let turn = self.ingest.reingest_turn().await;
        let (rows, marks) = (self.rejected().await, self.marks().await);
        self.ingest.reingest(&turn, &Tenant::default(), rows, (&marks, limit), dry_run).await
    }

    fn limit(&self, config: Value) {
        let binding = Binding::builtin("v", World::Validator, config);
        self.ingest.chains().install(binding, &component("validate")).unwrap();
    }

    async fn sorted(&self, kind: Kind) -> Vec<String> {
        let mut lines: Vec<_> = self.shown(kind).await.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

fn told(report: &Reingested) -> (u64, u64, u64, Vec<(String, u64)>) {
    assert!(report.stopped.is_none(), "{report:?}");
    let rejected = report.rejected.iter().map(|(reason, items)| (reason.to_string(), *items)).collect();
    (report.stored, report.dropped, report.already, rejected)
}

/// One of everything that the strict limits refuse.
async fn push_all(rig: &Rig) {
    let long = "x".repeat(40);
    let span = otlp::Span {
        attributes: vec![otlp::text("a", &long), otlp::integer("n", 7)],
        ..otlp::Span::server(&long, NOW as u64, NOW as u64 + 5)
    };
    rig.push(Protocol::OtlpTraces, otlp::traces(&[otlp::text("service.name", "shop")], &[span]))
        .await
        .unwrap();
    let stream = loki::Stream::new("{app=\"a\", z=\"1\"}")
        .line_with(NOW as u64, &long, &[("k", "v")])
        .line(NOW as u64, &long);
    rig.push(Protocol::LokiPush, loki::request(&[stream])).await.unwrap();
    let series = Series::new(&[("__name__", "up"), ("v", &long)])
        .sample(NOW_MS, 0.1)
        .sample(NOW_MS + 1, f64::from_bits(isinglass_model::batch::STALE_NAN_BITS))
        .exemplar(&[("trace_id", "00ff"), ("k", "v")], NOW_MS, 0.5);
    let native = Series::new(&[("__name__", "native"), ("v", &long)]).histogram(NOW_MS, 10.0, &[1, 2, 3]);
    rig.push(Protocol::RemoteWrite1, remote_write::request(&[series, native])).await.unwrap();
    // Of a series that was refused before.
    let series = Series::new(&[("__name__", "up"), ("v", &long)]).sample(NOW_MS + 2, 2.0);
    rig.push(Protocol::RemoteWrite1, remote_write::request(&[series])).await.unwrap();
}

const STRICT: &str = r#"{ "span_name_bytes_max": 10, "line_bytes_max": 10, "label_value_bytes_max": 10 }"#;

/// What is sent again is what would have been stored at first, in every column.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_the_way() {
    let plain = Rig::changing(json!({})).await;
    push_all(&plain).await;
    let rig = Rig::changing(json!({})).await;
    rig.limit(serde_json::from_str(STRICT).unwrap());
    push_all(&rig).await;
    assert_eq!((rig.rows("default", Kind::Rejected).await, rig.rows("default", Kind::Logs).await), (8, 0));
    let rules: Vec<Value> =
        rig.shown(Kind::Rejected).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rules.iter().all(|row| row["rule"] == "v" && row["digest"].is_string()), "{rules:#?}");

    assert_eq!(told(&rig.again(false).await).0, 0, "the chain is as it was");
    rig.ingest.chains().remove("v", false).unwrap();
    assert_eq!(told(&rig.again(true).await), (8, 0, 0, vec![]), "a dry run");
    assert_eq!(rig.rows("default", Kind::Reingested).await, 0);
    // A week later they are not too old: they are judged as of their arrival.
    rig.clock.advance(Duration::from_secs(10 * 86_400));
    assert_eq!(told(&rig.again(false).await), (8, 0, 0, vec![]));
    for kind in [Kind::Logs, Kind::Spans, Kind::Samples, Kind::Histograms, Kind::Exemplars] {
        assert_eq!(rig.sorted(kind).await, plain.sorted(kind).await, "{kind}");
        assert!(!rig.sorted(kind).await.is_empty(), "{kind}");
    }
    assert_eq!(rig.labels().await, plain.labels().await);

    // Once, however often they are sent.
    assert_eq!(told(&rig.again(false).await), (0, 0, 8, vec![]));
    let stats = rig.ingest.stats();
    let tenant = &stats.tenants["default"];
    for (signal, of) in &tenant.signals {
        assert!(of.counts.balanced(), "{signal:?}: {:?}", of.counts);
    }
    let stored: u64 = tenant.signals.values().map(|of| of.counts.stored).sum();
    assert_eq!((stored, tenant.reingested.get("stored")), (8, Some(&8)));
    // Spans are derived from once.
    rig.ingest.tick().await.unwrap();
    assert_eq!(rig.values("traces_spanmetrics_calls_total").await.values().sum::<f64>(), 1.0);

    // Also after a restart.
    rig.ingest.close().await.unwrap();
    let Rig { dir, clock, ingest } = rig;
    let before = ingest.stats();
    drop(ingest);
    let ingest = Rig::changing_in(&dir, &clock, json!({})).await;
    let view = ingest.store().view(&Tenant::default()).await.unwrap();
    let files: u64 = view.table(Kind::Reingested).files.iter().map(|file| file.rows).sum();
    assert_eq!(files, 8, "{before:?}");
}

/// Rows that say the same are rows of their own, and what is refused again stays.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_those_that_are_alike_is_stored_once() {
    let rig = Rig::changing(json!({})).await;
    rig.limit(json!({ "line_bytes_max": 10 }));
    let long = "y".repeat(20);
    let longer = "y".repeat(30);
    let stream = loki::Stream::new("{app=\"a\"}")
        .line(NOW as u64, &long)
        .line(NOW as u64, &long)
        .line(NOW as u64, &longer);
    rig.push(Protocol::LokiPush, loki::request(&[stream])).await.unwrap();
    rig.ingest.chains().remove("v", false).unwrap();
    rig.limit(json!({ "line_bytes_max": 25 }));
    let one = rig.some_again(false, 1).await;
    assert_eq!((told(&one), one.cut), ((1, 0, 0, vec![]), true));
    assert_eq!(told(&rig.again(false).await), (1, 0, 1, vec![("line_too_long".to_owned(), 1)]));
    assert_eq!(told(&rig.again(false).await), (0, 0, 2, vec![("line_too_long".to_owned(), 1)]));
    assert_eq!((rig.rows("default", Kind::Logs).await, rig.rows("default", Kind::Rejected).await), (2, 3));
}

/// A redactor that came meanwhile sees what is sent again, and may drop it; what it must not see
/// cannot be sent.
#[tokio::test(flavor = "multi_thread")]
async fn transformers_see_what_is_sent_again() {
    let rig = Rig::changing(json!({})).await;
    rig.limit(json!({ "span_name_bytes_max": 3, "label_value_bytes_max": 3 }));
    let span = |name: &str, n: u8| otlp::Span {
        span_id: vec![n; 8],
        attributes: vec![otlp::text("user", "ann@example.org")],
        ..otlp::Span::server(name, NOW as u64, NOW as u64 + 1)
    };
    let body =
        otlp::traces(&[otlp::text("service.name", "shop")], &[span("GET /", 1), span("GET /healthz", 2)]);
    rig.push(Protocol::OtlpTraces, body).await.unwrap();
    let series = Series::new(&[("__name__", "up"), ("user", "ann")]).sample(NOW_MS, 1.0);
    let other = Series::new(&[("__name__", "up"), ("user", "ann"), ("job", "j")]).sample(NOW_MS, 1.0);
    rig.push(Protocol::RemoteWrite1, remote_write::request(&[series, other])).await.unwrap();
    assert_eq!(rig.rows("default", Kind::Rejected).await, 2, "labels are short enough");
    rig.ingest.chains().remove("v", false).unwrap();
    let config = json!({ "keys": ["user"], "drop_spans": ["GET /healthz"] });
    let redact = Binding::builtin("redact", World::Transformer, config);
    rig.ingest.chains().install(redact, &component("examples/redact")).unwrap();
    assert_eq!(told(&rig.again(false).await), (1, 1, 0, vec![]));
    assert_eq!(told(&rig.again(false).await), (0, 0, 2, vec![]));
    let spans = rig.shown(Kind::Spans).await;
    assert!(spans.contains("***") && !spans.contains("ann@"), "{spans}");

    // Decode refuses it before the redactor has seen it.
    let stream = loki::Stream::new("{broken").line(NOW as u64, "x");
    rig.push(Protocol::LokiPush, loki::request(&[stream])).await.unwrap();
    let report = rig.again(false).await;
    assert_eq!(report.unusable.into_iter().collect::<Vec<_>>(), [("withheld", 1)]);
}

/// A limiter is asked as for any request; what it refuses can be sent later.
#[tokio::test(flavor = "multi_thread")]
async fn a_limiter_puts_it_off() {
    let limit = json!({ "name": "limit", "source": "builtin:rate-limit", "world": "limiter", "config": { "items_per_second": 1, "items_burst": 2 } });
    let rig = Rig::changing(json!({ "bindings": [limit] })).await;
    rig.limit(json!({ "line_bytes_max": 1 }));
    let stream = loki::Stream::new("{app=\"a\"}").line(NOW as u64, "long").line(NOW as u64, "longer");
    rig.push(Protocol::LokiPush, loki::request(&[stream])).await.unwrap();
    rig.ingest.chains().remove("v", false).unwrap();
    let stream = loki::Stream::new("{app=\"a\"}").line(NOW as u64, "1");
    rig.push(Protocol::LokiPush, loki::request(&[stream])).await.unwrap();
    let report = rig.again(false).await;
    assert!(matches!(report.stopped, Some(IngestError::RateLimited { .. })), "{report:?}");
    assert_eq!(rig.rows("default", Kind::Logs).await, 1);
    rig.clock.advance(Duration::from_secs(2));
    assert_eq!(told(&rig.again(false).await), (2, 0, 0, vec![]));
}
