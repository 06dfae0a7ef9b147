//! Remote write 2.0.

use isinglass_model::ErrorKind;
use isinglass_model::batch::{Decoded, STALE_NAN_BITS};
use isinglass_model::series::{Judgement, Refusal, SeriesRef};

use super::proto::{Proto, message};
use super::resolver::Series;
use super::rows::samples;
use super::{read, rejected};
use crate::{DecodeError, Format, Protocol};

/// Symbols of most requests here, by number.
const SYMBOLS: [&str; 12] = [
    "",
    "__name__",
    "up",
    "job",
    "a",
    "b",
    "trace_id",
    "0af7651916cd43dd8448eb211c80319c",
    "span_id",
    "b7ad6b7169203331",
    "Is it up?",
    "seconds",
];

fn decode(body: &[u8], series: &mut Series) -> Decoded {
    read(Protocol::RemoteWrite2, Format::Protobuf, body, series).unwrap()
}

fn refused(body: &[u8]) -> DecodeError {
    read(Protocol::RemoteWrite2, Format::Protobuf, body, &mut Series::default()).unwrap_err()
}

fn symbols<'a>(symbols: impl IntoIterator<Item = &'a str>) -> Proto {
    symbols.into_iter().fold(message(), |request, symbol| request.bytes(4, symbol))
}

fn request(series: impl IntoIterator<Item = Proto>) -> Vec<u8> {
    series.into_iter().fold(symbols(SYMBOLS), |request, series| request.nested(5, series)).build()
}

fn series(refs: &[u64]) -> Proto {
    message().varints(1, refs.iter().copied())
}

/// `up{job="a"}`
fn up() -> Proto {
    series(&[1, 2, 3, 4])
}

fn sample(value: f64, time_ms: i64) -> Proto {
    message().double(1, value).varint(2, time_ms.cast_unsigned())
}

#[test]
fn samples_of_many_series() {
    let body = request([
        up().nested(2, sample(1.0, 1_000)).nested(2, sample(f64::from_bits(STALE_NAN_BITS), -5)),
        // another order, and not packed
        message().varint(1, 3).varint(1, 5).varint(1, 1).varint(1, 2).nested(2, sample(2.0, 0)),
        // references behind the sample, in two lists
        series(&[1, 2]).nested(2, sample(3.0, 7)).varints(1, [3, 4]),
        // no rows: not even a series
        series(&[1, 5]),
    ]);
    let mut index = Series::default();
    let decoded = decode(&body, &mut index);
    assert_eq!(
        samples(&decoded, &index),
        [r#"up{job="a"} 1 @1000"#, r#"up{job="a"} stale @-5"#, r#"up{job="b"} 2 @0"#, r#"up{job="a"} 3 @7"#]
    );
    assert_eq!(decoded.samples.value[1].to_bits(), STALE_NAN_BITS);
    assert_eq!((decoded.received, index.labels.len()), (4, 2));
}

#[test]
fn a_series_is_known_whatever_the_numbers_of_its_symbols_are() {
    let mut index = Series::default();
    decode(&request([up().nested(2, sample(1.0, 1))]), &mut index);
    let other = symbols(["", "a", "up", "__name__", "job"]);
    let body = other.nested(5, series(&[3, 2, 4, 1]).nested(2, sample(2.0, 2))).build();
    let decoded = decode(&body, &mut index);
    assert_eq!((decoded.samples.series, index.interned), (vec![SeriesRef(0)], 1));
    // and it is the series that 1.0 writes to
    let labels = |labels: &[(&str, &str)]| {
        labels
            .iter()
            .fold(message(), |into, (name, value)| into.nested(1, message().bytes(1, name).bytes(2, value)))
    };
    let first = labels(&[("__name__", "up"), ("job", "a")]).nested(2, sample(3.0, 3));
    let body = message().nested(1, first).build();
    let decoded = read(Protocol::RemoteWrite1, Format::Protobuf, &body, &mut index).unwrap();
    assert_eq!(decoded.samples.series, [SeriesRef(0)]);
}

#[test]
fn symbols_may_stand_anywhere() {
    let body = symbols(["", "up"]).nested(5, series(&[2, 1]).nested(2, sample(1.0, 1))).bytes(4, "__name__");
    let mut index = Series::default();
    let decoded = decode(&body.build(), &mut index);
    assert_eq!(samples(&decoded, &index), ["up{} 1 @1"]);
}

#[test]
fn a_bad_series_is_rejected_and_the_rest_is_kept() {
    let good = || up().nested(2, sample(1.0, 1));
    let many: Vec<u64> = (0..10_001).flat_map(|at| [100 + at, 2]).chain([1, 2]).collect();
    for (bad, reason, part) in [
        (series(&[1, 2, 3]), "symbol_refs_invalid", "3 references make no pairs of name and value"),
        (series(&[1, 2, 3, 12]), "symbol_refs_invalid", "symbol 12 is referred to, the table has 12 symbols"),
        (series(&[1, 2, 1 << 40, 4]), "symbol_refs_invalid", "the table has 12 symbols"),
        (up().nested(5, message().varint(3, 12)), "symbol_refs_invalid", "symbol 12"),
        (up().nested(5, message().varint(4, u64::MAX)), "symbol_refs_invalid", "the table has 12 symbols"),
        (series(&[]), "missing_metric_name", "__name__"),
        (series(&[3, 4]), "missing_metric_name", "__name__"),
        (series(&[1, 0, 3, 4]), "missing_metric_name", "the value of label \"__name__\" is empty"),
        (series(&[1, 2, 0, 4]), "label_invalid", "without a name"),
        (series(&[1, 2, 3, 0]), "label_value_invalid", "the value of label \"job\" is empty"),
        (series(&[1, 2, 3, 4, 3, 5]), "duplicate_label_names", "label name \"job\" occurs twice"),
        (series(&many), "max_label_names_per_series", "10002 labels, the limit is 10000"),
        (up().varint(6, i64::MAX.cast_unsigned()), "too_far_in_future", "start time 9223372036854775807 ms"),
    ] {
        let bad = bad.nested(2, sample(1.0, 1)).nested(3, message()).nested(2, sample(2.0, 2));
        let mut index = Series::default();
        let decoded = decode(&request([good(), bad, good()]), &mut index);
        assert_eq!(rejected(&decoded), [(reason, 3)]);
        assert!(decoded.rejections.items()[0].message.contains(part), "{:?}", decoded.rejections.items()[0]);
        assert_eq!((decoded.received, decoded.samples.len(), index.labels.len()), (5, 2, 1), "{reason}");
    }
}

#[test]
fn text_that_is_not_utf8() {
    for (refs, reason) in [([1, 3], "metric_name_invalid"), ([3, 1], "label_invalid")] {
        let table = symbols(["", "__name__", "up"]).bytes(4, b"\xff");
        let bad = series(&refs).nested(2, sample(1.0, 1));
        let decoded = decode(&table.nested(5, bad).build(), &mut Series::default());
        assert_eq!(rejected(&decoded), [(reason, 1)]);
    }
}

#[test]
fn a_rejected_item_shows_its_labels() {
    let exemplar = message().varints(1, [4, 5, 4, 4]).double(2, 0.5);
    let body = request([
        series(&[3, 4, 4, 5]).nested(2, sample(1.0, 1)),
        series(&[1, 2, 99, 4]).nested(2, sample(1.0, 1)),
        up().nested(4, exemplar),
    ]);
    let decoded = decode(&body, &mut Series::default());
    let texts: Vec<_> = decoded.rejections.items().iter().map(|item| item.item.as_str()).collect();
    let sample = r#""samples":[{"value":1.0,"timestamp":"1"}]"#;
    assert_eq!(
        texts,
        [
            format!(
                r#"{{"labels":[{{"name":"job","value":"a"}},{{"name":"a","value":"b"}}],"labelsRefs":[3,4,4,5],{sample}}}"#
            ),
            format!(r#"{{"labels":[{{"name":"__name__","value":"up"}}],"labelsRefs":[1,2,99,4],{sample}}}"#),
            r#"{"labels":[{"name":"a","value":"b"},{"name":"a","value":"a"}],"labelsRefs":[4,5,4,4],"value":0.5}"#
                .to_owned(),
        ]
    );
}

#[test]
fn judgements_are_remembered() {
    let body = request([up().nested(2, sample(1.0, 1)).nested(3, message())]);
    let mut index = Series::default();
    decode(&body, &mut index);
    let refusal = Refusal {
        reason: "label_value_too_long".into(),
        message: "too long".into(),
        plugin: "validate@1".into(),
        digest: "ab".into(),
        rule: String::new(),
    };
    index.judgements.insert(SeriesRef(0), Judgement::Reject(refusal.into()));
    let decoded = decode(&body, &mut index);
    assert_eq!(rejected(&decoded), [("label_value_too_long", 2)]);
    let item = &decoded.rejections.items()[0];
    assert_eq!((item.plugin.as_str(), item.digest.as_str()), ("validate@1", "ab"));
    assert!(item.item.starts_with(r#"{"labels":[{"name":"__name__","value":"up"}"#), "{}", item.item);
}

#[test]
fn starts_of_samples_and_histograms() {
    let own = |time_ms, start_ms: i64| sample(1.0, time_ms).varint(3, start_ms.cast_unsigned());
    let body = request([
        up().nested(2, sample(1.0, 10))
            .nested(2, own(11, 7))
            .varint(6, 5)
            .nested(3, message().varint(15, 12)),
        up().nested(3, message().varint(15, 13).varint(17, 8)).nested(2, sample(1.0, 14)),
        up().nested(2, own(15, i64::MIN)),
    ]);
    let mut index = Series::default();
    let decoded = decode(&body, &mut index);
    assert_eq!(
        samples(&decoded, &index),
        [r#"up{job="a"} 1 @10 from 5"#, r#"up{job="a"} 1 @11 from 7"#, r#"up{job="a"} 1 @14"#]
    );
    let histograms: Vec<_> = decoded.histograms.rows.iter().map(|row| (row.time_ms, row.start_ms)).collect();
    assert_eq!(histograms, [(12, 5), (13, 8)]);
    assert_eq!(rejected(&decoded), [("too_far_in_past", 1)]);
}

#[test]
fn histograms() {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let span = |length| message().sint(1, 0).varint(2, length);
    let deltas = |into: Proto, number, values: &[i64]| {
        into.varints(number, values.iter().map(|value| crate::wire::zigzag(*value)))
    };
    let integer = || {
        let all = message().varint(1, 3).double(3, 4.5).sint(4, 2).nested(11, span(2));
        deltas(all, 12, &[1, 1]).varint(14, 1)
    };
    let float = message().double(2, 2.0).nested(8, span(1)).doubles(10, &[2.0]).varint(14, 3);
    let custom =
        deltas(message().varint(1, 2).sint(4, -53).nested(11, span(2)), 12, &[1, 0]).doubles(16, &[0.5]);
    let body = request([up()
        .nested(3, integer())
        .nested(3, float)
        .nested(3, custom)
        .nested(3, integer().double(3, stale))
        .nested(3, integer().varint(1, 4))]);
    let decoded = decode(&body, &mut Series::default());
    let rows = &decoded.histograms.rows;
    let shown: Vec<_> = rows
        .iter()
        .map(|row| (row.schema, row.count, row.float, row.reset_hint, row.positive_buckets.as_slice()))
        .collect();
    assert_eq!(
        shown,
        [
            (2, Some(3.0), false, "yes", &[1.0, 2.0][..]),
            (0, Some(2.0), true, "gauge", &[]),
            (-53, Some(2.0), false, "unknown", &[1.0, 1.0]),
            (2, None, false, "yes", &[]),
        ]
    );
    assert_eq!(
        (rows[1].negative_buckets.as_slice(), rows[2].custom_bounds.as_slice()),
        (&[2.0][..], &[0.5][..])
    );
    assert_eq!(rejected(&decoded), [("native_histogram_count_mismatch", 1)]);
}

#[test]
fn exemplars() {
    let exemplar = |refs: &[u64]| series(refs).double(2, 0.5).varint(3, 9);
    let body = request([up()
        .nested(4, exemplar(&[6, 7, 8, 9, 4, 5]))
        // Unlike in 1.0.
        .nested(4, exemplar(&[]))
        .nested(4, exemplar(&[6]))
        .nested(4, exemplar(&[6, 99]))
        .nested(4, exemplar(&[0, 4]))
        .nested(4, exemplar(&[3, 4, 3, 5]))]);
    let decoded = decode(&body, &mut Series::default());
    assert_eq!(rejected(&decoded), [("exemplar_labels_invalid", 2), ("symbol_refs_invalid", 2)]);
    let exemplars = &decoded.exemplars;
    assert_eq!((exemplars.len(), exemplars.value[0], exemplars.time_ms[0]), (2, 0.5, 9));
    assert_eq!(exemplars.trace_id[0].map(hex::encode).as_deref(), Some(SYMBOLS[7]));
    assert_eq!(exemplars.span_id[0].map(hex::encode).as_deref(), Some(SYMBOLS[9]));
    assert_eq!(exemplars.attributes[0], [("a".to_owned(), "\"b\"".to_owned())]);
    assert_eq!((exemplars.trace_id[1], exemplars.attributes[1].len()), (None, 0));
}

#[test]
fn metadata_describes_the_family() {
    let table = ["", "__name__", "x_bucket", "Help.", "s", "x"];
    let described = |kind: u64| message().varint(1, kind).varint(3, 3).varint(4, 4);
    let with = |metadata, rows: u32| series(&[1, 2]).nested(5, metadata).nested(rows, message());
    for (one, want) in [
        (with(described(1), 2), Some(("x_bucket", "counter", "s", "Help."))),
        (with(described(3), 2), Some(("x", "histogram", "s", "Help."))),
        // A native histogram is its own family.
        (with(described(3), 3), Some(("x_bucket", "histogram", "s", "Help."))),
        (with(message().varint(1, 2), 2), Some(("x_bucket", "gauge", "", ""))),
        (with(message().varint(3, 3), 2), Some(("x_bucket", "unknown", "", "Help."))),
        (with(message().varint(1, 99), 2), Some(("x_bucket", "unknown", "", ""))),
        (with(message(), 2), None),
    ] {
        let mut index = Series::default();
        let twice = [one.build(), with(message(), 2).build()];
        let body = twice.iter().fold(symbols(table), |body, series| body.bytes(5, series)).build();
        decode(&body, &mut index);
        let meta: Vec<_> = index
            .meta
            .iter()
            .map(|(name, meta)| {
                (name.as_str(), meta.metric_type.as_str(), meta.unit.as_str(), meta.help.as_str())
            })
            .collect();
        assert_eq!(meta, Vec::from_iter(want));
    }
}

#[test]
fn a_metric_is_described_once_a_request() {
    let one = |job| {
        let metadata = message().varint(1, 2).varint(3, 10).varint(4, 11);
        series(&[1, 2, 3, job]).nested(5, metadata).nested(2, message())
    };
    let mut index = Series::default();
    decode(&request([one(4), one(5), one(4)]), &mut index);
    assert_eq!(index.meta.len(), 1);
}

#[test]
fn long_metadata_is_cut() {
    let help = format!("x{}", "é".repeat(1_000));
    let body = symbols(["", "__name__", "up", &help])
        .nested(5, series(&[1, 2]).nested(5, message().varint(3, 3)).nested(2, message()));
    let mut index = Series::default();
    decode(&body.build(), &mut index);
    assert_eq!(index.meta[0].1.help, format!("x{}", "é".repeat(511)));
}

#[test]
fn the_table_begins_with_the_empty_text() {
    let body = symbols(["__name__", "up"]).nested(5, series(&[0, 1]).nested(2, message())).build();
    assert_eq!(
        refused(&body).to_string(),
        "malformed remote write 2.0: the first symbol must be empty: 0 refers to nothing in symbols[0] at byte 0"
    );
}

#[test]
fn the_table_is_bounded() {
    let body = [0x22, 0].repeat((1 << 20) + 1);
    let error = refused(&body);
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "remote write 2.0: more than 1048576 symbols in one request");
    decode(&body[2..], &mut Series::default());
}

/// A symbol costs its sender once; naming it must not cost us each time.
#[test]
fn long_symbols_that_are_named_often() {
    let long = "x".repeat(20 << 20);
    let labels: Vec<u64> = (0..1_000).flat_map(|at| [4 + at, 3]).chain([1, 2]).collect();
    let head = symbols(["", "__name__", "up"]).bytes(4, &long);
    let head = (0..1_000).fold(head, |head, at| head.bytes(4, format!("l{at}")));
    let all_long = series(&labels).nested(2, message());
    let exemplar = message().varints(1, [4, 3]);
    let good = series(&[1, 2]).nested(2, message());
    let mut body = head.nested(5, all_long).nested(5, good.nested(4, exemplar));
    // Not UTF-8 at its end, and read only until the request has cost enough.
    let broken = 1_004;
    body = body.bytes(4, [&vec![b'y'; 20 << 20][..], b"\xff"].concat());
    for _ in 0..2_000 {
        body = body.nested(5, series(&[1, broken]).nested(2, message()));
    }
    let decoded = decode(&body.build(), &mut Series::default());
    let rejected = rejected(&decoded);
    assert_eq!(rejected[0], ("exemplar_labels_too_long", 1));
    assert_eq!(rejected[1].0, "label_value_too_long");
    assert_eq!((rejected[2].0, rejected[1].1 + rejected[2].1), ("metric_name_invalid", 2_001));
    assert!(rejected[2].1 < 20, "{rejected:?}");
    assert_eq!(decoded.samples.len(), 1);
}

#[test]
fn one_version_is_not_taken_for_the_other() {
    let v2 = request([up().nested(2, sample(1.0, 1))]);
    let error = read(Protocol::RemoteWrite1, Format::Protobuf, &v2, &mut Series::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed remote write: a field of io.prometheus.write.v2.Request, \
         but the content type says prometheus.WriteRequest at byte 0"
    );
    let v1 = message().nested(1, message().nested(2, sample(1.0, 1))).build();
    assert!(refused(&v1).to_string().contains("a field of prometheus.WriteRequest"), "{}", refused(&v1));
}

#[test]
fn faults_in_the_framing_name_their_field() {
    for (bad, path) in [
        (up().nested(2, message().varint(1, 7)), "timeseries[1].samples[0].value"),
        (up().nested(2, message().bytes(3, "")), "timeseries[1].samples[0].start_timestamp"),
        (
            up().nested(3, message().varint(17, 1).double(17, 1.0)),
            "timeseries[1].histograms[0].start_timestamp",
        ),
        (up().nested(4, message().double(1, 1.0)), "timeseries[1].exemplars[0].labels_refs[0]"),
        (up().nested(5, message().bytes(3, "")), "timeseries[1].metadata.help_ref"),
        (up().double(6, 1.0), "timeseries[1].created_timestamp"),
        (message().double(1, 1.0), "timeseries[1].labels_refs[0]"),
        // bad framing behind a faulty label set
        (series(&[3, 4]).nested(2, message().varint(1, 7)), "timeseries[1].samples[0].value"),
    ] {
        let text = refused(&request([up(), bad.nested(2, message())])).to_string();
        assert!(text.contains(&format!(" in {path} at byte ")), "{text}, want {path}");
    }
}
