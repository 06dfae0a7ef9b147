//! Loki push.

use isinglass_model::ErrorKind;

use super::proto::{Proto, message};
use super::resolver::Series;
use super::rows::{column, columns};
use super::{json, protobuf, read, rejected};
use crate::{Format, Protocol};

fn entry(seconds: i64, nanos: u64, line: impl AsRef<[u8]>) -> Proto {
    message().nested(1, message().varint(1, seconds.cast_unsigned()).varint(2, nanos)).bytes(2, line)
}

fn stream(labels: impl AsRef<[u8]>, entries: impl IntoIterator<Item = Proto>) -> Proto {
    entries.into_iter().fold(message().bytes(1, labels), |stream, entry| stream.nested(2, entry))
}

fn push(streams: impl IntoIterator<Item = Proto>) -> Vec<u8> {
    streams.into_iter().fold(message(), |body, stream| body.nested(1, stream)).build()
}

fn metadata(entry: Proto, pairs: &[(&str, &str)]) -> Proto {
    pairs.iter().fold(entry, |entry, (name, value)| entry.nested(3, message().bytes(1, name).bytes(2, value)))
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn every_column() {
    let pairs = [
        ("trace_id", TRACE),
        ("span_id", "b7ad6b7169203331"),
        ("level", "WARN"),
        ("user_id", "u1"),
        ("x", "1"),
    ];
    let body = push([
        stream(
            r#"{pod="p", app="shop",empty=""}"#,
            [metadata(entry(1, 5, "hello"), &pairs), entry(2, 0, "lvl=error")],
        ),
        stream(r#"{level="debug", k8s_pod_name="q"}"#, [entry(3, 0, "level=error")]),
    ]);
    let logs = protobuf(Protocol::LokiPush, &body).logs.unwrap();
    let (first, second) = (
        r#"{app="shop", pod="p", service_name="shop"}"#,
        r#"{k8s_pod_name="q", level="debug", service_name="unknown_service"}"#,
    );
    assert_eq!(
        columns(&logs.table),
        [
            "time: 1000000005 | 2000000000 | 3000000000",
            "service: shop | shop | unknown_service",
            &format!("stream: {first} | {first} | {second}"),
            "severity: warn | error | debug",
            "severity_text: WARN | - | -",
            "body: hello | lvl=error | level=error",
            &format!("trace_id: {TRACE} | - | -"),
            "span_id: b7ad6b7169203331 | - | -",
            "k8s_pod_name: - | - | q",
            "user_id: u1 | - | -",
            r#"attributes: {level="WARN", x="1"} | - | -"#,
        ]
    );
    assert_eq!(logs.stream_labels, [2, 2]);
}

#[test]
fn bad_streams_and_entries_are_rejected() {
    for (bad, reason) in [
        (stream("{a=b}", [entry(1, 0, "x")]), "invalid_labels"),
        (stream("", [entry(1, 0, "x")]), "invalid_labels"),
        (stream("{}", [entry(1, 0, "x")]), "missing_labels"),
        (stream(r#"{a=""}"#, [entry(1, 0, "x")]), "missing_labels"),
        (stream(r#"{a="1", a="2"}"#, [entry(1, 0, "x")]), "duplicate_label_names"),
        (stream(b"{a=\"\xff\"}", [entry(1, 0, "x")]), "invalid_utf8"),
        (stream(r#"{a="b"}"#, [entry(1, 0, b"\xff")]), "invalid_utf8"),
        (stream(r#"{a="b"}"#, [entry(i64::MAX, 0, "x")]), "too_far_in_future"),
        (stream(r#"{a="b"}"#, [entry(i64::MIN, 0, "x")]), "greater_than_max_sample_age"),
    ] {
        let good = || stream(r#"{app="a"}"#, [entry(1, 0, "good")]);
        let decoded = protobuf(Protocol::LokiPush, &push([good(), bad, good()]));
        assert_eq!((rejected(&decoded), decoded.received), (vec![(reason, 1)], 3));
        assert_eq!(column(&decoded.logs.unwrap().table, "body"), ["good", "good"]);
    }
}

#[test]
fn ids_that_are_none_stay_attributes() {
    let pairs = [("trace_id", "abc"), ("span_id", "0000000000000000")];
    let logs =
        protobuf(Protocol::LokiPush, &push([stream(r#"{a="b"}"#, [metadata(entry(1, 0, "x"), &pairs)])]))
            .logs
            .unwrap();
    assert_eq!(column(&logs.table, "attributes"), [r#"{trace_id="abc", span_id="0000000000000000"}"#]);
}

#[test]
fn json_is_the_same() {
    let text = format!(
        r#"{{"streams":[{{"stream":{{"pod":"p","app":"shop"}},"values":[
            ["1000000005","hello",{{"trace_id":"{TRACE}","level":"WARN"}}],["-1","é\"\n"]],"extra":[1]}},
            {{"values":[[3000000000,""]],"stream":{{"q":"a\"\\"}}}}],"other":null}}"#
    );
    let body = push([
        stream(
            r#"{pod="p",app="shop"}"#,
            [
                metadata(entry(1, 5, "hello"), &[("trace_id", TRACE), ("level", "WARN")]),
                message().nested(1, message().varint(1, u64::MAX).varint(2, 999_999_999)).bytes(2, "é\"\n"),
            ],
        ),
        message().nested(2, message().nested(1, message().varint(1, 3))).bytes(1, r#"{q="a\"\\"}"#),
    ]);
    let wanted = protobuf(Protocol::LokiPush, &body).logs.unwrap();
    let got = json(Protocol::LokiPush, &text).logs.unwrap();
    assert_eq!(columns(&got.table), columns(&wanted.table));
    assert_eq!((got.bytes, got.stream_labels), (wanted.bytes, wanted.stream_labels));
}

#[test]
fn faults_in_json_name_path_and_place() {
    for (text, wanted) in [
        (r#"{"streams":[{"values":[["x","l"]]}]}"#, "streams[0].values[0]"),
        (r#"{"streams":[{"stream":{"a":1}}]}"#, "streams[0].stream"),
        (r#"{"streams":[{"values":[["1"]]}]}"#, "invalid length 1, expected [time, line]"),
        (r#"{"streams":[{}, {"values":[["1", 5]]}]}"#, "the line as text"),
        (r#"{"streams":{}}"#, "a list of streams"),
        ("{\"streams\":[", "EOF"),
    ] {
        let error =
            read(Protocol::LokiPush, Format::Json, text.as_bytes(), &mut Series::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.to_string().contains(wanted), "{error} lacks {wanted}");
    }
}
