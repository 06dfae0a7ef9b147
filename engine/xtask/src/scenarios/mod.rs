//! One file a scenario.

mod clock;
mod errno;
mod full;
mod hostile;
mod in_process;
mod kill;
mod memory;
mod merge;
mod modules;
mod outage;
mod power;
mod store;
mod twice;

use std::path::Path;

use crate::Torture;
use crate::outcome::Outcome;
use crate::resident;

/// What can go wrong around the server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scenario {
    InProcess,
    Kill,
    KillS3,
    SyncFails,
    NoSpace,
    SlowSync,
    FullDisk,
    Store,
    Memory,
    Merge,
    Twice,
    Power,
    Clock,
    Outage,
    Hostile,
    Modules,
}

pub(crate) const ALL: &[Scenario] = &[
    Scenario::InProcess,
    Scenario::Kill,
    Scenario::KillS3,
    Scenario::SyncFails,
    Scenario::NoSpace,
    Scenario::SlowSync,
    Scenario::FullDisk,
    Scenario::Store,
    Scenario::Memory,
    Scenario::Merge,
    Scenario::Twice,
    Scenario::Power,
    Scenario::Clock,
    Scenario::Outage,
    Scenario::Hostile,
    Scenario::Modules,
];

/// All names, for whoever mistyped one.
pub(crate) fn names() -> String {
    ALL.iter().map(|scenario| scenario.name()).collect::<Vec<_>>().join(", ")
}

impl Scenario {
    /// Name and purpose.
    fn about(self) -> (&'static str, &'static str) {
        match self {
            Self::InProcess => ("in-process", "power cuts and kills on a simulated disk and store"),
            Self::Kill => ("kill", "SIGKILL at the N-th write, sync, rename, unlink; tables in a folder"),
            Self::KillS3 => ("kill-s3", "SIGKILL at the N-th write, sync, connect, send; tables on S3"),
            Self::SyncFails => ("sync-eio", "EIO at the N-th fdatasync"),
            Self::NoSpace => ("no-space", "ENOSPC at each kind of call"),
            Self::SlowSync => ("sync-slow", "every fdatasync takes two seconds"),
            Self::FullDisk => ("full-disk", "a volume of 96 MiB that fills up and gets room again"),
            Self::Store => ("store", "S3 that is slow, refuses, loses replies, is away"),
            Self::Memory => ("memory", "a log of 8 GiB is read again in 512 MiB"),
            Self::Merge => ("merge", "tables of 10 GiB are merged in 512 MiB"),
            Self::Twice => ("twice", "a second server on the same folder"),
            Self::Power => ("power", "the power of a real ext4 and a real xfs is cut"),
            Self::Hostile => ("hostile", "plugins that misbehave, and their neighbours"),
            Self::Modules => ("modules", "100,000 generated plugins compile or are refused"),
            Self::Outage => ("outage", "S3 is away for ten minutes under load"),
            Self::Clock => ("clock", "libfaketime sets the clock by hours and by decades"),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        self.about().0
    }

    pub(crate) fn what(self) -> &'static str {
        self.about().1
    }

    /// Whether it starts servers; the others do all in this process.
    pub(crate) fn has_server(self) -> bool {
        !matches!(self, Self::InProcess | Self::Modules)
    }

    pub(crate) async fn run(
        self,
        torture: &Torture,
        binary: &Path,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        self.run_alone(torture, binary, outcome).await?;
        resident::check(outcome);
        Ok(())
    }

    async fn run_alone(self, torture: &Torture, binary: &Path, outcome: &mut Outcome) -> anyhow::Result<()> {
        match self {
            Self::InProcess => in_process::run(torture, outcome),
            Self::Kill => kill::run(torture, binary, outcome, kill::Tables::Folder).await,
            Self::KillS3 => kill::run(torture, binary, outcome, kill::Tables::S3).await,
            Self::SyncFails => errno::sync_fails(torture, binary, outcome).await,
            Self::NoSpace => errno::no_space(torture, binary, outcome).await,
            Self::SlowSync => errno::slow_sync(torture, binary, outcome).await,
            Self::FullDisk => full::run(binary, outcome).await,
            Self::Store => store::run(torture, binary, outcome).await,
            Self::Memory => memory::run(torture, binary, outcome).await,
            Self::Merge => merge::run(torture, binary, outcome).await,
            Self::Twice => twice::run(binary, outcome).await,
            Self::Power => power::run(torture, binary, outcome).await,
            Self::Outage => outage::run(torture, binary, outcome).await,
            Self::Hostile => hostile::run(torture, binary, outcome).await,
            Self::Modules => modules::run(torture, outcome),
            Self::Clock => clock::run(torture, binary, outcome).await,
        }
    }
}
