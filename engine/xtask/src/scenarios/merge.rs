//! Tables that are much larger than the memory are merged in one go within a memory cgroup.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::Torture;
use crate::cgroup::Group;
use crate::load::{Client, now_nanos};
use crate::outcome::Outcome;
use crate::server::Place;
use crate::tools::bytes_below;

/// The server's memory.
const MEMORY_BYTES: u64 = 512 << 20;
/// Lines of one request, and how long each is.
const LINES: u64 = 1_000;
const LINE_BYTES: usize = 2_000;
const LETTERS_BYTES: usize = 16 << 20;
/// Until all of it is merged, or read.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Nothing is merged while the tables grow.
const GROW: &str = "
[store]
flush_bytes = 67108864
flush_small_bytes = 1

[store.compaction]
enabled = false
";
/// One merge may read all of it.
const MERGE: &str = "
[store.compaction]
job_bytes_max = 1099511627776
interval_ms = 3600000

[query]
deadline_ms = 3600000
";

/// Each line begins with its number.
const SUMS: &str = "select count(*) as n, sum(cast(substr(body, 1, 12) as bigint)) as total from logs";

pub(crate) async fn run(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let Some(group) = Group::or_skip(MEMORY_BYTES, outcome) else { return Ok(()) };
    let place = Place::new(binary, GROW)?;
    let tables = place.data().join("tables");
    let lines = grow(&place, &tables, torture.either(512 << 20, 10 << 30), torture.seed).await?;
    let before = bytes_below(&tables)?;
    place.configure(MERGE)?;

    let mut server = place.start(&group.enter()).await?;
    outcome.restarted_in(server.started_in);
    let start = Instant::now();
    Client::patient(&server, PATIENCE)?.compact().await?;
    let took = start.elapsed();
    anyhow::ensure!(server.ended()?.is_none(), "the server ended");
    let peak = server.peak_resident_bytes();
    let rows = Client::patient(&server, PATIENCE)?.sql(SUMS).await?;
    let found = rows.first().and_then(|row| row["n"].as_u64()).unwrap_or(0);
    let total = rows.first().and_then(|row| row["total"].as_u64()).unwrap_or(0);
    outcome.runs += 1;
    outcome.points.insert("merge".to_owned());
    outcome.acknowledged += lines;
    outcome.lost += lines.saturating_sub(found);
    outcome.doubled += found.saturating_sub(lines);
    anyhow::ensure!(total == lines * lines.saturating_sub(1) / 2, "other lines than were sent: {total}");
    outcome.note(format!(
        "{} MiB of files merged in {} MiB: {:.0} s, peak resident {} MiB",
        before >> 20,
        MEMORY_BYTES >> 20,
        took.as_secs_f64(),
        peak >> 20
    ));
    server.kill().await
}

/// Fills the tables; how many lines are in them.
async fn grow(place: &Place, tables: &Path, wanted: u64, seed: u64) -> anyhow::Result<u64> {
    let server = place.start(&[]).await?;
    let client = Client::new(&server)?;
    let letters = letters(seed);
    let mut lines = 0;
    let mut told = 0;
    loop {
        let bytes = bytes_below(tables)?;
        if bytes >= wanted {
            client.flush().await?;
            server.kill().await?;
            return Ok(lines);
        }
        if bytes >= told + (1 << 30) {
            told = bytes;
            println!("   {} of {} MiB", bytes >> 20, wanted >> 20);
        }
        for _ in 0..10 {
            client.push_lines(&request(lines, &letters)).await?;
            lines += LINES;
        }
    }
}

/// Letters at random, of which lines are cut: far more than one page of a file holds, so that
/// no compression finds the same ones again.
fn letters(seed: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = StdRng::seed_from_u64(seed);
    (0..LETTERS_BYTES).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// A Loki push of long lines.
fn request(first: u64, letters: &str) -> String {
    let mut body = String::from("{\"streams\":[{\"stream\":{\"app\":\"merge\"},\"values\":[");
    let now = now_nanos();
    for line in first..first + LINES {
        let comma = if line == first { "" } else { "," };
        let from = line.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize % (LETTERS_BYTES - LINE_BYTES);
        let text = &letters[from..from + LINE_BYTES];
        body.push_str(&format!("{comma}[\"{now}\",\"{line:012} {text}\"]"));
    }
    body + "]}]}"
}
