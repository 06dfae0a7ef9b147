//! An object store that is slow, refuses, loses replies, and is away for a while.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::Torture;
use crate::load::{Book, Client, OnBreak};
use crate::outcome::Outcome;
use crate::server::Place;
use crate::tools::Bucket;
use crate::toxic::{Proxy, Toxic};

/// Everything acknowledged is in the store so long after the store is well again. Stated
/// for a store as slow as a test's; retries of the server pause up to 10 s.
const DRAINED_WITHIN: Duration = Duration::from_secs(180);

pub(crate) async fn run(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let bucket = Bucket::start()?;
    let proxy = Proxy::start(&bucket.address).await?;
    let config = Bucket::config(&proxy.address, "toxic");
    let place = Place::new(binary, &config)?.with_environment(&Bucket::CREDENTIALS);
    let went = poison(torture, &place, &proxy, outcome).await;
    if went.is_err() || !outcome.is_good() {
        println!("   evidence: {}", place.keep().display());
    }
    went
}

async fn poison(
    torture: &Torture,
    place: &Place,
    proxy: &Proxy,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let lasts = Duration::from_secs(torture.either(8, 60));
    let book = Arc::new(Book::default());
    let mut server = place.start(&[]).await?;
    let client = Client::new(&server)?;
    for (name, toxic) in toxics() {
        let (spoiled, before) = (proxy.spoiled(), book.acknowledged.load(Ordering::Relaxed));
        let senders = book.start(&client, OnBreak::Repeat);
        proxy.set(toxic).await;
        let ended = server.wait(lasts).await?;
        proxy.set(Toxic::default()).await;
        book.stop(senders).await;
        anyhow::ensure!(!ended, "{name}: the server ended");
        let well = Instant::now();
        book.settle_open(&client, DRAINED_WITHIN).await?;
        drain(&client).await?;
        outcome.runs += 1;
        outcome.points.insert(name.to_owned());
        outcome.note(format!(
            "{name}: {} items acknowledged, {} requests spoiled, drained {:.1} s after its end",
            book.acknowledged.load(Ordering::Relaxed) - before,
            proxy.spoiled() - spoiled,
            well.elapsed().as_secs_f64()
        ));
        book.audit(&client, true, outcome).await?;
    }
    server.kill().await?;
    let server = place.start(&[]).await?;
    outcome.restarted_in(server.started_in);
    book.audit(&Client::new(&server)?, true, outcome).await?;
    outcome.acknowledged += book.acknowledged.load(Ordering::Relaxed);
    outcome.note(format!("slowest acknowledgement {:.1} s", book.told.slowest().as_secs_f64()));
    server.kill().await
}

fn toxics() -> [(&'static str, Toxic); 6] {
    let well = Toxic::default();
    [
        ("two seconds of latency", Toxic { latency: Duration::from_secs(2), ..well }),
        ("32 KiB/s", Toxic { bytes_per_second: 32 << 10, ..well }),
        ("a fifth answered 503", Toxic { unavailable: 0.2, ..well }),
        ("a fifth reset", Toxic { reset: 0.2, ..well }),
        ("replies of a fifth lost", Toxic { lost_reply: 0.2, ..well }),
        ("away", Toxic { down: true, ..well }),
    ]
}

/// Flushes until it succeeds: a try that began in bad times may still fail.
async fn drain(client: &Client) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        match client.flush().await {
            Ok(()) => return Ok(()),
            Err(error) if start.elapsed() > DRAINED_WITHIN => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}
