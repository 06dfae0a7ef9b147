//! What became of each step that was to be written.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::{Signal, Step};

/// What is known of the items of one signal in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody sent it.
    Unsent,
    /// Being sent or sent again.
    UnderWay,
    /// The server said that it has it: it must be there.
    Acknowledged,
    /// The server never said: it may be there or not.
    Unknown,
    /// The server said that it does not want it, or not all of it.
    Refused,
}

/// Steps that are remembered: a day of the shortest interval.
const STEPS_MAX: usize = 86_400;

/// The steps of a run, as far as this verifier is concerned.
#[derive(Debug)]
pub(super) struct Ledger {
    /// Steps before this one were written by an earlier verifier.
    own_from: Step,
    /// The first of those that are taken as acknowledged.
    assumed_from: Step,
    steps: BTreeMap<Step, [Fate; 3]>,
}

impl Ledger {
    /// A verifier that begins with `own_from` and answers for all from `assumed_from` on.
    pub(super) fn new(assumed_from: Step, own_from: Step) -> Self {
        Self { own_from, assumed_from: assumed_from.min(own_from), steps: BTreeMap::new() }
    }

    /// The first step that can be checked.
    pub(super) fn first(&self) -> Step {
        self.assumed_from
    }

    pub(super) fn set(&mut self, signal: Signal, step: Step, fate: Fate) {
        self.steps.entry(step).or_insert([Fate::Unsent; 3])[signal as usize] = fate;
        while self.steps.len() > STEPS_MAX {
            let Some((oldest, _)) = self.steps.pop_first() else { break };
            // What is forgotten is not asked for any more either.
            self.own_from = self.own_from.max(oldest + 1);
            self.assumed_from = self.assumed_from.max(oldest + 1);
        }
    }

    pub(super) fn fate(&self, signal: Signal, step: Step) -> Fate {
        if (self.assumed_from..self.own_from).contains(&step) {
            return Fate::Acknowledged;
        }
        self.steps.get(&step).map_or(Fate::Unsent, |fates| fates[signal as usize])
    }

    /// Steps of a range whose items must be there.
    pub(super) fn acknowledged(&self, signal: Signal, range: Range<Step>) -> Vec<Step> {
        range.filter(|step| self.fate(signal, *step) == Fate::Acknowledged).collect()
    }

    /// The first and the last acknowledged step of this verifier.
    pub(super) fn own(&self) -> Option<(Step, Step)> {
        let acknowledged = |fates: &[Fate; 3]| fates.contains(&Fate::Acknowledged);
        let mut steps = self.steps.iter().filter(|(_, fates)| acknowledged(fates)).map(|(step, _)| *step);
        let first = steps.next()?;
        Some((first, steps.next_back().unwrap_or(first)))
    }

    /// Items of this verifier's own steps with this fate.
    pub(super) fn items(&self, signal: Signal, fate: Fate) -> u64 {
        let steps = self.steps.values().filter(|fates| fates[signal as usize] == fate).count();
        steps as u64 * u64::from(signal.items())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_an_earlier_verifier_are_taken_as_acknowledged() {
        let mut ledger = Ledger::new(5, 8);
        ledger.set(Signal::Logs, 8, Fate::Acknowledged);
        ledger.set(Signal::Logs, 9, Fate::Unknown);
        assert_eq!(ledger.acknowledged(Signal::Logs, 0..20), [5, 6, 7, 8]);
        assert_eq!(ledger.acknowledged(Signal::Spans, 0..20), [5, 6, 7]);
        assert_eq!((ledger.first(), ledger.own()), (5, Some((8, 8))));
        assert_eq!(ledger.items(Signal::Logs, Fate::Unknown), 5);
    }

    #[test]
    fn only_a_day_is_remembered() {
        let mut ledger = Ledger::new(0, 0);
        for step in 0..STEPS_MAX as Step + 10 {
            ledger.set(Signal::Metrics, step, Fate::Acknowledged);
        }
        assert_eq!((ledger.first(), ledger.steps.len()), (10, STEPS_MAX));
    }
}
