//! `kill -9` while data comes in, again and again: what was acknowledged is
//! there, nothing is there twice, and the derived counters say what the stored
//! spans say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isinglass_testkit::ledger::{Audit, Ledger};
use isinglass_testkit::otlp::{self, LogRecord, Span, integer, text};
use isinglass_testkit::remote_write::{self, Series};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::derived;
use crate::harness::{Answer, Client, Server, now_millis, now_nanos};

const ROUNDS: usize = 20;
/// Items of one request.
const ITEMS: u64 = 25;

/// What a request is made of. Every item carries its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    Metrics,
    Logs,
    Traces,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Traces];

    pub(crate) fn body(self, items: &[u64]) -> Vec<u8> {
        let now = now_nanos();
        match self {
            Self::Metrics => {
                remote_write::request(&items.iter().map(|item| sample(*item)).collect::<Vec<_>>())
            }
            Self::Logs => {
                let records: Vec<_> =
                    items.iter().map(|item| LogRecord::new(now, &item.to_string())).collect();
                otlp::logs(&[text("service.name", "crash")], &records)
            }
            Self::Traces => {
                let spans: Vec<_> = items.iter().map(|item| span(*item, now)).collect();
                otlp::traces(&[text("service.name", "crash")], &spans)
            }
        }
    }

    pub(crate) async fn send(self, client: &Client, body: &[u8]) -> Result<Answer, reqwest::Error> {
        let protobuf = [("content-type", "application/x-protobuf")];
        match self {
            Self::Metrics => client.try_remote_write(body).await,
            Self::Logs => client.try_otlp("logs", &protobuf, body.to_vec()).await,
            Self::Traces => client.try_otlp("traces", &protobuf, body.to_vec()).await,
        }
    }

    pub(crate) fn query(self) -> &'static str {
        match self {
            Self::Metrics => {
                "select cast(value as bigint) as item, count(*) as n from metrics.crash_item group by 1"
            }
            Self::Logs => "select cast(body as bigint) as item, count(*) as n from logs group by 1",
            Self::Traces => "select server_port as item, count(*) as n from spans group by 1",
        }
    }
}

fn sample(item: u64) -> Series {
    let series = (item % 50).to_string();
    Series::new(&[("__name__", "crash_item"), ("series", &series)]).sample(now_millis(), item as f64)
}

fn span(item: u64, now: u64) -> Span {
    Span {
        trace_id: (u128::from(item) + 1).to_be_bytes().to_vec(),
        span_id: (item + 1).to_be_bytes().to_vec(),
        attributes: vec![integer("server.port", item.cast_signed())],
        status: if item % 7 == 0 { 2 } else { 0 },
        ..Span::server(["GET /a", "GET /b", "POST /c"][item as usize % 3], now - 1_000_000 - item, now)
    }
}

/// A request without an answer: it may be there or not, and is sent again.
#[derive(Debug)]
struct Open {
    signal: Signal,
    items: Vec<u64>,
    body: Vec<u8>,
}

/// All senders share this.
#[derive(Debug, Default)]
struct Book {
    next: AtomicU64,
    ledgers: Mutex<BTreeMap<Signal, Ledger>>,
    open: Mutex<Vec<Open>>,
}

impl Book {
    /// Sends until the connection breaks.
    async fn send_until_it_breaks(self: Arc<Self>, client: Client, signal: Signal) {
        loop {
            let first = self.next.fetch_add(ITEMS, Ordering::Relaxed);
            let items: Vec<_> = (first..first + ITEMS).collect();
            let request = Open { signal, body: signal.body(&items), items };
            self.ledgers.lock().await.entry(signal).or_default().sent(request.items.iter().copied());
            if !self.settle(&client, &request).await {
                self.open.lock().await.push(request);
                return;
            }
        }
    }

    /// Whether there was an answer.
    async fn settle(&self, client: &Client, request: &Open) -> bool {
        let Ok(answer) = request.signal.send(client, &request.body).await else { return false };
        assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
        let items = request.items.iter().copied();
        self.ledgers.lock().await.entry(request.signal).or_default().acknowledged(items);
        true
    }

    /// A sender repeats what was not answered; the server must know it again.
    async fn send_open_again(&self, client: &Client) {
        for request in std::mem::take(&mut *self.open.lock().await) {
            assert!(self.settle(client, &request).await, "the server is there");
        }
    }
}

async fn audit(client: &Client, book: &Book) {
    for (signal, ledger) in book.ledgers.lock().await.iter() {
        let rows = client.sql(signal.query()).await;
        let found = rows
            .iter()
            .map(|row| (row["item"].as_i64().unwrap().cast_unsigned(), row["n"].as_u64().unwrap()))
            .collect();
        assert_eq!(ledger.audit(&found), Audit::default(), "{signal:?}");
        println!("{signal:?}: {} acknowledged, {} found", ledger.acknowledged_total(), found.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_and_doubles_nothing() {
    let acknowledged = kill_again_and_again(&mut Server::start(), ROUNDS).await;
    assert!(acknowledged > ROUNDS * ITEMS as usize, "the senders got through: {acknowledged}");
}

/// Kills a server while all signals come in, and audits it at the end; how many items it
/// acknowledged.
pub(crate) async fn kill_again_and_again(server: &mut Server, rounds: usize) -> usize {
    // Small enough that flushes and commits are hit too.
    let mut random = StdRng::seed_from_u64(2026);
    let book = Arc::new(Book::default());
    for round in 0..rounds {
        let client = server.client();
        book.send_open_again(&client).await;
        let mut senders = JoinSet::new();
        for signal in Signal::ALL {
            senders.spawn(Arc::clone(&book).send_until_it_breaks(client.clone(), signal));
        }
        if round % 2 == 1 {
            let client = client.clone();
            senders.spawn(async move {
                // Ends with the connection.
                while client.try_post("api/admin/flush", &[], Vec::new()).await.is_ok() {}
            });
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(100..1_200))).await;
        server.kill();
        senders.join_all().await;
        server.start_again();
    }
    let client = server.client();
    book.send_open_again(&client).await;
    audit(&client, &book).await;
    client.flush().await;
    audit(&client, &book).await;
    derived::check_all(&client).await;
    book.ledgers.lock().await.values().map(Ledger::acknowledged_total).sum()
}
