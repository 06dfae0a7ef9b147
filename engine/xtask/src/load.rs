//! Senders of all signals, what they were told, and the audit by SQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use isinglass_testkit::ledger::Ledger;
use isinglass_testkit::otlp::{self, LogRecord, Span, integer, text};
use isinglass_testkit::remote_write::{self, Series};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::outcome::Outcome;
use crate::server::Running;

/// Items of one request.
const ITEMS: u64 = 25;
/// Pause of a sender between requests: the ledger shall be audited, not filled.
const PAUSE: Duration = Duration::from_millis(5);
/// Pause before a request is repeated.
const AGAIN: Duration = Duration::from_millis(50);

/// What a request is made of. Every item carries its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Signal {
    Metrics,
    Logs,
    Spans,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Spans];

    fn body(self, items: &[u64], now: u64) -> Vec<u8> {
        match self {
            Self::Metrics => remote_write::snappy(&remote_write::request(
                &items.iter().map(|item| sample(*item, now)).collect::<Vec<_>>(),
            )),
            Self::Logs => {
                let records: Vec<_> =
                    items.iter().map(|item| LogRecord::new(now, &item.to_string())).collect();
                otlp::logs(&[text("service.name", "torture")], &records)
            }
            Self::Spans => {
                let spans: Vec<_> = items.iter().map(|item| span(*item, now)).collect();
                otlp::traces(&[text("service.name", "torture")], &spans)
            }
        }
    }

    /// Rows of one column, `item`.
    fn items(self) -> &'static str {
        match self {
            Self::Metrics => "select cast(value as bigint) as item from metrics.torture_item",
            Self::Logs => "select cast(body as bigint) as item from logs",
            Self::Spans => "select server_port as item from spans",
        }
    }
}

pub(crate) fn now_nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(now.as_nanos()).expect("the clock is before 2554")
}

/// Two samples of one series never have one time, or the first would rightly win.
fn sample(item: u64, now: u64) -> Series {
    let series = (item % 2_500).to_string();
    Series::new(&[("__name__", "torture_item"), ("series", &series)])
        .sample((now / 1_000_000).cast_signed(), item as f64)
}

fn span(item: u64, now: u64) -> Span {
    Span {
        trace_id: (u128::from(item) + 1).to_be_bytes().to_vec(),
        span_id: (item + 1).to_be_bytes().to_vec(),
        attributes: vec![integer("server.port", item.cast_signed())],
        ..Span::server("GET /torture", now - 1_000_000, now)
    }
}

/// A client of one running server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    main: String,
    otlp: String,
}

impl Client {
    pub(crate) fn new(server: &Running) -> anyhow::Result<Self> {
        Self::patient(server, Duration::from_secs(60))
    }

    /// One that waits so long for an answer.
    pub(crate) fn patient(server: &Running, patience: Duration) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(patience).no_proxy().build()?;
        let addresses = server.addresses();
        Ok(Self { http, main: addresses.http.clone(), otlp: addresses.otlp_http.clone() })
    }

    async fn send(&self, signal: Signal, body: Vec<u8>) -> Result<reqwest::Response, reqwest::Error> {
        let (address, path) = match signal {
            Signal::Metrics => (&self.main, "api/v1/write"),
            Signal::Logs => (&self.otlp, "v1/logs"),
            Signal::Spans => (&self.otlp, "v1/traces"),
        };
        let request = self.http.post(format!("http://{address}/{path}")).body(body);
        let request = request.header("content-type", "application/x-protobuf");
        let request = match signal {
            Signal::Metrics => request
                .header("content-encoding", "snappy")
                .header("x-prometheus-remote-write-version", "0.1.0"),
            Signal::Logs | Signal::Spans => request,
        };
        request.send().await
    }

    /// Writes all unflushed rows into the tables.
    pub(crate) async fn flush(&self) -> anyhow::Result<()> {
        self.order("flush").await
    }

    /// Merges all files that can be merged.
    pub(crate) async fn compact(&self) -> anyhow::Result<()> {
        self.order("compact").await
    }

    async fn order(&self, what: &str) -> anyhow::Result<()> {
        let answer = self.http.post(format!("http://{}/api/admin/{what}", self.main)).send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "{what}: {status}: {}", answer.text().await?);
        Ok(())
    }

    /// A Loki push of JSON.
    pub(crate) async fn push_lines(&self, body: &str) -> anyhow::Result<()> {
        let request = self.http.post(format!("http://{}/loki/api/v1/push", self.main)).body(body.to_owned());
        let answer = request.header("content-type", "application/json").send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "push: {status}: {}", answer.text().await?);
        Ok(())
    }

    /// The same by a tenant.
    pub(crate) async fn push_lines_of(&self, tenant: &str, body: &str) -> anyhow::Result<()> {
        let request = self.http.post(format!("http://{}/loki/api/v1/push", self.main)).body(body.to_owned());
        let request = request.header("content-type", "application/json").header("x-scope-orgid", tenant);
        let answer = request.send().await?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "push of {tenant}: {status}: {}", answer.text().await?);
        Ok(())
    }

    /// The number `n` that a tenant's statement answers, which sees everything acknowledged before.
    pub(crate) async fn number_of(&self, tenant: &str, query: &str) -> anyhow::Result<u64> {
        let body = json!({ "query": query, "format": "json", "consistency": "strong" });
        let request = self.http.post(format!("http://{}/api/sql", self.main)).header("x-scope-orgid", tenant);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        let rows = answer.as_array().or_else(|| answer["rows"].as_array());
        let number = rows.and_then(|rows| rows.first()?["n"].as_u64());
        number.with_context(|| format!("{query} answers {answer}"))
    }

    /// Rows of a statement that sees everything acknowledged before.
    pub(crate) async fn sql(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        self.sql_within(query, Duration::from_secs(60)).await
    }

    /// The same, asked again while the server says that it is not ready for it.
    pub(crate) async fn sql_within(&self, query: &str, patience: Duration) -> anyhow::Result<Vec<Value>> {
        let start = Instant::now();
        let body = json!({ "query": query, "format": "json", "consistency": "strong" });
        loop {
            match self.ask(&body).await {
                Err(_) if start.elapsed() < patience => tokio::time::sleep(Duration::from_millis(500)).await,
                other => return other,
            }
        }
    }

    /// Rows of a statement over what can be read now.
    pub(crate) async fn sql_so_far(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        self.ask(&json!({ "query": query, "format": "json" })).await
    }

    async fn ask(&self, body: &Value) -> anyhow::Result<Vec<Value>> {
        let request = self.http.post(format!("http://{}/api/sql", self.main));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{body}: {status}: {text}");
        let answer: Value = serde_json::from_str(&text).with_context(|| format!("{body}: {text}"))?;
        Ok(answer.as_array().or_else(|| answer["rows"].as_array()).cloned().unwrap_or_default())
    }
}

/// What a sender does when its connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnBreak {
    /// The server is expected to die.
    Leave,
    /// The server is expected to live on.
    Repeat,
}

/// A request without a good answer: it may be there or not, and is sent again.
#[derive(Debug)]
struct Open {
    signal: Signal,
    items: Vec<u64>,
    body: Vec<u8>,
}

/// What is acknowledged of one signal, summed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Totals {
    count: u64,
    sum: u64,
    min: Option<u64>,
    max: Option<u64>,
}

impl Totals {
    fn add(&mut self, item: u64) {
        self.count += 1;
        self.sum += item;
        self.min = Some(self.min.map_or(item, |min| min.min(item)));
        self.max = Some(self.max.map_or(item, |max| max.max(item)));
    }
}

/// What the senders were told beside acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// 429 and 503.
    pub(crate) try_later: AtomicU64,
    /// Of these, without the header that says when.
    pub(crate) try_later_without_time: AtomicU64,
    /// The slowest acknowledgement.
    slowest_ms: AtomicU64,
}

impl Told {
    pub(crate) fn slowest(&self) -> Duration {
        Duration::from_millis(self.slowest_ms.load(Ordering::Relaxed))
    }
}

/// All senders of one data folder share it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    next: AtomicU64,
    ledgers: Mutex<BTreeMap<Signal, Ledger>>,
    totals: Mutex<BTreeMap<Signal, Totals>>,
    open: Mutex<Vec<Open>>,
    stop: AtomicBool,
    pub(crate) told: Told,
    /// Items acknowledged so far.
    pub(crate) acknowledged: AtomicU64,
    /// Answers that no fault excuses.
    faults: Mutex<Vec<String>>,
    /// How far the clock of the senders is from the true time.
    ahead_s: AtomicI64,
    /// Items of a request, if not as many as ever.
    items: Option<u64>,
}

impl Book {
    /// For requests of so many items.
    pub(crate) fn with_items(items: u64) -> Self {
        Self { items: Some(items), ..Self::default() }
    }

    /// Starts one sender of each signal; they end with [`Book::stop`], or when the connection
    /// breaks and they are told to leave.
    pub(crate) fn start(self: &Arc<Self>, client: &Client, on_break: OnBreak) -> JoinSet<()> {
        self.stop.store(false, Ordering::Relaxed);
        let mut senders = JoinSet::new();
        for signal in Signal::ALL {
            senders.spawn(Arc::clone(self).send(client.clone(), signal, on_break));
        }
        senders
    }

    /// Sets the clock of the senders to so many seconds from the true time.
    pub(crate) fn set_clock(&self, ahead_s: i64) {
        self.ahead_s.store(ahead_s, Ordering::Relaxed);
    }

    fn clock(&self) -> u64 {
        let ahead = self.ahead_s.load(Ordering::Relaxed).saturating_mul(1_000_000_000);
        now_nanos().saturating_add_signed(ahead)
    }

    /// Ends the senders.
    pub(crate) async fn stop(&self, senders: JoinSet<()>) {
        self.stop.store(true, Ordering::Relaxed);
        senders.join_all().await;
    }

    async fn send(self: Arc<Self>, client: Client, signal: Signal, on_break: OnBreak) {
        while !self.stop.load(Ordering::Relaxed) {
            let count = self.items.unwrap_or(ITEMS);
            let first = self.next.fetch_add(count, Ordering::Relaxed);
            let items: Vec<_> = (first..first + count).collect();
            let request = Open { signal, body: signal.body(&items, self.clock()), items };
            self.ledgers.lock().await.entry(signal).or_default().sent(request.items.iter().copied());
            while !self.settle(&client, &request, on_break).await {
                let leave = on_break == OnBreak::Leave || self.stop.load(Ordering::Relaxed);
                if leave {
                    self.open.lock().await.push(request);
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether it was acknowledged.
    async fn settle(&self, client: &Client, request: &Open, on_break: OnBreak) -> bool {
        let start = Instant::now();
        let Ok(answer) = client.send(request.signal, request.body.clone()).await else { return false };
        let status = answer.status().as_u16();
        if matches!(status, 429 | 503) {
            self.told.try_later.fetch_add(1, Ordering::Relaxed);
            if answer.headers().get("retry-after").is_none() {
                self.told.try_later_without_time.fetch_add(1, Ordering::Relaxed);
            }
            return false;
        }
        if !(200..300).contains(&status) {
            let text = answer.text().await.unwrap_or_default();
            // A dying server may answer anything, or half of it.
            if on_break == OnBreak::Repeat || status < 500 {
                self.faults.lock().await.push(format!("{:?}: {status}: {text}", request.signal));
            }
            return false;
        }
        let milliseconds = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.told.slowest_ms.fetch_max(milliseconds, Ordering::Relaxed);
        let items = || request.items.iter().copied();
        self.ledgers.lock().await.entry(request.signal).or_default().acknowledged(items());
        let mut totals = self.totals.lock().await;
        let totals = totals.entry(request.signal).or_default();
        items().for_each(|item| totals.add(item));
        self.acknowledged.fetch_add(request.items.len() as u64, Ordering::Relaxed);
        true
    }

    /// Repeats what was not answered, as senders do, until it is acknowledged. The server
    /// must know again what it has already.
    pub(crate) async fn settle_open(&self, client: &Client, patience: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut open = self.open.lock().await;
        while let Some(request) = open.last() {
            if self.settle(client, request, OnBreak::Repeat).await {
                open.pop();
                continue;
            }
            if start.elapsed() > patience {
                bail!("{} requests are not taken within {patience:?}", open.len());
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }

    /// Compares the ledger with the server: count, sum, least and greatest of everything, and
    /// the items themselves, one by one, where these differ or `exact` asks for it.
    pub(crate) async fn audit(
        &self,
        client: &Client,
        exact: bool,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        for fault in std::mem::take(&mut *self.faults.lock().await) {
            outcome.fail(format!("answered {fault}"));
        }
        let settled = self.open.lock().await.is_empty();
        for (signal, totals) in self.totals.lock().await.clone() {
            let same = settled && self.totals_found(client, signal).await? == totals;
            if exact || !same {
                self.audit_items(client, signal, outcome).await?;
            }
        }
        Ok(())
    }

    async fn totals_found(&self, client: &Client, signal: Signal) -> anyhow::Result<Totals> {
        let items = signal.items();
        let query = format!(
            "select count(*) as n, sum(item) as s, min(item) as a, max(item) as b from ({items}) as items"
        );
        let rows = client.sql(&query).await?;
        let row = rows.first().context("an aggregate without a row")?;
        let number = |name: &str| row[name].as_u64().or_else(|| row[name].as_str()?.parse().ok());
        Ok(Totals {
            count: number("n").unwrap_or(0),
            sum: number("s").unwrap_or(0),
            min: number("a"),
            max: number("b"),
        })
    }

    async fn audit_items(
        &self,
        client: &Client,
        signal: Signal,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let query = format!("select item, count(*) as n from ({}) as items group by 1", signal.items());
        let rows = client.sql(&query).await?;
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let found: BTreeMap<u64, u64> =
            rows.iter().filter_map(|row| Some((number(&row["item"])?, number(&row["n"])?))).collect();
        anyhow::ensure!(found.len() == rows.len(), "{signal:?}: a row that is no item");
        let ledgers = self.ledgers.lock().await;
        let Some(ledger) = ledgers.get(&signal) else { return Ok(()) };
        let audit = ledger.audit(&found);
        outcome.lost += audit.lost.len() as u64;
        outcome.doubled += audit.doubled.len() as u64;
        if audit != Default::default() {
            let some = |items: &[u64]| items.iter().take(10).copied().collect::<Vec<_>>();
            outcome.fail(format!(
                "{signal:?}: {} lost {:?}, {} doubled {:?}, {} invented {:?}",
                audit.lost.len(),
                some(&audit.lost),
                audit.doubled.len(),
                some(&audit.doubled),
                audit.invented.len(),
                some(&audit.invented)
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_tell_a_lost_item_from_one_that_took_its_place() {
        let of = |items: &[u64]| {
            let mut totals = Totals::default();
            items.iter().for_each(|item| totals.add(*item));
            totals
        };
        assert_eq!(of(&[1, 2, 3]), of(&[3, 2, 1]));
        assert_ne!(of(&[1, 2, 3]), of(&[1, 2]));
        assert_ne!(of(&[1, 2, 3]), of(&[1, 2, 4]));
    }
}
