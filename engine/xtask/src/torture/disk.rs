//! A disk that fills up and becomes free again.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::kills::BUSY;
use super::{Bench, Outcome};
use crate::client::{Ledger, agent};

/// Bytes of the disk. Beside the log there must be room for tables.
const DISK: &str = "96m";

pub(super) fn full(bench: &Bench) -> anyhow::Result<Outcome> {
    let folder = bench.folder("full")?;
    let site = bench.site(&folder, &BUSY.replace("[store]\n", "[store]\ndisk_free_min_bytes = 8388608\n"))?;
    std::fs::create_dir_all(&site.data_dir)?;
    let size = format!("size={DISK}");
    let mut mount = Command::new("mount");
    let mounted = mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&site.data_dir).output()?;
    if !mounted.status.success() {
        return Ok(Outcome::skipped(format!(
            "no mount: {}",
            String::from_utf8_lossy(&mounted.stderr).trim()
        )));
    }
    let result = on_it(&site);
    let _ = Command::new("umount").arg("-l").arg(&site.data_dir).status();
    result
}

fn on_it(site: &crate::server::Site) -> anyhow::Result<Outcome> {
    let agent = agent(Duration::from_secs(30));
    let (mut ledger, mut outcome) = (Ledger::default(), Outcome { runs: 1, points: 1, ..Outcome::default() });
    let mut server = site.start(&[])?;
    if server.wait_ready(site)?.is_none() {
        bail!("it does not start:\n{}", site.log());
    }
    for _ in 0..20 {
        ledger.send(site, &agent);
    }
    // Something else fills the disk.
    let ballast = site.data_dir.join("ballast");
    let mut bytes = 60 << 20;
    while std::fs::write(&ballast, vec![1_u8; bytes]).is_err() {
        bytes -= 1 << 20;
    }
    let start = Instant::now();
    let mut refusal = None;
    while refusal.is_none() && start.elapsed() < Duration::from_secs(60) {
        match ledger.send(site, &agent) {
            Some(200) => {}
            status => refusal = Some(status),
        }
    }
    if refusal != Some(Some(503)) {
        outcome.broken.push(format!("a full disk answers {refusal:?} and not 503"));
    }
    if ledger.audit(site, &agent).is_none_or(|audit| audit.lost + audit.doubled > 0) {
        outcome.broken.push("no right answer while the disk is full".to_owned());
    }
    std::fs::remove_file(&ballast)?;
    let freed = Instant::now();
    while ledger.send(site, &agent) != Some(200) {
        if freed.elapsed() > Duration::from_secs(30) {
            outcome.broken.push("no writes 30 s after there was room".to_owned());
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let resumed = freed.elapsed();
    if resumed > Duration::from_secs(5) {
        outcome.broken.push(format!("resumed only after {resumed:?}"));
    }
    if !server.is_alive()? {
        outcome.broken.push("the server ended".to_owned());
    }
    server.kill();
    outcome.audit(site, &ledger)?;
    outcome.note = format!(
        "503 while full, {} items refused, writes again {:.1} s after there was room",
        ledger.refused,
        resumed.as_secs_f64()
    );
    Ok(outcome)
}
