//! The object store is away for ten minutes while twenty thousand items come in each second.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::Torture;
use crate::load::{Book, Client, OnBreak};
use crate::outcome::Outcome;
use crate::server::{Place, Running};
use crate::tools::Bucket;
use crate::toxic::{Proxy, Toxic};

/// Items of one request; three senders make about as many a second as are wanted.
const ITEMS: u64 = 200;
const WANTED_PER_SECOND: u64 = 20_000;
/// All of it fits: its bound is another test's.
const LOG_BYTES_MAX: u64 = 16 << 30;
/// All that was acknowledged is in the store so long after it is back.
const DRAINED_WITHIN: Duration = Duration::from_secs(180);
/// Until a count of all of it is made.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) async fn run(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let bucket = Bucket::start()?;
    let proxy = Proxy::start(&bucket.address).await?;
    let bound = format!("[store]\nwal_bytes_max = {LOG_BYTES_MAX}\n");
    let config = Bucket::config(&proxy.address, "outage").replacen("[store]\n", &bound, 1);
    let config = format!("{config}\n[query]\ndeadline_ms = {}\n", PATIENCE.as_millis());
    let place = Place::new(binary, &config)?.with_environment(&Bucket::CREDENTIALS);
    let went = go_away(torture, &place, &proxy, outcome).await;
    if went.is_err() || !outcome.is_good() {
        println!("   evidence: {}", place.keep().display());
    }
    went
}

async fn go_away(
    torture: &Torture,
    place: &Place,
    proxy: &Proxy,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let lasts = Duration::from_secs(torture.either(20, 600));
    let book = Arc::new(Book::with_items(ITEMS));
    let mut server = place.start(&[]).await?;
    let client = Client::patient(&server, PATIENCE)?;
    let senders = book.start(&client, OnBreak::Repeat);
    proxy.set(Toxic { down: true, ..Toxic::default() }).await;
    let ended = server.wait(lasts).await?;
    anyhow::ensure!(!ended, "the server ended");
    let resident = server.resident_bytes();
    proxy.set(Toxic::default()).await;
    let back = Instant::now();
    book.stop(senders).await;
    let rate = book.acknowledged.load(Ordering::Relaxed) / lasts.as_secs();
    let drained = drain(&client, back).await?;
    outcome.runs += 1;
    outcome.points.insert("away".to_owned());
    outcome.note(format!(
        "away for {} s: {rate} items a second acknowledged, drained {:.0} s after its end, resident {} MiB, \
         slowest acknowledgement {:.1} s",
        lasts.as_secs(),
        drained.as_secs_f64(),
        resident >> 20,
        book.told.slowest().as_secs_f64()
    ));
    if rate < WANTED_PER_SECOND {
        outcome.note(format!("fewer came in than the {WANTED_PER_SECOND} that are wanted"));
    }
    book.settle_open(&client, DRAINED_WITHIN).await?;
    book.audit(&client, false, outcome).await?;
    server.kill().await?;
    after_a_restart(place, &book, outcome).await
}

/// Flushes until it succeeds: one that began in bad times may fail.
async fn drain(client: &Client, back: Instant) -> anyhow::Result<Duration> {
    loop {
        match client.flush().await {
            Ok(()) => {
                let took = back.elapsed();
                anyhow::ensure!(took <= DRAINED_WITHIN, "drained after {took:?} only");
                return Ok(took);
            }
            Err(error) if back.elapsed() > DRAINED_WITHIN => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn after_a_restart(place: &Place, book: &Arc<Book>, outcome: &mut Outcome) -> anyhow::Result<()> {
    let server: Running = place.start(&[]).await?;
    outcome.restarted_in(server.started_in);
    book.audit(&Client::patient(&server, PATIENCE)?, false, outcome).await?;
    outcome.acknowledged += book.acknowledged.load(Ordering::Relaxed);
    server.kill().await
}
