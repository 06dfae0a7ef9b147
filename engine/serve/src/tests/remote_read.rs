//! Remote read.

use isinglass_testkit::proto::{Writer, message};
use isinglass_testkit::remote_write;
use prost::Message;

use super::*;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, repeated, tag = "1")]
    results: Vec<Found>,
}

#[derive(Clone, PartialEq, Message)]
struct Found {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    time_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "2")]
    count: f64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(double, repeated, tag = "13")]
    counts: Vec<f64>,
    #[prost(int64, tag = "15")]
    time_ms: i64,
}

/// One query for a metric whose name matches a pattern.
fn request(pattern: &str, (start_ms, end_ms): (i64, i64), accepted: &[u64]) -> Vec<u8> {
    let query = |w: &mut Writer| {
        w.varint(1, start_ms.cast_unsigned()).varint(2, end_ms.cast_unsigned());
        w.message(3, |matcher| {
            matcher.varint(1, 2).bytes(2, b"__name__").bytes(3, pattern.as_bytes());
        });
    };
    let body = message(|w| {
        w.message(1, query);
        w.varints(2, accepted);
    });
    remote_write::snappy(&body)
}

async fn filled() -> (Fixture, i64) {
    let fixture = Fixture::start().await;
    let now_ms = (fixture.now_unix_nanos / 1_000_000).cast_signed();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let floats = remote_write::Series::new(&[("__name__", "floats"), ("a", "b")])
        .sample(now_ms - 30_000, 1.5)
        .sample(now_ms - 15_000, f64::NAN)
        .sample(now_ms, stale);
    let histograms = remote_write::Series::new(&[("__name__", "histograms")]).histogram(now_ms, 3.5, &[1, 2]);
    let body = remote_write::snappy(&remote_write::request(&[floats, histograms]));
    assert_eq!(send(fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY], body)).await.status, 204);
    (fixture, now_ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_with_stale_markers_and_histograms() {
    let (fixture, now_ms) = filled().await;
    let ask = async |pattern: &str, span: (i64, i64)| {
        let body = request(pattern, span, &[]);
        let answer = send(fixture.post("/api/v1/read", &[PROTOBUF, SNAPPY], body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "application/x-protobuf");
        assert_eq!(answer.header("content-encoding"), "snappy");
        let bytes = snap::raw::Decoder::new().decompress_vec(&answer.body).unwrap();
        let mut response = Response::decode(bytes.as_slice()).unwrap();
        assert_eq!(response.results.len(), 1);
        response.results.remove(0).series
    };
    let found = ask("floats|histograms", (now_ms - 60_000, now_ms)).await;
    let names: Vec<_> = found.iter().map(|series| series.labels[0].value.as_str()).collect();
    assert_eq!(names, ["floats", "histograms"]);
    let samples: Vec<_> = found[0].samples.iter().map(|s| (s.time_ms - now_ms, s.value.to_bits())).collect();
    assert_eq!(samples[0], (-30_000, 1.5_f64.to_bits()));
    assert!(f64::from_bits(samples[1].1).is_nan() && samples[1].1 != 0x7ff0_0000_0000_0002);
    assert_eq!(samples[2], (0, 0x7ff0_0000_0000_0002));
    let histogram = &found[1].histograms[0];
    assert_eq!((histogram.count, histogram.sum, histogram.time_ms), (3.0, 3.5, now_ms));
    assert_eq!(histogram.counts, [1.0, 2.0]);
    // Both ends belong to the span.
    let found = ask("floats", (now_ms - 30_000, now_ms - 15_000)).await;
    assert_eq!(found[0].samples.len(), 2);
    assert_eq!(ask("nothing", (0, now_ms)).await, []);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_if_there_are_only_floats() {
    let (fixture, now_ms) = filled().await;
    let ask = async |pattern: &str, accepted: &[u64]| {
        let body = request(pattern, (now_ms - 60_000, now_ms), accepted);
        send(fixture.post("/api/v1/read", &[PROTOBUF, SNAPPY], body)).await
    };
    let streamed = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    let floats = ask("floats", &[1, 0]).await;
    assert_eq!((floats.status, floats.header("content-type")), (200, streamed));
    assert!(floats.body.windows(6).any(|bytes| bytes == b"floats"));
    let both = ask("floats|histograms", &[1, 0]).await;
    assert_eq!((both.status, both.header("content-type")), (200, "application/x-protobuf"));
    let only = ask("floats|histograms", &[1]).await;
    assert_eq!((only.status, only.text().contains("accept SAMPLES too")), (400, true));
    let unknown = ask("floats", &[7]).await;
    assert_eq!((unknown.status, unknown.text().contains("response types: [7]")), (400, true));
    let nothing = ask("nothing", &[1]).await;
    assert_eq!((nothing.status, nothing.body.len()), (200, 0));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read() {
    let (fixture, now_ms) = filled().await;
    let check = async |body: Vec<u8>, part: &str| {
        let answer = send(fixture.post("/api/v1/read", &[PROTOBUF, SNAPPY], body)).await;
        assert_eq!((answer.status, answer.text().contains(part)), (400, true), "{}", answer.text());
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    };
    check(b"x".to_vec(), "the request cannot be read").await;
    check(remote_write::snappy(b"\xff"), "the request cannot be read").await;
    check(vec![0xff, 0xff, 0xff, 0xff, 0x07], "the limit is 33554432").await;
    check(request("(", (0, now_ms), &[]), "").await;
    fixture.stop().await;
}
