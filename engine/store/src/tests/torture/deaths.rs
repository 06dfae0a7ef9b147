//! Where machines died.

use std::collections::{BTreeMap, BTreeSet};

use super::life::Phase;
use crate::tests::machine::{Death, Operation};

/// What a machine was changing when it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The WAL and what stands beside it.
    Log,
    /// A data file on its way into a table.
    File,
    /// An entry of a table's log.
    Commit,
    /// A checkpoint of a table's log.
    Checkpoint,
    /// A log entry that a checkpoint made superfluous.
    Cleanup,
    /// A data file that nobody needs.
    Vacuum,
    /// The claim of a writer.
    Epoch,
    /// Folders, and the probe of a start.
    Folder,
    /// Nothing: it had no more to do.
    Idle,
}

impl Place {
    fn of(death: &Death) -> Self {
        let what = death.what.as_str();
        let removed = death.operation == Operation::Unlink;
        match () {
            () if what == Death::THE_END => Self::Idle,
            () if what.starts_with("wal/") => Self::Log,
            () if what.starts_with("_isinglass") => Self::Epoch,
            () if what.contains("checkpoint") && !removed => Self::Checkpoint,
            () if what.contains("_delta_log") && removed && !what.contains('#') => Self::Cleanup,
            () if what.contains("_delta_log") => Self::Commit,
            () if removed && what.ends_with(".parquet") => Self::Vacuum,
            () if what.contains(".parquet") => Self::File,
            () => Self::Folder,
        }
    }
}

/// Where machines have to have died.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) phases: &'a [Phase],
    pub(super) places: &'a [Place],
    pub(super) operations: &'a [Operation],
}

/// Deaths by what was done and where.
#[derive(Default)]
pub(super) struct Deaths {
    points: BTreeSet<(Phase, Place, Operation, u64)>,
    count: BTreeMap<(Phase, Place, Operation), u64>,
    machines: u64,
    rows: u64,
}

impl Deaths {
    /// A life ended.
    pub(super) fn add(&mut self, phase: Phase, death: &Death) {
        let place = Place::of(death);
        *self.count.entry((phase, place, death.operation)).or_default() += 1;
        self.points.insert((phase, place, death.operation, death.number));
    }

    /// A machine is through, and nothing is lost.
    pub(super) fn survived(&mut self, acknowledged: usize) {
        self.machines += 1;
        self.rows += acknowledged as u64;
    }

    pub(super) fn machines(&self) -> u64 {
        self.machines
    }

    /// Says what was covered.
    pub(super) fn report(&self, what: &str) {
        eprintln!(
            "torture: {what}: {} machines, {} deaths at {} distinct points, {} rows acknowledged, 0 lost, 0 doubled",
            self.machines,
            self.count.values().sum::<u64>(),
            self.points.len(),
            self.rows
        );
        for ((phase, place, operation), deaths) in &self.count {
            eprintln!("torture:   {phase:?} / {place:?} / {operation:?}: {deaths}");
        }
    }

    /// Something wanted that nobody died at yet.
    pub(super) fn lacks(&self, wanted: &Wanted<'_>) -> Option<String> {
        let hit = |of: &dyn Fn(&(Phase, Place, Operation)) -> bool| self.count.keys().any(of);
        let phase = wanted.phases.iter().find(|phase| !hit(&|(of, _, _)| of == *phase));
        let place = wanted.places.iter().find(|place| !hit(&|(_, of, _)| of == *place));
        let operation = wanted.operations.iter().find(|operation| !hit(&|(_, _, of)| of == *operation));
        let phase = phase.map(|phase| format!("{phase:?}"));
        phase.or(place.map(|place| format!("{place:?}"))).or(operation.map(|op| format!("{op:?}")))
    }
}
