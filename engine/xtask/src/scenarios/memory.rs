//! A log that is larger than the memory: read again within a memory cgroup while queries
//! are answered.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Torture;
use crate::cgroup::Group;
use crate::load::{Client, now_nanos};
use crate::outcome::Outcome;
use crate::server::Place;
use crate::tools::bytes_below;

/// The server's memory.
const MEMORY_BYTES: u64 = 512 << 20;
/// Lines of one request.
const LINES: u64 = 4_000;
/// Until everything is read.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Nothing is flushed while the log grows, and it may become that large.
const GROW: &str = "
[store]
flush_bytes = 1099511627776
flush_age_ms = 3600000
head_bytes = 17179869184
wal_bytes_max = 17179869184

[store.compaction]
enabled = false
";
/// As a newcomer has it, but for the bound of the log.
const READ: &str = "
[store]
wal_bytes_max = 17179869184
";

pub(crate) async fn run(torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
    let Some(group) = Group::or_skip(MEMORY_BYTES, outcome) else { return Ok(()) };
    let place = Place::new(binary, GROW)?;
    place.limit(false);
    let (lines, log_bytes) = grow(&place, torture.either(512 << 20, 8 << 30)).await?;
    place.configure(READ)?;
    place.limit(true);

    let mut server = place.start(&group.enter()).await?;
    outcome.restarted_in(server.started_in);
    let client = Client::new(&server)?;
    // What is read so far; that it is answered at all is the point.
    let now = client.sql_so_far("select count(*) as n from logs").await;
    let before = now.ok().and_then(|rows| rows.first()?["n"].as_u64());
    let start = Instant::now();
    let rows = client.sql_within("select count(*) as n from logs", PATIENCE).await?;
    let took = start.elapsed();
    let found = rows.first().and_then(|row| row["n"].as_u64()).unwrap_or(0);
    anyhow::ensure!(server.ended()?.is_none(), "the server ended");
    outcome.runs += 1;
    outcome.points.insert("replay".to_owned());
    outcome.acknowledged += lines;
    outcome.lost += lines.saturating_sub(found);
    outcome.doubled += found.saturating_sub(lines);
    outcome.note(format!(
        "log of {} MiB in {} MiB: ready after {:.1} s, {} lines visible at once, all {lines} after {:.0} s, resident {} MiB",
        log_bytes >> 20,
        MEMORY_BYTES >> 20,
        server.started_in.as_secs_f64(),
        before.map_or("no answer and no".to_owned(), |n| n.to_string()),
        took.as_secs_f64(),
        server.resident_bytes() >> 20
    ));
    anyhow::ensure!(before.is_some(), "no answer while the log was read");
    server.kill().await
}

/// Fills the log; how many lines, and its bytes.
async fn grow(place: &Place, wanted: u64) -> anyhow::Result<(u64, u64)> {
    let server = place.start(&[]).await?;
    let client = Client::new(&server)?;
    let mut lines = 0;
    loop {
        let bytes = bytes_below(&place.data().join("wal"))?;
        if bytes >= wanted {
            server.kill().await?;
            return Ok((lines, bytes));
        }
        client.push_lines(&request(lines)).await?;
        lines += LINES;
    }
}

/// A Loki push of long lines that differ.
fn request(first: u64) -> String {
    let (now, padding) = (now_nanos(), "x".repeat(400));
    let mut body = String::from("{\"streams\":[{\"stream\":{\"app\":\"replay\"},\"values\":[");
    for line in first..first + LINES {
        let comma = if line == first { "" } else { "," };
        let id = line.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        body.push_str(&format!("{comma}[\"{now}\",\"{id:x} {padding}\"]"));
    }
    body + "]}]}"
}
