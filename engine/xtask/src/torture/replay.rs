//! A log that is larger than the memory.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::{Bench, Outcome};
use crate::client::{agent, numbers};
use crate::server::Site;

/// The server's memory.
const MEMORY_BYTES: u64 = 512 << 20;
/// Nothing is flushed while the log grows, and the log may become that large.
const GROW: &str = "
[store]
flush_bytes = 1099511627776
flush_age_ms = 3600000
head_bytes = 17179869184
wal_bytes_max = 17179869184

[store.compaction]
enabled = false
";
/// As a newcomer has it, but for the bound on the log.
const READ: &str = "
[store]
wal_bytes_max = 17179869184
";

pub(super) fn in_little_memory(bench: &Bench) -> anyhow::Result<Outcome> {
    let group = Path::new("/sys/fs/cgroup/memory/isinglass-torture");
    if !cfg!(target_os = "linux") || std::fs::create_dir_all(group).is_err() || !group.join("tasks").exists()
    {
        return Ok(Outcome::skipped("no memory cgroup (version 1) that may be written"));
    }
    std::fs::write(group.join("memory.limit_in_bytes"), MEMORY_BYTES.to_string())?;
    let wanted: u64 = if bench.quick { 512 << 20 } else { 8 << 30 };
    let folder = bench.folder("replay")?;
    let mut site = bench.site(&folder, GROW)?;
    let (lines, log_bytes) = grow(&site, wanted)?;

    site.config = folder.join("read.toml");
    std::fs::write(&site.config, READ)?;
    let mut outcome = Outcome { runs: 1, points: 1, acknowledged: lines, ..Outcome::default() };
    let mut server = site.start(
        &["sh", "-c", &format!("echo $$ > {}/tasks; exec \"$0\" \"$@\"", group.display())].map(str::to_owned),
    )?;
    let Some(ready) = server.wait_ready(&site)? else { bail!("it does not start:\n{}", site.log()) };
    outcome.worst_restart = ready;
    // Read while the log is read.
    let quick = agent(Duration::from_secs(20));
    let status = quick.get(site.url("api/sql?query=select%20count(*)%20from%20logs&format=json")).call();
    if !status.is_ok_and(|answer| answer.status().is_success()) {
        outcome.broken.push("no answer to a query while the log is read".to_owned());
    }
    let start = Instant::now();
    let patient = agent(Duration::from_secs(1_800));
    let found = numbers(&site, &patient, "select count(*) as n from logs");
    let took = start.elapsed();
    match found.as_deref() {
        Some([found]) => {
            outcome.audit.lost = lines.saturating_sub(*found);
            outcome.audit.doubled = found.saturating_sub(lines);
        }
        _ => outcome.broken.push(format!("no count:\n{}", site.log())),
    }
    if !server.is_alive()? {
        outcome.broken.push("the server ended".to_owned());
    }
    let peak = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap_or_default();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim().to_owned();
    server.kill();
    outcome.note = format!(
        "log of {} MiB in a cgroup of {} MiB: first writes after {:.1} s, all read after {:.0} s ({:.0} MiB/s), peak {peak}",
        log_bytes >> 20,
        MEMORY_BYTES >> 20,
        ready.as_secs_f64(),
        took.as_secs_f64(),
        (log_bytes >> 20) as f64 / took.as_secs_f64()
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(outcome)
}

/// Fills the log; how many lines, and its bytes.
fn grow(site: &Site, wanted: u64) -> anyhow::Result<(u64, u64)> {
    let mut server = site.start(&[])?;
    if server.wait_ready(site)?.is_none() {
        bail!("it does not start:\n{}", site.log());
    }
    let agent = agent(Duration::from_secs(60));
    let (mut lines, mut shown) = (0_u64, 0);
    loop {
        let bytes = used(&site.data_dir.join("wal"))?;
        if bytes >= wanted {
            server.kill();
            return Ok((lines, bytes));
        }
        if bytes >> 28 > shown {
            shown = bytes >> 28;
            eprintln!("log: {} of {} MiB", bytes >> 20, wanted >> 20);
        }
        for _ in 0..8 {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
            // Text that does not compress: the log is not compressed, the wire is not either.
            let values: Vec<String> = (0..4_000_u64)
                .map(|n| {
                    format!(
                        "[\"{now}\",\"{:x} {}\"]",
                        (lines + n).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                        "x".repeat(400)
                    )
                })
                .collect();
            let body = format!(
                "{{\"streams\":[{{\"stream\":{{\"app\":\"replay\"}},\"values\":[{}]}}]}}",
                values.join(",")
            );
            let answer =
                agent.post(site.url("loki/api/v1/push")).content_type("application/json").send(body)?;
            if !answer.status().is_success() {
                bail!("{} while the log grows:\n{}", answer.status(), site.log());
            }
            lines += 4_000;
        }
    }
}

fn used(folder: &Path) -> anyhow::Result<u64> {
    let output = Command::new("du").args(["-sb"]).arg(folder).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.split_whitespace().next().unwrap_or("0").parse()?)
}
