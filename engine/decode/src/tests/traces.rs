//! OTLP traces.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use isinglass_model::columns::{ColumnData, Columns, Encoding};
use isinglass_model::kind::Kind;
use isinglass_model::tables::Table;

use super::proto::{Proto, export, message, service};
use super::resolver::Series;
use super::rows::{column, columns};
use super::{json, protobuf, read, rejected};
use crate::{Format, Protocol};

const TRACE: [u8; 16] = [0xab; 16];

pub(super) fn span(id: u8) -> Proto {
    message().bytes(1, TRACE).bytes(2, [id; 8]).bytes(5, "GET /").fixed64(7, 1_000).fixed64(8, 3_500)
}

fn full() -> Vec<u8> {
    let resource = service("shop")
        .attribute(1, "k8s.pod.name", "pod-1")
        .int_attribute(1, "process.pid", 7)
        .attribute(1, "os.type", "linux");
    let event = message()
        .fixed64(1, 1_200)
        .bytes(2, "exception")
        .attribute(3, "exception.message", "no")
        .varint(4, 2);
    let link =
        message().bytes(1, [1; 16]).bytes(2, [2; 8]).bytes(3, "a=b").int_attribute(4, "n", 1).fixed32(6, 257);
    let server = span(1)
        .bytes(3, "k=v")
        .bytes(4, [9; 8])
        .varint(6, 2)
        .attribute(9, "http.method", "GET")
        .int_attribute(9, "http.status_code", 200)
        .attribute(9, "custom", "x\"y")
        .varint(10, 3)
        .nested(11, event)
        .nested(11, message().fixed64(1, 1_300).bytes(2, "retry"))
        .varint(12, 4)
        .nested(13, link)
        .varint(14, 5)
        .nested(15, message().bytes(2, "broken").varint(3, 2))
        .fixed32(16, 1);
    export(
        resource,
        [server, span(2).attribute(9, "http.status_code", "200").attribute(9, "http.method", "PUT")],
    )
}

#[test]
fn every_column() {
    let body = full();
    let decoded = protobuf(Protocol::OtlpTraces, &body);
    let spans = decoded.spans.unwrap();
    assert_eq!(
        columns(&spans.table),
        [
            "time: 1000 | 1000",
            "duration: 2500 | 2500",
            "trace_id: abababababababababababababababab | abababababababababababababababab",
            "span_id: 0101010101010101 | 0202020202020202",
            "parent_span_id: 0909090909090909 | -",
            "service: shop | shop",
            "name: GET / | GET /",
            "kind: server | unspecified",
            "status: error | unset",
            "status_message: broken | -",
            "trace_state: k=v | -",
            "flags: 1 | -",
            "size_bytes: 276 | 102",
            "scope_name: lib | lib",
            "scope_version: 1.0 | 1.0",
            "k8s_pod_name: pod-1 | pod-1",
            "process_pid: 7 | 7",
            "http_method: GET | PUT",
            "http_status_code: 200 | -",
            "resource: {os.type=\"linux\"} | {os.type=\"linux\"}",
            r#"attributes: {custom="x\"y"} | {http.status_code="200"}"#,
            "events: [(1200, exception, {exception.message=\"no\"}, 2); (1300, retry, -, -)] | -",
            "links: [(01010101010101010101010101010101, 0202020202020202, a=b, 257, {n=1}, -)] | -",
            "dropped_attributes_count: 3 | -",
            "dropped_events_count: 4 | -",
            "dropped_links_count: 5 | -",
        ]
    );
    let table = Table::of(Kind::Spans);
    for field in spans.table.schema().fields() {
        assert_eq!(field, table.batch_field(table.position(field.name()).unwrap()));
    }
    assert_eq!(spans.bytes(), 276 + 102);
}

#[test]
fn text_is_interned_while_reading() {
    let decoded = protobuf(Protocol::OtlpTraces, &export(service("a"), (1..100).map(span)));
    let table = decoded.spans.unwrap().table;
    let names = table.column_by_name("name").unwrap().as_dictionary::<Int32Type>().clone();
    assert_eq!((table.num_rows(), names.values().len()), (99, 1));
}

#[test]
fn the_attribute_index_covers_all_attributes() {
    let decoded = protobuf(Protocol::OtlpTraces, &full());
    let spans = decoded.spans.unwrap();
    let offsets = spans.column("attr.offsets", Encoding::Values).unwrap().data;
    let keys = spans.column("attr.key", Encoding::Dictionary).unwrap().data;
    let lengths = spans.column("attr.value", Encoding::Lengths).unwrap().data;
    let (ColumnData::Offsets(offsets), ColumnData::Dictionary { keys, values }, ColumnData::U32(lengths)) =
        (offsets, keys, lengths)
    else {
        panic!("other encodings");
    };
    assert_eq!(
        (&offsets[..], &keys[..], &lengths[..]),
        (&[0, 3, 5][..], &[0, 1, 2, 1, 0][..], &[3, 3, 3, 3, 3][..])
    );
    assert_eq!(&values.data[..], b"http.methodhttp.status_codecustom");
}

#[test]
fn a_second_attribute_of_a_key_is_kept_in_the_map() {
    let twice = span(1).attribute(9, "http.method", "GET").attribute(9, "http.method", "PUT");
    let table = protobuf(Protocol::OtlpTraces, &export(service("a"), [twice])).spans.unwrap().table;
    assert_eq!(column(&table, "http_method"), ["GET"]);
    assert_eq!(column(&table, "attributes"), ["{http.method=\"PUT\"}"]);
}

#[test]
fn services() {
    for (resource, wanted) in [
        (service("shop"), "shop"),
        (service(""), "unknown_service"),
        (message(), "unknown_service"),
        (message().int_attribute(1, "service.name", 7), "7"),
        (service("a").attribute(1, "service.name", "b"), "a"),
    ] {
        let table = protobuf(Protocol::OtlpTraces, &export(resource, [span(1)])).spans.unwrap().table;
        assert_eq!(column(&table, "service"), [wanted]);
    }
}

#[test]
fn bad_spans_are_rejected_and_the_rest_is_kept() {
    let base = || message().bytes(5, "x").fixed64(7, 1).fixed64(8, 2);
    let ids = || base().bytes(1, TRACE).bytes(2, [1; 8]);
    for (bad, reason, text) in [
        (base().bytes(2, [1; 8]), "invalid_trace_id", "trace_id has 0 bytes, not 16"),
        (base().bytes(1, [0; 16]).bytes(2, [1; 8]), "invalid_trace_id", "trace_id is all zero"),
        (base().bytes(1, TRACE), "invalid_span_id", "span_id has 0 bytes, not 8"),
        (base().bytes(1, TRACE).bytes(2, [0; 8]), "invalid_span_id", "span_id is all zero"),
        (base().bytes(1, TRACE).bytes(2, [1; 9]), "invalid_span_id", "span_id has 9 bytes, not 8"),
        (ids().bytes(4, [1; 3]), "invalid_span_id", "parent_span_id has 3 bytes, not 8"),
        (ids().bytes(5, b"a\xff"), "invalid_utf8", "name is not UTF-8 at byte 1: \"a\u{fffd}\""),
        (ids().any(9, b"\xff", message()), "invalid_utf8", "an attribute key is not UTF-8"),
        (ids().any(9, "k", message().bytes(1, b"\xff")), "invalid_utf8", "an attribute value is not UTF-8"),
        (
            ids().any(9, "http.method", message().bytes(1, b"\xff")),
            "invalid_utf8",
            "an attribute value is not UTF-8",
        ),
        (ids().nested(11, message().bytes(2, b"\xff")), "invalid_utf8", "an event name is not UTF-8"),
        (ids().nested(13, message()), "invalid_trace_id", "trace_id of a link has 0 bytes, not 16"),
        (ids().nested(15, message().bytes(2, b"\xff")), "invalid_utf8", "status message is not UTF-8"),
        (ids().fixed64(8, u64::MAX), "span_time_invalid", "end of the span is 18446744073709551615 ns"),
        (
            (0..10_001).fold(ids(), |span, _| span.attribute(9, "k", "v")),
            "too_many_attributes",
            "more than 10000 attributes",
        ),
    ] {
        // Everything that the bad span set before its fault has to go.
        let bad = message()
            .attribute(9, "http.method", "BAD")
            .attribute(9, "custom", "BAD")
            .nested(11, message().bytes(2, "BAD").attribute(3, "k", "BAD"))
            .nested(13, message().bytes(1, TRACE).bytes(2, [1; 8]).attribute(4, "k", "BAD"))
            .bytes(3, "BAD")
            .build()
            .into_iter()
            .chain(bad.build())
            .collect::<Vec<_>>();
        let good = |id| span(id).attribute(9, "http.method", "GET");
        let scope = message().nested(2, good(1)).bytes(2, bad).nested(2, good(2));
        let body = message().nested(1, message().nested(1, service("a")).nested(2, scope)).build();
        let decoded = protobuf(Protocol::OtlpTraces, &body);
        assert_eq!((rejected(&decoded), decoded.received), (vec![(reason, 1)], 3));
        let item = &decoded.rejections.items()[0];
        assert!(item.message.contains(text), "{} {text}", item.message);
        let spans = decoded.spans.unwrap();
        assert_eq!(column(&spans.table, "span_id"), ["0101010101010101", "0202020202020202"]);
        assert_eq!(column(&spans.table, "http_method"), ["GET", "GET"]);
        for name in ["attributes", "events", "links", "trace_state"] {
            assert_eq!(column(&spans.table, name), ["-", "-"], "{name} after {reason}");
        }
        let ColumnData::Offsets(offsets) = spans.column("attr.offsets", Encoding::Values).unwrap().data
        else {
            panic!("other encoding");
        };
        assert_eq!(&offsets[..], [0, 1, 2]);
    }
}

#[test]
fn a_bad_resource_or_scope_rejects_its_spans() {
    let bad_resource = service("a").any(1, "k", message().bytes(1, b"\xff"));
    let decoded = protobuf(Protocol::OtlpTraces, &export(bad_resource, [span(1), span(2)]));
    assert_eq!((rejected(&decoded), decoded.spans.is_none()), (vec![("invalid_utf8", 2)], true));
    let scope = message().nested(2, span(1)).nested(1, message().bytes(1, b"\xff"));
    let body = message().nested(1, message().nested(2, scope)).build();
    assert_eq!(rejected(&protobuf(Protocol::OtlpTraces, &body)), [("invalid_utf8", 1)]);
}

#[test]
fn a_resource_may_come_last() {
    let group = message().nested(2, message().nested(2, span(1))).nested(1, service("late"));
    let table = protobuf(Protocol::OtlpTraces, &message().nested(1, group).build()).spans.unwrap().table;
    assert_eq!(column(&table, "service"), ["late"]);
}

#[test]
fn times_and_parents() {
    let backwards =
        message().bytes(1, TRACE).bytes(2, [1; 8]).bytes(4, [0; 8]).fixed64(7, 500).fixed64(8, 200);
    let table = protobuf(Protocol::OtlpTraces, &export(service("a"), [backwards])).spans.unwrap().table;
    assert_eq!(
        (column(&table, "duration"), column(&table, "parent_span_id")),
        (vec!["-300".to_owned()], vec!["-".to_owned()])
    );
}

#[test]
fn repetition_is_bounded() {
    // A resource of 1 MiB over 400 spans would take 400 MiB.
    let resource = service("a").attribute(1, "big", &"x".repeat(1 << 20));
    let decoded = protobuf(Protocol::OtlpTraces, &export(resource, (0..400).map(|_| span(1))));
    assert_eq!(decoded.received, 400);
    let [(reason, count)] = rejected(&decoded)[..] else { panic!("{:?}", rejected(&decoded)) };
    assert_eq!((reason, count), ("structured_metadata_too_large", 145));
}

#[test]
fn json_is_the_same() {
    let text = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"k8s.pod.name","value":{"stringValue":"pod-1"}},{"key":"process.pid","value":{"intValue":"7"}},
        {"key":"os.type","value":{"stringValue":"linux"}}]},
      "scopeSpans":[{"scope":{"name":"lib","version":"1.0"},"spans":[
        {"traceId":"ABABABABABABABABABABABABABABABAB","spanId":"0101010101010101","traceState":"k=v",
         "parentSpanId":"0909090909090909","name":"GET /","kind":"SPAN_KIND_SERVER",
         "startTimeUnixNano":"1000","endTimeUnixNano":3500,"flags":1,
         "attributes":[{"key":"http.method","value":{"stringValue":"GET"}},
           {"key":"http.status_code","value":{"intValue":200}},{"key":"custom","value":{"stringValue":"x\"y"}}],
         "droppedAttributesCount":3,"droppedEventsCount":4,"droppedLinksCount":5,
         "events":[{"timeUnixNano":"1200","name":"exception","droppedAttributesCount":2,
           "attributes":[{"key":"exception.message","value":{"stringValue":"no"}}]},
           {"timeUnixNano":"1300","name":"retry"}],
         "links":[{"traceId":"01010101010101010101010101010101","spanId":"0202020202020202","traceState":"a=b",
           "attributes":[{"key":"n","value":{"intValue":"1"}}],"flags":257}],
         "status":{"message":"broken","code":2}},
        {"traceId":"abababababababababababababababab","spanId":"0202020202020202","name":"GET /","kind":0,
         "startTimeUnixNano":"1000","endTimeUnixNano":"3500","status":null,
         "attributes":[{"key":"http.status_code","value":{"stringValue":"200"}},
           {"key":"http.method","value":{"stringValue":"PUT"}}]}]}]}]}"#;
    let wanted = protobuf(Protocol::OtlpTraces, &full()).spans.unwrap();
    let got = json(Protocol::OtlpTraces, text).spans.unwrap();
    assert_eq!(columns(&got.table), columns(&wanted.table));
}

#[test]
fn json_ids_that_are_none_reject_the_span() {
    let text = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz","spanId":"0101010101010101"},
        {"traceId":"abababababababababababababababab","spanId":""}]}]}]}"#;
    let decoded = json(Protocol::OtlpTraces, text);
    assert_eq!(rejected(&decoded), [("invalid_span_id", 1), ("invalid_trace_id", 1)]);
}

#[test]
fn faults_in_the_framing_name_their_field() {
    let error = |body: &[u8]| {
        read(Protocol::OtlpTraces, Format::Protobuf, body, &mut Series::default()).unwrap_err().to_string()
    };
    let body = export(service("a"), [span(1), span(2).varint(5, 1)]);
    assert!(error(&body).starts_with(
        "malformed OTLP traces: the field is not length-delimited in resource_spans[0].scope_spans[0].spans[1].name"
    ));
    // behind the fault of an item
    let body = export(service("a"), [message().bytes(5, b"\xff").bytes(15, [0x12, 9])]);
    assert!(error(&body).contains("resource_spans[0].scope_spans[0].spans[0].status"), "{}", error(&body));
}
