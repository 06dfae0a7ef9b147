//! Each reason of `validate` and of decode's own checks, through the wire, at
//! limit - 1, limit and limit + 1.
//!
//! A case builds a request whose only item has the size it is given; what is
//! within the limit is stored, what is beyond it is refused for the reason and
//! can be read in `rejected`. Every case is a tenant of its own.

use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::otlp::{self, LogRecord, Span, Value, text};
use isinglass_testkit::remote_write::{self, Series};

use crate::harness::{Answer, Client, Server, now_millis, now_nanos};

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    RemoteWrite,
    Loki,
    OtlpLogs,
    OtlpTraces,
}

impl Way {
    fn table(self) -> &'static str {
        match self {
            Self::RemoteWrite => "samples",
            Self::Loki | Self::OtlpLogs => "logs",
            Self::OtlpTraces => "spans",
        }
    }

    async fn send(self, client: &Client, body: Vec<u8>) -> Answer {
        match self {
            Self::RemoteWrite => client.remote_write(&body).await,
            Self::Loki => client.loki(&body).await,
            Self::OtlpLogs => client.otlp("logs", body).await,
            Self::OtlpTraces => client.otlp("traces", body).await,
        }
    }
}

/// A limit: sizes within it and beyond it.
struct Case {
    reason: &'static str,
    way: Way,
    kept: Vec<i64>,
    refused: Vec<i64>,
    build: Box<dyn Fn(i64) -> Vec<u8>>,
}

/// limit - 1 and limit are kept, limit + 1 is refused.
fn at_most(limit: i64) -> (Vec<i64>, Vec<i64>) {
    (vec![limit - 1, limit], vec![limit + 1])
}

fn case(
    reason: &'static str,
    way: Way,
    (kept, refused): (Vec<i64>, Vec<i64>),
    build: impl Fn(i64) -> Vec<u8> + 'static,
) -> Case {
    Case { reason, way, kept, refused, build: Box::new(build) }
}

async fn check(server: &Server, cases: Vec<Case>) {
    for (at, case) in cases.into_iter().enumerate() {
        let Case { reason, way, kept, refused, build } = case;
        let client = server.client().tenant(&format!("case-{at}-{reason}"));
        for size in &kept {
            let answer = way.send(&client, build(*size)).await;
            let text = answer.ok().text();
            assert!(!text.contains(reason), "{reason} at {size}: {text}");
        }
        assert_eq!(client.count(way.table()).await, kept.len() as u64, "{reason}: kept");
        for size in &refused {
            let answer = way.send(&client, build(*size)).await;
            let told = match way {
                Way::RemoteWrite | Way::Loki => answer.status == 400,
                Way::OtlpLogs | Way::OtlpTraces => answer.status == 200,
            };
            assert!(told, "{reason} at {size}: {} {}", answer.status, answer.text());
            assert!(answer.text().contains(reason), "{reason} at {size} is not named: {}", answer.text());
        }
        assert_eq!(client.count(way.table()).await, kept.len() as u64, "{reason}: nothing refused is stored");
        let rejected = format!("rejected where reason = '{reason}'");
        assert_eq!(client.count(&rejected).await, refused.len() as u64, "{reason}: rows of rejected");
        assert_eq!(client.count("rejected").await, refused.len() as u64, "{reason}: no other reason");
        let empty = "rejected where message = '' or item = ''";
        assert_eq!(client.count(empty).await, 0, "{reason}: a message and the item");
    }
}

fn repeat(character: char, count: i64) -> String {
    character.to_string().repeat(usize::try_from(count).unwrap())
}

/// One sample with the labels that `add` gives on top of a name.
fn sample(add: impl Fn(Series) -> Series) -> Vec<u8> {
    remote_write::request(&[add(Series::new(&[("__name__", "m")])).sample(now_millis(), 1.0)])
}

fn record(change: impl Fn(&mut LogRecord)) -> Vec<u8> {
    let mut record = LogRecord::new(now_nanos(), "line");
    change(&mut record);
    otlp::logs(&[text("service.name", "s")], &[record])
}

fn span(change: impl Fn(&mut Span)) -> Vec<u8> {
    let now = now_nanos();
    let mut span = Span::server("name", now - 1_000, now);
    change(&mut span);
    otlp::traces(&[text("service.name", "s")], &[span])
}

/// Something is there (1) or missing (0), right (1) or wrong (0).
fn right_or_wrong() -> (Vec<i64>, Vec<i64>) {
    (vec![1], vec![0])
}

#[tokio::test]
async fn metrics() {
    let server = Server::start_with("[plugins.config.validate]\npast_grace_ms = 3600000\n");
    use Way::RemoteWrite as way;
    let cases = vec![
        case("missing_metric_name", way, right_or_wrong(), |named| {
            let labels: &[(&str, &str)] =
                if named == 1 { &[("__name__", "m"), ("a", "b")] } else { &[("a", "b")] };
            remote_write::request(&[Series::new(labels).sample(now_millis(), 1.0)])
        }),
        case("metric_name_invalid", way, right_or_wrong(), |valid| {
            let name: &[u8] = if valid == 1 { b"m" } else { b"m\xff" };
            remote_write::request(&[Series::default().label(b"__name__", name).sample(now_millis(), 1.0)])
        }),
        case("label_invalid", way, right_or_wrong(), |valid| {
            sample(|series| series.label(if valid == 1 { b"a" } else { b"" }, b"b"))
        }),
        case("label_value_invalid", way, right_or_wrong(), |valid| {
            sample(|series| series.label(b"a", if valid == 1 { b"b" } else { b"\xc3\x28" }))
        }),
        case("duplicate_label_names", way, right_or_wrong(), |valid| {
            sample(|series| series.label(b"a", b"1").label(if valid == 1 { b"b" } else { b"a" }, b"2"))
        }),
        case("max_label_names_per_series", way, at_most(30), |count| {
            // the name is one of them
            sample(|series| {
                (1..count).fold(series, |series, at| series.label(format!("l{at:03}").as_bytes(), b"v"))
            })
        }),
        case("label_name_too_long", way, at_most(1_024), |size| {
            sample(|series| series.label(repeat('n', size).as_bytes(), b"v"))
        }),
        case("label_value_too_long", way, at_most(2_048), |size| {
            sample(|series| series.label(b"n", repeat('v', size).as_bytes()))
        }),
        // The clock goes on between building and judging; the exact edge is
        // tested with a clock that stands still, in the plugin.
        case("too_far_in_future", way, (vec![600_000 - 5_000], vec![600_000 + 60_000]), |ahead_ms| {
            let series = Series::new(&[("__name__", "m")]).sample(now_millis() + ahead_ms, 1.0);
            remote_write::request(&[series])
        }),
        case("too_far_in_past", way, (vec![3_600_000 - 60_000], vec![3_600_000 + 5_000]), |ago_ms| {
            let series = Series::new(&[("__name__", "m")]).sample(now_millis() - ago_ms, 1.0);
            remote_write::request(&[series])
        }),
    ];
    check(&server, cases).await;
}

#[tokio::test]
async fn exemplars_and_native_histograms() {
    let server = Server::start();
    let client = server.client();
    let now = now_millis();
    // 128 characters of labels, names and values together
    for (characters, stored) in [(127, 1), (128, 2), (129, 2)] {
        let value = repeat('x', characters - 8);
        let series =
            Series::new(&[("__name__", "m")]).sample(now, 1.0).exemplar(&[("trace_id", &value)], now, 1.0);
        let answer = client.remote_write(&remote_write::request(&[series])).await;
        assert_eq!(answer.status == 400, characters > 128, "{characters}: {}", answer.text());
        assert_eq!(client.count("exemplars").await, stored, "{characters}");
    }
    assert_eq!(client.count("rejected where reason = 'exemplar_labels_too_long'").await, 1);

    let good = Series::new(&[("__name__", "h")]).histogram(now, 10.0, &[1, 2, 3]);
    client.remote_write(&remote_write::request(&[good])).await.ok();
    let mut bad = Series::new(&[("__name__", "h")]).histogram(now + 1, 10.0, &[1, 2, 3]);
    // a schema that does not exist: field 4, zigzag
    bad.histograms[0].extend_from_slice(&[0x20, 80]);
    let answer = client.remote_write(&remote_write::request(&[bad])).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(client.count("histograms").await, 1);
    assert_eq!(client.count("rejected where reason = 'native_histogram_invalid'").await, 1);
}

#[tokio::test]
async fn logs() {
    let server = Server::start();
    let cases = vec![
        case("line_too_long", Way::Loki, at_most(256 << 10), |size| {
            loki::request(&[Stream::new(r#"{app="a"}"#).line(now_nanos(), &repeat('x', size))])
        }),
        case("line_too_long", Way::OtlpLogs, at_most(256 << 10), |size| {
            record(|record| record.body = repeat('x', size))
        }),
        case("max_label_names_per_series", Way::Loki, at_most(15), |count| {
            let labels: Vec<_> = (0..count).map(|at| format!("l{at:02}=\"v\"")).collect();
            loki::request(&[Stream::new(&format!("{{{}}}", labels.join(", "))).line(now_nanos(), "x")])
        }),
        case("invalid_labels", Way::Loki, right_or_wrong(), |valid| {
            let labels = if valid == 1 { r#"{app="a"}"# } else { r#"{app="a"# };
            loki::request(&[Stream::new(labels).line(now_nanos(), "x")])
        }),
        case("missing_labels", Way::Loki, right_or_wrong(), |valid| {
            let labels = if valid == 1 { r#"{app="a"}"# } else { "{}" };
            loki::request(&[Stream::new(labels).line(now_nanos(), "x")])
        }),
        case("structured_metadata_too_many", Way::OtlpLogs, at_most(128), |count| {
            record(|record| record.attributes = (0..count).map(|at| text(&format!("k{at}"), "v")).collect())
        }),
        case("structured_metadata_too_large", Way::OtlpLogs, at_most(64 << 10), |size| {
            record(|record| record.attributes = vec![text("key", &repeat('v', size - 3))])
        }),
        case(
            "greater_than_max_sample_age",
            Way::Loki,
            (vec![7 * 24 * 60 - 1], vec![7 * 24 * 60 + 1]),
            |minutes| {
                let time = now_nanos() - minutes.cast_unsigned() * 60_000_000_000;
                loki::request(&[Stream::new(r#"{app="a"}"#).line(time, "x")])
            },
        ),
        case("too_far_in_future", Way::OtlpLogs, (vec![9], vec![11]), |minutes| {
            record(|record| record.time_unix_nanos += minutes.cast_unsigned() * 60_000_000_000)
        }),
    ];
    check(&server, cases).await;
}

#[tokio::test]
async fn spans() {
    let server = Server::start();
    use Way::OtlpTraces as way;
    let cases = vec![
        case("invalid_trace_id", way, (vec![16], vec![15, 17, 0]), |size| {
            span(|span| span.trace_id = vec![1; usize::try_from(size).unwrap()])
        }),
        case("invalid_trace_id", way, right_or_wrong(), |byte| {
            span(|span| span.trace_id = vec![byte as u8; 16])
        }),
        case("invalid_span_id", way, (vec![8], vec![7, 9, 0]), |size| {
            span(|span| span.span_id = vec![1; usize::try_from(size).unwrap()])
        }),
        case("invalid_span_id", way, right_or_wrong(), |byte| {
            span(|span| span.span_id = vec![byte as u8; 8])
        }),
        case("span_name_too_long", way, at_most(1_024), |size| span(|span| span.name = repeat('n', size))),
        case("too_many_attributes", way, at_most(128), |count| {
            span(|span| span.attributes = (0..count).map(|at| text(&format!("k{at}"), "v")).collect())
        }),
        case("attribute_key_too_long", way, at_most(1_024), |size| {
            span(|span| span.attributes = vec![text(&repeat('k', size), "v")])
        }),
        case("attribute_value_too_long", way, at_most(64 << 10), |size| {
            span(|span| span.attributes = vec![text("k", &repeat('v', size))])
        }),
        case("duplicate_attribute_keys", way, right_or_wrong(), |valid| {
            span(|span| span.attributes = vec![text("a", "1"), text(if valid == 1 { "b" } else { "a" }, "2")])
        }),
        case("invalid_utf8", way, right_or_wrong(), |valid| {
            let value = if valid == 1 { b"ok".to_vec() } else { b"\xff\xfe".to_vec() };
            span(|span| span.attributes = vec![("a".to_owned(), Value::Bytes(value.clone()))])
        }),
        // A span may end before it starts (clocks differ), but not after the end of time.
        case("span_time_invalid", way, (vec![-1, 0, 1], vec![i64::MAX]), |duration| {
            span(|span| span.end_unix_nanos = span.start_unix_nanos.strict_add_signed(duration))
        }),
        case("too_far_in_future", way, (vec![9], vec![11]), |minutes| {
            let ahead = minutes.cast_unsigned() * 60_000_000_000;
            span(|span| {
                span.start_unix_nanos += ahead;
                span.end_unix_nanos += ahead;
            })
        }),
    ];
    check(&server, cases).await;
}

/// The sender hears what was stored and what was not, and both sides of the
/// books agree.
#[tokio::test]
async fn one_bad_item_does_not_take_the_others_with_it() {
    let server = Server::start();
    let client = server.client();
    let now = now_millis();
    let good = |at: i64| Series::new(&[("__name__", "m"), ("i", &at.to_string())]).sample(now, at as f64);
    let bad = Series::new(&[("__name__", "m"), ("v", &repeat('v', 3_000))]).sample(now, 1.0);
    let mut series: Vec<_> = (0..9).map(good).collect();
    series.insert(4, bad);
    let answer = client.remote_write(&remote_write::request(&series)).await;
    assert_eq!(answer.status, 400);
    let text = answer.text();
    assert!(
        text.contains("label_value_too_long") && text.contains('9'),
        "names the fault, counts the stored: {text}"
    );
    assert_eq!(client.count("samples").await, 9);

    let spans: Vec<_> = (0..10_u8)
        .map(|at| Span {
            span_id: if at == 3 { vec![0; 8] } else { vec![at + 1; 8] },
            ..Span::server("s", now_nanos() - 1, now_nanos())
        })
        .collect();
    let answer = client.otlp("traces", otlp::traces(&[], &spans)).await.ok();
    // ExportTracePartialSuccess: field 1 of field 1, rejected_spans = 1
    let head = &answer.body[..6];
    assert!(head.windows(2).any(|bytes| bytes == [0x08, 1]), "{:?}", answer.body);
    assert_eq!(client.count("spans").await, 9);

    for signal in ["metrics", "traces"] {
        let labels = [format!("signal=\"{signal}\"")];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        let metric = |name: &'static str| client.metric(name, &labels);
        let received = metric("isinglass_received_items_total").await;
        let stored = metric("isinglass_stored_items_total").await;
        let rejected = metric("isinglass_rejected_items_total").await;
        assert_eq!((received, stored, rejected), (10.0, 9.0, 1.0), "{signal}");
    }
}
