//! Remote write 1.0.

use std::sync::Arc;

use isinglass_model::batch::{Decoded, HistogramRow, STALE_NAN_BITS};
use isinglass_model::series::{Judgement, Refusal, SeriesRef};

use super::proto::{Proto, message};
use super::resolver::Series;
use super::rows::samples;
use super::{read, rejected};
use crate::{Format, Protocol};

fn decode(body: &[u8], series: &mut Series) -> Decoded {
    read(Protocol::RemoteWrite1, Format::Protobuf, body, series).unwrap()
}

fn labels(mut into: Proto, labels: &[(&str, &str)]) -> Proto {
    for (name, value) in labels {
        into = into.nested(1, message().bytes(1, name).bytes(2, value));
    }
    into
}

fn sample(value: f64, time_ms: i64) -> Proto {
    message().double(1, value).varint(2, time_ms.cast_unsigned())
}

fn request(series: impl IntoIterator<Item = Proto>) -> Vec<u8> {
    series.into_iter().fold(message(), |request, series| request.nested(1, series)).build()
}

fn up() -> Proto {
    labels(message(), &[("__name__", "up"), ("job", "a")])
}

#[test]
fn samples_of_many_series() {
    let body = request([
        up().nested(2, sample(1.0, 1_000)).nested(2, sample(f64::from_bits(STALE_NAN_BITS), -5)),
        // unsorted, with an empty value, which is as absent
        labels(message(), &[("z", "1"), ("e", ""), ("__name__", "x")]).nested(2, message().varint(2, 7)),
        // no rows: not even a series
        labels(message(), &[("__name__", "nothing")]),
    ]);
    let mut series = Series::default();
    let decoded = decode(&body, &mut series);
    assert_eq!(
        samples(&decoded, &series),
        [r#"up{job="a"} 1 @1000"#, r#"up{job="a"} stale @-5"#, r#"x{z="1"} 0 @7"#,]
    );
    assert_eq!(decoded.samples.value[1].to_bits(), STALE_NAN_BITS);
    assert_eq!((decoded.received, series.labels.len()), (3, 2));
}

#[test]
fn labels_are_parsed_once() {
    let body = request([up().nested(2, sample(1.0, 1))]);
    let mut series = Series::default();
    for _ in 0..3 {
        decode(&body, &mut series);
    }
    assert_eq!(series.interned, 1);
    // labels behind the sample, and in another order: the same series
    let behind = labels(message().nested(2, sample(2.0, 2)), &[("job", "a"), ("__name__", "up")]);
    let split = labels(labels(message(), &[("job", "a")]).nested(2, sample(2.0, 2)), &[("__name__", "up")]);
    for _ in 0..2 {
        let decoded = decode(
            &request([message().bytes(1, "job").build()].map(|_| up().nested(2, sample(0.0, 0)))),
            &mut series,
        );
        assert_eq!(decoded.samples.series, [SeriesRef(0)]);
    }
    let decoded = decode(&request([behind, split]), &mut series);
    assert_eq!(decoded.samples.series, [SeriesRef(0), SeriesRef(0)]);
    assert_eq!((series.labels.len(), decoded.received), (1, 2));
}

#[test]
fn a_bad_series_is_rejected_and_the_rest_is_kept() {
    let good = || up().nested(2, sample(1.0, 1));
    for (bad, reason) in [
        (labels(message(), &[("a", "b")]), "missing_metric_name"),
        (labels(message(), &[("__name__", ""), ("a", "b")]), "missing_metric_name"),
        (message(), "missing_metric_name"),
        (labels(message(), &[("__name__", "x"), ("a", "1"), ("a", "2")]), "duplicate_label_names"),
        (labels(message(), &[("__name__", "x"), ("", "1")]), "label_invalid"),
        (labels(message(), &[("__name__", "x"), (&"n".repeat(70_000), "1")]), "label_name_too_long"),
        (message().nested(1, message().bytes(1, "__name__").bytes(2, b"\xff")), "metric_name_invalid"),
        (up().nested(1, message().bytes(1, "v").bytes(2, b"\xff")), "label_value_invalid"),
        (up().nested(1, message().bytes(1, b"\xff").bytes(2, "v")), "label_invalid"),
        (
            (0..10_001).fold(up(), |series, at| labels(series, &[(&format!("l{at}"), "v")])),
            "max_label_names_per_series",
        ),
    ] {
        let bad = bad.nested(2, sample(1.0, 1)).nested(2, sample(2.0, 2)).nested(3, message());
        let mut series = Series::default();
        let decoded = decode(&request([good(), bad, good()]), &mut series);
        assert_eq!(rejected(&decoded), [(reason, 3)]);
        assert_eq!((decoded.received, decoded.samples.len(), series.labels.len()), (5, 2, 1), "{reason}");
    }
}

#[test]
fn times_that_no_column_holds() {
    let body = request([up()
        .nested(2, sample(1.0, i64::MAX))
        .nested(2, sample(1.0, i64::MIN))
        .nested(2, sample(1.0, 1))]);
    let decoded = decode(&body, &mut Series::default());
    assert_eq!(rejected(&decoded), [("too_far_in_future", 1), ("too_far_in_past", 1)]);
    assert_eq!(decoded.samples.len(), 1);
}

#[test]
fn judgements_are_remembered() {
    let body = request([
        up().nested(2, sample(1.0, 1)).nested(2, sample(2.0, 2)),
        labels(message(), &[("__name__", "bad")]).nested(2, sample(1.0, 1)),
    ]);
    let mut series = Series::default();
    decode(&body, &mut series);
    let refusal = Refusal {
        reason: "label_value_too_long".into(),
        message: "too long".into(),
        plugin: "validate@1".into(),
        digest: "ab".into(),
        rule: String::new(),
    };
    series.judgements.insert(SeriesRef(0), Judgement::Pending);
    series.judgements.insert(SeriesRef(1), Judgement::Reject(Arc::new(refusal)));
    let decoded = decode(&body, &mut series);
    assert_eq!((decoded.unjudged.as_slice(), decoded.samples.len()), (&[SeriesRef(0)][..], 2));
    assert_eq!(rejected(&decoded), [("label_value_too_long", 1)]);
    let item = &decoded.rejections.items()[0];
    assert_eq!(
        (item.plugin.as_str(), item.digest.as_str(), item.message.as_str()),
        ("validate@1", "ab", "too long")
    );
    assert_eq!(
        item.item,
        r#"{"labels":[{"name":"__name__","value":"bad"}],"samples":[{"value":1.0,"timestamp":"1"}]}"#
    );
}

#[test]
fn over_the_cap_of_series() {
    let mut series = Series { series_max: 1, ..Series::default() };
    let body = request([
        up().nested(2, sample(1.0, 1)),
        labels(message(), &[("__name__", "x")]).nested(2, sample(1.0, 1)),
    ]);
    let decoded = decode(&body, &mut series);
    assert_eq!((rejected(&decoded), decoded.samples.len()), (vec![("max_series_per_user", 1)], 1));
}

#[test]
fn metadata_describes() {
    let metadata =
        message().varint(1, 1).bytes(2, "http_requests").bytes(4, "Requests.").bytes(5, "requests");
    let unnamed = message().varint(1, 99);
    let mut series = Series::default();
    let decoded = decode(&message().nested(3, metadata).nested(3, unnamed).build(), &mut series);
    assert_eq!(decoded.received, 0);
    let [(name, meta)] = series.meta.as_slice() else { panic!("{:?}", series.meta) };
    assert_eq!(
        [name, &meta.metric_type, &meta.unit, &meta.help],
        ["http_requests", "counter", "requests", "Requests."]
    );
}

#[test]
fn exemplars() {
    let exemplar = |pairs: &[(&str, &str)]| labels(message(), pairs).double(2, 0.5).varint(3, 9);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let body = request([up()
        .nested(2, sample(1.0, 1))
        .nested(3, exemplar(&[("trace_id", trace), ("span_id", "b7ad6b7169203331"), ("x", "1\"")]))
        .nested(3, exemplar(&[("traceID", "not hex")]))
        .nested(3, exemplar(&[]))
        .nested(3, exemplar(&[("a", "1"), ("a", "2")]))
        .nested(3, exemplar(&[("a", &"é".repeat(128))]))
        .nested(3, exemplar(&[("a", &"é".repeat(127))]))]);
    let decoded = decode(&body, &mut Series::default());
    assert_eq!(
        rejected(&decoded),
        [("exemplar_labels_invalid", 1), ("exemplar_labels_missing", 1), ("exemplar_labels_too_long", 1)]
    );
    let exemplars = &decoded.exemplars;
    assert_eq!((exemplars.len(), exemplars.value[0], exemplars.time_ms[0]), (3, 0.5, 9));
    assert_eq!(exemplars.trace_id[0].map(hex::encode).as_deref(), Some(trace));
    assert_eq!(exemplars.span_id[0].map(hex::encode).as_deref(), Some("b7ad6b7169203331"));
    assert_eq!(exemplars.attributes[0], [("x".to_owned(), r#""1\"""#.to_owned())]);
    assert_eq!(exemplars.attributes[1], [("traceID".to_owned(), "\"not hex\"".to_owned())]);
}

fn span(offset: i64, length: u64) -> Proto {
    message().sint(1, offset).varint(2, length)
}

fn deltas(into: Proto, number: u32, values: &[i64]) -> Proto {
    into.varints(number, values.iter().map(|value| crate::wire::zigzag(*value)))
}

fn histogram(histogram: Proto) -> Result<HistogramRow, String> {
    let decoded = decode(&request([up().nested(4, histogram.varint(15, 5))]), &mut Series::default());
    assert_eq!(decoded.received, 1);
    match decoded.histograms.rows.into_iter().next() {
        Some(row) => Ok(row),
        None => {
            let item = &decoded.rejections.items()[0];
            assert!(item.reason.contains("native_histogram_"), "{}", item.reason);
            Err(format!("{}: {}", item.reason, item.message))
        }
    }
}

/// 6 observations: 1 zero, buckets 2 and 1, negative 2.
fn integer() -> Proto {
    let positive = deltas(message().nested(11, span(-1, 1)).nested(11, span(2, 1)), 12, &[2, -1]);
    let both = deltas(positive.nested(8, span(0, 1)), 9, &[2]);
    both.varint(1, 6).double(3, 4.5).sint(4, 3).double(5, 0.001).varint(6, 1).varint(14, 2)
}

#[test]
fn integer_histograms() {
    let row = histogram(integer()).unwrap();
    let wanted = HistogramRow {
        series: SeriesRef(0),
        time_ms: 5,
        start_ms: 0,
        count: Some(6.0),
        sum: Some(4.5),
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 1.0,
        positive_spans: vec![(-1, 1), (2, 1)],
        positive_buckets: vec![2.0, 1.0],
        negative_spans: vec![(0, 1)],
        negative_buckets: vec![2.0],
        custom_bounds: vec![],
        reset_hint: "no",
        float: false,
        min: None,
        max: None,
    };
    assert_eq!(row, wanted);
    // the sum decides about staleness
    let stale = histogram(integer().double(3, f64::from_bits(STALE_NAN_BITS))).unwrap();
    assert_eq!((stale.count, stale.sum, stale.positive_buckets), (None, None, vec![]));
    // observations that are no number are in no bucket
    assert!(histogram(integer().double(3, f64::NAN).varint(1, 7)).is_ok());
}

#[test]
fn float_and_custom_histograms() {
    let float =
        message().double(2, 2.5).double(7, 0.5).nested(11, span(0, 2)).doubles(13, &[0.5, 1.5]).varint(14, 3);
    let row = histogram(float).unwrap();
    assert_eq!((row.count, row.zero_count, row.float, row.reset_hint), (Some(2.5), 0.5, true, "gauge"));
    assert_eq!(row.positive_buckets, [0.5, 1.5]);

    let divided =
        message().double(2, f64::NAN).nested(11, span(0, 2)).doubles(13, &[f64::NAN, f64::INFINITY]);
    let row = histogram(divided).unwrap();
    assert!(row.count.unwrap().is_nan() && row.positive_buckets[0].is_nan());
    assert_eq!(row.positive_buckets[1], f64::INFINITY);

    let custom = |bounds: &[f64], length| {
        let buckets = deltas(message().nested(11, span(0, length)), 12, &vec![0; length as usize]);
        buckets.sint(4, -53).doubles(16, bounds)
    };
    let row = histogram(custom(&[0.1, 1.0], 3)).unwrap();
    assert_eq!((row.schema, row.custom_bounds), (-53, vec![0.1, 1.0]));
    for (faulty, message) in [
        (
            custom(&[0.1, 1.0], 4),
            "native_histogram_custom_buckets_mismatch: buckets beyond the 2 custom bounds",
        ),
        (
            custom(&[1.0, 1.0], 1),
            "native_histogram_custom_buckets_invalid: custom bounds do not rise, or are not finite",
        ),
        (
            custom(&[1.0, f64::INFINITY], 1),
            "native_histogram_custom_buckets_invalid: custom bounds do not rise, or are not finite",
        ),
        (
            custom(&[1.0], 1).varint(6, 1),
            "native_histogram_custom_buckets_mismatch: a histogram with custom bounds has a zero bucket or negative buckets",
        ),
    ] {
        assert_eq!(histogram(faulty).unwrap_err(), message);
    }
}

#[test]
fn faulty_histograms() {
    for (faulty, message) in [
        (integer().sint(4, 9), "invalid_native_histogram_schema: schema 9; known are -4 to 8 and -53"),
        (integer().sint(4, -5), "invalid_native_histogram_schema: schema -5; known are -4 to 8 and -53"),
        (
            integer().varint(1, 7),
            "native_histogram_count_mismatch: 6 observations in buckets, but the count is 7",
        ),
        (
            integer().double(3, f64::NAN).varint(1, 5),
            "native_histogram_count_not_big_enough: 6 observations in buckets, but the count is 5",
        ),
        (
            integer().nested(11, span(0, 1)),
            "native_histogram_spans_buckets_mismatch: spans of 3 buckets, but 2 counts",
        ),
        (
            integer().nested(11, span(-1, 0)),
            "native_histogram_span_negative_offset: span 2 begins -1 buckets after the one before",
        ),
        (
            deltas(integer(), 12, &[-2]),
            "native_histogram_negative_bucket_count: a bucket with a negative count",
        ),
        (integer().doubles(13, &[1.0]), "native_histogram_invalid: an integer histogram with float buckets"),
        (integer().double(2, 1.0), "native_histogram_invalid: a float histogram with integer buckets"),
        (
            integer().doubles(16, &[1.0]),
            "native_histogram_custom_buckets_mismatch: custom bounds on an exponential histogram",
        ),
        (message().double(2, -1.0), "native_histogram_negative_bucket_count: count of a histogram is -1"),
        (
            message().double(2, 1.0).double(7, -0.5),
            "native_histogram_negative_bucket_count: zero count of a histogram is -0.5",
        ),
        (
            message().nested(11, span(0, 1)).double(2, 1.0).doubles(13, &[-1.0]),
            "native_histogram_negative_bucket_count: a bucket of a histogram is -1",
        ),
        (
            message().nested(11, span(0, u64::from(u32::MAX))),
            "native_histogram_spans_buckets_mismatch: spans of 4294967295 buckets, but 0 counts",
        ),
    ] {
        let got = histogram(faulty).unwrap_err();
        assert!(
            got == message || (message.contains("spans of 42") && got.contains("2^31")),
            "{got} {message}"
        );
    }
}

#[test]
fn faults_in_the_framing_name_their_field() {
    let error = |body: &[u8]| {
        read(Protocol::RemoteWrite1, Format::Protobuf, body, &mut Series::default()).unwrap_err().to_string()
    };
    let mut body = request([up().nested(2, sample(1.0, 1)), up().nested(2, message().varint(1, 7))]);
    assert_eq!(
        error(&body),
        "malformed remote write: the field is not 64 bits fixed in timeseries[1].samples[0].value at byte 71"
    );
    body.truncate(60);
    assert_eq!(
        error(&body),
        "malformed remote write: 30 bytes are declared and 17 are left in timeseries[1] at byte 41"
    );
    // bad framing behind a faulty label set
    let body = request([labels(message(), &[("a", "b")]).bytes(2, [0x09])]);
    assert!(error(&body).contains("in timeseries[0].samples[0]"), "{}", error(&body));
}
