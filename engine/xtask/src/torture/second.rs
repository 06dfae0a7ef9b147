//! Two servers on one folder.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::{Bench, Outcome};

pub(super) fn refused(bench: &Bench) -> anyhow::Result<Outcome> {
    let folder = bench.folder("second")?;
    let site = bench.site(&folder, "")?;
    let mut first = site.start(&[])?;
    if first.wait_ready(&site)?.is_none() {
        bail!("it does not start:\n{}", site.log());
    }
    let mut other = bench.site(&folder.join("other"), "")?;
    other.data_dir.clone_from(&site.data_dir);
    let start = Instant::now();
    let mut second = other.start(&[])?;
    while second.is_alive()? && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = start.elapsed();
    let mut outcome = Outcome { runs: 1, points: 1, ..Outcome::default() };
    if second.is_alive()?
        || took > Duration::from_secs(1)
        || !other.log().contains("in use by another process")
    {
        outcome
            .broken
            .push(format!("the second server was not refused within 1 s ({took:?}): {}", other.log()));
    }
    if !first.is_alive()? {
        outcome.broken.push("the first server ended".to_owned());
    }
    outcome.note = format!("refused after {} ms", took.as_millis());
    Ok(outcome)
}
