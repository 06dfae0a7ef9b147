//! What a sender is told of what was refused, word for word, by each protocol and for each sort
//! of limit; and the books: received = stored + rejected.

use std::collections::BTreeMap;

use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::otlp::{self, LogRecord, Span, text};
use isinglass_testkit::remote_write::{self, Series};
use tonic::Code;

use crate::harness::{Answer, Client, Server, grpc, now_millis, now_nanos};

/// Each sort of limit has a tenant of its own.
const CONFIG: &str = r#"
[ingest.limits]
series_per_metric_max = 2

[ingest.tenants]
order = { sample_behind_max_ms = 0 }
streams = { streams_max = 1 }
behind = { line_behind_max_ms = 1000 }
traces = { traces_max = 1 }
large = { trace_bytes_max = 150 }
closed = { blocked_until_ms = 9000000000000 }
cut = { line_truncate_bytes = 4 }

[plugins.tenants.team.validate]
stream_labels_required = ["team"]

[plugins.tenants.noisy.rate-limit]
policies = [{ name = "streams", per = "stream", items_per_second = 0.5, items_burst = 2 }]

[plugins.tenants.asking.rate-limit]
requests_per_second = 0.5
requests_burst = 1
"#;

/// (received, stored, rejected by reason) of a tenant.
async fn books(client: &Client, tenant: &str, signal: &str) -> (u64, u64, BTreeMap<String, u64>) {
    let page = client.get("metrics").await.ok().text();
    let of = |name: &str| {
        let (tenant, signal) = (format!("tenant=\"{tenant}\""), format!("signal=\"{signal}\""));
        let rows = page.lines().filter(move |line| {
            line.starts_with(&format!("{name}{{")) && line.contains(&tenant) && line.contains(&signal)
        });
        let row = |line: &str| {
            let reason = line.split("reason=\"").nth(1).and_then(|rest| rest.split('"').next());
            let value = line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
            (reason.unwrap_or_default().to_owned(), value as u64)
        };
        rows.map(row).collect::<BTreeMap<String, u64>>()
    };
    let one = |name| of(name).values().sum();
    let books = (
        one("isinglass_received_items_total"),
        one("isinglass_stored_items_total"),
        of("isinglass_rejected_items_total"),
    );
    assert_eq!(books.0, books.1 + books.2.values().sum::<u64>(), "received = stored + rejected: {books:?}");
    books
}

fn rejected(reasons: &[(&str, u64)]) -> BTreeMap<String, u64> {
    reasons.iter().map(|(reason, items)| ((*reason).to_owned(), *items)).collect()
}

/// An answer in plain text.
fn told(answer: &Answer, status: u16, body: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, body));
}

fn sample(name: &str, at: usize, time: i64) -> Series {
    Series::new(&[("__name__", name), ("i", &at.to_string())]).sample(time, 1.0)
}

fn lines(streams: &[(&str, u64, &str)]) -> Vec<u8> {
    let stream = |(labels, time, line): &(&str, u64, &str)| Stream::new(labels).line(*time, line);
    loki::request(&streams.iter().map(stream).collect::<Vec<_>>())
}

fn spans(ids: &[u8]) -> Vec<u8> {
    let now = now_nanos();
    let span = |(at, id): (u8, &u8)| Span {
        trace_id: vec![*id; 16],
        span_id: vec![at + 1; 8],
        ..Span::server("GET", now - 1_000, now)
    };
    otlp::traces(&[], &(0..).zip(ids).map(span).collect::<Vec<_>>())
}

#[tokio::test]
async fn remote_write() {
    let server = Server::start_with(CONFIG);
    let client = server.client();
    let now = now_millis();
    let body = remote_write::request(&(0..3).map(|at| sample("up", at, now)).collect::<Vec<_>>());
    told(
        &client.remote_write(&body).await,
        400,
        "stored 2 of 3 items, rejected 1: max_series_per_metric (1 items): metric \"up\" has 2 series, \
         which is its limit (max_series_per_metric), in series {__name__=\"up\", i=\"2\"}\n",
    );
    // New series are refused, those that are there flow.
    let body = remote_write::request(&[sample("up", 1, now + 1), sample("up", 7, now + 1)]);
    assert_eq!(client.remote_write(&body).await.status, 400);
    let long = "v".repeat(2_049);
    let body =
        remote_write::request(&[Series::new(&[("__name__", "long"), ("path", &long)]).sample(now, 1.0)]);
    let answer = client.remote_write(&body).await;
    let text = answer.text();
    assert_eq!(answer.status, 400);
    assert!(
        text.starts_with(
            "stored 0 of 1 items, rejected 1: label_value_too_long (1 items): the value of label \"path\" has \
             2049 bytes, the limit is 2048 (label_value_bytes_max), in series long{path=\"vvv"
        ) && text.len() < 350,
        "{text}"
    );
    let reasons = [("label_value_too_long", 1), ("max_series_per_metric", 2)];
    assert_eq!(books(&client, "default", "metrics").await, (6, 3, rejected(&reasons)));

    let order = client.tenant("order");
    order.remote_write(&remote_write::request(&[sample("up", 1, now)])).await.ok();
    told(
        &order.remote_write(&remote_write::request(&[sample("up", 1, now - 7)])).await,
        400,
        &format!(
            "stored 0 of 1 items, rejected 1: sample_out_of_order (1 items): time {} lies 7 ms behind the \
             newest sample of its series, the limit is 0 (sample_behind_max_ms), in series up{{i=\"1\"}}\n",
            now - 7
        ),
    );
    let other = Series::new(&[("__name__", "up"), ("i", "1")]).sample(now, 2.0);
    told(
        &order.remote_write(&remote_write::request(&[other])).await,
        400,
        &format!(
            "stored 0 of 1 items, rejected 1: sample_duplicate_timestamp (1 items): the series has another \
             value at time {now} (sample_behind_max_ms), in series up{{i=\"1\"}}\n"
        ),
    );
    let reasons = [("sample_duplicate_timestamp", 1), ("sample_out_of_order", 1)];
    assert_eq!(books(&client, "order", "metrics").await, (3, 1, rejected(&reasons)));

    let answer = client.tenant("closed").remote_write(&body).await;
    told(
        &answer,
        260,
        "intake of tenant \"closed\" is switched off until 9000000000000 ms since 1970 (blocked_until_ms); \
         nothing of this request was stored\n",
    );
    let asking = client.tenant("asking");
    asking.remote_write(&remote_write::request(&[sample("up", 1, now)])).await.ok();
    let answer = asking.remote_write(&remote_write::request(&[sample("up", 2, now)])).await;
    told(
        &answer,
        429,
        "rate limit: tenant \"asking\" is over its rate: bucket \"requests\" of rate-limit gives 0.5 a second \
         with a burst of 1, the request costs 1; nothing of this request was stored\n",
    );
    assert!(answer.headers.contains_key("retry-after"));
    for (tenant, reason) in [("closed", "blocked_ingestion"), ("asking", "rate_limited")] {
        let labels = [format!("tenant=\"{tenant}\""), format!("reason=\"{reason}\"")];
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        assert!(client.metric("isinglass_rejected_bytes_total", &labels).await > 0.0, "{tenant}");
    }
}

#[tokio::test]
async fn loki_push() {
    let server = Server::start_with(CONFIG);
    let client = server.client();
    let now = now_nanos();
    let (a, b) = (r#"{app="a"}"#, r#"{app="b"}"#);

    let streams = client.tenant("streams");
    streams.loki(&lines(&[(a, now, "x")])).await.ok();
    let limit = "stream {app=\"b\", service_name=\"b\"} is new and the tenant has 1 active ones, which is its \
                 limit (streams_max)";
    told(
        &streams.loki(&lines(&[(a, now + 1, "x"), (b, now, "xyz")])).await,
        400,
        &format!("stored 1 of 2 items, rejected 1: stream_limit (1 items): {limit}\n"),
    );
    // Nothing is left of it: its sender can try again.
    let answer = streams.loki(&lines(&[(b, now, "x")])).await;
    told(&answer, 429, &format!("{limit}; nothing of this request was stored\n"));
    assert_eq!(answer.headers["retry-after"], "5");
    assert_eq!(books(&client, "streams", "logs").await, (4, 2, rejected(&[("stream_limit", 2)])));
    assert_eq!(streams.count("rejected").await, 1);

    let behind = client.tenant("behind");
    behind.loki(&lines(&[(a, now, "x")])).await.ok();
    let time = now - 1_001_000_000;
    told(
        &behind.loki(&lines(&[(a, time, "x"), (b, time, "x")])).await,
        400,
        &format!(
            "stored 1 of 2 items, rejected 1: too_far_behind (1 items): time {time} lies 1001 ms behind the \
             newest line of stream {{app=\"a\", service_name=\"a\"}}, the limit is 1000 (line_behind_max_ms)\n"
        ),
    );
    assert_eq!(books(&client, "behind", "logs").await, (3, 2, rejected(&[("too_far_behind", 1)])));

    let team = client.tenant("team");
    told(
        &team.loki(&lines(&[(a, now, "four"), (r#"{app="a", team="t"}"#, now, "x")])).await,
        400,
        "stored 1 of 2 items, rejected 1: missing_enforced_labels (1 items): the stream has no label \"team\" \
         (stream_labels_required), in stream {app=\"a\", service_name=\"a\"}\n",
    );
    assert_eq!(books(&client, "team", "logs").await, (2, 1, rejected(&[("missing_enforced_labels", 1)])));
    let bytes = ["tenant=\"team\"", "reason=\"missing_enforced_labels\""];
    assert_eq!(client.metric("isinglass_rejected_bytes_total", &bytes).await, 4.0, "bytes of the line");

    let noisy = client.tenant("noisy");
    noisy.loki(&lines(&[(a, now, "1"), (a, now, "2"), (b, now, "1")])).await.ok();
    let answer = noisy.loki(&lines(&[(a, now, "3"), (b, now, "2")])).await;
    told(
        &answer,
        429,
        "rate limit: tenant \"noisy\" is over its rate: bucket \"streams.items {app=\\\"a\\\", \
         service_name=\\\"a\\\"}\" of rate-limit gives 0.5 a second with a burst of 2, the request costs 1; \
         nothing of this request was stored\n",
    );
    noisy.loki(&lines(&[(b, now, "2")])).await.ok();
    assert_eq!(books(&client, "noisy", "logs").await, (6, 4, rejected(&[("per_stream_rate_limit", 2)])));

    let cut = client.tenant("cut");
    cut.loki(&lines(&[(a, now, "fifth")])).await.ok();
    assert_eq!(cut.cell("select body from logs").await, "fift");
    let fields = ["tenant=\"cut\"", "field=\"line\""];
    assert_eq!(client.metric("isinglass_truncated_values_total", &fields).await, 1.0);
}

#[tokio::test]
async fn otlp() {
    let server = Server::start_with(CONFIG);
    let client = server.client();
    let address = &server.addresses().otlp_grpc;

    let traces = client.tenant("traces");
    let limit = "LIVE_TRACES_EXCEEDED: trace 02020202020202020202020202020202 is new and the tenant has 1 live \
                 ones, which is its limit (traces_max)";
    let partial = otlp_text(&traces.otlp("traces", spans(&[1, 2, 1])).await.ok());
    assert!(
        partial
            .contains(&format!("stored 2 of 3 items, rejected 1: live_traces_exceeded (1 items): {limit}")),
        "{partial}"
    );
    let answer = traces.otlp("traces", spans(&[2])).await;
    let status = otlp_text(&answer);
    assert_eq!(answer.status, 429);
    assert!(status.contains(&format!("{limit}; nothing of this request was stored")), "{status}");
    assert!(status.contains("type.googleapis.com/google.rpc.RetryInfo"), "{status}");
    let refused = grpc::export(address, Some("traces"), "traces", spans(&[2])).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::ResourceExhausted, format!("{limit}; nothing of this request was stored").as_str())
    );
    assert!(String::from_utf8_lossy(refused.details()).contains("RetryInfo"));
    assert_eq!(books(&client, "traces", "traces").await, (5, 2, rejected(&[("live_traces_exceeded", 3)])));

    let large = client.tenant("large");
    let partial = otlp_text(&large.otlp("traces", spans(&[1, 1, 1, 2])).await.ok());
    assert!(
        partial.contains("TRACE_TOO_LARGE: trace 01010101010101010101010101010101 would have "),
        "{partial}"
    );
    let (received, stored, reasons) = books(&client, "large", "traces").await;
    assert_eq!((received, received - stored), (4, reasons["trace_too_large"]));
    assert_eq!(large.count("spans").await, stored);

    let streams = client.tenant("streams");
    let record =
        |service: &str| otlp::logs(&[text("service.name", service)], &[LogRecord::new(now_nanos(), "line")]);
    streams.otlp("logs", record("a")).await.ok();
    let refused = grpc::export(address, Some("streams"), "logs", record("b")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(
        refused.message(),
        "stream {service_name=\"b\"} is new and the tenant has 1 active ones, which is its limit (streams_max); \
         nothing of this request was stored"
    );
    assert_eq!(books(&client, "streams", "logs").await, (2, 1, rejected(&[("stream_limit", 1)])));
    let refused = grpc::export(address, Some("closed"), "logs", record("b")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

/// The texts of a protobuf message, for looking into.
fn otlp_text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
