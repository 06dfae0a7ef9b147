//! OTLP logs.

use isinglass_model::columns::{ColumnData, Columns, Encoding};
use isinglass_model::kind::Kind;
use isinglass_model::tables::Table;

use super::proto::{Proto, export, message, service};
use super::rows::{column, columns};
use super::{NOW, json, protobuf, rejected};
use crate::Protocol;

fn record(time: u64, body: &str) -> Proto {
    message().fixed64(1, time).nested(5, message().bytes(1, body))
}

fn full() -> Vec<u8> {
    let resource = service("shop")
        .attribute(1, "service.namespace", "prod")
        .attribute(1, "k8s.pod.name", "pod-1")
        .attribute(1, "os.type", "linux");
    let first = record(1_000, "hello")
        .varint(2, 17)
        .bytes(3, "ERR")
        .attribute(6, "http.route", "/x")
        .int_attribute(6, "n", 5)
        .varint(7, 2)
        .fixed32(8, 1)
        .bytes(9, [0xab; 16])
        .bytes(10, [0xcd; 8])
        .fixed64(11, 2_000)
        .bytes(12, "login");
    export(resource, [first, record(3_000, "bye").varint(2, 9).bytes(3, "info")])
}

#[test]
fn every_column() {
    let logs = protobuf(Protocol::OtlpLogs, &full()).logs.unwrap();
    let stream = r#"{k8s_pod_name="pod-1", service_name="shop", service_namespace="prod"}"#;
    assert_eq!(
        columns(&logs.table),
        [
            "time: 1000 | 3000",
            "service: shop | shop",
            &format!("stream: {stream} | {stream}"),
            "severity: error | info",
            "severity_number: 17 | 9",
            "severity_text: ERR | -",
            "body: hello | bye",
            "trace_id: abababababababababababababababab | -",
            "span_id: cdcdcdcdcdcdcdcd | -",
            "flags: 1 | -",
            "event_name: login | -",
            "observed_time: 2000 | -",
            "scope_name: lib | lib",
            "scope_version: 1.0 | 1.0",
            "service_namespace: prod | prod",
            "k8s_pod_name: pod-1 | pod-1",
            "http_route: /x | -",
            "resource: {os.type=\"linux\"} | {os.type=\"linux\"}",
            "attributes: {n=5} | -",
            "dropped_attributes_count: 2 | -",
        ]
    );
    let table = Table::of(Kind::Logs);
    for field in logs.table.schema().fields() {
        assert_eq!(field, table.batch_field(table.position(field.name()).unwrap()));
    }
    let ColumnData::U32(labels) = logs.column("stream.labels", Encoding::Values).unwrap().data else {
        panic!("other encoding");
    };
    assert_eq!(&labels[..], [2, 2]);
    assert!(logs.bytes > 100);
}

#[test]
fn times() {
    let logs = |record| protobuf(Protocol::OtlpLogs, &export(service("a"), [record])).logs.unwrap();
    assert_eq!(column(&logs(message()).table, "time"), [NOW.to_string()]);
    assert_eq!(column(&logs(message().fixed64(11, 7)).table, "time"), ["7"]);
    let decoded = protobuf(Protocol::OtlpLogs, &export(service("a"), [message().fixed64(1, u64::MAX)]));
    assert_eq!(rejected(&decoded), [("too_far_in_future", 1)]);
}

#[test]
fn bodies() {
    let list = message().nested(1, message().varint(3, 1)).nested(1, message().bytes(1, "x"));
    let map = message().int_attribute(1, "k", 2);
    for (body, wanted) in [
        (message().bytes(1, "text \"as it is\""), "text \"as it is\""),
        (message(), ""),
        (message().varint(3, 5), "5"),
        (message().varint(2, 1), "true"),
        (message().double(4, 0.5), "0.5"),
        (message().nested(5, list), r#"[1,"x"]"#),
        (message().nested(6, map), r#"{"k":2}"#),
        (message().bytes(7, [1, 2]), "\"AQI=\""),
    ] {
        let logs =
            protobuf(Protocol::OtlpLogs, &export(service("a"), [message().nested(5, body)])).logs.unwrap();
        assert_eq!(column(&logs.table, "body"), [wanted]);
    }
}

#[test]
fn severities() {
    for (number, text, wanted) in [
        (0, "", ["-", "-", "-"]),
        (4, "", ["trace", "4", "-"]),
        (24, "FATAL4", ["fatal", "24", "FATAL4"]),
        (0, "WARNING", ["warn", "-", "WARNING"]),
        (0, "verbose", ["-", "-", "verbose"]),
        (99, "", ["-", "99", "-"]),
        (5, "debug", ["debug", "5", "-"]),
    ] {
        let record = message().varint(2, number).bytes(3, text);
        let table = protobuf(Protocol::OtlpLogs, &export(service("a"), [record])).logs.unwrap().table;
        let got =
            ["severity", "severity_number", "severity_text"].map(|name| column(&table, name)[0].clone());
        assert_eq!(got, wanted);
    }
}

#[test]
fn bad_records_are_rejected_and_the_rest_is_kept() {
    for (bad, reason) in [
        (record(1, "x").bytes(9, [1; 3]), "invalid_trace_id"),
        (record(1, "x").bytes(10, [1; 3]), "invalid_span_id"),
        (message().nested(5, message().bytes(1, b"\xff")), "invalid_utf8"),
        (record(1, "x").bytes(3, b"\xff"), "invalid_utf8"),
        (record(1, "x").bytes(12, b"\xff"), "invalid_utf8"),
        (
            (0..10_001).fold(record(1, "x"), |record, _| record.attribute(6, "k", "v")),
            "structured_metadata_too_many",
        ),
    ] {
        let bad = bad.attribute(6, "user.id", "BAD").attribute(6, "custom", "BAD").varint(2, 17);
        let decoded =
            protobuf(Protocol::OtlpLogs, &export(service("a"), [record(1, "a"), bad, record(2, "b")]));
        assert_eq!((rejected(&decoded), decoded.received), (vec![(reason, 1)], 3));
        let table = decoded.logs.unwrap().table;
        assert_eq!(column(&table, "body"), ["a", "b"]);
        for name in ["user_id", "attributes", "severity", "severity_number"] {
            assert_eq!(column(&table, name), ["-", "-"], "{name} after {reason}");
        }
    }
}

#[test]
fn ids_of_zeros_are_absent() {
    let table = protobuf(
        Protocol::OtlpLogs,
        &export(service("a"), [record(1, "x").bytes(9, [0; 16]).bytes(10, [0; 8])]),
    )
    .logs
    .unwrap()
    .table;
    assert_eq!(
        (column(&table, "trace_id"), column(&table, "span_id")),
        (vec!["-".to_owned()], vec!["-".to_owned()])
    );
}

#[test]
fn json_is_the_same() {
    let text = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"service.namespace","value":{"stringValue":"prod"}},{"key":"k8s.pod.name","value":{"stringValue":"pod-1"}},
        {"key":"os.type","value":{"stringValue":"linux"}}]},
      "scopeLogs":[{"scope":{"name":"lib","version":"1.0"},"logRecords":[
        {"timeUnixNano":"1000","observedTimeUnixNano":"2000","severityNumber":"SEVERITY_NUMBER_ERROR","severityText":"ERR",
         "body":{"stringValue":"hello"},"attributes":[{"key":"http.route","value":{"stringValue":"/x"}},
         {"key":"n","value":{"intValue":"5"}}],"droppedAttributesCount":2,"flags":1,
         "traceId":"abababababababababababababababab","spanId":"cdcdcdcdcdcdcdcd","eventName":"login"},
        {"timeUnixNano":"3000","severityNumber":9,"severityText":"info","traceId":"","body":{"stringValue":"bye"}}]}]}]}"#;
    let wanted = protobuf(Protocol::OtlpLogs, &full()).logs.unwrap();
    let got = json(Protocol::OtlpLogs, text).logs.unwrap();
    assert_eq!(columns(&got.table), columns(&wanted.table));
    assert_eq!(got.bytes, wanted.bytes);
}
