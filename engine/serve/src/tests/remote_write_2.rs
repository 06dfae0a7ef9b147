//! Remote write 2.0 over a socket: what is answered, and what SQL then finds.

use isinglass_testkit::proto::message;
use isinglass_testkit::remote_write_2::Series;
use isinglass_testkit::{remote_write, remote_write_2};

use super::*;

const VERSION_2: (&str, &str) =
    ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

fn series(labels: &[(&str, &str)]) -> remote_write::Series {
    remote_write::Series::new(labels)
}

impl Fixture {
    async fn write_2(&self, body: &[u8]) -> Answer {
        send(self.post("/api/v1/write", &[VERSION_2, SNAPPY], remote_write::snappy(body))).await
    }

    /// The rows of a query from the head, and again from files.
    async fn check_rows(&self, query: &str, want: Value) {
        assert_eq!(self.rows("default", query).await, want, "{query}");
        assert_eq!(send(self.post("/api/admin/flush", &[], "")).await.status, 200);
        assert_eq!(self.rows("default", query).await, want, "{query}, from files");
    }
}

/// Samples, histograms and exemplars written; empty without the headers.
fn written(answer: &Answer) -> [&str; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|what| answer.header(&format!("x-prometheus-remote-write-{what}-written")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_told_what_is_written() {
    let fixture = Fixture::start().await;
    let now = (fixture.now_unix_nanos / 1_000_000).cast_signed();
    let requests = series(&[("__name__", "requests_total"), ("job", "a")])
        .sample(now, 1.5)
        .sample(now + 1, 2.5)
        .exemplar(&[("trace_id", "0af7651916cd43dd8448eb211c80319c"), ("x", "y")], now, 0.5);
    let requests = Series::from(requests).metadata(1, "Requests.", "requests").start(now - 60_000);
    let sizes = series(&[("__name__", "sizes")]).histogram(now, 10.0, &[1, 2, 3]);
    let body = remote_write_2::request(&[requests, sizes.into()]);
    let first = fixture.write_2(&body).await;
    assert_eq!((first.status, written(&first)), (204, ["2", "1", "1"]), "{}", first.text());
    let again = fixture.write_2(&body).await;
    assert_eq!((again.status, again.header("x-isinglass-duplicate")), (204, "true"));
    assert_eq!(written(&again), ["2", "1", "1"]);

    let described = "select metric, type, unit, help from series order by metric";
    fixture
        .check_rows(
            described,
            json!([
                { "metric": "requests_total", "type": "counter", "unit": "requests", "help": "Requests." },
                { "metric": "sizes", "type": null, "unit": null, "help": null },
            ]),
        )
        .await;
    let starts = "select value, arrow_cast(time, 'Int64') - arrow_cast(start_time, 'Int64') as age \
                  from samples order by time";
    let age = |value: f64, ms: i64| json!({ "value": value, "age": ms * 1_000_000 });
    fixture.check_rows(starts, json!([age(1.5, 60_000), age(2.5, 60_001)])).await;
    let exemplars = "select trace_id, value, attributes['x'] as x from exemplars";
    let exemplar = json!({ "trace_id": "0af7651916cd43dd8448eb211c80319c", "value": 0.5, "x": "\"y\"" });
    fixture.check_rows(exemplars, json!([exemplar])).await;
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_stored_is_stored() {
    let fixture = Fixture::start().await;
    let now = (fixture.now_unix_nanos / 1_000_000).cast_signed();
    let good = series(&[("__name__", "up")]).sample(now, 1.0).exemplar(&[], now, 1.0);
    let twice = series(&[("__name__", "up"), ("a", "1"), ("a", "2")]).sample(now, 1.0);
    let empty = series(&[("__name__", "up"), ("a", "")]).sample(now, 1.0);
    let too_late = series(&[("__name__", "up")]).sample(now + 3_600_000, 1.0);
    let mut broken = series(&[("__name__", "sizes")]).histogram(now, 10.0, &[1, 2, 3]);
    // another schema: 40
    broken.histograms[0].extend_from_slice(&[0x20, 80]);
    let all = [good, twice, empty, too_late, broken];
    let body = remote_write_2::request(&all.map(Series::from));
    for duplicate in ["", "true"] {
        let answer = fixture.write_2(&body).await;
        assert_eq!((answer.status, written(&answer)), (400, ["1", "0", "1"]));
        assert_eq!(answer.header("x-isinglass-duplicate"), duplicate);
        assert!(answer.text().starts_with("stored 2 of 6 items, rejected 4: "), "{}", answer.text());
    }
    let reasons = "select reason from rejected order by reason";
    let reason = |reason| json!({ "reason": reason });
    fixture
        .check_rows(
            reasons,
            json!([
                reason("duplicate_label_names"),
                reason("invalid_native_histogram_schema"),
                reason("label_value_invalid"),
                reason("too_far_in_future"),
            ]),
        )
        .await;
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let limits = json!({ "rate-limit": { "items_per_second": 1, "items_burst": 2 } });
    let fixture = Fixture::with(ServeConfig::default(), limits).await;
    let now = (fixture.now_unix_nanos / 1_000_000).cast_signed();
    let body = |samples: i64| {
        let series =
            (0..samples).fold(series(&[("__name__", "up")]), |series, at| series.sample(now + at, 1.0));
        remote_write_2::request(&[series.into()])
    };
    let none = ["0", "0", "0"];
    let broken = fixture.write_2(b"\x2a\x05\x0a").await;
    assert_eq!((broken.status, written(&broken)), (400, none));
    assert!(broken.text().contains("remote write 2.0"), "{}", broken.text());
    let first = message(|w| {
        w.text(4, "__name__").text(4, "up");
    });
    let answer = fixture.write_2(&first).await;
    assert_eq!((answer.status, written(&answer)), (400, none));
    assert!(answer.text().contains("symbols[0]"), "{}", answer.text());
    let not_snappy = send(fixture.post("/api/v1/write", &[VERSION_2, SNAPPY], vec![0xff, 0xff])).await;
    assert_eq!((not_snappy.status, written(&not_snappy)), (400, none));
    let gzip = send(fixture.post("/api/v1/write", &[VERSION_2, ("content-encoding", "gzip")], body(1))).await;
    assert_eq!((gzip.status, written(&gzip)), (415, ["", "", ""]));
    assert_eq!(written(&fixture.write_2(&body(2)).await), ["2", "0", "0"]);
    let limited = fixture.write_2(&body(3)).await;
    assert!([413, 429].contains(&limited.status), "{}", limited.text());
    assert_eq!(written(&limited), none);
    // A body of 2.0 that says it is 1.0 would look empty.
    let plain = ("content-type", "application/x-protobuf");
    let mistaken =
        send(fixture.post("/api/v1/write", &[plain, SNAPPY], remote_write::snappy(&body(1)))).await;
    assert_eq!((mistaken.status, written(&mistaken)), (400, ["", "", ""]));
    assert!(mistaken.text().contains("io.prometheus.write.v2.Request"), "{}", mistaken.text());
    assert_eq!(fixture.rows("default", "select count(*) n from samples").await, json!([{ "n": 2 }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_times_and_times_before_1970() {
    const HOUR: i64 = 3_600_000;
    let fixture = Fixture::start().await;
    let all = [-24 * 365 * 200 * HOUR, -1, 0, 1, 24 * HOUR];
    let old = all.into_iter().fold(series(&[("__name__", "old")]), |series, at| series.sample(at, at as f64));
    let old = Series::from(old.histogram(-5, 1.0, &[1]).exemplar(&[("a", "b")], -7, 1.0))
        .start(-24 * 366 * 200 * HOUR);
    let answer = fixture.write_2(&remote_write_2::request(&[old])).await;
    assert_eq!((answer.status, written(&answer)), (204, ["5", "1", "1"]), "{}", answer.text());
    let ms = |column: &str| format!("arrow_cast({column}, 'Int64') / 1000000");
    let rows = all.map(|at| json!({ "at": at, "start": -24 * 366 * 200 * HOUR, "value": at as f64 }));
    let query = format!(
        "select {} as at, {} as start, value from samples order by time",
        ms("time"),
        ms("start_time")
    );
    fixture.check_rows(&query, json!(rows)).await;
    let of = |table: &str| format!("select {} as at from {table}", ms("time"));
    fixture.check_rows(&of("histograms"), json!([{ "at": -5 }])).await;
    fixture.check_rows(&of("exemplars"), json!([{ "at": -7 }])).await;
    let before = "select count(*) as n from metrics.old where time < to_timestamp_millis(0)";
    fixture.check_rows(before, json!([{ "n": 2 }])).await;
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_are_read_back_as_they_were() {
    let fixture = Fixture::start().await;
    let now = (fixture.now_unix_nanos / 1_000_000).cast_signed();
    let mut all = series(&[("__name__", "h")]);
    let mut add = |at: i64, fill: &dyn Fn(&mut isinglass_testkit::proto::Writer)| {
        all.histograms.push(message(|w| {
            fill(w);
            w.varint(15, (now + at).cast_unsigned());
        }));
    };
    let span = |w: &mut isinglass_testkit::proto::Writer, field, offset, length| {
        w.message(field, |w| {
            w.zigzag(1, offset).varint(2, length);
        });
    };
    // Many observations in a bucket (as many as serde_json reads exactly), a zero bucket, both sides, a gap.
    let most = (1_u64 << 49) + 1;
    add(0, &|w| {
        w.varint(1, most + 7).double(3, -4.5).zigzag(4, 8).double(5, 2.938_735_877_055_719e-39).varint(6, 4);
        span(w, 8, 3, 1);
        w.varints(9, &[4]);
        span(w, 11, -2, 1);
        span(w, 11, 5, 2);
        w.varints(12, &[2 * most, 2 * most - 1, 2]).varint(14, 2);
    });
    add(1, &|w| {
        w.double(2, 0.75).double(3, f64::NAN).zigzag(4, -4).double(7, 0.25);
        span(w, 11, 0, 2);
        w.doubles(13, &[f64::NAN, f64::MIN_POSITIVE]).varint(14, 3).varint(17, (now - 9).cast_unsigned());
    });
    add(2, &|w| {
        w.varint(1, 3).double(3, 2.0).zigzag(4, -53);
        span(w, 11, 1, 2);
        w.varints(12, &[4, 1]).doubles(16, &[-0.5, 0.1]).varint(14, 1);
    });
    add(3, &|w| {
        w.varint(1, 7).double(3, STALE).zigzag(4, 3);
    });
    let answer = fixture.write_2(&remote_write_2::request(&[all.into()])).await;
    assert_eq!((answer.status, written(&answer)), (204, ["0", "4", "0"]), "{}", answer.text());

    let rows = json!([
        {
            "count": (most + 7) as f64, "sum": -4.5, "schema": 8, "zero_threshold": 2.938_735_877_055_719e-39,
            "zero_count": 4.0, "positive_spans": [{ "offset": -2, "length": 1 }, { "offset": 5, "length": 2 }],
            "positive_buckets": [most as f64, 0.0, 1.0], "negative_spans": [{ "offset": 3, "length": 1 }],
            "negative_buckets": [2.0], "custom_bounds": null, "reset_hint": "no", "float": false, "start": null,
        },
        {
            "count": 0.75, "sum": "NaN", "schema": -4, "zero_threshold": 0.0, "zero_count": 0.25,
            "positive_spans": [{ "offset": 0, "length": 2 }], "positive_buckets": ["NaN", f64::MIN_POSITIVE],
            "negative_spans": [], "negative_buckets": [], "custom_bounds": null, "reset_hint": "gauge",
            "float": true, "start": (now - 9) * 1_000_000,
        },
        {
            "count": 3.0, "sum": 2.0, "schema": -53, "zero_threshold": 0.0, "zero_count": 0.0,
            "positive_spans": [{ "offset": 1, "length": 2 }], "positive_buckets": [2.0, 1.0],
            "negative_spans": [], "negative_buckets": [], "custom_bounds": [-0.5, 0.1], "reset_hint": "yes",
            "float": false, "start": null,
        },
        {
            "count": null, "sum": null, "schema": 3, "zero_threshold": null, "zero_count": null,
            "positive_spans": null, "positive_buckets": null, "negative_spans": null, "negative_buckets": null,
            "custom_bounds": null, "reset_hint": "unknown", "float": false, "start": null,
        },
    ]);
    let query = "select count, sum, schema, zero_threshold, zero_count, positive_spans, positive_buckets, \
                 negative_spans, negative_buckets, custom_bounds, reset_hint, float, \
                 arrow_cast(start_time, 'Int64') as start from histograms order by time";
    fixture.check_rows(query, rows).await;
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_markers_and_other_nans() {
    let fixture = Fixture::start().await;
    let now = (fixture.now_unix_nanos / 1_000_000).cast_signed();
    let up = series(&[("__name__", "up")]).sample(now, STALE).sample(now + 1, f64::NAN).sample(now + 2, 1.0);
    let answer = fixture.write_2(&remote_write_2::request(&[up.into()])).await;
    assert_eq!(written(&answer), ["3", "0", "0"]);
    let query = "select value is null as stale, isnan(value) as nan from samples order by time";
    let row = |stale: bool, nan: Value| json!({ "stale": stale, "nan": nan });
    let rows = json!([row(true, Value::Null), row(false, json!(true)), row(false, json!(false))]);
    fixture.check_rows(query, rows).await;
    fixture.stop().await;
}
