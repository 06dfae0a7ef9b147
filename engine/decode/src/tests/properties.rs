//! What holds for any body.

use proptest::prelude::*;

use super::proto::{Proto, export, message};
use super::read;
use super::resolver::Series;
use super::rows::columns;
use crate::{Format, Protocol};

const PROTOCOLS: [Protocol; 6] = [
    Protocol::OtlpTraces,
    Protocol::OtlpLogs,
    Protocol::OtlpMetrics,
    Protocol::RemoteWrite1,
    Protocol::RemoteWrite2,
    Protocol::LokiPush,
];

fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(&PROTOCOLS[..])
}

/// Fields with small numbers and nested ones, so that readers get far.
fn fields(depth: u32) -> BoxedStrategy<Vec<u8>> {
    let number = 1..18_u32;
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

/// Requests of remote write 2.0: some symbols, and series whose references are
/// mostly in the table.
fn request_2() -> impl Strategy<Value = Vec<u8>> {
    let symbol = prop_oneof![
        Just(b"__name__".to_vec()),
        "[a-c]{0,2}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..3),
    ];
    let refs = || prop::collection::vec(0..12_u64, 0..7);
    let item = || prop::collection::vec(fields(2), 0..4).prop_map(|parts| parts.concat());
    let exemplar =
        (refs(), item()).prop_map(|(refs, rest)| [message().varints(1, refs).build(), rest].concat());
    let row = prop_oneof![
        item().prop_map(|bytes| message().bytes(2, bytes).build()),
        item().prop_map(|bytes| message().bytes(3, bytes).build()),
        exemplar.prop_map(|bytes| message().bytes(4, bytes).build()),
        (0..9_u64, 0..12_u64, 0..12_u64).prop_map(|(kind, help, unit)| {
            message().nested(5, message().varint(1, kind).varint(3, help).varint(4, unit)).build()
        }),
        any::<u64>().prop_map(|start| message().varint(6, start).build()),
        fields(2).prop_map(|bytes| message().bytes(9, bytes).build()),
    ];
    let series = (refs(), prop::collection::vec(row, 0..5))
        .prop_map(|(refs, rows)| [message().varints(1, refs).build(), rows.concat()].concat());
    (prop::collection::vec(symbol, 0..12), prop::collection::vec(series, 0..6)).prop_map(
        |(symbols, series)| {
            let table =
                symbols.into_iter().fold(message().bytes(4, ""), |body, symbol| body.bytes(4, symbol));
            series.into_iter().fold(table, |body, series| body.bytes(5, series)).build()
        },
    )
}

/// Labels, and samples of (milliseconds, bits of the value).
type PlainSeries = (std::collections::BTreeMap<String, String>, Vec<(i64, u64)>);

/// The same series in 1.0 and in 2.0.
fn both_versions(all: &[PlainSeries]) -> (Vec<u8>, Vec<u8>) {
    let mut symbols = vec![String::new()];
    let mut number = |text: &str| match symbols.iter().position(|symbol| symbol == text) {
        Some(at) => at as u64,
        None => {
            symbols.push(text.to_owned());
            symbols.len() as u64 - 1
        }
    };
    let (mut v1, mut series) = (message(), Vec::new());
    for (labels, samples) in all {
        let pairs = labels.iter().map(|(name, value)| message().bytes(1, name).bytes(2, value));
        let first = pairs.fold(message(), |series, label| series.nested(1, label));
        let refs: Vec<u64> = labels.iter().flat_map(|(name, value)| [number(name), number(value)]).collect();
        let second = message().varints(1, refs);
        let rows = |series: Proto| {
            samples.iter().fold(series, |series, (time_ms, bits)| {
                series.nested(2, message().fixed64(1, *bits).varint(2, time_ms.cast_unsigned()))
            })
        };
        v1 = v1.nested(1, rows(first));
        series.push(rows(second));
    }
    let table = symbols.iter().fold(message(), |body, symbol| body.bytes(4, symbol));
    (v1.build(), series.into_iter().fold(table, |body, series| body.nested(5, series)).build())
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
    fn any_symbols_are_read_or_refused(body in request_2(), cut in any::<prop::sample::Index>()) {
        let mut series = Series::default();
        let first = read(Protocol::RemoteWrite2, Format::Protobuf, &body, &mut series).map(|d| d.received);
        let again = read(Protocol::RemoteWrite2, Format::Protobuf, &body, &mut series).map(|d| d.received);
        prop_assert_eq!(&first, &again);
        let cut = &body[..cut.index(body.len() + 1)];
        if let (Ok(whole), Ok(part)) = (first, read(Protocol::RemoteWrite2, Format::Protobuf, cut, &mut series)) {
            prop_assert!(part.received <= whole);
        }
    }

    #[test]
    fn remote_write_1_and_2_make_the_same_samples(
        all in prop::collection::vec(
            (
                prop::collection::btree_map("__name__|[a-e]{1,2}", "[a-z]{1,3}", 0..5),
                prop::collection::vec((any::<i64>(), any::<u64>()), 0..4),
            ),
            0..8,
        ),
    ) {
        let (v1, v2) = both_versions(&all);
        let mut series = Series::default();
        let v1 = read(Protocol::RemoteWrite1, Format::Protobuf, &v1, &mut series).unwrap();
        let known = series.labels.len();
        let v2 = read(Protocol::RemoteWrite2, Format::Protobuf, &v2, &mut series).unwrap();
        let bits = |batch: &isinglass_model::batch::SampleBatch| -> Vec<u64> {
            batch.value.iter().map(|value| value.to_bits()).collect()
        };
        prop_assert_eq!(series.labels.len(), known);
        prop_assert_eq!(&v1.samples.series, &v2.samples.series);
        prop_assert_eq!(&v1.samples.time_ms, &v2.samples.time_ms);
        prop_assert_eq!(bits(&v1.samples), bits(&v2.samples));
        prop_assert_eq!(v1.rejections.by_reason(), v2.rejections.by_reason());
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
