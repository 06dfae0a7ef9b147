//! The same machine in one process: a simulated disk that forgets what was not synced.
//! `engine/store/src/tests/torture.rs`, with more of everything.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::{Bench, Outcome};

pub(super) fn power_cuts(bench: &Bench) -> anyhow::Result<Outcome> {
    run(bench, "power_cuts_lose_and_double_nothing", "ISINGLASS_TORTURE_CUTS", 10_000)
}

pub(super) fn kills(bench: &Bench) -> anyhow::Result<Outcome> {
    run(bench, "kills_lose_and_double_nothing", "ISINGLASS_TORTURE_KILLS", 2_500)
}

pub(super) fn requests(bench: &Bench) -> anyhow::Result<Outcome> {
    run(bench, "deaths_at_requests_lose_and_double_nothing", "ISINGLASS_TORTURE_KILLS", 1_000)
}

fn run(bench: &Bench, test: &str, variable: &str, deaths: u64) -> anyhow::Result<Outcome> {
    let deaths = if bench.quick { deaths / 20 } else { deaths };
    // All packages, so that features resolve as in every other build.
    let mut child = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["test", "--workspace", "--lib", "--", "--exact", "--nocapture"])
        .arg(format!("tests::torture::{test}"))
        .env(variable, deaths.to_string())
        .env("ISINGLASS_TORTURE_SEED", bench.seed.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take().context("no standard error")?;
    let mut outcome = Outcome { runs: deaths, ..Outcome::default() };
    let mut told = false;
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        if line.contains("torture:") || line.contains("panicked") || line.starts_with("seed") {
            eprintln!("{line}");
        }
        // `... 500 deaths at 480 distinct points, 9000 rows acknowledged, 0 lost, 0 doubled`
        let number_before = |what: &str| {
            let before = line.split(what).next()?;
            before.split([' ', ',']).rfind(|word| !word.is_empty())?.parse::<u64>().ok()
        };
        if line.contains("distinct points") {
            told = true;
            outcome.points = number_before(" distinct points").unwrap_or(0);
            outcome.acknowledged = number_before(" rows acknowledged").unwrap_or(0);
        }
    }
    if !child.wait()?.success() || !told {
        bail!("{test} failed; seed {}", bench.seed);
    }
    Ok(outcome)
}
