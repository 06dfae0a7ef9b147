//! Limits on what is active: what is new is refused, what is there flows on.

use std::sync::Arc;
use std::time::Duration;

use isinglass_testkit::otlp::{self, Span};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

async fn rig(limits: serde_json::Value) -> Rig {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(NOW));
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let chain = Arc::new(LiveChain::fixed(ChainConfig::default(), Arc::clone(&shared)).unwrap());
    let store = StoreConfig { data_dir: dir.path().to_owned(), ..StoreConfig::default() };
    let config: IngestConfig =
        serde_json::from_value(json!({ "tick_interval_ms": 3_600_000, "limits": limits })).unwrap();
    let ingest = Ingest::start(store, chain, config, LogsConfig::default(), shared).await.unwrap();
    Rig { dir, clock, ingest }
}

fn lines(streams: &[(&str, i64)]) -> Vec<u8> {
    let stream = |(app, after): &(&str, i64)| {
        loki::Stream::new(&format!("{{app=\"{app}\"}}")).line((NOW + after).unsigned_abs(), "x")
    };
    loki::request(&streams.iter().map(stream).collect::<Vec<_>>())
}

fn traces(ids: &[u8]) -> Vec<u8> {
    let start = NOW.unsigned_abs();
    let span = |(at, id): (u8, &u8)| Span {
        trace_id: vec![*id; 16],
        span_id: vec![at + 1; 8],
        ..Span::server("GET", start, start + 1)
    };
    otlp::traces(&[], &(0..).zip(ids).map(span).collect::<Vec<_>>())
}

fn at(time_ms: i64, value: f64) -> Vec<u8> {
    remote_write::request(&[series("up", 1).sample(NOW_MS + time_ms, value)])
}

async fn told(rig: &Rig, protocol: Protocol, body: Vec<u8>) -> (Counts, String) {
    let outcome = rig.push(protocol, body).await.unwrap();
    (outcome.counts.clone(), outcome.fault_text())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_streams_are_refused_and_active_ones_flow() {
    let rig = rig(json!({ "streams_max": 2, "stream_idle_ms": 10_000 })).await;
    let (counted, _) = told(&rig, Protocol::LokiPush, lines(&[("a", 0), ("b", 0), ("a", 1)])).await;
    assert_eq!(counted, counts(3, 3, &[]));
    let (counted, text) = told(&rig, Protocol::LokiPush, lines(&[("a", 2), ("c", 2), ("c", 3)])).await;
    assert_eq!(counted, counts(3, 1, &[("stream_limit", 2)]));
    assert_eq!(
        text,
        "stream_limit (2 items): stream {app=\"c\", service_name=\"c\"} is new and the tenant has \
         2 active ones, which is its limit (streams_max)"
    );
    assert_eq!(rig.rows("default", Kind::Rejected).await, 2);

    // Nothing left: refused whole, so that the sender can try again.
    let error = rig.push(Protocol::LokiPush, lines(&[("c", 4)])).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(5 * SECOND)), "{error}");
    assert!(error.to_string().ends_with("(streams_max); nothing of this request was stored"), "{error}");
    assert_eq!(rig.rows("default", Kind::Rejected).await, 2, "nothing of it is set aside");
    rig.clock.advance(10 * SECOND);
    let (counted, _) = told(&rig, Protocol::LokiPush, lines(&[("c", 4)])).await;
    assert_eq!(counted, counts(1, 1, &[]), "the others went idle");

    let stats = rig.ingest.stats().tenants["default"].signals.values().next().unwrap().clone();
    assert_eq!(stats.counts, counts(8, 5, &[("stream_limit", 3)]));
    // Two lines of one byte, and a request.
    assert!(stats.rejected_bytes["stream_limit"] > 2, "{:?}", stats.rejected_bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_too_far_behind_their_stream() {
    let rig = rig(json!({ "line_behind_max_ms": 1_000 })).await;
    let second = 1_000_000_000;
    told(&rig, Protocol::LokiPush, lines(&[("a", 0)])).await;
    let (counted, text) =
        told(&rig, Protocol::LokiPush, lines(&[("a", -second), ("a", -second - 1), ("b", -9 * second)]))
            .await;
    assert_eq!(counted, counts(3, 2, &[("too_far_behind", 1)]));
    assert!(
        text.contains("lies 1000 ms behind the newest line of stream {app=\"a\", service_name=\"a\"}, the limit is 1000 (line_behind_max_ms)"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn new_traces_are_refused_and_live_ones_flow() {
    let rig = rig(json!({ "traces_max": 2, "trace_idle_ms": 1_000 })).await;
    assert_eq!(told(&rig, Protocol::OtlpTraces, traces(&[1, 2, 1])).await.0, counts(3, 3, &[]));
    let (counted, text) = told(&rig, Protocol::OtlpTraces, traces(&[3, 2, 3, 1, 2])).await;
    assert_eq!(counted, counts(5, 3, &[("live_traces_exceeded", 2)]));
    assert_eq!(
        text,
        "live_traces_exceeded (2 items): LIVE_TRACES_EXCEEDED: trace 03030303030303030303030303030303 is new \
         and the tenant has 2 live ones, which is its limit (traces_max), in span 0101010101010101 \"GET\" of \
         trace 03030303030303030303030303030303"
    );
    let error = rig.push(Protocol::OtlpTraces, traces(&[4])).await.unwrap_err();
    assert!(error.to_string().starts_with("LIVE_TRACES_EXCEEDED: trace 0404"), "{error}");
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(5 * SECOND)));
    rig.clock.advance(SECOND);
    assert_eq!(told(&rig, Protocol::OtlpTraces, traces(&[4])).await.0, counts(1, 1, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_has_so_many_bytes() {
    let rig = rig(json!({ "trace_bytes_max": 100 })).await;
    let (counted, text) = told(&rig, Protocol::OtlpTraces, traces(&[1, 1, 1, 2])).await;
    let refused = counted.rejected.get("trace_too_large").copied().unwrap_or(0);
    assert!(refused > 0 && counted.stored >= 2 && counted.balanced(), "{counted:?}");
    assert!(text.contains("TRACE_TOO_LARGE: trace 01010101010101010101010101010101 would have "), "{text}");
    assert!(text.contains(" bytes, the limit is 100 (trace_bytes_max)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_in_order() {
    let rig = rig(json!({ "sample_behind_max_ms": 0 })).await;
    told(&rig, Protocol::RemoteWrite1, at(10, 1.0)).await;
    let (counted, text) = told(&rig, Protocol::RemoteWrite1, at(9, 1.0)).await;
    assert_eq!(counted, counts(1, 0, &[("sample_out_of_order", 1)]));
    assert!(
        text.contains(&format!(
            "time {} lies 1 ms behind the newest sample of its series, the limit is 0 (sample_behind_max_ms), in series up{{instance=\"i1\"}}",
            NOW_MS + 9
        )),
        "{text}"
    );
    let (counted, _) = told(&rig, Protocol::RemoteWrite1, at(10, 2.0)).await;
    assert_eq!(counted, counts(1, 0, &[("sample_duplicate_timestamp", 1)]));
    // What is sent again is no other value, and a request may be out of order within itself.
    let two = [series("up", 1).sample(NOW_MS + 10, 1.0).sample(NOW_MS + 12, 1.0).sample(NOW_MS + 11, 1.0)];
    let (counted, _) = told(&rig, Protocol::RemoteWrite1, remote_write::request(&two)).await;
    assert_eq!(counted, counts(3, 2, &[("sample_out_of_order", 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn series_and_buckets() {
    let rig = rig(json!({ "series_max": 3, "series_per_metric_max": 2, "histogram_buckets_max": 2 })).await;
    let all = |name: &'static str| (0..3).map(move |at| series(name, at).sample(NOW_MS, 1.0));
    let body = remote_write::request(&all("up").chain(all("down")).collect::<Vec<_>>());
    let (counted, text) = told(&rig, Protocol::RemoteWrite1, body).await;
    assert_eq!(counted, counts(6, 3, &[("max_series_per_metric", 1), ("max_series_per_user", 2)]));
    assert!(
        text.contains("metric \"up\" has 2 series, which is its limit (max_series_per_metric)")
            && text.contains("the tenant has 3 series, which is its limit (max_series_per_user)"),
        "{text}"
    );
    let histogram =
        |counts: &[u64]| remote_write::request(&[series("up", 1).histogram(NOW_MS + 1, 1.0, counts)]);
    assert_eq!(told(&rig, Protocol::RemoteWrite1, histogram(&[1, 1])).await.0.stored, 1);
    let (counted, text) = told(&rig, Protocol::RemoteWrite1, histogram(&[1, 1, 1])).await;
    assert_eq!(counted, counts(1, 0, &[("max_native_histogram_buckets", 1)]));
    assert!(text.contains("the histogram has 3 buckets, the limit is 2 (histogram_buckets_max)"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lines_and_attributes_are_cut_instead_of_refused() {
    let limits = json!({ "line_truncate_bytes": 4, "attribute_truncate_bytes": 3 });
    let rig = rig(limits).await;
    let long = "é".repeat(200_000);
    let records = [
        otlp::LogRecord {
            attributes: vec![otlp::text("http.request.method", "PATCH"), otlp::text("own", "a\"bcd")],
            ..otlp::LogRecord::new(NOW.unsigned_abs(), &long)
        },
        otlp::LogRecord::new(NOW.unsigned_abs(), "line"),
    ];
    let body = otlp::logs(&[otlp::text("service.name", "shop")], &records);
    assert_eq!(told(&rig, Protocol::OtlpLogs, body).await.0, counts(2, 2, &[]));
    let view = rig.ingest.store().view(&Tenant::default()).await.unwrap();
    let batches = view.table(Kind::Logs).head_batches(&HeadFilter::default()).unwrap();
    let text = crate::refused::row_text(&batches[0], 0);
    assert!(text.contains("\"body\":\"éé\"") && text.contains("PAT\"") && !text.contains("PATCH"), "{text}");
    assert!(text.contains(r#""own":"\"a\\\"b\"""#), "{text}");

    let start = NOW.unsigned_abs();
    let event = Span {
        attributes: vec![otlp::text("db.statement", "select 1")],
        ..Span::server("GET", start, start + 1)
    };
    let body = otlp::traces(&[otlp::text("host.name", "worker-1")], &[event]);
    assert_eq!(told(&rig, Protocol::OtlpTraces, body).await.0, counts(1, 1, &[]));
    let view = rig.ingest.store().view(&Tenant::default()).await.unwrap();
    let batches = view.table(Kind::Spans).head_batches(&HeadFilter::default()).unwrap();
    let text = crate::refused::row_text(&batches[0], 0);
    assert!(text.contains("wor") && !text.contains("worker") && !text.contains("select 1"), "{text}");
    let stats = rig.ingest.stats().tenants["default"].clone();
    let cut: Vec<_> = stats.signals.values().map(|signal| signal.truncated.clone()).collect();
    let of = |pairs: &[(&'static str, u64)]| pairs.iter().map(|(field, n)| ((*field).into(), *n)).collect();
    assert_eq!(cut, [of(&[("line", 1), ("attribute", 2)]), of(&[("attribute", 2)])]);
}
