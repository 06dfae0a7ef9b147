//! What is malformed is named and not stored; what is too large is refused
//! before it takes memory.

use std::io::Write;

use isinglass_testkit::load;
use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::otlp::{self, Span, text};
use isinglass_testkit::proto::message;
use isinglass_testkit::remote_write::{self, Series, snappy};

use crate::harness::{Client, Server, grpc, now_millis, now_nanos};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const ZSTD: (&str, &str) = ("content-encoding", "zstd");

/// Where a body goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum To {
    RemoteWrite,
    Loki,
    Otlp(&'static str),
}

struct Case {
    what: &'static str,
    to: To,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    /// The answer must contain one of these, in lower case.
    says: &'static [&'static str],
}

async fn check(client: &Client, case: Case) {
    let Case { what, to, headers, body, status, says } = case;
    let answer = match to {
        To::RemoteWrite => client.post("api/v1/write", &headers, body).await,
        To::Loki => client.post("loki/api/v1/push", &headers, body).await,
        To::Otlp(signal) => client.try_otlp(signal, &headers, body).await.unwrap(),
    };
    let text = answer.text();
    assert_eq!(answer.status, status, "{what}: {text}");
    let lower = text.to_lowercase();
    assert!(says.is_empty() || says.iter().any(|word| lower.contains(word)), "{what}: {text}");
}

async fn check_all(cases: Vec<Case>) {
    let server = Server::start();
    let client = server.client();
    for case in cases {
        check(&client, case).await;
    }
    for table in ["samples", "logs", "spans", "histograms", "rejected"] {
        assert_eq!(client.count(table).await, 0, "{table}");
    }
    assert_eq!(server.panics(), Vec::<String>::new());
}

fn good_write() -> Vec<u8> {
    remote_write::request(&[Series::new(&[("__name__", "m")]).sample(now_millis(), 1.0)])
}

fn good_push() -> Vec<u8> {
    loki::request(&[Stream::new(r#"{app="a"}"#).line(now_nanos(), "x")])
}

fn good_traces() -> Vec<u8> {
    load::traces(1, 3, now_nanos() - 1_000_000)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn cut(mut bytes: Vec<u8>, by: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - by);
    bytes
}

#[tokio::test]
async fn malformed_bodies_are_400_and_name_the_place() {
    let case = |what, to, headers: &[(&'static str, &'static str)], body, says| Case {
        what,
        to,
        headers: headers.to_vec(),
        body,
        status: 400,
        says,
    };
    let write = &[PROTOBUF, SNAPPY];
    check_all(vec![
        case("snappy: no snappy", To::RemoteWrite, write, b"hello world".to_vec(), &["snappy"]),
        case("snappy: cut", To::RemoteWrite, write, cut(snappy(&good_write()), 3), &["snappy"]),
        case("snappy: empty", To::RemoteWrite, write, Vec::new(), &["snappy", "empty"]),
        case("protobuf: cut", To::RemoteWrite, write, snappy(&cut(good_write(), 3)), &["byte"]),
        case("protobuf: length beyond the end", To::RemoteWrite, write, snappy(&[0x0a, 0x7f, 1]), &["byte"]),
        case("protobuf: wire type 7", To::RemoteWrite, write, snappy(&[0x0f, 1, 2]), &["byte"]),
        case("protobuf: varint without end", To::RemoteWrite, write, snappy(&[0xff; 12]), &["byte"]),
        case("protobuf: timeseries as varint", To::RemoteWrite, write, snappy(&[0x08, 1]), &["byte"]),
        case("loki: snappy cut", To::Loki, write, cut(snappy(&good_push()), 2), &["snappy"]),
        case("loki: protobuf cut", To::Loki, write, snappy(&cut(good_push(), 2)), &["byte"]),
        case("loki: no JSON", To::Loki, &[JSON], b"{\"streams\":".to_vec(), &["json", "line", "eof"]),
        case("loki: streams is a number", To::Loki, &[JSON], b"{\"streams\": 3}".to_vec(), &["streams", "json"]),
        case(
            "loki: time is no number",
            To::Loki,
            &[JSON],
            br#"{"streams": [{"stream": {"a": "b"}, "values": [["soon", "x"]]}]}"#.to_vec(),
            &["soon", "time", "nanosecond"],
        ),
        case("otlp: protobuf cut", To::Otlp("traces"), &[PROTOBUF], cut(good_traces(), 5), &["byte"]),
        case("otlp: garbage", To::Otlp("logs"), &[PROTOBUF], b"hello world".to_vec(), &["byte"]),
        case("otlp: gzip that is none", To::Otlp("traces"), &[PROTOBUF, GZIP], good_traces(), &["gzip"]),
        case("otlp: gzip cut", To::Otlp("traces"), &[PROTOBUF, GZIP], cut(gzip(&good_traces()), 9), &["gzip"]),
        case("otlp: zstd that is none", To::Otlp("metrics"), &[PROTOBUF, ZSTD], good_traces(), &["zstd"]),
        case("otlp: no JSON", To::Otlp("traces"), &[JSON], b"{".to_vec(), &["json", "line", "eof"]),
        case(
            "otlp: a time that is no number",
            To::Otlp("traces"),
            &[JSON],
            br#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}"#.to_vec(),
            &["start_time_unix_nano"],
        ),
        case(
            "otlp: nested beyond the cap",
            To::Otlp("logs"),
            &[JSON],
            format!(
                r#"{{"resourceLogs": [{{"scopeLogs": [{{"logRecords": [{{"body": {}{{"intValue": "1"}}{}}}]}}]}}]}}"#,
                r#"{"arrayValue": {"values": ["#.repeat(5_000),
                "]}}".repeat(5_000)
            )
            .into_bytes(),
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn too_large_is_413_and_costs_nothing() {
    let zeros = vec![0_u8; 80 << 20];
    let (as_snappy, as_gzip) = (snappy(&zeros), gzip(&zeros));
    let as_zstd = zstd::encode_all(zeros.as_slice(), 1).unwrap();
    let server = Server::start();
    let client = server.client();
    let before = client.metric("process_resident_memory_bytes", &[]).await;
    let case = |what, to, headers: &[(&'static str, &'static str)], body| Case {
        what,
        to,
        headers: headers.to_vec(),
        body,
        status: 413,
        says: &[],
    };
    // a length of 2.5 GB in five bytes, and some more
    let liar = [&[0x80, 0xf9, 0x83, 0xd5, 0x09][..], &[0; 40]].concat();
    for case in [
        case("snappy that claims 2.5 GB", To::RemoteWrite, &[PROTOBUF, SNAPPY], liar.clone()),
        case("snappy of 80 MiB", To::RemoteWrite, &[PROTOBUF, SNAPPY], as_snappy),
        case("loki snappy that claims 2.5 GB", To::Loki, &[PROTOBUF, SNAPPY], liar),
        case("gzip of 80 MiB", To::Otlp("traces"), &[PROTOBUF, GZIP], as_gzip),
        case("zstd of 80 MiB", To::Otlp("logs"), &[PROTOBUF, ZSTD], as_zstd),
    ] {
        check(&client, case).await;
    }
    // Refused by its length, before it is read: a client that goes on writing may
    // find the connection closed instead of reading the answer.
    if let Ok(answer) = client.try_otlp("logs", &[PROTOBUF], zeros).await {
        assert_eq!(answer.status, 413, "80 MiB as they are: {}", answer.text());
    }
    if before > 0.0 {
        let after = client.metric("process_resident_memory_bytes", &[]).await;
        assert!(after < before + 300e6, "resident memory went from {before} to {after}");
    }
    client.remote_write(&good_write()).await.ok();
    assert_eq!(client.count("samples").await, 1);
}

#[tokio::test]
async fn wrong_content_types_are_415() {
    let case = |what, to, headers: &[(&'static str, &'static str)], body| Case {
        what,
        to,
        headers: headers.to_vec(),
        body,
        status: 415,
        says: &[],
    };
    check_all(vec![
        case("remote write as JSON", To::RemoteWrite, &[JSON, SNAPPY], snappy(&good_write())),
        case("remote write with gzip", To::RemoteWrite, &[PROTOBUF, GZIP], gzip(&good_write())),
        case(
            "remote write 3.0",
            To::RemoteWrite,
            &[("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"), SNAPPY],
            snappy(&good_write()),
        ),
        case("loki as text", To::Loki, &[("content-type", "text/plain")], good_push()),
        case("otlp as text", To::Otlp("traces"), &[("content-type", "text/plain")], good_traces()),
        case("otlp with brotli", To::Otlp("traces"), &[PROTOBUF, ("content-encoding", "br")], good_traces()),
    ])
    .await;
}

#[tokio::test]
async fn over_grpc() {
    let server = Server::start();
    let address = &server.addresses().otlp_grpc;
    let status = grpc::export(address, None, "traces", cut(good_traces(), 5)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("byte"), "{status:?}");
    let status = grpc::export(address, None, "logs", vec![0; 80 << 20]).await.unwrap_err();
    assert!(
        matches!(status.code(), tonic::Code::ResourceExhausted | tonic::Code::OutOfRange),
        "80 MiB: {status:?}"
    );
    assert_eq!(server.client().count("spans").await, 0);
}

/// Attribute values are a tree of any depth on the wire.
#[tokio::test]
async fn deep_values_do_not_overflow_the_stack() {
    let server = Server::start();
    let client = server.client();
    let mut value = message(|w| {
        w.text(1, "leaf");
    });
    for _ in 0..20_000 {
        let array = message(|w| {
            w.bytes(1, &value);
        });
        value = message(|w| {
            w.bytes(5, &array);
        });
    }
    let now = now_nanos();
    let deep = message(|w| {
        w.message(1, |group| {
            group.message(2, |scope| {
                scope.message(2, |span| {
                    Span::server("deep", now - 1, now).write(span);
                    span.message(9, |attribute| {
                        attribute.text(1, "deep").bytes(2, &value);
                    });
                });
            });
        });
    });
    let answer = client.otlp("traces", deep).await;
    assert!([200, 400].contains(&answer.status), "{}", answer.status);
    client
        .otlp("traces", otlp::traces(&[text("service.name", "s")], &[Span::server("ok", now - 1, now)]))
        .await
        .ok();
    assert_eq!(client.count("spans where name = 'ok'").await, 1);
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let server = Server::start();
    let client = server.client();
    assert_eq!(client.get("api/v1/nothing").await.status, 404);
    assert_eq!(client.post("nothing", &[], Vec::new()).await.status, 404);
    assert_eq!(client.get("api/v1/write").await.status, 405);
    assert_eq!(client.get("api/admin/flush").await.status, 405);
}
