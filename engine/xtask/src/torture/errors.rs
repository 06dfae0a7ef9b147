//! Calls that fail or take long, and a server that stays up.

use std::time::{Duration, Instant};

use super::kills::BUSY;
use super::{Bench, Outcome, has};
use crate::client::{Ledger, agent};

/// How long load runs while something fails.
const LIFE: Duration = Duration::from_secs(3);

/// `fdatasync` fails once, at each of its first calls in turn.
pub(super) fn sync_fails(bench: &Bench) -> anyhow::Result<Outcome> {
    let last = if bench.quick { 6 } else { 40 };
    sweep(bench, "sync", (1..=last).map(|nth| format!("fdatasync:error=EIO:when={nth}")), true)
}

/// No space at each kind of call, once, early and later.
pub(super) fn no_space(bench: &Bench) -> anyhow::Result<Outcome> {
    let calls = ["pwrite64", "fallocate", "link,linkat", "mkdir,mkdirat", "fdatasync"];
    let nths: &[u64] = if bench.quick { &[3] } else { &[2, 3, 5, 8, 13, 21, 34, 55] };
    let points = calls
        .into_iter()
        .flat_map(|calls| nths.iter().map(move |nth| format!("{calls}:error=ENOSPC:when={nth}")));
    sweep(bench, "space", points, true)
}

/// Each `fdatasync` takes two seconds: acknowledgements wait, nothing else does.
pub(super) fn slow_sync(bench: &Bench) -> anyhow::Result<Outcome> {
    sweep(bench, "slow", std::iter::once("fdatasync:delay_exit=2000000".to_owned()), false)
}

fn sweep(
    bench: &Bench,
    name: &str,
    points: impl Iterator<Item = String>,
    takes_writes_after: bool,
) -> anyhow::Result<Outcome> {
    if !has("strace") {
        return Ok(Outcome::skipped("no strace"));
    }
    let site = bench.site(&bench.folder(name)?, BUSY)?;
    let agent = agent(Duration::from_secs(30));
    let (mut ledger, mut outcome) = (Ledger::default(), Outcome::default());
    for point in points {
        let calls = point.split(':').next().unwrap_or_default();
        let (trace, inject) = (format!("trace={calls}"), format!("inject={point}"));
        let words = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let mut server = site.start(&words.map(str::to_owned))?;
        outcome.runs += 1;
        outcome.points += 1;
        if server.wait_ready(&site)?.is_some() {
            let start = Instant::now();
            while start.elapsed() < LIFE && ledger.send(&site, &agent).is_some() {}
            if !server.is_alive()? {
                outcome.broken.push(format!("{point}: the server ended"));
            } else if takes_writes_after {
                // strace counts calls by thread, so each new thread fails once more; a refused
                // sender tries again.
                let again = (0..120).any(|_| {
                    std::thread::sleep(Duration::from_millis(250));
                    ledger.send(&site, &agent) == Some(200)
                });
                if !again {
                    outcome.broken.push(format!("{point}: no writes 30 s later"));
                }
            }
        }
        server.kill();
        if outcome.runs.is_multiple_of(5) {
            outcome.audit(&site, &ledger)?;
            eprintln!(
                "{} runs, {} items acknowledged, {} refused",
                outcome.runs,
                ledger.acknowledged(),
                ledger.refused
            );
        }
    }
    outcome.audit(&site, &ledger)?;
    outcome.note = format!(
        "{} items refused, slowest acknowledgement {:.1} s",
        ledger.refused,
        ledger.slowest.as_secs_f64()
    );
    Ok(outcome)
}
