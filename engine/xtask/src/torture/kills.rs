//! SIGKILL at the N-th call of a kind, while data comes in, is flushed and merged.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Bench, Outcome, has};
use crate::client::{Ledger, agent};

/// Everything happens often, so that each call belongs to something else.
pub(super) const BUSY: &str = "
[store]
flush_bytes = 4096
flush_age_ms = 200
flush_small_bytes = 1
flush_age_max_ms = 400
wal_segment_bytes = 262144
wal_bytes_max = 4194304

[store.compaction]
interval_ms = 300
late_ms = 1
grace_ms = 500
";

/// Calls, and how many of them a thread makes while a server starts and lives for a
/// few seconds: the sweep goes that far.
const CALLS: [(&str, u64); 7] = [
    ("write,pwrite64,writev", 260),
    ("fdatasync", 160),
    ("fsync", 200),
    ("rename,renameat,renameat2", 24),
    ("link,linkat", 60),
    ("unlink,unlinkat", 90),
    ("openat", 260),
];

/// Longest life of a server that is not killed by its call.
const LIFE: Duration = Duration::from_millis(2_500);

pub(super) fn sweep(bench: &Bench) -> anyhow::Result<Outcome> {
    if !has("strace") {
        return Ok(Outcome::skipped("no strace"));
    }
    let site = bench.site(&bench.folder("kills")?, BUSY)?;
    let agent = agent(Duration::from_secs(5));
    let (mut ledger, mut outcome) = (Ledger::default(), Outcome::default());
    let mut points = BTreeSet::new();
    let points_of_all: u64 = CALLS.iter().map(|(_, count)| count).sum();
    let step = if bench.quick { points_of_all.div_ceil(24) } else { 1 };
    for (calls, count) in CALLS {
        // Another start for another seed, so that quick runs add up.
        let first = 1 + bench.seed % step;
        for nth in (first..=count).step_by(usize::try_from(step)?) {
            let inject = format!("inject={calls}:signal=SIGKILL:when={nth}");
            let trace = format!("trace={calls}");
            let words =
                ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let mut server = site.start(&words.map(str::to_owned))?;
            outcome.runs += 1;
            if server.wait_ready(&site)?.is_some() {
                let start = Instant::now();
                while start.elapsed() < LIFE && server.is_alive()? {
                    if ledger.send(&site, &agent).is_none() {
                        break;
                    }
                }
            }
            // The pause that a dying process needs to be gone.
            let deadline = Instant::now() + Duration::from_millis(200);
            while server.is_alive()? && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            if !server.is_alive()? {
                points.insert((calls, nth));
            }
            server.kill();
            if outcome.runs.is_multiple_of(10) {
                outcome.audit(&site, &ledger)?;
                eprintln!(
                    "{} of {} runs, {} killed at their call, {} items acknowledged, worst restart {:.1} s",
                    outcome.runs,
                    points_of_all.div_ceil(step),
                    points.len(),
                    ledger.acknowledged(),
                    outcome.worst_restart.as_secs_f64()
                );
            }
        }
    }
    outcome.audit(&site, &ledger)?;
    outcome.points = points.len() as u64;
    Ok(outcome)
}
