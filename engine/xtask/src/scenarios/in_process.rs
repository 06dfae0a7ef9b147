//! The store's own tests on a simulated machine, many more of them than in a test run.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::Context as _;

use crate::Torture;
use crate::outcome::Outcome;
use crate::tools;

/// Power cuts of a full run.
const CUTS: u64 = 10_000;
/// Kills of a full run, as many deaths of either kind, and as many at requests.
const KILLS: u64 = 1_000;
/// Stores that fail now and then, of a full run.
const STORES: u64 = 1_000;
/// Commits that each of eight committers tries.
const COMMITS: u64 = 10_000;
/// Histories of late and repeated samples, of ten thousand each.
const LATE_CASES: u64 = 100;

pub(crate) fn run(torture: &Torture, outcome: &mut Outcome) -> anyhow::Result<()> {
    let mut command = tools::cargo();
    command.args(["test", "--quiet", "-p", "isinglass-unify", "-p", "isinglass-store", "--lib"]);
    command.args([
        "--",
        "tests::torture",
        "tests::rewrites::late",
        "of_eight_committers",
        "--nocapture",
        "--test-threads",
        "1",
    ]);
    command.env("ISINGLASS_COMMITS", torture.either(10, COMMITS).to_string());
    command.env("ISINGLASS_LATE_CASES", torture.either(10, LATE_CASES).to_string());
    command.env("ISINGLASS_TORTURE_CUTS", torture.either(500, CUTS).to_string());
    command.env("ISINGLASS_TORTURE_KILLS", torture.either(100, KILLS).to_string());
    command.env("ISINGLASS_TORTURE_STORES", torture.either(20, STORES).to_string());
    command.env("ISINGLASS_TORTURE_SEED", torture.seed.to_string());
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().context("cargo test")?;
    let errors = child.stderr.take().context("no standard error")?;
    for line in BufReader::new(errors).lines() {
        let line = line?;
        if let Some(counts) = line.strip_prefix("torture: ").and_then(Counts::read) {
            outcome.runs += counts.deaths;
            outcome.points_counted += counts.points;
            outcome.acknowledged += counts.rows;
            outcome.note(line);
        } else {
            println!("   {line}");
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "the tests ended with {status}");
    anyhow::ensure!(outcome.runs > 0, "the tests told no counts");
    Ok(())
}

/// What a test counted.
#[derive(Debug, PartialEq)]
struct Counts {
    deaths: u64,
    points: u64,
    rows: u64,
}

impl Counts {
    /// Reads `kills: 20 machines, 100 deaths at 90 distinct points, 7 rows acknowledged, ...`.
    fn read(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let before = |name: &str| {
            let at = words.iter().position(|word| *word == name)?;
            words.get(at.checked_sub(1)?)?.parse().ok()
        };
        Some(Self { deaths: before("deaths")?, points: before("distinct")?, rows: before("rows")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_counts_is_understood() {
        let line =
            "kills: 20 machines, 100 deaths at 90 distinct points, 7 rows acknowledged, 0 lost, 0 doubled";
        assert_eq!(Counts::read(line), Some(Counts { deaths: 100, points: 90, rows: 7 }));
        assert_eq!(Counts::read("power cuts: 200 of 2000 machines"), None);
    }
}
