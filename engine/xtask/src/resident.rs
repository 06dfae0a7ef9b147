//! The most that servers hold, sampled while they live: who is killed tells nobody.
//!
//! All servers run with `--memory` of [`LIMIT_MIB`]. At the end of a scenario the most that any of
//! them held is compared with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::outcome::Outcome;

/// What servers are told that they may hold.
pub(crate) const LIMIT_MIB: u64 = 512;
/// What is over is noticed and given up a little later.
const MARGIN: f64 = 1.15;
/// The kernel keeps the peak, so a sample misses only what came after the last one.
const INTERVAL: Duration = Duration::from_millis(20);

/// Of all servers since the last [`check`].
static PEAK_BYTES: AtomicU64 = AtomicU64::new(0);

/// Samples a process until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch(Arc<AtomicBool>);

impl Watch {
    pub(crate) fn start(pid: i32) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let watch = Self(Arc::clone(&ended));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                PEAK_BYTES.fetch_max(status(pid, "VmHWM:"), Ordering::Relaxed);
                std::thread::sleep(INTERVAL);
            }
        });
        watch
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Compares what was held with what was allowed.
pub(crate) fn check(outcome: &mut Outcome) {
    let peak_mib = PEAK_BYTES.swap(0, Ordering::Relaxed) >> 20;
    if peak_mib == 0 {
        return;
    }
    outcome.note(format!("at most {peak_mib} MiB resident with --memory {LIMIT_MIB}MiB"));
    if peak_mib as f64 > LIMIT_MIB as f64 * MARGIN {
        outcome.fail(format!("{peak_mib} MiB were resident, more than {MARGIN} times {LIMIT_MIB} MiB"));
    }
}

/// A figure in bytes of `/proc/<pid>/status` (`man 5 proc`); 0 once the process is gone.
pub(crate) fn status(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
