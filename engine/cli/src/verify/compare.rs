//! What was found against what must be there.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde::Serialize;

use super::ledger::{Fate, Ledger};
use super::plan::{Plan, Signal, Step};

/// A row that carries the name of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) time_nanos: i64,
    /// Which sample of its time; logs and spans are told apart by time.
    pub(super) item: Option<u32>,
    pub(super) content: String,
}

/// Items of one signal in one range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) acknowledged: u64,
    /// Of the acknowledged, there with the right content.
    pub(super) found: u64,
    pub(super) missing: u64,
    pub(super) twice: u64,
    pub(super) wrong: u64,
    pub(super) unexpected: u64,
    /// Neither acknowledged nor refused: may be there or not.
    pub(super) unknown: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.found += other.found;
        self.missing += other.missing;
        self.twice += other.twice;
        self.wrong += other.wrong;
        self.unexpected += other.unexpected;
        self.unknown += other.unknown;
    }
}

/// What can be wrong with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fault {
    Missing,
    Twice,
    Wrong,
    Unexpected,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [Self::Missing, Self::Twice, Self::Wrong, Self::Unexpected];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Twice => "twice",
            Self::Wrong => "wrong",
            Self::Unexpected => "unexpected",
        }
    }
}

/// The faults of all checks, each item once however often it was looked at.
#[derive(Debug, Default)]
pub(super) struct Faults {
    seen: HashSet<(Signal, Fault, Step, u32)>,
    /// More than fit: counted again in each check.
    more: u64,
}

/// Faults that are told apart.
const FAULTS_MAX: usize = 100_000;
/// Stands for an item that cannot be told.
const NO_ITEM: u32 = u32::MAX;

impl Faults {
    fn note(&mut self, signal: Signal, fault: Fault, step: Step, item: u32) {
        if self.seen.len() < FAULTS_MAX {
            self.seen.insert((signal, fault, step, item));
        } else if !self.seen.contains(&(signal, fault, step, item)) {
            self.more += 1;
        }
    }

    pub(super) fn count(&self, signal: Signal, fault: Fault) -> u64 {
        self.seen.iter().filter(|(of, kind, ..)| (*of, *kind) == (signal, fault)).count() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.more == 0
    }

    /// Steps with a fault, as an example: the first and how many there are.
    pub(super) fn steps(&self) -> Option<(Step, usize)> {
        let steps: HashSet<Step> = self.seen.iter().map(|(_, _, step, _)| *step).collect();
        steps.iter().min().map(|first| (*first, steps.len()))
    }
}

/// Compares one signal in one range. `must` was acknowledged before the rows were read; the
/// ledger is as it was after that, so that what was sent meanwhile is not unexpected.
pub(super) fn compare(
    plan: &Plan,
    signal: Signal,
    range: Range<Step>,
    must: &[Step],
    rows: &[Found],
    (ledger, faults): (&Ledger, &mut Faults),
) -> Counts {
    let items = u64::from(signal.items());
    let unknown = |step: &Step| matches!(ledger.fate(signal, *step), Fate::Unknown | Fate::UnderWay);
    let mut counts = Counts {
        acknowledged: must.len() as u64 * items,
        unknown: range.filter(unknown).count() as u64 * items,
        ..Counts::default()
    };
    let seen = sort(plan, signal, rows, &mut counts, (ledger, &mut *faults));
    for (step, item) in must.iter().flat_map(|step| (0..signal.items()).map(move |item| (*step, item))) {
        match seen.get(&(step, item)) {
            Some((_, true)) => counts.found += 1,
            Some((_, false)) => {}
            None => {
                counts.missing += 1;
                faults.note(signal, Fault::Missing, step, item);
            }
        }
    }
    counts
}

/// How often each item is there and whether always right; notes what is to be said of rows
/// without looking at what is missing.
fn sort(
    plan: &Plan,
    signal: Signal,
    rows: &[Found],
    counts: &mut Counts,
    (ledger, faults): (&Ledger, &mut Faults),
) -> HashMap<(Step, u32), (u32, bool)> {
    let mut seen: HashMap<(Step, u32), (u32, bool)> = HashMap::with_capacity(rows.len());
    for row in rows {
        let (step, item) = place(plan, signal, row);
        let Some(item) = item.filter(|_| ledger.fate(signal, step) != Fate::Unsent) else {
            counts.unexpected += 1;
            faults.note(signal, Fault::Unexpected, step, item.unwrap_or(NO_ITEM));
            continue;
        };
        let right = row.content == plan.content(signal, step, item);
        let (times, all_right) = seen.entry((step, item)).or_insert((0, true));
        *times += 1;
        *all_right &= right;
    }
    for ((step, item), (times, right)) in &seen {
        let mut bad = |fault, count: &mut u64| {
            *count += 1;
            faults.note(signal, fault, *step, *item);
        };
        if *times > 1 {
            bad(Fault::Twice, &mut counts.twice);
        }
        if !right {
            bad(Fault::Wrong, &mut counts.wrong);
        }
    }
    seen
}

fn place(plan: &Plan, signal: Signal, row: &Found) -> (Step, Option<u32>) {
    let (step, item) = plan.at(signal, row.time_nanos);
    match signal {
        Signal::Metrics => (step, item.and(row.item).filter(|item| *item < signal.items())),
        Signal::Logs | Signal::Spans => (step, item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(plan: &Plan, signal: Signal, steps: Range<Step>) -> Vec<Found> {
        let of = |step| (0..signal.items()).map(move |item| (step, item));
        steps
            .flat_map(of)
            .map(|(step, item)| Found {
                time_nanos: plan.time_nanos(signal, step, item),
                item: (signal == Signal::Metrics).then_some(item),
                content: plan.content(signal, step, item),
            })
            .collect()
    }

    /// Steps 10 to 12 were acknowledged, 13 is unknown, 14 was never sent.
    fn check(signal: Signal, change: impl FnOnce(&mut Vec<Found>), wanted: Counts) {
        let plan = Plan::new("t", 1_000).unwrap();
        let mut ledger = Ledger::new(10, 10);
        (10..13).for_each(|step| ledger.set(signal, step, Fate::Acknowledged));
        ledger.set(signal, 13, Fate::Unknown);
        let mut found = rows(&plan, signal, 10..13);
        change(&mut found);
        let (must, mut faults) = (ledger.acknowledged(signal, 10..15), Faults::default());
        let got = compare(&plan, signal, 10..15, &must, &found, (&ledger, &mut faults));
        assert_eq!(got, wanted, "{signal}");
        let faults = Fault::ALL.map(|fault| faults.count(signal, fault));
        assert_eq!(faults, [wanted.missing, wanted.twice, wanted.wrong, wanted.unexpected], "{signal}");
    }

    #[test]
    fn every_fault_is_seen() {
        for signal in Signal::ALL {
            let items = u64::from(signal.items());
            let all =
                Counts { acknowledged: 3 * items, found: 3 * items, unknown: items, ..Counts::default() };
            check(signal, |_| {}, all);
            let short = Counts { found: all.found - 1, missing: 1, ..all };
            check(signal, |rows| drop(rows.remove(2)), short);
            check(signal, |rows| rows.push(rows[2].clone()), Counts { twice: 1, ..all });
            let wrong = Counts { found: all.found - 1, wrong: 1, ..all };
            check(signal, |rows| rows[2].content.push('x'), wrong);
            let stray =
                |rows: &mut Vec<Found>| rows.push(Found { time_nanos: 11_500_000_001, ..rows[0].clone() });
            check(signal, stray, Counts { unexpected: 1, ..all });
        }
    }

    #[test]
    fn what_was_not_acknowledged_may_be_there() {
        let plan = Plan::new("t", 1_000).unwrap();
        for signal in Signal::ALL {
            let items = u64::from(signal.items());
            let all =
                Counts { acknowledged: 3 * items, found: 3 * items, unknown: items, ..Counts::default() };
            check(signal, |found| found.extend(rows(&plan, signal, 13..14)), all);
            let never_sent = Counts { unexpected: items, ..all };
            check(signal, |found| found.extend(rows(&plan, signal, 14..15)), never_sent);
        }
    }
}
