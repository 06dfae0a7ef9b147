//! OTLP over HTTP.

use isinglass_testkit::otlp;
use prost::Message;

use super::*;
use crate::rpc::{ExportResponse, Status};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

fn span(fixture: &Fixture, id: u8) -> otlp::Span {
    let at = fixture.now_unix_nanos;
    otlp::Span { span_id: vec![id; 8], ..otlp::Span::server("GET /", at, at + 1_000_000) }
}

fn traces(spans: &[otlp::Span]) -> Vec<u8> {
    otlp::traces(&[otlp::text("service.name", "shop")], spans)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stored_is_an_empty_message() {
    let fixture = Fixture::start().await;
    let plain = traces(&[span(&fixture, 1)]);
    let answer = send(fixture.otlp("/v1/traces", &[PROTOBUF], plain)).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{:?}", answer.body);
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    assert_eq!(answer.header("x-isinglass-durability"), "sync");
    let zipped = gzip(&traces(&[span(&fixture, 2)]));
    let answer = send(fixture.otlp("/v1/traces", &[PROTOBUF, ("content-encoding", "gzip")], zipped)).await;
    assert_eq!(answer.status, 200);
    let zstd = zstd::encode_all(&traces(&[span(&fixture, 3)])[..], 1).unwrap();
    let answer = send(fixture.otlp("/v1/traces", &[PROTOBUF, ("content-encoding", "zstd")], zstd)).await;
    assert_eq!(answer.status, 200);
    let rows = fixture.rows("default", "select service, count(*) n from spans group by 1").await;
    assert_eq!(rows, json!([{ "service": "shop", "n": 3 }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_metrics() {
    let fixture = Fixture::start().await;
    let at = fixture.now_unix_nanos;
    let resource = [otlp::text("service.name", "shop")];
    let logs = otlp::logs(&resource, &[otlp::LogRecord::new(at, "hello")]);
    assert_eq!(send(fixture.otlp("/v1/logs", &[PROTOBUF], logs)).await.status, 200);
    let metrics = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [{
        "name": "queue.length", "gauge": { "dataPoints": [{ "timeUnixNano": at.to_string(), "asInt": "7" }] },
    }] }] }] });
    let answer = send(fixture.otlp("/v1/metrics", &[JSON], metrics.to_string())).await;
    assert_eq!((answer.status, answer.json()), (200, json!({})), "{}", answer.text());
    assert_eq!(fixture.rows("default", "select body from logs").await, json!([{ "body": "hello" }]));
    assert_eq!(
        fixture.rows("default", "select value from metrics.queue_length").await,
        json!([{ "value": 7.0 }])
    );
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn some_rejected_is_a_partial_success() {
    let fixture = Fixture::start().await;
    let bad = otlp::Span { trace_id: vec![0; 16], ..span(&fixture, 2) };
    let answer = send(fixture.otlp("/v1/traces", &[PROTOBUF], traces(&[span(&fixture, 1), bad]))).await;
    assert_eq!(answer.status, 200);
    let partial = ExportResponse::decode(answer.body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("invalid_trace_id"), "{}", partial.error_message);
    let at = fixture.now_unix_nanos.to_string();
    let span = |trace_id: &str, span_id: &str| json!({ "traceId": trace_id, "spanId": span_id, "name": "x", "startTimeUnixNano": at, "endTimeUnixNano": at });
    let id = "0123456789abcdef0123456789abcdef";
    let spans = [span(id, "0123456789abcdef"), span(id, "0000000000000000")];
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string();
    let answer = send(fixture.otlp("/v1/traces", &[JSON], body)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "1", "{}", answer.text());
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_as_status_in_the_encoding_of_the_request() {
    let fixture = Fixture::start().await;
    let check = async |headers: &[(&str, &str)], body: &[u8], status: u16, code: i32, part: &str| {
        let answer = send(fixture.otlp("/v1/logs", headers, body.to_vec())).await;
        assert_eq!(answer.status, status, "{headers:?}");
        let (got, message) = if answer.header("content-type") == "application/json" {
            let status = answer.json();
            (
                i32::try_from(status["code"].as_i64().unwrap()).unwrap(),
                status["message"].as_str().unwrap().to_owned(),
            )
        } else {
            let status = Status::decode(answer.body.clone()).unwrap();
            (status.code, status.message)
        };
        assert_eq!(got, code, "{message}");
        assert!(message.contains(part), "{message}");
    };
    check(&[PROTOBUF], b"\x0a\xff", 400, 3, "").await;
    check(&[JSON], b"{\"resourceLogs\": 7}", 400, 3, "resource_logs").await;
    check(&[PROTOBUF, ("content-encoding", "gzip")], b"not gzip", 400, 3, "gzip").await;
    check(&[JSON, ("content-encoding", "br")], b"{}", 415, 12, "br").await;
    check(&[("content-type", "text/plain")], b"", 415, 12, "application/json").await;
    check(&[PROTOBUF, ("x-scope-orgid", "..")], b"", 400, 3, "X-Scope-OrgID").await;
    fixture.stop().await;
}
