//! OTLP metrics.

use isinglass_model::batch::{Decoded, HistogramRow};
use isinglass_model::labels::Temporality;
use isinglass_model::series::SeriesRef;

use super::proto::{Proto, export, message, service};
use super::resolver::Series;
use super::rows::samples;
use super::{NOW, read, rejected};
use crate::{Format, Protocol};

const SECOND: u64 = 1_000_000_000;
const CUMULATIVE: u64 = 2;
const DELTA: u64 = 1;

fn decode(body: &[u8], series: &mut Series) -> Decoded {
    read(Protocol::OtlpMetrics, Format::Protobuf, body, series).unwrap()
}

fn metric(name: &str, unit: &str, data: u32, inner: Proto) -> Proto {
    message().bytes(1, name).bytes(2, "Help.").bytes(3, unit).nested(data, inner)
}

fn gauge(name: &str, unit: &str, point: Proto) -> Proto {
    metric(name, unit, 5, message().nested(1, point))
}

fn sum(name: &str, point: Proto, temporality: u64, monotonic: bool) -> Proto {
    metric(name, "", 7, message().nested(1, point).varint(2, temporality).varint(3, u64::from(monotonic)))
}

/// A number data point at 5 s.
fn point(value: f64) -> Proto {
    message().fixed64(3, 5 * SECOND + 999_999).double(4, value)
}

/// The samples of metrics of the service `shop`, which has no other attribute.
fn check(metrics: impl IntoIterator<Item = Proto>, wanted: &[&str]) -> Series {
    let mut series = Series::default();
    let decoded = decode(&export(service("shop"), metrics), &mut series);
    assert_eq!(samples(&decoded, &series), wanted);
    assert_eq!(decoded.received, wanted.len() as u64);
    series
}

#[test]
fn gauges_and_sums() {
    let series = check(
        [
            gauge("cpu.utilization", "1", point(0.5).attribute(7, "cpu.mode", "user")),
            gauge("queue", "By", message().fixed64(3, 5 * SECOND).fixed64(6, (-7_i64).cast_unsigned())),
            gauge("unset", "", message().double(4, 1.0)),
            gauge("gone", "", message().fixed64(3, SECOND).varint(8, 1)),
            sum("requests", point(3.0).fixed64(2, 2 * SECOND), CUMULATIVE, true),
            sum("requests", point(4.0), DELTA, true),
            sum("in.flight", point(5.0), CUMULATIVE, false),
        ],
        &[
            r#"cpu_utilization_ratio{cpu_mode="user", job="shop"} 0.5 @5000"#,
            r#"queue_bytes{job="shop"} -7 @5000"#,
            &format!(r#"unset{{job="shop"}} 1 @{}"#, NOW / 1_000_000),
            r#"gone{job="shop"} stale @1000"#,
            r#"requests_total{job="shop"} 3 @5000 from 2000"#,
            r#"requests_total{job="shop"} 4 @5000"#,
            r#"in_flight{job="shop"} 5 @5000"#,
        ],
    );
    let temporality: Vec<_> = series.labels.iter().map(|labels| labels.temporality()).collect();
    use Temporality::{Cumulative, Delta, Unspecified};
    assert_eq!(
        temporality,
        [Unspecified, Unspecified, Unspecified, Unspecified, Cumulative, Delta, Cumulative]
    );
    let meta: Vec<_> =
        series.meta.iter().map(|(name, meta)| format!("{name} {} {}", meta.metric_type, meta.unit)).collect();
    assert_eq!(
        meta,
        [
            "cpu_utilization_ratio gauge 1",
            "queue_bytes gauge By",
            "unset gauge ",
            "gone gauge ",
            "requests_total counter ",
            "requests_total counter ",
            "in_flight gauge ",
        ]
    );
    assert_eq!(series.meta[0].1.help, "Help.");
}

#[test]
fn histograms_are_classic_series() {
    let point = message()
        .fixed64(2, SECOND)
        .fixed64(3, 5 * SECOND)
        .fixed64(4, 6)
        .double(5, 7.5)
        .fixed64s(6, &[1, 2, 3])
        .doubles(7, &[0.25, 10.0])
        .attribute(9, "route", "/x");
    let empty = message().fixed64(3, 5 * SECOND).fixed64(4, 2);
    let data = message().nested(1, point).nested(1, empty).varint(2, CUMULATIVE);
    check(
        [metric("latency", "s", 9, data)],
        &[
            r#"latency_seconds_sum{job="shop", route="/x"} 7.5 @5000 from 1000"#,
            r#"latency_seconds_count{job="shop", route="/x"} 6 @5000 from 1000"#,
            r#"latency_seconds_bucket{job="shop", le="0.25", route="/x"} 1 @5000 from 1000"#,
            r#"latency_seconds_bucket{job="shop", le="10", route="/x"} 3 @5000 from 1000"#,
            r#"latency_seconds_bucket{job="shop", le="+Inf", route="/x"} 6 @5000 from 1000"#,
            r#"latency_seconds_count{job="shop"} 2 @5000"#,
            r#"latency_seconds_bucket{job="shop", le="+Inf"} 2 @5000"#,
        ],
    );
}

#[test]
fn summaries() {
    let quantile = |q, value| message().double(1, q).double(2, value);
    let point = message()
        .fixed64(3, 5 * SECOND)
        .fixed64(4, 3)
        .double(5, 1.5)
        .nested(6, quantile(0.5, 0.4))
        .nested(6, quantile(0.99, 0.9));
    check(
        [metric("gc", "s", 11, message().nested(1, point))],
        &[
            r#"gc_seconds_sum{job="shop"} 1.5 @5000"#,
            r#"gc_seconds_count{job="shop"} 3 @5000"#,
            r#"gc_seconds{job="shop", quantile="0.5"} 0.4 @5000"#,
            r#"gc_seconds{job="shop", quantile="0.99"} 0.9 @5000"#,
        ],
    );
}

fn exponential() -> Proto {
    message()
        .fixed64(2, SECOND)
        .fixed64(3, 5 * SECOND)
        .fixed64(4, 7)
        .double(5, 9.5)
        .sint(6, 9)
        .fixed64(7, 1)
        .nested(8, message().sint(1, -1).varints(2, [1, 2, 0, 1]))
        .nested(9, message().varints(2, [2]))
        .double(12, -2.0)
        .double(13, 4.0)
        .double(14, 0.01)
}

fn native(point: Proto, temporality: u64) -> Result<HistogramRow, String> {
    let mut series = Series::default();
    let data = message().nested(1, point).varint(2, temporality);
    let decoded = decode(&export(service("shop"), [metric("size", "By", 10, data)]), &mut series);
    assert_eq!(decoded.received, 1);
    match decoded.histograms.rows.into_iter().next() {
        Some(row) => {
            assert_eq!(series.text(row.series), r#"size_bytes{job="shop"}"#);
            Ok(row)
        }
        None => Err(decoded.rejections.items()[0].message.clone()),
    }
}

#[test]
fn exponential_histograms_are_native_ones() {
    let wanted = HistogramRow {
        series: SeriesRef(0),
        time_ms: 5_000,
        start_ms: 1_000,
        count: Some(7.0),
        sum: Some(9.5),
        schema: 8,
        zero_threshold: 0.01,
        zero_count: 1.0,
        // scale 9 to 8: -1 | 0 1 | 2, shifted by one
        positive_spans: vec![(0, 3)],
        positive_buckets: vec![1.0, 2.0, 1.0],
        negative_spans: vec![(1, 1)],
        negative_buckets: vec![2.0],
        custom_bounds: vec![],
        reset_hint: "unknown",
        float: false,
        min: Some(-2.0),
        max: Some(4.0),
    };
    assert_eq!(native(exponential(), CUMULATIVE).unwrap(), wanted);
    assert_eq!(native(exponential(), DELTA).unwrap().reset_hint, "gauge");
    let stale = native(exponential().varint(10, 1), CUMULATIVE).unwrap();
    assert_eq!((stale.count, stale.sum, stale.min), (None, None, None));
    assert_eq!(native(message(), CUMULATIVE).unwrap().zero_threshold, 1e-128);
    assert_eq!(native(exponential().sint(6, -5), CUMULATIVE).unwrap_err(), "scale -5, the smallest is -4");
    assert_eq!(
        native(exponential().fixed64(4, 8), CUMULATIVE).unwrap_err(),
        "7 observations in buckets, but the count is 8"
    );
}

#[test]
fn exemplars() {
    let exemplar = |value: f64| {
        message()
            .fixed64(2, 4 * SECOND)
            .double(3, value)
            .bytes(4, [2; 8])
            .bytes(5, [1; 16])
            .int_attribute(7, "user", 7)
    };
    let histogram = message()
        .fixed64(3, 5 * SECOND)
        .fixed64(4, 1)
        .fixed64s(6, &[1, 0])
        .doubles(7, &[1.0])
        .nested(8, exemplar(1.0))
        .nested(8, exemplar(1.5));
    let long = message().fixed64(6, 3).bytes(5, [1; 16]).attribute(7, "k", &"x".repeat(100));
    let metrics = [
        sum("requests", point(1.0).nested(5, exemplar(9.0)).nested(5, long), CUMULATIVE, true),
        metric("latency", "", 9, message().nested(1, histogram).varint(2, CUMULATIVE)),
        metric(
            "size",
            "",
            10,
            message().nested(1, message().nested(11, exemplar(3.0))).varint(2, CUMULATIVE),
        ),
        gauge("temp", "", point(1.0).nested(5, message()).nested(5, exemplar(0.5).bytes(5, [1; 3]))),
    ];
    let mut series = Series::default();
    let decoded = decode(&export(service("shop"), metrics), &mut series);
    assert_eq!(rejected(&decoded), [("data_point_invalid", 1), ("invalid_trace_id", 1)]);
    let exemplars = &decoded.exemplars;
    let got: Vec<_> = (0..exemplars.len())
        .map(|at| {
            let attributes: Vec<_> =
                exemplars.attributes[at].iter().map(|(k, v)| format!("{k}={v}")).collect();
            let ids = (exemplars.trace_id[at].is_some(), exemplars.span_id[at].is_some());
            let series = series.text(exemplars.series[at]);
            format!(
                "{series} {} @{} {ids:?} {}",
                exemplars.value[at],
                exemplars.time_ms[at],
                attributes.join(",")
            )
        })
        .collect();
    assert_eq!(
        got,
        [
            r#"requests_total{job="shop"} 9 @4000 (true, true) user=7"#,
            // the attributes are too long, the link is not
            r#"requests_total{job="shop"} 3 @5000 (true, false) "#,
            r#"latency_bucket{job="shop", le="1"} 1 @4000 (true, true) user=7"#,
            r#"latency_bucket{job="shop", le="+Inf"} 1.5 @4000 (true, true) user=7"#,
            r#"size{job="shop"} 3 @4000 (true, true) user=7"#,
        ]
    );
}

#[test]
fn target_info() {
    let resource = || {
        service("shop")
            .attribute(1, "service.namespace", "prod")
            .attribute(1, "service.instance.id", "i-1")
            .attribute(1, "host.name", "h")
            .int_attribute(1, "process.pid", 7)
    };
    let metrics = [
        gauge("a", "", point(1.0)),
        gauge("a", "", message().fixed64(3, 6 * SECOND).double(4, 2.0)),
        gauge("b", "", point(3.0)),
    ];
    let mut series = Series::default();
    let decoded = decode(&export(resource(), metrics), &mut series);
    assert_eq!(
        samples(&decoded, &series),
        [
            r#"a{instance="i-1", job="prod/shop"} 1 @5000"#,
            r#"a{instance="i-1", job="prod/shop"} 2 @6000"#,
            r#"b{instance="i-1", job="prod/shop"} 3 @5000"#,
            r#"target_info{host_name="h", instance="i-1", job="prod/shop", process_pid="7"} 1 @5000"#,
            r#"target_info{host_name="h", instance="i-1", job="prod/shop", process_pid="7"} 1 @6000"#,
        ]
    );
    // nobody to join with
    let nobody = message().attribute(1, "host.name", "h");
    assert_eq!(decode(&export(nobody, [gauge("a", "", point(1.0))]), &mut series).received, 1);
}

#[test]
fn attributes_become_labels() {
    let any = |key: &str, value| message().fixed64(3, SECOND).double(4, 1.0).any(7, key, value);
    let list = message().nested(1, message().bytes(1, "x"));
    check(
        [
            gauge(
                "a",
                "",
                point(1.0).attribute(7, "b.c", "2").attribute(7, "b_c", "3").attribute(7, "b-c", "1"),
            ),
            gauge("a", "", any("n", message().double(4, 2.0))),
            gauge("a", "", any("n", message().varint(2, 1))),
            gauge("a", "", any("n", message().nested(5, list))),
            gauge("a", "", any("job", message().bytes(1, "mine"))),
            gauge("a", "", any("empty", message().bytes(1, ""))),
        ],
        &[
            r#"a{b_c="1;2;3", job="shop"} 1 @5000"#,
            r#"a{job="shop", n="2"} 1 @1000"#,
            r#"a{job="shop", n="true"} 1 @1000"#,
            r#"a{job="shop", n="[\"x\"]"} 1 @1000"#,
            r#"a{job="shop"} 1 @1000"#,
            r#"a{job="shop"} 1 @1000"#,
        ],
    );
}

#[test]
fn labels_are_built_once() {
    let histogram =
        message().fixed64(3, SECOND).fixed64(4, 1).double(5, 1.0).fixed64s(6, &[1, 0]).doubles(7, &[1.0]);
    let body = export(
        service("shop").attribute(1, "host.name", "h"),
        [
            gauge("a", "", point(1.0).attribute(7, "k", "v")),
            metric("latency", "", 9, message().nested(1, histogram).varint(2, CUMULATIVE)),
        ],
    );
    let mut series = Series::default();
    for _ in 0..3 {
        decode(&body, &mut series);
    }
    assert_eq!((series.interned, series.meta.len()), (6, 3));
    // A new description is noticed, and the series stays the same.
    let described = message()
        .bytes(1, "a")
        .bytes(2, "New help.")
        .nested(5, message().nested(1, point(1.0).attribute(7, "k", "v")));
    decode(&export(service("shop").attribute(1, "host.name", "h"), [described]), &mut series);
    assert_eq!((series.labels.len(), series.meta.len()), (6, 4));
    assert_eq!(series.meta[3].1.help, "New help.");
    // Attributes in two pieces are the same attributes.
    let pieces = |first: &str, second: &str| {
        gauge("p", "", message().attribute(7, "x", first).double(4, 1.0).attribute(7, "y", second))
    };
    let decoded =
        decode(&export(service("shop"), [pieces("1", "2"), pieces("1", "3"), pieces("1", "2")]), &mut series);
    assert_eq!(decoded.samples.series[0], decoded.samples.series[2]);
    assert_ne!(decoded.samples.series[0], decoded.samples.series[1]);
}

#[test]
fn bad_points_are_rejected_and_the_rest_is_kept() {
    let histogram = |counts: &[u64], bounds: &[f64]| {
        let point = message().double(5, 1.0).fixed64s(6, counts).doubles(7, bounds).nested(8, message());
        metric("h", "", 9, message().nested(1, point).varint(2, CUMULATIVE))
    };
    for (bad, reason, rows) in [
        (gauge("x", "", message().nested(5, message())), "data_point_invalid", 2),
        (gauge("", "", point(1.0)), "missing_metric_name", 1),
        (gauge("é", "", point(1.0)), "metric_name_invalid", 1),
        (message().bytes(1, b"\xff").nested(5, message().nested(1, point(1.0))), "metric_name_invalid", 1),
        (gauge("x", "", point(1.0).any(7, b"\xff", message())), "label_invalid", 1),
        (gauge("x", "", point(1.0).attribute(7, "", "v")), "label_invalid", 1),
        (gauge("x", "", point(1.0).any(7, "k", message().bytes(1, b"\xff"))), "label_value_invalid", 1),
        (gauge("x", "", point(1.0).fixed64(3, u64::MAX)), "too_far_in_future", 1),
        (sum("x", point(1.0).nested(5, message()), 0, true), "data_point_invalid", 2),
        (sum("x", point(1.0), 3, true), "data_point_invalid", 1),
        // sum, count, two bounds, +Inf... and an exemplar
        (histogram(&[1, 2], &[1.0, 2.0]), "data_point_invalid", 6),
        (histogram(&[1, 2, 3], &[2.0, 1.0]), "data_point_invalid", 6),
        (histogram(&[1, 2], &[f64::INFINITY]), "data_point_invalid", 5),
        (
            metric("e", "", 10, message().nested(1, exponential().sint(6, -9)).varint(2, CUMULATIVE)),
            "invalid_native_histogram_schema",
            1,
        ),
    ] {
        let good = || gauge("good", "", point(1.0));
        let decoded = decode(&export(service("shop"), [good(), bad, good()]), &mut Series::default());
        assert_eq!((rejected(&decoded), decoded.samples.len()), (vec![(reason, rows)], 2));
    }
}

#[test]
fn over_the_cap_of_series_row_by_row() {
    let mut series = Series { series_max: 2, ..Series::default() };
    let point =
        message().fixed64(3, SECOND).fixed64(4, 1).double(5, 1.0).fixed64s(6, &[1, 0]).doubles(7, &[1.0]);
    let body =
        export(service("shop"), [metric("h", "", 9, message().nested(1, point).varint(2, CUMULATIVE))]);
    let decoded = decode(&body, &mut series);
    assert_eq!((rejected(&decoded), decoded.samples.len()), (vec![("max_series_per_user", 2)], 2));
}

#[test]
fn the_type_may_come_before_the_points() {
    let data = message().varint(3, 1).varint(2, CUMULATIVE).nested(1, point(1.0));
    check([message().nested(7, data).bytes(1, "x")], &[r#"x_total{job="shop"} 1 @5000"#]);
}

#[test]
fn json_is_the_same() {
    let text = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
      "scopeMetrics":[{"scope":{"name":"lib","version":"1.0"},"metrics":[
        {"name":"requests","description":"Help.","unit":"","sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE",
          "isMonotonic":true,"dataPoints":[{"asDouble":3,"timeUnixNano":"5000999999","startTimeUnixNano":"0",
          "attributes":[{"key":"k","value":{"stringValue":"v"}}],
          "exemplars":[{"asInt":"4","traceId":"01010101010101010101010101010101","spanId":"","filteredAttributes":[]}]}]}},
        {"name":"size","description":"Help.","unit":"By","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
          {"startTimeUnixNano":"1000000000","timeUnixNano":"5000000000","count":"7","sum":9.5,"scale":9,"zeroCount":1,
           "positive":{"offset":-1,"bucketCounts":["1",2,"0",1]},"negative":{"bucketCounts":[2]},
           "min":-2,"max":4,"zeroThreshold":0.01}]}},
        {"name":"latency","description":"Help.","histogram":{"aggregationTemporality":2,"dataPoints":[
          {"timeUnixNano":"5000000000","count":1,"sum":0,"bucketCounts":["1","0"],"explicitBounds":[1]}]}},
        {"name":"gc","description":"Help.","summary":{"dataPoints":[{"timeUnixNano":"5000000000","count":"1","sum":"NaN",
          "quantileValues":[{"quantile":0.5,"value":1}]}]}}]}]}]}"#;
    let exemplar = message().fixed64(6, 4).bytes(5, [1; 16]);
    let histogram =
        message().fixed64(3, 5 * SECOND).fixed64(4, 1).double(5, 0.0).fixed64s(6, &[1, 0]).doubles(7, &[1.0]);
    let summary = message().fixed64(3, 5 * SECOND).fixed64(4, 1).double(5, f64::NAN);
    let summary = summary.nested(6, message().double(1, 0.5).double(2, 1.0));
    let body = export(
        service("shop"),
        [
            sum("requests", point(3.0).attribute(7, "k", "v").nested(5, exemplar), CUMULATIVE, true),
            metric("size", "By", 10, message().nested(1, exponential()).varint(2, CUMULATIVE)),
            metric("latency", "", 9, message().nested(1, histogram).varint(2, CUMULATIVE)),
            metric("gc", "", 11, message().nested(1, summary)),
        ],
    );
    let (mut from_json, mut from_protobuf) = (Series::default(), Series::default());
    let wanted = decode(&body, &mut from_protobuf);
    let got = read(Protocol::OtlpMetrics, Format::Json, text.as_bytes(), &mut from_json).unwrap();
    assert_eq!(samples(&got, &from_json), samples(&wanted, &from_protobuf));
    assert_eq!(from_json.labels, from_protobuf.labels);
    assert_eq!(got.histograms.rows, wanted.histograms.rows);
    assert_eq!(
        (&got.exemplars.value, &got.exemplars.trace_id),
        (&wanted.exemplars.value, &wanted.exemplars.trace_id)
    );
    assert_eq!((got.received, wanted.received), (10, 10));
}
