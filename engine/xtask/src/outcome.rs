//! What came of a scenario, and the table of all.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// Counts of one scenario.
#[derive(Debug)]
pub(crate) struct Outcome {
    name: &'static str,
    /// Times a fault was set up.
    pub(crate) runs: u64,
    /// Different places that were hit: the scenario's own description of each.
    pub(crate) points: BTreeSet<String>,
    /// The number of points where another program counted them.
    pub(crate) points_counted: u64,
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) worst_restart: Duration,
    skipped: Option<String>,
    failures: Vec<String>,
    notes: Vec<String>,
    /// Whether failures are printed when they are found.
    told: bool,
}

impl Outcome {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            runs: 0,
            points: BTreeSet::new(),
            points_counted: 0,
            acknowledged: 0,
            lost: 0,
            doubled: 0,
            worst_restart: Duration::ZERO,
            skipped: None,
            failures: Vec::new(),
            notes: Vec::new(),
            told: true,
        }
    }

    /// Of a run that is to fail.
    pub(crate) fn of_control() -> Self {
        Self { told: false, ..Self::new("control") }
    }

    /// Something that must not be.
    pub(crate) fn fail(&mut self, what: String) {
        if self.told {
            println!("   FAILED: {what}");
        }
        self.failures.push(what);
    }

    /// The machine cannot run it. Not a failure, and not a success either.
    pub(crate) fn skip(&mut self, why: impl Into<String>) {
        self.skipped = Some(why.into());
    }

    /// A figure for the reader.
    pub(crate) fn note(&mut self, what: String) {
        println!("   {what}");
        self.notes.push(what);
    }

    pub(crate) fn restarted_in(&mut self, time: Duration) {
        self.worst_restart = self.worst_restart.max(time);
    }

    pub(crate) fn is_good(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.failures.is_empty()
    }

    fn points(&self) -> u64 {
        self.points.len() as u64 + self.points_counted
    }

    fn verdict(&self) -> String {
        match &self.skipped {
            _ if !self.is_good() => "FAILED".to_owned(),
            Some(why) => format!("skipped: {why}"),
            None => "passed".to_owned(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "   {} runs, {} distinct points, {}", self.runs, self.points(), self.verdict())
    }
}

/// All scenarios as a table in markdown, with failures and notes below.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut lines = vec![
        "| scenario | runs | distinct fault points hit | acknowledged | lost | doubled | worst restart, s | |"
            .to_owned(),
        "|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    for of in outcomes {
        lines.push(format!(
            "| {} | {} | {} | {} | {} | {} | {:.1} | {} |",
            of.name,
            of.runs,
            of.points(),
            of.acknowledged,
            of.lost,
            of.doubled,
            of.worst_restart.as_secs_f64(),
            of.verdict()
        ));
    }
    for of in outcomes {
        lines.extend(of.notes.iter().map(|note| format!("{}: {note}", of.name)));
        lines.extend(of.failures.iter().map(|what| format!("{}: FAILED: {what}", of.name)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_has_not_passed_and_a_loss_is_a_failure() {
        let mut outcome = Outcome::new("one");
        outcome.skip("no permission");
        assert!(table(&[outcome]).contains("skipped: no permission"));
        let mut outcome = Outcome::new("two");
        outcome.skip("half of it");
        outcome.lost = 1;
        assert!(!outcome.is_good());
        assert!(table(&[outcome]).contains("FAILED"));
        assert!(table(&[Outcome::new("three")]).contains("passed"));
    }
}
