//! The wall clock of the real binary is set by hours and by decades, and stands still.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;

use crate::Torture;
use crate::load::{Book, Client, OnBreak, now_nanos};
use crate::outcome::Outcome;
use crate::server::{BUSY, Place, Running};
use crate::tools;

/// By a clock that is ten years off, everything is past it.
const RETENTION: &str = "\n[store.retention.all]\ndefault = \"30d\"\n";
const YEAR_S: i64 = 365 * 86_400;
const JUMPS_S: [i64; 7] = [0, 3_600, -3_600, 10 * YEAR_S, 0, -10 * YEAR_S, 0];
/// Between the clock of the server and the one it was set to.
const SAME_CLOCK_S: i64 = 60;
/// Until what was not answered is taken after a restart.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let Some(library) = tools::faketime() else {
        outcome.skip("libfaketime is not installed; the Debian package has the same name");
        return Ok(());
    };
    let place = Place::new(binary, &format!("{BUSY}{RETENTION}"))?;
    let clock = Hands { file: place.scratch().join("clock") };
    let place = place.with_environment(&[
        ("LD_PRELOAD", &library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", &clock.file.display().to_string()),
        // Its cache is timed by the very clock that it fakes.
        ("FAKETIME_NO_CACHE", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
        ("TZ", "UTC"),
    ]);
    let went = Run { torture, place: &place, clock: &clock, book: Arc::default() }.jump(outcome).await;
    if went.is_err() || !outcome.is_good() {
        println!("   evidence: {}", place.keep().display());
    }
    went
}

/// What libfaketime reads.
struct Hands {
    file: PathBuf,
}

impl Hands {
    /// So many seconds from the true time, going on.
    fn set(&self, ahead_s: i64) -> anyhow::Result<()> {
        self.put(format!("{ahead_s:+}\n").as_bytes())
    }

    /// At this second, standing still.
    fn stop(&self, unix_s: i64) -> anyhow::Result<()> {
        let date = std::process::Command::new("date")
            .args(["-u", "-d", &format!("@{unix_s}"), "+%Y-%m-%d %H:%M:%S"])
            .output()
            .context("date")?;
        anyhow::ensure!(date.status.success(), "date ended with {}", date.status);
        self.put(&date.stdout)
    }

    /// Whole at any moment.
    fn put(&self, text: &[u8]) -> anyhow::Result<()> {
        let new = self.file.with_extension("new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(new, &self.file)?)
    }
}

struct Run<'a> {
    torture: &'a Torture,
    place: &'a Place,
    clock: &'a Hands,
    book: Arc<Book>,
}

impl Run<'_> {
    async fn jump(&self, outcome: &mut Outcome) -> anyhow::Result<()> {
        self.clock.set(0)?;
        let mut server = self.place.start(&[]).await?;
        for ahead_s in JUMPS_S {
            self.clock.set(ahead_s)?;
            self.book.set_clock(ahead_s);
            self.load(&mut server, ahead_s, outcome).await?;
            // The next one has never seen another clock.
            server.kill().await?;
            server = self.place.start(&[]).await?;
            outcome.restarted_in(server.started_in);
            self.load(&mut server, ahead_s, outcome).await?;
            outcome.points.insert(format!("{ahead_s:+} s"));
        }
        self.clock.stop(now_s()?)?;
        self.load(&mut server, 0, outcome).await?;
        outcome.points.insert("standing still".to_owned());
        outcome.acknowledged += self.book.acknowledged.load(Ordering::Relaxed);
        server.kill().await
    }

    /// Some load by this clock, and the audit of everything that was sent by any.
    async fn load(&self, server: &mut Running, ahead_s: i64, outcome: &mut Outcome) -> anyhow::Result<()> {
        let client = Client::new(server)?;
        let off_s = self.clock_of(&client).await? - now_s()? - ahead_s;
        anyhow::ensure!(off_s.abs() < SAME_CLOCK_S, "the server's clock is {off_s} s off {ahead_s:+}");
        let senders = self.book.start(&client, OnBreak::Repeat);
        tokio::time::sleep(Duration::from_secs(self.torture.either(2, 20))).await;
        self.book.stop(senders).await;
        anyhow::ensure!(server.ended()?.is_none(), "the server ended");
        self.book.settle_open(&client, SETTLED_WITHIN).await?;
        // Merged and looked through for what is too old, whatever day it is.
        client.compact().await?;
        self.book.audit(&client, true, outcome).await?;
        outcome.runs += 1;
        Ok(())
    }

    async fn clock_of(&self, client: &Client) -> anyhow::Result<i64> {
        let rows = client.sql("select cast(extract(epoch from now()) as bigint) as s").await?;
        let second =
            rows.first().and_then(|row| row["s"].as_i64().or_else(|| row["s"].as_str()?.parse().ok()));
        second.with_context(|| format!("now() is {rows:?}"))
    }
}

fn now_s() -> anyhow::Result<i64> {
    Ok(i64::try_from(now_nanos() / 1_000_000_000)?)
}
