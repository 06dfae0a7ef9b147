//! A machine that dies again and again, at any operation of intake, flush, commit,
//! checkpoint, merging, retention and vacuum, and at any of its own start. Whatever dies
//! when: every acknowledged row is there exactly once, none comes from nowhere, a batch
//! that is sent again is not stored twice, and the machine takes writes again.
//!
//! `cargo xtask torture` runs more of the same. It sets
//!
//! | variable | default | |
//! |---|---|---|
//! | `ISINGLASS_TORTURE_CUTS` | 500 | power cuts |
//! | `ISINGLASS_TORTURE_KILLS` | 100 | kills, as many deaths of either kind, and as many at a request to an object store |
//! | `ISINGLASS_TORTURE_STORES` | 20 | object stores that fail now and then |
//! | `ISINGLASS_TORTURE_SEED` | 1 | the first seed; the following are counted up |
//!
//! and reads the lines `torture: ...` from standard error.
//!
//! | file | holds |
//! |---|---|
//! | [`hardware`] | disk, tables and clock: what is left of a machine between two lives |
//! | [`life`] | what a machine does, and when it dies |
//! | [`ledger`] | what was sent and acknowledged, and whether a store has just that |
//! | [`deaths`] | where machines died |
//! | [`failing`] | operations that fail while the machine lives on |

mod deaths;
mod failing;
mod hardware;
mod ledger;
mod life;

use deaths::{Deaths, Place, Wanted};
use hardware::{End, Parts};
use life::{LIVES, Machine, Phase};

use super::machine::{Lies, Operation};

fn from_environment(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

/// Lets machines die `deaths_wanted` times, and on until they died wherever it was `wanted`: the
/// times of threads decide with the seed where a death falls. Beyond [`LUCK_MAX`] times as many, a
/// place that nobody died at is one that nobody can.
fn run(what: &str, end: End, deaths_wanted: u64, wanted: &Wanted<'_>) {
    let first = from_environment("ISINGLASS_TORTURE_SEED", 1);
    let machines = deaths_wanted.div_ceil(LIVES as u64);
    let mut deaths = Deaths::default();
    for seed in first..first + machines * LUCK_MAX {
        if deaths.machines() >= machines && deaths.lacks(wanted).is_none() {
            break;
        }
        if let Err(what) = Machine::live_and_die(seed, end, Parts::default(), &mut deaths) {
            panic!("{end:?}: {what}");
        }
        if deaths.machines().is_multiple_of(200) {
            eprintln!("torture: {what}: {} of {machines} machines", deaths.machines());
        }
    }
    deaths.report(what);
    assert_eq!(deaths.lacks(wanted), None, "no death there");
}

const LUCK_MAX: u64 = 10;

#[test]
fn power_cuts_lose_and_double_nothing() {
    let operations = [
        Operation::Create,
        Operation::Write,
        Operation::Sync,
        Operation::Link,
        Operation::Rename,
        Operation::Unlink,
        Operation::SyncFolder,
    ];
    let places = [Place::Log, Place::File, Place::Commit, Place::Checkpoint];
    let wanted = Wanted { phases: &Phase::BUSY, places: &places, operations: &operations };
    run("power cuts", End::PowerCut, from_environment("ISINGLASS_TORTURE_CUTS", 500), &wanted);
}

/// Where kills have to have fallen.
fn of_kills(operations: &[Operation]) -> Wanted<'_> {
    Wanted { phases: &Phase::BUSY, places: &[Place::Log, Place::File, Place::Commit], operations }
}

#[test]
fn kills_lose_and_double_nothing() {
    let operations = [Operation::Write, Operation::Sync, Operation::Unlink, Operation::SyncFolder];
    run("kills", End::Kill, from_environment("ISINGLASS_TORTURE_KILLS", 100), &of_kills(&operations));
}

#[test]
fn kills_and_power_cuts_in_turn_lose_and_double_nothing() {
    let operations = [Operation::Write, Operation::Sync, Operation::Rename, Operation::SyncFolder];
    run("either", End::Either, from_environment("ISINGLASS_TORTURE_KILLS", 100), &of_kills(&operations));
}

#[test]
fn deaths_at_requests_lose_and_double_nothing() {
    let phases = [Phase::Start, Phase::Flush, Phase::Merge, Phase::Round, Phase::Retention];
    let places = [Place::File, Place::Commit];
    let wanted = Wanted { phases: &phases, places: &places, operations: &[Operation::Connect] };
    run("requests", End::Connect, from_environment("ISINGLASS_TORTURE_KILLS", 100), &wanted);
}

/// A machine of which a part does not do what it says is caught by the same audit.
fn check_mutant(parts: Parts) {
    let mut deaths = Deaths::default();
    let caught = (1..400).find_map(|seed| {
        let life = || Machine::live_and_die(seed, End::PowerCut, parts, &mut deaths);
        // A reader of Parquet may panic over what such a machine left. That is no verdict;
        // a store that waits for a torn table to be well again is one.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(life)).ok()?.err()
    });
    let what = caught.unwrap_or_else(|| panic!("{parts:?} was not noticed"));
    eprintln!("torture: {parts:?}: {what}");
}

const NO_SYNC: Lies = Lies { files: true, folders: false };
const NO_FOLDER_SYNC: Lies = Lies { files: false, folders: true };

#[test]
fn files_of_the_log_that_are_not_synced_are_noticed() {
    check_mutant(Parts { log: NO_SYNC, ..Parts::default() });
}

#[test]
fn a_folder_of_the_log_that_is_not_synced_is_noticed() {
    check_mutant(Parts { log: NO_FOLDER_SYNC, ..Parts::default() });
}

#[test]
fn files_of_tables_that_are_not_synced_are_noticed() {
    check_mutant(Parts { tables: NO_SYNC, ..Parts::default() });
}

#[test]
fn folders_of_tables_that_are_not_synced_are_noticed() {
    check_mutant(Parts { tables: NO_FOLDER_SYNC, ..Parts::default() });
}
