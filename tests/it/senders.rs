//! What real senders send arrives whole: the OpenTelemetry SDKs of Rust and
//! Python over gRPC and HTTP, every metric type, every encoding.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use isinglass_testkit::otlp::{
    self, Data, Exemplar, Exponential, Histogram, LogRecord, Metric, Point, Span, Temporality, text,
};
use opentelemetry::logs::{LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;

use crate::harness::{Client, Server, grpc, now_nanos, outside};

/// Spans, log records and counts of the SDK tests, the same in Rust and in
/// `tests/outside/send.py`.
const ITEMS: u64 = 100;

/// What SQL must say after `ITEMS` of each signal; the SDK tests of both
/// languages send this.
async fn check_sdk(client: &Client, service: &str) {
    client.flush().await;
    let spans = format!("spans where service = '{service}'");
    assert_eq!(client.count(&spans).await, ITEMS);
    // span i lasts i microseconds and carries i as its status code
    let sum = (ITEMS * (ITEMS - 1) / 2) as f64;
    assert_eq!(client.number(&format!("select sum(duration) from {spans}")).await, sum * 1_000.0);
    assert_eq!(client.number(&format!("select sum(http_response_status_code) from {spans}")).await, sum);
    assert_eq!(client.count(&format!("{spans} and status = 'error' and kind = 'server'")).await, ITEMS / 10);
    // all but the first are children of the first
    let children = format!(
        "spans c join spans p on c.parent_span_id = p.span_id and c.trace_id = p.trace_id \
         where c.service = '{service}' and p.name = 'operation-0'"
    );
    assert_eq!(client.count(&children).await, ITEMS - 1);

    let logs = format!("logs where service = '{service}'");
    assert_eq!(client.count(&logs).await, ITEMS);
    assert_eq!(client.count(&format!("{logs} and severity = 'warn' and body = 'line 7'")).await, 1);
    let joined = format!("logs l join spans s on l.span_id = s.span_id where s.service = '{service}'");
    assert_eq!(client.count(&joined).await, ITEMS);

    let counter =
        format!("select max(value) from metrics.sdk_jobs_total where job = '{service}' and kind = 'a'");
    assert_eq!(client.number(&counter).await, sum);
    let histogram = |suffix: &str, filter: &str| {
        format!("select max(value) from metrics.sdk_latency_seconds_{suffix} where job = '{service}'{filter}")
    };
    assert_eq!(client.number(&histogram("count", "")).await, ITEMS as f64);
    assert_eq!(client.number(&histogram("sum", "")).await, sum);
    assert_eq!(client.number(&histogram("bucket", " and le = '10'")).await, 11.0);
    let gauge = format!("select max(value) from metrics.sdk_temperature where job = '{service}'");
    assert_eq!(client.number(&gauge).await, -2.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_sdk_over_grpc() {
    let server = Server::start();
    let endpoint = format!("http://{}", server.addresses().otlp_grpc);
    send_from_rust(
        "rust-grpc",
        SpanExporter::builder().with_tonic().with_endpoint(&endpoint).build().unwrap(),
        LogExporter::builder().with_tonic().with_endpoint(&endpoint).build().unwrap(),
        MetricExporter::builder().with_tonic().with_endpoint(&endpoint).build().unwrap(),
    )
    .await;
    check_sdk(&server.client(), "rust-grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_sdk_over_http() {
    let server = Server::start();
    let endpoint = |signal: &str| format!("http://{}/v1/{signal}", server.addresses().otlp_http);
    let client: Arc<dyn HttpClient> = Arc::new(RuntimeClient(tokio::runtime::Handle::current()));
    let spans = SpanExporter::builder().with_http().with_shared_http_client(Arc::clone(&client));
    let logs = LogExporter::builder().with_http().with_shared_http_client(Arc::clone(&client));
    let metrics = MetricExporter::builder().with_http().with_shared_http_client(client);
    send_from_rust(
        "rust-http",
        spans.with_endpoint(endpoint("traces")).build().unwrap(),
        logs.with_endpoint(endpoint("logs")).build().unwrap(),
        metrics.with_endpoint(endpoint("metrics")).build().unwrap(),
    )
    .await;
    check_sdk(&server.client(), "rust-http").await;
}

#[tokio::test]
async fn python_sdk_over_grpc() {
    let server = Server::start();
    outside::python("send.py", &["grpc", &server.addresses().otlp_grpc, "python-grpc"]);
    check_sdk(&server.client(), "python-grpc").await;
}

#[tokio::test]
async fn python_sdk_over_http() {
    let server = Server::start();
    outside::python("send.py", &["http", &server.addresses().otlp_http, "python-http"]);
    check_sdk(&server.client(), "python-http").await;
}

/// The exporters run on threads without a reactor of their own.
#[derive(Debug)]
struct RuntimeClient(tokio::runtime::Handle);

#[async_trait::async_trait]
impl HttpClient for RuntimeClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.0.spawn(async move { reqwest::Client::new().send_bytes(request).await }).await?
    }
}

async fn send_from_rust(
    service: &'static str,
    spans: SpanExporter,
    logs: LogExporter,
    metrics: MetricExporter,
) {
    let resource = Resource::builder().with_service_name(service).build();
    let traces =
        SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(spans).build();
    let logs = SdkLoggerProvider::builder().with_resource(resource.clone()).with_batch_exporter(logs).build();
    let metrics = SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(metrics).build();

    let (tracer, logger, meter) = (traces.tracer("test"), logs.logger("test"), metrics.meter("test"));
    let counter = meter.u64_counter("sdk.jobs").build();
    let histogram =
        meter.f64_histogram("sdk.latency").with_unit("s").with_boundaries(vec![10.0, 50.0, 1_000.0]).build();
    let gauge = meter.f64_gauge("sdk.temperature").build();
    let start = SystemTime::now() - Duration::from_secs(60);
    let mut parent = Context::new();
    for i in 0..ITEMS {
        let mut span = tracer
            .span_builder(format!("operation-{}", i % 10))
            .with_kind(SpanKind::Server)
            .with_start_time(start)
            .with_attributes([KeyValue::new("http.response.status_code", i.cast_signed())])
            .start_with_context(&tracer, &parent);
        if i % 10 == 9 {
            span.set_status(Status::error("every tenth fails"));
        }
        let ids = span.span_context().clone();
        span.end_with_timestamp(start + Duration::from_micros(i));
        if i == 0 {
            parent = Context::new().with_remote_span_context(ids.clone());
        }
        let mut record = logger.create_log_record();
        record.set_timestamp(start + Duration::from_millis(i));
        record.set_severity_number(if i % 10 == 7 { Severity::Warn } else { Severity::Info });
        record.set_body(format!("line {i}").into());
        record.set_trace_context(ids.trace_id(), ids.span_id(), Some(ids.trace_flags()));
        logger.emit(record);
        counter.add(i, &[KeyValue::new("kind", "a")]);
        histogram.record(i as f64, &[]);
    }
    gauge.record(-2.5, &[]);
    tokio::task::spawn_blocking(move || {
        traces.shutdown().unwrap();
        logs.shutdown().unwrap();
        metrics.shutdown().unwrap();
    })
    .await
    .unwrap();
}

/// Every type of metric with an exemplar where the type has them, in one request.
fn all_types(now: u64) -> Vec<u8> {
    let point = || Point {
        attributes: vec![text("k", "v")],
        start_unix_nanos: now - 60_000_000_000,
        time_unix_nanos: now,
        exemplars: Vec::new(),
    };
    let with_exemplar = || {
        let (trace_id, span_id) = (vec![7; 16], vec![8; 8]);
        let exemplar = Exemplar { time_unix_nanos: now, value: 0.25, trace_id, span_id };
        Point { exemplars: vec![exemplar], ..point() }
    };
    let histogram = Histogram { sum: 12.5, bounds: vec![0.5, 1.0], counts: vec![1, 2, 3] };
    let exponential = Exponential {
        scale: 1,
        sum: 99.0,
        zero_count: 4,
        positive: (-2, vec![1, 0, 5]),
        negative: (3, vec![2]),
    };
    let metrics = [
        Metric::new("a.gauge", Data::Gauge(vec![(point(), 1.5)])),
        Metric::new("a.sum", Data::Sum(Temporality::Cumulative, true, vec![(with_exemplar(), 3.25)])),
        Metric::new("a.level", Data::IntegerSum(Temporality::Cumulative, false, vec![(point(), -7)])),
        Metric::new("a.delta", Data::Sum(Temporality::Delta, true, vec![(point(), 2.0)])),
        Metric::new(
            "a.histogram",
            Data::Histogram(Temporality::Cumulative, vec![(with_exemplar(), histogram)]),
        ),
        Metric::new(
            "a.exponential",
            Data::Exponential(Temporality::Cumulative, vec![(with_exemplar(), exponential)]),
        ),
        Metric::new("a.summary", Data::Summary(vec![(point(), 9, 45.0, vec![(0.5, 4.0), (0.99, 8.0)])])),
    ];
    otlp::metrics(&[text("service.name", "types")], &metrics)
}

async fn check_all_types(client: &Client) {
    client.flush().await;
    for (query, want) in [
        ("select value from metrics.a_gauge where k = 'v'", 1.5),
        ("select value from metrics.a_sum_total", 3.25),
        ("select value from metrics.a_level", -7.0),
        ("select value from metrics.a_delta_total", 2.0),
        ("select value from metrics.a_histogram_bucket where le = '0.5'", 1.0),
        ("select value from metrics.a_histogram_bucket where le = '1'", 3.0),
        ("select value from metrics.a_histogram_bucket where le = '+Inf'", 6.0),
        ("select value from metrics.a_histogram_sum", 12.5),
        ("select value from metrics.a_histogram_count", 6.0),
        ("select value from metrics.a_summary where quantile = '0.99'", 8.0),
        ("select value from metrics.a_summary_sum", 45.0),
        ("select value from metrics.a_summary_count", 9.0),
        ("select count from histograms", 12.0),
        ("select sum from histograms", 99.0),
        ("select schema from histograms", 1.0),
        ("select zero_count from histograms", 4.0),
        ("select count(distinct temporality) from series where temporality in ('delta', 'cumulative')", 2.0),
        ("select count(*) from exemplars where trace_id = '07070707070707070707070707070707'", 3.0),
        ("select count(*) from exemplars where span_id = '0808080808080808' and value = 0.25", 3.0),
    ] {
        assert_eq!(client.number(query).await, want, "{query}");
    }
}

#[tokio::test]
async fn every_metric_type_over_every_way() {
    let server = Server::start();
    let body = all_types(now_nanos());
    let protobuf = ("content-type", "application/x-protobuf");

    let plain = server.client().tenant("plain");
    plain.otlp("metrics", body.clone()).await.ok();
    check_all_types(&plain).await;

    let gzip = server.client().tenant("gzip");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&body).unwrap();
    let packed = encoder.finish().unwrap();
    gzip.try_otlp("metrics", &[protobuf, ("content-encoding", "gzip")], packed).await.unwrap().ok();
    check_all_types(&gzip).await;

    let zstd = server.client().tenant("zstd");
    let packed = zstd::encode_all(body.as_slice(), 1).unwrap();
    zstd.try_otlp("metrics", &[protobuf, ("content-encoding", "zstd")], packed).await.unwrap().ok();
    check_all_types(&zstd).await;

    grpc::export(&server.addresses().otlp_grpc, Some("grpc"), "metrics", body).await.unwrap();
    check_all_types(&server.client().tenant("grpc")).await;
}

#[tokio::test]
async fn json_means_what_protobuf_means() {
    let server = Server::start();
    let (as_json, as_protobuf) = (server.client().tenant("json"), server.client().tenant("protobuf"));
    let start = now_nanos() - 5_000_000_000;
    let resource = json!({ "attributes": [
        { "key": "service.name", "value": { "stringValue": "shop" } },
    ] });

    let span = Span {
        attributes: vec![otlp::integer("http.response.status_code", 200), text("odd", "200")],
        status: 2,
        status_message: "no".to_owned(),
        ..Span::server("GET /", start, start + 1_500)
    };
    as_protobuf.otlp("traces", otlp::traces(&[text("service.name", "shop")], &[span])).await.ok();
    let request = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{
        "scope": { "name": "testkit", "version": "1" },
        "spans": [{
            "traceId": "01".repeat(16), "spanId": "02".repeat(8), "name": "GET /", "kind": 2,
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 1_500).to_string(),
            "attributes": [
                { "key": "http.response.status_code", "value": { "intValue": "200" } },
                { "key": "odd", "value": { "stringValue": "200" } },
            ],
            "status": { "message": "no", "code": "STATUS_CODE_ERROR" },
            "someFieldOfTomorrow": { "a": [1, 2, 3] },
        }],
    }] }] });
    as_json.otlp_json("traces", &request).await.ok();

    let record = LogRecord {
        severity_number: 13,
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..LogRecord::new(start, "hello")
    };
    as_protobuf.otlp("logs", otlp::logs(&[text("service.name", "shop")], &[record])).await.ok();
    let request = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{
        "scope": { "name": "testkit", "version": "1" },
        "logRecords": [{
            "timeUnixNano": start.to_string(), "severityNumber": "SEVERITY_NUMBER_WARN",
            "body": { "stringValue": "hello" }, "traceId": "01".repeat(16), "spanId": "02".repeat(8),
        }],
    }] }] });
    as_json.otlp_json("logs", &request).await.ok();

    for query in [
        "select time, duration, trace_id, span_id, parent_span_id, service, name, kind, status, status_message, \
         http_response_status_code, scope_name from spans",
        "select time, service, severity, severity_number, body, trace_id, span_id, scope_name from logs",
    ] {
        let (left, right) = (as_json.sql(query).await, as_protobuf.sql(query).await);
        assert_eq!(left, right, "{query}");
        assert_eq!(left.len(), 1, "{query}");
    }
    // 200 is not "200"
    let odd = "select attributes['odd'] from spans";
    assert_eq!(as_json.cell(odd).await, as_protobuf.cell(odd).await);
    assert_eq!(as_json.cell(odd).await, json!("\"200\""));
}
