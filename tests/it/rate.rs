//! The rate limit: a request is taken whole or refused whole, and the sender
//! hears when to come back. The bucket itself is tested with a controlled clock
//! in `chain`.

use std::time::Duration;

use isinglass_testkit::load;
use isinglass_testkit::otlp::{self, LogRecord};
use isinglass_testkit::remote_write::{self, Series};
use tonic::Code;

use crate::harness::{Server, grpc, now_millis, now_nanos};

const TEN_A_SECOND: &str = "[plugins.config.rate-limit]\nitems_per_second = 10\nitems_burst = 20\n";

fn samples(count: i64) -> Vec<u8> {
    let now = now_millis();
    let series: Vec<_> = (0..count)
        .map(|at| Series::new(&[("__name__", "m"), ("i", &at.to_string())]).sample(now, 1.0))
        .collect();
    remote_write::request(&series)
}

#[tokio::test]
async fn burst_refusal_and_refill() {
    let server = Server::start_with(TEN_A_SECOND);
    let client = server.client();
    client.remote_write(&samples(20)).await.ok();
    let refused = client.remote_write(&samples(10)).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    let retry_after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&retry_after), "{retry_after}");
    assert_eq!(client.count("samples").await, 20, "nothing of a refused request is stored");
    assert_eq!(client.count("rejected").await, 0, "nor written to rejected");
    let limited = ["signal=\"metrics\"", "reason=\"rate_limited\""];
    assert_eq!(client.metric("isinglass_rejected_items_total", &limited).await, 10.0);

    // another tenant has a bucket of its own
    client.tenant("other").remote_write(&samples(20)).await.ok();

    tokio::time::sleep(Duration::from_secs(retry_after)).await;
    client.remote_write(&samples(10)).await.ok();
    let stored = client.metric("isinglass_stored_items_total", &["tenant=\"default\""]).await;
    let received = client.metric("isinglass_received_items_total", &["tenant=\"default\""]).await;
    assert_eq!((received, stored), (40.0, 30.0));
}

#[tokio::test]
async fn more_than_the_burst_never_passes() {
    let server = Server::start_with(TEN_A_SECOND);
    let answer = server.client().remote_write(&samples(21)).await;
    assert_eq!(answer.status, 413, "waiting would not help: {}", answer.text());
    assert_eq!(server.client().count("samples").await, 0);
}

#[tokio::test]
async fn over_grpc_with_retry_info() {
    let server = Server::start_with(TEN_A_SECOND);
    let address = &server.addresses().otlp_grpc;
    let spans = |seed| load::traces(seed, 15, now_nanos() - 1_000_000);
    grpc::export(address, None, "traces", spans(1)).await.unwrap();
    let status = grpc::export(address, None, "traces", spans(2)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = String::from_utf8_lossy(status.details());
    assert!(details.contains("type.googleapis.com/google.rpc.RetryInfo"), "{details}");
    assert_eq!(server.client().count("spans").await, 15);
}

#[tokio::test]
async fn bytes_are_counted_before_decoding() {
    let server =
        Server::start_with("[plugins.config.rate-limit]\nbytes_per_second = 1000\nbytes_burst = 4000\n");
    let client = server.client();
    let record = |size: usize| otlp::logs(&[], &[LogRecord::new(now_nanos(), &"x".repeat(size))]);
    client.otlp("logs", record(3_500)).await.ok();
    let refused = client.otlp("logs", record(3_500)).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    // Not even looked at: garbage of that size is refused for its size.
    let refused = client.otlp("logs", vec![0xff; 3_500]).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert_eq!(client.count("logs").await, 1);
}
