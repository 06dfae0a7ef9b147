//! Plugins that nobody wrote: a hundred thousand modules of wasm-smith compile or are refused.

use anyhow::Context as _;

use crate::Torture;
use crate::outcome::Outcome;
use crate::tools;

/// Modules of a full run.
const MODULES: u64 = 100_000;

pub(crate) fn run(torture: &Torture, outcome: &mut Outcome) -> anyhow::Result<()> {
    let wanted = torture.either(5_000, MODULES);
    let mut command = tools::cargo();
    command.args(["test", "--quiet", "-p", "isinglass-unify", "-p", "isinglass-chain", "--lib"]);
    command.args(["--", "chain::tests::generated", "--nocapture", "--test-threads", "2"]);
    command.env("ISINGLASS_TEST_GENERATED", wanted.to_string());
    command.env("ISINGLASS_TEST_GENERATED_SEED", torture.seed.to_string());
    let output = command.output().context("cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().filter_map(Counts::read).collect::<Vec<_>>();
    let sum = |of: fn(&Counts) -> u64| told.iter().map(of).sum::<u64>();
    let (refused, started, stopped) =
        (sum(|one| one.refused), sum(|one| one.started), sum(|one| one.stopped));
    outcome.runs += refused + started + stopped;
    outcome.note(format!("{refused} refused, {started} started, {stopped} stopped while they started"));
    anyhow::ensure!(output.status.success(), "the tests ended with {}:\n{text}", output.status);
    anyhow::ensure!(outcome.runs == wanted, "{} modules were tried, not {wanted}:\n{text}", outcome.runs);
    Ok(())
}

/// What a part of the test counted.
#[derive(Debug, PartialEq)]
struct Counts {
    refused: u64,
    started: u64,
    stopped: u64,
}

impl Counts {
    /// Reads `12 refused, 34 started, 5 stopped`; words of the test runner may stand before it.
    fn read(line: &str) -> Option<Self> {
        let before = |word: &str| {
            let numbers = line.split(word).next().filter(|start| start.len() < line.len())?;
            numbers.split([' ', ',', '.']).rfind(|word| !word.is_empty())?.parse().ok()
        };
        Some(Self {
            refused: before(" refused")?,
            started: before(" started")?,
            stopped: before(" stopped")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_counts_is_understood() {
        let counts = Counts { refused: 12, started: 34, stopped: 5 };
        assert_eq!(Counts::read("12 refused, 34 started, 5 stopped"), Some(counts));
        let counts = Counts { refused: 1, started: 2, stopped: 3 };
        assert_eq!(Counts::read(".1 refused, 2 started, 3 stopped"), Some(counts));
        assert_eq!(Counts::read("test result: ok"), None);
    }
}
