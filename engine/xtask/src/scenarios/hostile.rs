//! A tenant whose plugin misbehaves in every way, and what its neighbour notices.
//!
//! The same requests are sent twice to the same binary: with a plugin that behaves, and with one
//! that traps, spins, grows, recurses and answers nonsense, a tenant for each. The neighbour's
//! plugins are the built-in ones. Times are noted and not judged: machines are noisy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::Torture;
use crate::load::{Client, now_nanos};
use crate::outcome::Outcome;
use crate::server::Place;

/// What the plugin can do; see `plugins/examples/hostile/README.md`.
const ORDERS: &[&str] = &[
    "trap",
    "spin",
    "grow",
    "recurse",
    "huge_output",
    "many_reasons",
    "long_message",
    "odd_code",
    "bad_utf8",
    "bad_index",
    "too_few_rows",
    "too_many_rows",
];
/// Pause of a hostile tenant's sender: twelve of them are a request every few milliseconds.
const PAUSE: Duration = Duration::from_millis(100);
/// Pause of the neighbour's.
const NEIGHBOURS_PAUSE: Duration = Duration::from_millis(5);
/// Lines of one request.
const LINES: u64 = 50;
/// Resident bytes that a server with hostile plugins may have beyond one without.
const MARGIN_BYTES: u64 = 64 << 20;

pub(crate) async fn run(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let time = Duration::from_secs(torture.either(10, 120));
    let behaved = round(binary, "nothing", time).await.context("with a plugin that behaves")?;
    let hostile = round(binary, "", time).await.context("with one that does not")?;
    for round in [&behaved, &hostile] {
        outcome.runs += round.millis.len() as u64;
    }
    outcome.points.extend(ORDERS.iter().map(|order| (*order).to_owned()));
    outcome.acknowledged += behaved.rows + hostile.rows;
    outcome.lost += behaved.lost + hostile.lost;
    outcome.note(format!("neighbour of tenants whose plugin behaves: {behaved}"));
    outcome.note(format!("neighbour of tenants whose plugin does not: {hostile}"));
    anyhow::ensure!(hostile.failures >= ORDERS.len() as u64, "the plugin failed {} times", hostile.failures);
    anyhow::ensure!(behaved.failures == 0, "the plugin that behaves failed {} times", behaved.failures);
    let limit = behaved.resident_bytes + MARGIN_BYTES;
    anyhow::ensure!(
        hostile.resident_bytes <= limit,
        "{} MiB are resident, {} of a server whose plugins behave",
        hostile.resident_bytes >> 20,
        behaved.resident_bytes >> 20
    );
    Ok(())
}

/// What came of one server.
struct Round {
    /// Of each of the neighbour's requests, sorted.
    millis: Vec<f64>,
    /// Of the neighbour, acknowledged, and not found afterwards.
    rows: u64,
    lost: u64,
    /// Of the plugin's calls.
    failures: u64,
    resident_bytes: u64,
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| self.millis[((self.millis.len() - 1) as f64 * share) as usize];
        write!(
            f,
            "{} requests, p50 {:.2} ms, p99 {:.2} ms, worst {:.1} ms; {} failed calls of the plugin, {} MiB resident",
            self.millis.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            self.failures,
            self.resident_bytes >> 20
        )
    }
}

/// One server; every tenant's plugin does `order`, or what the tenant is called if that is empty.
async fn round(binary: &Path, order: &str, time: Duration) -> anyhow::Result<Round> {
    let place = Place::new(binary, &config(order)?)?;
    let mut server = place.start(&[]).await?;
    let client = Client::new(&server)?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    for tenant in ORDERS {
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        senders.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                client.push_lines_of(tenant, &request()).await?;
                tokio::time::sleep(PAUSE).await;
            }
            anyhow::Ok(())
        });
    }
    let (mut millis, began) = (Vec::new(), Instant::now());
    while began.elapsed() < time {
        let (body, sent) = (request(), Instant::now());
        client.push_lines_of("neighbour", &body).await?;
        millis.push(sent.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(NEIGHBOURS_PAUSE).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    anyhow::ensure!(server.ended()?.is_none(), "the server ended");
    millis.sort_by(f64::total_cmp);
    let rows = millis.len() as u64 * LINES;
    let found = client.number_of("neighbour", "select count(*) as n from logs").await?;
    let failed =
        "select cast(coalesce(sum(failures), 0) as bigint) as n from system.plugins where name = 'hostile'";
    let failures = client.number_of("trap", failed).await?;
    let resident_bytes = server.resident_bytes();
    server.kill().await?;
    Ok(Round { millis, rows, lost: rows.saturating_sub(found), failures, resident_bytes })
}

fn config(order: &str) -> anyhow::Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/dist/test");
    let component = folder.join("hostile-validator.wasm").canonicalize()?;
    let mut text = format!(
        "[plugins]\n\
         [[plugins.bindings]]\nname = \"validate\"\nsource = \"builtin:validate\"\nworld = \"validator\"\n\
         [[plugins.bindings]]\nname = \"hostile\"\nsource = \"file:{}\"\nworld = \"validator\"\nfor_tenants = {ORDERS:?}\n",
        component.display()
    );
    for tenant in ORDERS {
        let does = if order.is_empty() { tenant } else { order };
        text += &format!("[plugins.tenants.{tenant}.hostile]\ndoes = \"{does}\"\n");
    }
    Ok(text)
}

/// A Loki push of a few lines.
fn request() -> String {
    let now = now_nanos();
    let lines: Vec<_> = (0..LINES).map(|line| format!("[\"{}\",\"line {line}\"]", now + line)).collect();
    format!("{{\"streams\":[{{\"stream\":{{\"app\":\"x\"}},\"values\":[{}]}}]}}", lines.join(","))
}
