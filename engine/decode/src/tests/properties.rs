//! What holds for any body.

use proptest::prelude::*;

use super::proto::{Proto, export, message};
use super::read;
use super::resolver::Series;
use super::rows::columns;
use crate::{Format, Protocol};

const PROTOCOLS: [Protocol; 5] = [
    Protocol::OtlpTraces,
    Protocol::OtlpLogs,
    Protocol::OtlpMetrics,
    Protocol::RemoteWrite1,
    Protocol::LokiPush,
];

fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(&PROTOCOLS[..])
}

/// Fields with small numbers and nested ones, so that readers get far.
fn fields(depth: u32) -> BoxedStrategy<Vec<u8>> {
    let number = 1..17_u32;
    let leaf = prop_oneof![
        (number.clone(), any::<u64>()).prop_map(|(n, value)| message().varint(n, value).build()),
        (number.clone(), 0..4_u64).prop_map(|(n, value)| message().varint(n, value).build()),
        (number.clone(), any::<u64>()).prop_map(|(n, value)| message().fixed64(n, value).build()),
        (number.clone(), any::<f64>()).prop_map(|(n, value)| message().double(n, value).build()),
        (number.clone(), any::<u32>()).prop_map(|(n, value)| message().fixed32(n, value).build()),
        (number.clone(), "[a-z{}=\"\\.]{0,12}").prop_map(|(n, text)| message().bytes(n, text).build()),
        (number.clone(), prop::sample::select(&[8_usize, 16][..]))
            .prop_map(|(n, len)| message().bytes(n, vec![7; len]).build()),
        (number.clone(), prop::collection::vec(any::<u8>(), 0..12))
            .prop_map(|(n, bytes)| message().bytes(n, bytes).build()),
    ];
    leaf.prop_recursive(depth, 200, 8, move |inner| {
        (1..16_u32, prop::collection::vec(inner, 0..8))
            .prop_map(|(n, parts)| message().bytes(n, parts.concat()).build())
    })
    .boxed()
}

/// Messages that are nested as requests are, with any fields inside.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let item = prop::collection::vec(fields(4), 0..8).prop_map(|parts| parts.concat());
    let group = prop::collection::vec(item.clone(), 0..4)
        .prop_map(|items| items.into_iter().fold(message(), |group, item| group.bytes(2, item)).build());
    prop_oneof![
        prop::collection::vec((item.clone(), group), 0..3).prop_map(|groups| {
            let all = groups.into_iter().fold(message(), |body, (head, group)| {
                body.nested(1, message().bytes(1, head).bytes(2, group))
            });
            all.build()
        }),
        prop::collection::vec(item, 0..6)
            .prop_map(|items| items.into_iter().fold(message(), |b, i| b.bytes(1, i)).build()),
    ]
}

/// A request without faults, of spans or log records alike.
fn spans(values: &[(u8, String, i64)]) -> Vec<u8> {
    let span = |(id, text, number): &(u8, String, i64)| -> Proto {
        let id = (*id).max(1);
        message()
            .bytes(1, [id; 16])
            .bytes(2, [id; 8])
            .bytes(5, text)
            .fixed64(7, 1)
            .fixed64(8, number.unsigned_abs() / 2)
            .attribute(9, "http.method", text)
            .attribute(9, text, "value")
            .int_attribute(9, "http.status_code", *number)
            .nested(11, message().bytes(2, text).attribute(3, text, text))
    };
    export(message().attribute(1, "service.name", "s").attribute(1, "x", "y"), values.iter().map(span))
}

/// The same as JSON.
fn spans_json(values: &[(u8, String, i64)]) -> String {
    let spans: Vec<_> = values
        .iter()
        .map(|(id, text, number)| {
            let id = (*id).max(1);
            let attribute = |key: &str, kind: &str, value: serde_json::Value| {
                serde_json::json!({ "key": key, "value": { kind: value } })
            };
            serde_json::json!({
                "traceId": hex::encode([id; 16]), "spanId": hex::encode([id; 8]), "name": text,
                "startTimeUnixNano": "1", "endTimeUnixNano": (number.unsigned_abs() / 2).to_string(),
                "attributes": [
                    attribute("http.method", "stringValue", text.as_str().into()),
                    attribute(text, "stringValue", "value".into()),
                    attribute("http.status_code", "intValue", number.to_string().into()),
                ],
                "events": [{ "name": text, "attributes": [attribute(text, "stringValue", text.as_str().into())] }],
            })
        })
        .collect();
    let body = serde_json::json!({ "resourceSpans": [{
        "resource": { "attributes": [
            { "key": "service.name", "value": { "stringValue": "s" } }, { "key": "x", "value": { "stringValue": "y" } } ] },
        "scopeSpans": [{ "scope": { "name": "lib", "version": "1.0" }, "spans": spans }],
    }] });
    body.to_string()
}

/// Values that are no zero of protobuf's, which no writer would write.
fn span() -> impl Strategy<Value = (u8, String, i64)> {
    (any::<u8>(), any::<String>(), any::<i64>())
        .prop_map(|(id, text, number)| (id, format!("x{text}"), number | 2))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_read_or_refused(protocol in protocol(), body in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in [Format::Protobuf, Format::Json] {
            let _ = read(protocol, format, &body, &mut Series::default());
        }
    }

    #[test]
    fn any_fields_are_read_or_refused(protocol in protocol(), body in request()) {
        // `read` checks that the books balance.
        let mut series = Series::default();
        let first = read(protocol, Format::Protobuf, &body, &mut series).map(|decoded| decoded.received);
        let again = read(protocol, Format::Protobuf, &body, &mut series).map(|decoded| decoded.received);
        prop_assert_eq!(first, again);
    }

    #[test]
    fn a_cut_body_is_malformed_or_holds_less(protocol in protocol(), body in request(), cut in any::<prop::sample::Index>()) {
        if let Ok(whole) = read(protocol, Format::Protobuf, &body, &mut Series::default()) {
            let cut = &body[..cut.index(body.len() + 1)];
            if let Ok(part) = read(protocol, Format::Protobuf, cut, &mut Series::default()) {
                prop_assert!(part.received <= whole.received);
            }
        }
    }

    #[test]
    fn json_and_protobuf_make_the_same_batch(values in prop::collection::vec(span(), 1..8)) {
        let protobuf = read(Protocol::OtlpTraces, Format::Protobuf, &spans(&values), &mut Series::default()).unwrap();
        let json = read(Protocol::OtlpTraces, Format::Json, spans_json(&values).as_bytes(), &mut Series::default()).unwrap();
        prop_assert_eq!(protobuf.received, values.len() as u64);
        prop_assert_eq!(protobuf.kept(), json.kept());
        prop_assert_eq!(columns(&protobuf.spans.unwrap().table), columns(&json.spans.unwrap().table));
    }
}
