//! Who uses the server meanwhile: senders that do well, senders that do not, and those who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use isinglass_testkit::remote_write::{self, Series};
use isinglass_testkit::{load, loki, otlp};
use tokio::task::JoinHandle;

use crate::harness::{Client, Server, grpc, now_millis, now_nanos};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(500);

/// They go on until they are told to stop.
pub(super) struct Users {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    at_work: JoinHandle<()>,
}

impl Users {
    pub(super) fn begin(server: &Server) -> Self {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (client, grpc) = (server.client(), server.addresses().otlp_grpc.clone());
        let at_work = tokio::spawn({
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let at = rounds.fetch_add(1, Ordering::Relaxed);
                    send(&client, &grpc, at).await;
                    send_badly(&client, &grpc, at).await;
                    read(&client, at).await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { stop, rounds, at_work }
    }

    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    pub(super) async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.at_work.await.unwrap();
    }
}

async fn send(client: &Client, grpc: &str, at: u64) {
    for service in 0..4 {
        let start = now_nanos() - 5_000_000_000;
        client.otlp("traces", load::traces(at * 8 + service, 200, start)).await.ok();
    }
    super::calls::send(client, at).await;
    let spans = load::traces(at * 8 + 5, 20, now_nanos() - 5_000_000_000);
    // The second time it is a repetition.
    for _ in 0..2 {
        grpc::export(grpc, None, "traces", spans.clone()).await.unwrap();
    }
    let line = loki::Stream::new(r#"{service_name="shop"}"#).line(now_nanos(), &format!("line {at}"));
    client.loki(&loki::request(&[line])).await.ok();
    let record = otlp::LogRecord::new(now_nanos(), "record");
    client.otlp("logs", otlp::logs(&load::resource(0), &[record])).await.ok();
}

/// A request that cannot be read, and a sample of next year.
async fn send_badly(client: &Client, grpc: &str, at: u64) {
    assert_eq!(client.otlp("traces", vec![0xff; 20]).await.status, 400);
    assert!(grpc::export(grpc, None, "logs", vec![0xff; 20]).await.is_err());
    let next_year = now_millis() + 365 * 86_400_000 + at.cast_signed();
    let series = Series::new(&[("__name__", "early")]).sample(next_year, 1.0);
    client.remote_write(&remote_write::request(&[series])).await;
}

async fn read(client: &Client, at: u64) {
    client.sql("select count(*) from spans").await;
    client.get("api/v1/query?query=count(up)").await.ok();
    // Nobody could answer that in a millisecond.
    let slow = "api/v1/query?timeout=1ms&query=sum_over_time(sum_over_time(vector(1)[1h:1s])[1h:1s])";
    assert_eq!(client.get(slow).await.status, 503);
    if at % 3 == 0 {
        client.flush().await;
        client.post("api/admin/compact", &[], Vec::new()).await.ok();
    }
}
