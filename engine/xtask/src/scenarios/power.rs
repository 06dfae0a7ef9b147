//! The power of a real file system is cut while all signals come in and rows are flushed,
//! committed and merged, and while it starts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::Torture;
use crate::load::{Book, Client, OnBreak};
use crate::outcome::Outcome;
use crate::server::{BUSY, Place};
use crate::volume::{FileSystem, Volume, missing};

/// Cuts on one volume; its ledger is audited item by item at the end.
const CUTS_OF_A_VOLUME: u64 = 10;
/// The longest life between start and cut.
const LIFE_MS: u64 = 3_000;
/// With the power gone the server lives on a little: it must acknowledge nothing then.
const AFTERLIFE: Duration = Duration::from_millis(100);
/// Until what was not answered is taken after a restart.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// Syncs nothing before it acknowledges, so that something must be lost.
const CARELESS: &str = "[store]\ndurability = \"os\"\n";

pub(crate) async fn run(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(torture.seed);
    for kind in [FileSystem::Ext4, FileSystem::Xfs] {
        if let Some(why) = missing(kind) {
            outcome.skip(format!("{}: {why}", kind.name()));
            continue;
        }
        control(kind, binary, outcome).await?;
        let mut left = torture.points.unwrap_or(torture.either(4, 100)) / 2;
        while left > 0 {
            let cuts = left.min(CUTS_OF_A_VOLUME);
            let lives = Lives::new(kind, binary, BUSY)?;
            let went = lives.run(cuts, &mut random, outcome).await;
            left -= cuts;
            if went.is_err() || !outcome.is_good() {
                println!("   evidence: {}", lives.place.keep().display());
                return went;
            }
        }
    }
    Ok(())
}

/// That a cut of this kind does lose what was not synced.
async fn control(kind: FileSystem, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let lives = Lives::new(kind, binary, CARELESS)?;
    lives.live_until_cut(Duration::from_millis(LIFE_MS)).await?;
    let mut seen = Outcome::of_control();
    let acknowledged = lives.book.acknowledged.load(Ordering::Relaxed);
    let lost = match lives.audit(true, &mut seen).await {
        Ok(_) => seen.lost,
        // A metric that nobody has is a table that nobody knows.
        Err(error) if error.to_string().contains("not found") => acknowledged,
        Err(error) => return Err(error),
    };
    anyhow::ensure!(lost > 0, "{}: durability = os lost nothing: the cut is none", kind.name());
    let name = kind.name();
    outcome.note(format!(
        "{name}: a cut with durability = os, for control: {lost} of {acknowledged} items lost"
    ));
    Ok(())
}

/// Servers one after the other on one volume.
struct Lives {
    // Unmounted before the folder around it is removed.
    volume: Volume,
    place: Place,
    book: Arc<Book>,
}

impl Lives {
    fn new(kind: FileSystem, binary: &Path, config: &str) -> anyhow::Result<Self> {
        let place = Place::new(binary, config)?;
        let volume = Volume::make(kind, place.scratch())?;
        let data = volume.folder.join("data");
        Ok(Self { place: place.with_data(data.clone(), data), volume, book: Arc::default() })
    }

    async fn run(&self, cuts: u64, random: &mut StdRng, outcome: &mut Outcome) -> anyhow::Result<()> {
        for at in 0..cuts {
            // As often in the first tenth of a second as later: a start is short.
            let life = random.random_range(0..LIFE_MS) / if random.random_range(0..3) == 0 { 20 } else { 1 };
            let phase = self.live_until_cut(Duration::from_millis(life)).await?;
            let restart = self.audit(at + 1 == cuts, outcome).await?;
            outcome.restarted_in(restart);
            outcome.runs += 1;
            println!("   {}: {}, {phase}, cut after {life} ms", outcome.runs, self.volume.kind.name());
            outcome.points.insert(format!("{} {phase} {life}", self.volume.kind.name()));
        }
        outcome.acknowledged += self.book.acknowledged.load(Ordering::Relaxed);
        Ok(())
    }

    /// Starts a server, lets it take what is sent, and cuts the power so long after.
    async fn live_until_cut(&self, life: Duration) -> anyhow::Result<&'static str> {
        let cut = tokio::time::Instant::now() + life;
        let mut start = Box::pin(self.place.try_start(&[]));
        let server = tokio::select! {
            () = tokio::time::sleep_until(cut) => None,
            server = &mut start => Some(server?.context("it ended before the cut")?),
        };
        let client = server.as_ref().map(Client::new).transpose()?;
        let senders = client.map(|client| self.book.start(&client, OnBreak::Leave));
        tokio::time::sleep_until(cut).await;
        self.volume.cut()?;
        tokio::time::sleep(AFTERLIFE).await;
        // A server that was not ready ends with the wait for it.
        drop(start);
        let phase = if server.is_some() { "under load" } else { "while it started" };
        if let Some(server) = server {
            server.kill().await?;
        }
        if let Some(senders) = senders {
            self.book.stop(senders).await;
        }
        self.volume.come_back()?;
        Ok(phase)
    }

    /// Starts it with the power back; how long that took.
    async fn audit(&self, exact: bool, outcome: &mut Outcome) -> anyhow::Result<Duration> {
        let server = self.place.start(&[]).await?;
        let client = Client::new(&server)?;
        // What was acknowledged before the cut, before anything is sent again.
        self.book.audit(&client, false, outcome).await?;
        self.book.settle_open(&client, SETTLED_WITHIN).await?;
        self.book.audit(&client, exact, outcome).await?;
        let took = server.started_in;
        server.kill().await?;
        Ok(took)
    }
}
