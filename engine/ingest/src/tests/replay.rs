//! Deriving again: what comes of stored rows is what came of them when they arrived.

use isinglass_chain::Instead;
use isinglass_model::memory::MemoryLimit;
use isinglass_testkit::otlp;
use proptest::prelude::*;

use super::*;
use crate::replay::{ReplayProgress, ReplayReport, ReplayRequest};

const MINUTE_MS: i64 = 60_000;
/// Where all rows of these tests begin.
const FROM_MS: i64 = NOW_MS - 60 * MINUTE_MS;

/// When rows have come and counters are compared.
const TO_MS: i64 = NOW_MS + 5 * MINUTE_MS;

/// A span: seconds after the beginning, service, duration in milliseconds, number.
type Made = (u32, u8, u32, u32);

fn traces(spans: &[Made]) -> Vec<Vec<u8>> {
    let of = |service: u8| {
        let spans: Vec<otlp::Span> = spans.iter().filter(|span| span.1 == service).map(span).collect();
        otlp::traces(&[otlp::text("service.name", &format!("s{service}"))], &spans)
    };
    let mut services: Vec<u8> = spans.iter().map(|span| span.1).collect();
    services.sort_unstable();
    services.dedup();
    services.into_iter().map(of).collect()
}

fn span(&(seconds, _, millis, number): &Made) -> otlp::Span {
    let start = FROM_MS as u64 * 1_000_000 + u64::from(seconds) * 1_000_000_000;
    let end = start + u64::from(millis) * 1_000_000 + 1;
    let name = if number % 3 == 0 { "GET /" } else { "POST /" };
    let span_id = (u64::from(number) + 1).to_be_bytes().to_vec();
    otlp::Span { span_id, status: u64::from(number % 2) * 2, ..otlp::Span::server(name, start, end) }
}

/// Sixty minutes of spans.
fn hour() -> Vec<Made> {
    (0..600).map(|at| (at * 6, (at % 3) as u8, at % 50 * 7, at)).collect()
}

impl Rig {
    /// With ticks of a minute, which the tests write.
    async fn of_minutes(chain: serde_json::Value) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let ingest = of_minutes(&dir, &clock, chain).await;
        Self { dir, clock, ingest }
    }

    async fn restarted(self, chain: serde_json::Value) -> Self {
        self.ingest.close().await.unwrap();
        let Self { dir, clock, ingest } = self;
        drop(ingest);
        let ingest = of_minutes(&dir, &clock, chain).await;
        Self { dir, clock, ingest }
    }

    async fn send(&self, spans: &[Made]) {
        for body in traces(spans) {
            let outcome = self.push(Protocol::OtlpTraces, body).await.unwrap();
            assert!(outcome.counts.rejected.is_empty(), "{}", outcome.fault_text());
        }
        // Time goes on.
        self.clock.advance(Duration::from_secs(1));
    }

    /// All that came is counted, and the range of a request is over.
    async fn later(&self) {
        self.ingest.tick().await.unwrap();
        let now = TO_MS + MINUTE_MS;
        let left = now - self.clock.now_unix_millis();
        self.clock.advance(Duration::from_millis(u64::try_from(left).unwrap()));
    }

    fn request(&self, write: bool) -> ReplayRequest {
        ReplayRequest {
            tenant: Tenant::default(),
            name: "span-metrics".to_owned(),
            from_ms: FROM_MS,
            to_ms: TO_MS,
            instead: Instead::default(),
            write,
            memory: MemoryLimit::none(),
        }
    }

    async fn replay(&self, request: ReplayRequest) -> ReplayReport {
        self.ingest.replay(request, Arc::new(ReplayProgress::default())).await.unwrap()
    }

    /// All samples of metrics with this prefix that are in files, as text.
    async fn samples_of(&self, prefix: &str) -> Vec<String> {
        let view = self.ingest.store().view(&Tenant::default()).await.unwrap();
        let metrics = view.series().metrics().into_iter().filter(|metric| metric.name.starts_with(prefix));
        let ids = metrics.map(|metric| metric.metric_id).collect();
        let samples = view.samples_of(&ids, 0..i64::MAX / 1_000, usize::MAX).await.unwrap();
        let text = |sample: isinglass_store::StoredSample| {
            let series = view.series().by_id(sample.series_id).unwrap();
            let value = if sample.value.is_nan() { "stale".to_owned() } else { sample.value.to_string() };
            format!("{} {} {value} {}", series.labels, sample.time_ms, sample.start_ms)
        };
        samples.into_iter().map(text).collect()
    }

    /// All native histograms of metrics with this prefix that are in files, as text.
    async fn histograms_of(&self, prefix: &str) -> Vec<String> {
        let view = self.ingest.store().view(&Tenant::default()).await.unwrap();
        let metrics = view.series().metrics().into_iter().filter(|metric| metric.name.starts_with(prefix));
        let ids = metrics.map(|metric| metric.metric_id).collect();
        let histograms = view.histograms_of(&ids, 0..i64::MAX / 1_000, usize::MAX).await.unwrap();
        let text = |one: isinglass_store::StoredHistogram| {
            let labels = &view.series().by_id(one.series_id).unwrap().labels;
            let at = (one.time_ms, one.start_ms);
            format!(
                "{labels} {at:?} {:?} {} {} {} {:?}",
                one.count, one.sum, one.schema, one.zero_count, one.buckets
            )
        };
        histograms.into_iter().map(text).collect()
    }

    /// The last commit of the table of samples.
    fn last_commit(&self) -> String {
        let log = self.dir.path().join("tables/default/samples/_delta_log");
        let commits = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
        let last = commits.filter(|path| path.extension().is_some_and(|ext| ext == "json")).max().unwrap();
        std::fs::read_to_string(last).unwrap()
    }
}

async fn of_minutes(dir: &TempDir, clock: &Arc<ManualClock>, chain: serde_json::Value) -> Ingest {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let config: ChainConfig = serde_json::from_value(chain).unwrap();
    let chain = Arc::new(LiveChain::fixed(config, Arc::clone(&clock)).unwrap());
    let store = StoreConfig { data_dir: dir.path().to_owned(), ..StoreConfig::default() };
    let config = IngestConfig { tick_interval_ms: 60_000, ..IngestConfig::default() };
    Ingest::start(store, chain, config, LogsConfig::default(), clock).await.unwrap()
}

/// A binding of the example that counts log records.
fn log_counts() -> serde_json::Value {
    let path = format!("{}/../../plugins/dist/examples/log-counts.wasm", env!("CARGO_MANIFEST_DIR"));
    json!({ "name": "counts", "source": format!("file:{path}"), "world": "deriver" })
}

/// Two log records.
fn log_lines(time_ms: i64) -> Vec<u8> {
    let time = time_ms as u64 * 1_000_000;
    let record = |line: &str| otlp::LogRecord { severity_number: 9, ..otlp::LogRecord::new(time, line) };
    otlp::logs(&[otlp::text("service.name", "shop")], &[record("a"), record("b")])
}

fn agrees(report: &ReplayReport) {
    assert!(report.reconciled, "{report:#?}");
    assert!(report.differences.is_empty(), "{report:#?}");
    assert!(report.metrics.iter().any(|metric| metric.replayed > 0.0), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn live_counters_are_those_of_a_replay_late_spans_included() {
    let rig = Rig::of_minutes(json!({})).await;
    let spans = hour();
    let (late, prompt): (Vec<Made>, Vec<Made>) = spans.iter().partition(|span| span.3 % 7 == 0);
    for some in prompt.chunks(100) {
        rig.send(some).await;
        rig.ingest.tick().await.unwrap();
    }
    rig.ingest.flush().await.unwrap();
    rig.send(&late).await;
    let report = rig.replay(rig.request(false)).await;
    agrees(&report);
    assert_eq!(report.provenance.sources["spans"].rows, 600);
    assert_eq!((report.series.different, report.series.only_stored, report.series.only_replayed), (0, 0, 0));
    let calls = report.metrics.iter().find(|metric| metric.name == "traces_spanmetrics_calls_total").unwrap();
    assert_eq!((calls.stored, calls.replayed, calls.lives), (600.0, 600.0, 1));
    assert_eq!(report.written, None);

    // Counters of two lives, and rows of both in files that were merged.
    let rig = rig.restarted(json!({})).await;
    rig.send(&[(10, 1, 30, 10_000), (3_000, 2, 3, 10_001)]).await;
    rig.ingest.store().compact().await.unwrap();
    let report = rig.replay(rig.request(false)).await;
    agrees(&report);
    assert_eq!(report.metrics.iter().map(|metric| metric.lives).max(), Some(2));
}

/// Chains whose deriver gives histograms of both forms, or native ones alone.
fn native(histograms: &str) -> serde_json::Value {
    // Few buckets, so that some become coarser.
    let config = json!({ "histograms": histograms, "native_buckets_max": 6 });
    json!({ "config": { "span-metrics": config } })
}

#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_and_exemplars_are_derived_again() {
    for form in ["both", "native"] {
        let rig = Rig::of_minutes(native(form)).await;
        let spans = hour();
        let (late, prompt): (Vec<Made>, Vec<Made>) = spans.iter().partition(|span| span.3 % 7 == 0);
        for some in prompt.chunks(150) {
            rig.send(some).await;
            rig.ingest.tick().await.unwrap();
        }
        rig.ingest.flush().await.unwrap();
        let rig = rig.restarted(native(form)).await;
        rig.send(&late).await;
        let report = rig.replay(rig.request(false)).await;
        agrees(&report);
        let metric = |name: &str| report.metrics.iter().find(|metric| metric.name == name).unwrap();
        let latency = metric("traces_spanmetrics_latency");
        assert_eq!((latency.stored, latency.replayed, latency.lives), (600.0, 600.0, 2));
        let rise = latency.native.unwrap();
        assert!((rise.stored_sum - rise.replayed_sum).abs() < 1e-6 && rise.stored_sum > 10.0, "{rise:?}");
        assert_eq!(rise.misplaced, 0.0);
        assert!(report.stored_histograms > 0 && report.provenance.exemplars > 0, "{report:#?}");
        if form == "native" {
            continue;
        }

        rig.later().await;
        let first = rig.replay(rig.request(true)).await;
        agrees(&first);
        let written = first.written.unwrap();
        let histograms = written.histograms.unwrap();
        assert_eq!(histograms.added, first.provenance.histograms);
        assert!(histograms.removed > 0, "{written:?}");
        let exemplars = written.exemplars.unwrap();
        assert_eq!(exemplars.added, first.provenance.exemplars);
        assert!(exemplars.removed > 0, "{written:?}");
        let rows = rig.histograms_of("traces_s").await;
        assert_eq!(rows.len() as u64, histograms.added);

        // Again: the same bytes, and nothing that differs from what is there.
        let to_ms = first.provenance.to_ms;
        let again = rig.replay(ReplayRequest { to_ms, ..rig.request(false) }).await;
        assert_eq!(digests(&again), digests(&first));
        assert_eq!((again.series.equal, again.series.different, again.series.only_stored), (0, 0, 0));
        rig.replay(ReplayRequest { to_ms, ..rig.request(true) }).await;
        assert_eq!(rig.histograms_of("traces_s").await, rows);

        // What comes later is counted from 0 on.
        rig.send(&[(100, 1, 30, 10_000)]).await;
        rig.ingest.flush().await.unwrap();
        let to_ms = rig.clock.now_unix_millis() + 1;
        let report = rig.replay(ReplayRequest { to_ms, ..rig.request(false) }).await;
        agrees(&report);
        let latency = report.metrics.iter().find(|one| one.name == "traces_spanmetrics_latency").unwrap();
        assert_eq!((latency.stored, latency.native.unwrap().misplaced), (601.0, 0.0));
    }
}

/// One side of a call, seconds after the beginning.
fn side(service: &str, seconds: u64, id: u8, parent: u8) -> Vec<u8> {
    let start = FROM_MS as u64 * 1_000_000 + seconds * 1_000_000_000;
    let span = otlp::Span {
        kind: if parent == 0 { 3 } else { 2 },
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        ..otlp::Span::server("call", start, start + 1_000)
    };
    otlp::traces(&[otlp::text("service.name", service)], &[span])
}

impl Rig {
    async fn push_traces(&self, body: Vec<u8>) {
        self.push(Protocol::OtlpTraces, body).await.unwrap();
    }

    /// What a metric of the service graph comes to, over all lives of its series.
    async fn edges(&self, metric: &str) -> f64 {
        let mut lives = HashMap::<String, f64>::new();
        for sample in self.samples_of(&format!("traces_service_graph_{metric}_total")).await {
            let mut parts = sample.rsplitn(4, ' ');
            let (start, value) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap_or(0.0));
            let life = lives.entry(format!("{start} {}", parts.nth(1).unwrap())).or_default();
            *life = life.max(value);
        }
        lives.values().sum()
    }
}

/// A row that waits for another one while the counters of its deriver are replaced counts in the
/// replay, and not again when its wait would have ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_waits_during_a_replay_counts_once() {
    let rig = Rig::of_minutes(json!({})).await;
    rig.push_traces(side("shop", 0, 1, 0)).await;
    rig.push_traces(side("cart", 1, 2, 1)).await;
    // Long ago by their own time, and now by that of their arrival.
    rig.push_traces(side("shop", 60, 3, 0)).await;
    rig.push_traces(side("shop", 120, 5, 0)).await;
    // Not long ago by either.
    let now_s = u64::try_from((rig.clock.now_unix_millis() - FROM_MS) / 1_000).unwrap();
    rig.push_traces(side("shop", now_s - 2, 7, 0)).await;
    rig.clock.advance(Duration::from_secs(1));
    let now = ReplayRequest { to_ms: i64::MAX, ..rig.request(true) };
    // Nobody is deprived of anything by a comparison.
    rig.replay(ReplayRequest { write: false, ..now.clone() }).await;
    rig.replay(now).await;
    assert_eq!((rig.edges("request").await, rig.edges("unpaired_spans").await), (1.0, 3.0));
    // The other side of one of them comes too late.
    rig.push_traces(side("cart", 61, 4, 3)).await;
    rig.clock.advance(Duration::from_secs(60));
    rig.ingest.flush().await.unwrap();
    assert_eq!((rig.edges("request").await, rig.edges("unpaired_spans").await), (1.0, 4.0));
}

/// What is written over a range is found identical in it afterwards, rows that waited at its end
/// included.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_range_ends_the_wait_each_time() {
    let rig = Rig::of_minutes(json!({})).await;
    let now_s = u64::try_from((rig.clock.now_unix_millis() - FROM_MS) / 1_000).unwrap();
    rig.push_traces(side("shop", now_s - 1, 1, 0)).await;
    rig.clock.advance(Duration::from_secs(1));
    let written = rig.replay(ReplayRequest { to_ms: i64::MAX, ..rig.request(true) }).await;
    rig.clock.advance(Duration::from_secs(3_600));
    let to_ms = written.provenance.to_ms;
    let again = rig.replay(ReplayRequest { to_ms, ..rig.request(false) }).await;
    assert_eq!(digests(&again), digests(&written));
    assert_eq!((again.series.equal, again.series.different, again.series.only_replayed), (0, 0, 0));
    assert_eq!(rig.edges("unpaired_spans").await, 1.0);
}

/// Buckets are compared at the coarser resolution, and exemplars that are not made again go.
#[tokio::test(flavor = "multi_thread")]
async fn another_resolution_is_no_difference() {
    let rig = Rig::of_minutes(native("native")).await;
    rig.send(&hour()).await;
    let finer = json!({ "histograms": "native", "native_buckets_max": 160, "exemplars": false });
    let instead = Instead { config: Some(finer), ..Instead::default() };
    let report = rig.replay(ReplayRequest { instead, ..rig.request(true) }).await;
    agrees(&report);
    assert_eq!(report.provenance.exemplars, 0);
    let exemplars = report.written.unwrap().exemplars.unwrap();
    assert!(exemplars.removed > 0 && exemplars.added == 0, "{exemplars:?}");
}

/// Hashes over all that a replay made.
fn digests(report: &ReplayReport) -> [String; 3] {
    let of = &report.provenance;
    [&of.samples_digest, &of.histograms_digest, &of.exemplars_digest].map(Clone::clone)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_found_and_named() {
    let rig = Rig::of_minutes(json!({ "bindings": [log_counts()] })).await;
    rig.send(&hour()[..300]).await;
    // With this all that came before is counted, as far as the log knows.
    rig.push(Protocol::OtlpLogs, log_lines(FROM_MS)).await.unwrap();
    rig.ingest.flush().await.unwrap();
    let rig = rig.restarted(json!({})).await;
    rig.send(&hour()[300..]).await;
    let report = rig.replay(rig.request(false)).await;
    assert!(!report.reconciled);
    let calls = report.metrics.iter().find(|metric| metric.name == "traces_spanmetrics_calls_total").unwrap();
    assert_eq!((calls.stored, calls.replayed, calls.equal), (300.0, 600.0, false));
    assert!(report.series.different > 0);
    let first = report.differences.iter().find(|one| one.series.contains("calls_total")).unwrap();
    assert_eq!((first.what, first.stored_then), ("different", 0.0));
    assert!(first.time_ms < FROM_MS + 2 * MINUTE_MS, "{first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_the_place_of_what_was_live_and_counting_goes_on() {
    let rig = Rig::of_minutes(json!({})).await;
    rig.send(&hour()).await;
    rig.ingest.flush().await.unwrap();
    let other = remote_write::request(&[series("up", 1).sample(NOW_MS - 1_000, 1.0)]);
    rig.push(Protocol::RemoteWrite1, other).await.unwrap();
    rig.later().await;
    let first = rig.replay(rig.request(true)).await;
    agrees(&first);
    let written = first.written.unwrap();
    assert_eq!(written.added, first.provenance.samples);
    assert!(written.removed > 0);
    let commit = rig.last_commit();
    for part in
        ["isinglass.replay", "span-metrics@", "sha256:", &first.provenance.samples_digest, "\"rows\":600"]
    {
        assert!(commit.contains(part), "{part} in {commit}");
    }
    let info: serde_json::Value = serde_json::from_str(commit.lines().next().unwrap()).unwrap();
    let provenance = &info["commitInfo"]["isinglass.replay"];
    assert_eq!(
        (&provenance["name"], &provenance["tick_ms"]),
        (&json!("span-metrics"), &json!(60_000)),
        "{info}"
    );
    assert_eq!(rig.samples_of("up").await.len(), 1);
    let samples = rig.samples_of("traces_s").await;
    assert_eq!(samples.len() as u64, first.provenance.samples);

    // Again: the same bytes, and nothing that differs from what is there.
    let to_ms = first.provenance.to_ms;
    let again = rig.replay(ReplayRequest { to_ms, ..rig.request(false) }).await;
    assert_eq!(again.provenance.samples_digest, first.provenance.samples_digest);
    assert_eq!((again.series.equal, again.series.different), (0, 0));
    assert_eq!(again.series.identical, first.series.equal + first.series.only_replayed);
    let twice = rig.replay(ReplayRequest { to_ms, ..rig.request(true) }).await;
    assert_eq!(twice.provenance.samples_digest, first.provenance.samples_digest);
    assert_eq!(rig.samples_of("traces_s").await, samples);

    // What comes later is counted from 0 on, in a life of its own, also after a restart.
    rig.send(&[(100, 1, 30, 10_000)]).await;
    rig.ingest.flush().await.unwrap();
    let rig = rig.restarted(json!({})).await;
    let later = rig.samples_of("traces_spanmetrics_calls_total").await;
    let added: Vec<_> = later.iter().filter(|sample| !samples.contains(sample)).collect();
    assert!(added.iter().any(|sample| sample.contains(" 1 ")), "{added:?}");
    let to_ms = rig.clock.now_unix_millis() + 1;
    agrees(&rig.replay(ReplayRequest { to_ms, ..rig.request(false) }).await);
}

/// Series that end and begin again, over more hours than are compared at once.
#[tokio::test(flavor = "multi_thread")]
async fn series_that_were_stale_are_the_same_again() {
    let rig = Rig::of_minutes(json!({})).await;
    let quiet = [0, 30, 1_200, 1_201, 2_700, 3_599].map(|at| (at, (at % 2) as u8, 5, at));
    rig.send(&quiet).await;
    rig.later().await;
    let first = rig.replay(ReplayRequest { from_ms: FROM_MS - 200 * MINUTE_MS, ..rig.request(true) }).await;
    agrees(&first);
    let to_ms = first.provenance.to_ms;
    let again = ReplayRequest { from_ms: FROM_MS - 200 * MINUTE_MS, to_ms, ..rig.request(false) };
    let again = rig.replay(again).await;
    assert_eq!(again.provenance.samples_digest, first.provenance.samples_digest);
    assert_eq!((again.series.equal, again.series.different), (0, 0), "{again:#?}");
    let samples = rig.samples_of("traces_spanmetrics_calls_total").await;
    assert!(samples.iter().any(|sample| sample.contains("stale")), "{samples:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_gives_what_it_would_have_given_live() {
    let config = json!({ "histogram_buckets": [0.05, 0.2], "dimensions": ["host_name"] });
    let with = json!({ "config": { "span-metrics": config } });
    let (live, rig) = (Rig::of_minutes(with).await, Rig::of_minutes(json!({})).await);
    for rig in [&live, &rig] {
        rig.send(&hour()).await;
        rig.ingest.flush().await.unwrap();
    }
    let instead = Instead { config: Some(config), ..Instead::default() };
    let report = rig.replay(ReplayRequest { instead, ..rig.request(true) }).await;
    assert!(report.series.only_replayed > 0 && report.series.only_stored > 0, "{report:#?}");
    live.replay(live.request(true)).await;
    let samples = rig.samples_of("traces_spanmetrics").await;
    assert_eq!(samples, live.samples_of("traces_spanmetrics").await);
    assert!(samples.iter().any(|sample| sample.contains("le=\"0.2\"")));
    assert!(!samples.iter().any(|sample| sample.contains("le=\"0.002\"")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deriver_of_logs_is_replayed_too() {
    let rig = Rig::of_minutes(json!({ "bindings": [log_counts()] })).await;
    for minute in 0..5 {
        rig.push(Protocol::OtlpLogs, log_lines(FROM_MS + minute * MINUTE_MS)).await.unwrap();
        rig.clock.advance(Duration::from_secs(1));
        rig.ingest.tick().await.unwrap();
    }
    let report = rig.replay(ReplayRequest { name: "counts".to_owned(), ..rig.request(false) }).await;
    agrees(&report);
    assert_eq!(report.metrics[0].replayed, 10.0, "{report:#?}");
    assert_eq!(report.provenance.sources["logs"].rows, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let rig = Rig::of_minutes(json!({})).await;
    let fault = async |request: ReplayRequest| {
        let progress = Arc::new(ReplayProgress::default());
        rig.ingest.replay(request, progress).await.unwrap_err().to_string()
    };
    let request = rig.request(false);
    let named = |name: &str| ReplayRequest { name: name.to_owned(), ..request.clone() };
    assert!(fault(named("nobody")).await.contains("there is no plugin \"nobody\""));
    assert!(fault(named("rate-limit")).await.contains("it is a limiter"));
    let backwards = ReplayRequest { from_ms: request.to_ms, ..request.clone() };
    assert!(fault(backwards).await.contains("must be before"));
    let future = ReplayRequest { from_ms: NOW_MS * 2, to_ms: NOW_MS * 2 + 1, ..request.clone() };
    assert_eq!(fault(future).await, "the range lies in the future");

    rig.send(&hour()).await;
    rig.ingest.flush().await.unwrap();
    let before = rig.samples_of("traces_spanmetrics").await;
    let progress = Arc::new(ReplayProgress::default());
    progress.cancel();
    let request = ReplayRequest { write: true, ..rig.request(true) };
    let error = rig.ingest.replay(request, progress).await.unwrap_err();
    assert_eq!(error.to_string(), "the replay was cancelled");
    let after = rig.samples_of("traces_spanmetrics").await;
    assert!(before.iter().all(|sample| after.contains(sample)), "nothing was taken away");
}

/// Rows come without a pause while the counters that count them are replaced: each counts once.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_meanwhile_count_once() {
    let rig = Arc::new(Rig::of_minutes(json!({})).await);
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let senders: Vec<_> = (0..3_u32)
        .map(|sender| {
            let (rig, done) = (Arc::clone(&rig), Arc::clone(&done));
            tokio::spawn(async move {
                let mut sent = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let number = |at: u32| sender * 1_000_000 + sent + at;
                    let spans: Vec<Made> = (0..5).map(|at| (at * 600, sender as u8, 5, number(at))).collect();
                    rig.send(&spans).await;
                    sent += 5;
                }
                sent
            })
        })
        .collect();
    for _ in 0..4 {
        rig.ingest.tick().await.unwrap();
        let report = rig.replay(ReplayRequest { to_ms: i64::MAX, ..rig.request(true) }).await;
        assert!(report.written.is_some_and(|written| written.added > 0), "{report:#?}");
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    rig.ingest.flush().await.unwrap();
    let mut lives = HashMap::<(String, String), f64>::new();
    for sample in rig.samples_of("traces_spanmetrics_calls_total").await {
        let mut parts = sample.rsplitn(4, ' ');
        let (start, value) = (parts.next().unwrap().to_owned(), parts.next().unwrap().parse().unwrap_or(0.0));
        let life = lives.entry((parts.nth(1).unwrap().to_owned(), start)).or_default();
        *life = life.max(value);
    }
    assert_eq!(lives.values().sum::<f64>(), f64::from(sent), "{lives:#?}");
}

/// What a failing plugin leaves out live would be missing in a replay without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_fails_fails_the_replay() {
    let rig = Rig::of_minutes(json!({})).await;
    rig.send(&hour()).await;
    rig.ingest.flush().await.unwrap();
    let before = rig.samples_of("").await;
    let path = format!("{}/../../plugins/dist/test/hostile-deriver.wasm", env!("CARGO_MANIFEST_DIR"));
    let instead = Instead {
        component: Some(std::fs::read(path).unwrap()),
        config: Some(json!({ "does": "trap", "in": "run" })),
        ..Instead::default()
    };
    let request = ReplayRequest { name: "hostile".to_owned(), instead, ..rig.request(true) };
    let error = rig.ingest.replay(request, Arc::new(ReplayProgress::default())).await.unwrap_err();
    assert!(error.to_string().starts_with("the plugin failed on rows from "), "{error}");
    let after = rig.samples_of("").await;
    assert!(before.iter().all(|sample| after.contains(sample)));
}

/// Windows of few rows, cut by what may be held, give what one window gives.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_held_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(NOW));
    let (rig, small) = (Rig::of_minutes(json!({})).await, with_memory(&dir, &clock, 24 << 10).await);
    let small = Rig { dir, clock, ingest: small };
    let mut digests = Vec::new();
    for rig in [&rig, &small] {
        rig.send(&hour()).await;
        rig.ingest.flush().await.unwrap();
        rig.later().await;
        let report = rig.replay(rig.request(false)).await;
        agrees(&report);
        digests.push(report.provenance.samples_digest);
    }
    assert_eq!(digests[0], digests[1]);
    // Not even the rows of a minute.
    let request = small.request(false);
    small.send(&(0..5_000).map(|at| (100, 1, 5, 20_000 + at)).collect::<Vec<Made>>()).await;
    let error = small.ingest.replay(request, Arc::new(ReplayProgress::default())).await.unwrap_err();
    assert_eq!(error.to_string(), "spans of 60000 ms need more than ingest.replay_memory_bytes = 24576");
}

async fn with_memory(dir: &TempDir, clock: &Arc<ManualClock>, replay_memory_bytes: u64) -> Ingest {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let chain = Arc::new(LiveChain::fixed(ChainConfig::default(), Arc::clone(&clock)).unwrap());
    let store = StoreConfig { data_dir: dir.path().to_owned(), ..StoreConfig::default() };
    let config = IngestConfig { tick_interval_ms: 60_000, replay_memory_bytes, ..IngestConfig::default() };
    Ingest::start(store, chain, config, LogsConfig::default(), clock).await.unwrap()
}

fn batches() -> impl Strategy<Value = Vec<Vec<Made>>> {
    let made = (0_u32..3_500, 0_u8..4, 0_u32..40_000);
    prop::collection::vec(prop::collection::vec(made, 1..25), 1..8).prop_map(|batches| {
        let mut number = 0;
        let mut numbered = |(seconds, service, millis): (u32, u8, u32)| {
            number += 1;
            (seconds, service, millis, number)
        };
        batches.into_iter().map(|batch| batch.into_iter().map(&mut numbered).collect()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// In whatever order rows come, and however they are flushed and merged: the live counters
    /// are those of a replay, and two replays of the same rows give the same bytes.
    #[test]
    fn the_same_rows_give_the_same_bytes(
        batches in batches(),
        order in any::<prop::sample::Index>(),
        steps in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 8),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let plain = Rig::of_minutes(native("both")).await;
            for batch in &batches {
                plain.send(batch).await;
            }
            plain.later().await;
            let expected = plain.replay(plain.request(false)).await;
            agrees(&expected);
            let other = Rig::of_minutes(native("both")).await;
            let (before, after) = batches.split_at(order.index(batches.len()));
            for (batch, (flush, merge, tick)) in after.iter().chain(before).zip(steps) {
                other.send(batch).await;
                if tick {
                    other.ingest.tick().await.unwrap();
                }
                if flush {
                    other.ingest.flush().await.unwrap();
                }
                if merge {
                    other.ingest.store().compact().await.unwrap();
                }
            }
            other.later().await;
            let report = other.replay(other.request(false)).await;
            agrees(&report);
            assert_eq!(digests(&report), digests(&expected));
            let written = other.replay(other.request(true)).await;
            let expected = plain.replay(plain.request(true)).await;
            assert_eq!(digests(&written), digests(&expected));
            assert_eq!(
                other.samples_of("traces_spanmetrics").await,
                plain.samples_of("traces_spanmetrics").await
            );
            let histograms = plain.histograms_of("traces_spanmetrics").await;
            assert!(!histograms.is_empty());
            assert_eq!(other.histograms_of("traces_spanmetrics").await, histograms);
        });
    }
}
