//! A machine that dies again and again, at any operation of intake, flush, commit,
//! merging and vacuum, and at any of its own start. Whatever dies when: every
//! acknowledged row is there exactly once, none comes from nowhere, and the machine
//! takes writes again.
//!
//! `cargo xtask torture` runs more of the same. It sets
//!
//! | variable | default | |
//! |---|---|---|
//! | `ISINGLASS_TORTURE_CUTS` | 500 | power cuts |
//! | `ISINGLASS_TORTURE_KILLS` | 100 | kills, and as many deaths at a request to an object store |
//! | `ISINGLASS_TORTURE_SEED` | 1 | the first seed; the following are counted up |
//!
//! and reads the lines `torture: ...` from standard error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isinglass_testkit::faulty::{FaultyStore, Moment};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::machine::{Coin, Death, Fate, Fuse, Lies, Operation, Recorder};
use super::rewrites::try_rows_of_view;
use super::*;
use crate::files::Tables;
use crate::files::local::LocalFolder;

/// Lives of one machine.
const LIVES: usize = 5;
/// Steps of one life that is not cut short.
const STEPS: usize = 14;
/// Operations after which a machine is dead for sure.
const OPERATIONS_MAX: u64 = 200;

/// How a machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    PowerCut,
    /// A kill at a request to an object store.
    Connect,
}

fn from_environment(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

/// In memory where there is such a file system: nothing here is ever synced, and a
/// journal costs more than all the rest.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

/// What was sent, by tenant.
#[derive(Default)]
struct Ledger {
    sent: BTreeSet<(usize, String)>,
    acknowledged: BTreeSet<(usize, String)>,
}

/// What a machine consists of between two lives.
struct Hardware {
    disk: SimDisk,
    tables: Media,
    clock: Arc<ManualClock>,
    /// Folders of this machine, removed with it.
    folders: Vec<tempfile::TempDir>,
}

enum Media {
    Folder(Recorder, PathBuf),
    Objects(FaultyStore),
}

/// Deaths by what was done and where.
#[derive(Default)]
struct Deaths {
    points: BTreeSet<(String, Operation, u64)>,
    by_phase: BTreeMap<(&'static str, Operation), u64>,
    machines: u64,
    rows: u64,
}

impl Hardware {
    fn new(end: End, lies: Lies) -> Self {
        let folder = folder();
        let tables = match end {
            End::Connect => Media::Objects(FaultyStore::new(Arc::new(InMemory::new()))),
            _ => Media::Folder(
                Recorder::new(folder.path(), Fuse::default(), lies),
                folder.path().canonicalize().unwrap(),
            ),
        };
        let clock = Arc::new(ManualClock::at(NOW_MS * 1_000_000));
        let disk = SimDisk::of(Fuse::default(), lies);
        Self { disk, tables, clock, folders: vec![folder] }
    }

    /// Puts a new fuse in; what was on its way when the old one blew is decided now.
    fn again(&mut self, end: End, lies: Lies, fuse: &Fuse, seed: u64) {
        let coin = &mut Coin(seed);
        let cut = end == End::PowerCut;
        self.disk = if cut { self.disk.cut_power(seed) } else { self.disk.kill() };
        self.disk.plug(fuse.clone(), lies);
        match &mut self.tables {
            Media::Objects(objects) => {
                let fuse = fuse.clone();
                *objects = objects.behind(move |path| match fuse.burn(Operation::Connect, path) {
                    Ok(Fate::Done) => None,
                    Ok(Fate::DoneAndDead) => Some(Moment::After),
                    Err(_) => Some(Moment::Before),
                });
            }
            Media::Folder(recorder, root) if cut => {
                let folder = folder();
                *recorder = recorder.cut_power(folder.path(), fuse.clone(), coin);
                *root = folder.path().canonicalize().unwrap();
                self.folders.push(folder);
            }
            Media::Folder(recorder, _) => *recorder = recorder.kill(fuse.clone()),
        }
    }

    /// Another fuse for disk and tables of a machine that runs.
    fn plug(&mut self, fuse: &Fuse) {
        self.disk.plug(fuse.clone(), Lies::default());
        if let Media::Folder(recorder, _) = &self.tables {
            recorder.plug(fuse);
        }
    }

    async fn start_again(&self) -> Store {
        self.start().await.unwrap()
    }

    async fn start(&self) -> Result<Store, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let objects: Arc<dyn ObjectStore> = match &self.tables {
            Media::Objects(objects) => Arc::new(objects.clone()),
            Media::Folder(recorder, root) => {
                let changes = Arc::new(recorder.clone());
                Arc::new(LocalFolder::open_with(root, changes).map_err(|error| text(&error))?)
            }
        };
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let tables = Tables::on(objects, Arc::clone(&clock));
        tables.claim_epoch().await.map_err(|error| error.chain())?;
        let mut config = StoreConfig { wal_segment_bytes: 8 << 10, ..small() };
        // Rounds are the machine's own steps.
        config.compaction.enabled = false;
        let store = Store::open_on(
            config,
            clock,
            Arc::new(NoObserver),
            Arc::new(self.disk.clone()),
            Arc::new(tables),
            None,
        );
        store.await.map_err(|error| text(&error))
    }
}

/// One machine through all its lives. `Err` says what was lost or doubled.
struct Machine {
    rng: StdRng,
    hardware: Hardware,
    ledger: Ledger,
    phase: &'static str,
    next: u64,
}

impl Machine {
    fn live_and_die(seed: u64, end: End, lies: Lies, deaths: &mut Deaths) -> Result<(), String> {
        let mut machine = Self {
            rng: StdRng::seed_from_u64(seed),
            hardware: Hardware::new(end, lies),
            ledger: Ledger::default(),
            phase: "start",
            next: 0,
        };
        for life in 0..LIVES {
            let fuse = Fuse::of(machine.rng.random_range(1..=OPERATIONS_MAX));
            let coin = machine.rng.random();
            machine.hardware.again(end, lies, &fuse, coin);
            machine.life(&fuse).map_err(|what| format!("seed {seed}, life {life}: {what}"))?;
            fuse.blow();
            if let Some(death) = fuse.death() {
                deaths.add(machine.phase, death);
            }
        }
        let fuse = Fuse::default();
        machine.hardware.again(end, lies, &fuse, seed);
        machine.last_life().map_err(|what| format!("seed {seed}, at the end: {what}"))?;
        deaths.machines += 1;
        deaths.rows += machine.ledger.acknowledged.len() as u64;
        Ok(())
    }

    /// A runtime of its own: what still runs when the machine dies goes with it.
    fn life(&mut self, fuse: &Fuse) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(async {
            self.phase = "start";
            // With the process goes all that it was about to do.
            let store = tokio::select! {
                biased;
                () = blown(fuse) => return Ok(()),
                started = self.hardware.start() => started,
            };
            let store = match store {
                Ok(store) => store,
                Err(_) if fuse.death().is_some() => return Ok(()),
                Err(error) => return Err(format!("it does not start: {error}")),
            };
            match self.audit(&store).await {
                Err(_) if fuse.death().is_some() => return Ok(()),
                result => result?,
            }
            for _ in 0..STEPS {
                tokio::select! {
                    biased;
                    () = blown(fuse) => break,
                    () = self.step(&store) => {}
                }
            }
            Ok(())
        });
        runtime.shutdown_background();
        result
    }

    fn last_life(&mut self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(async {
            let store = self.hardware.start().await.map_err(|error| format!("it does not start: {error}"))?;
            self.audit(&store).await?;
            self.append(&store, 0).await;
            store.flush().await.map_err(|error| format!("no flush: {error}"))?;
            store.core.upkeep.compact().await.map_err(|error| format!("no merge: {error}"))?;
            self.audit(&store).await
        });
        runtime.shutdown_background();
        result
    }

    /// After a day and a grace nothing is in the store that no table names.
    fn check_orphans(&self, objects: &FaultyStore) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = self.hardware.start_again().await;
            // The upkeep looks after tenants that are in use.
            for at in 0..2 {
                store.view(&self.tenant(at)).await.unwrap();
            }
            // InMemory has the real time of each object.
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let ahead = i64::try_from(now.as_millis()).unwrap() - self.hardware.clock.now_unix_millis();
            self.hardware.clock.advance(Duration::from_millis(ahead.max(0).cast_unsigned()));
            for _ in 0..40 {
                self.hardware.clock.advance(Duration::from_secs(3_600));
                store.core.upkeep.round().await;
            }
            let mut named = BTreeSet::new();
            for at in 0..2 {
                let view = store.view(&self.tenant(at)).await.unwrap();
                for kind in Kind::ALL {
                    named.extend(view.table(kind).files.iter().map(|file| file.path.to_string()));
                }
            }
            let all: Vec<_> = futures::StreamExt::collect(objects.list(None)).await;
            let there = all.into_iter().map(|meta| meta.unwrap().location.to_string());
            let there: BTreeSet<String> = there.filter(|path| path.ends_with(".parquet")).collect();
            let data = |path: &&String| !path.contains("_delta_log");
            let orphans: Vec<_> = there.difference(&named).filter(data).collect();
            assert!(orphans.is_empty(), "{orphans:?}");
        });
        runtime.shutdown_background();
    }

    /// What it comes to is seen at the next start: errors are what a dying machine gives.
    async fn step(&mut self, store: &Store) {
        let dice = self.rng.random_range(0..100);
        let tenant = self.rng.random_range(0..2);
        match dice {
            0..45 => self.append(store, tenant).await,
            45..62 => self.append_samples(store, tenant).await,
            62..82 => {
                self.phase = "flush";
                let _ = store.flush().await;
            }
            82..90 => {
                self.phase = "merge";
                let _ = store.core.upkeep.compact().await;
            }
            _ => {
                self.phase = "round";
                self.hardware.clock.advance(Duration::from_secs(self.rng.random_range(600..9_000)));
                store.core.upkeep.round().await;
            }
        }
    }

    async fn append(&mut self, store: &Store, tenant: usize) {
        self.phase = "intake";
        let rows = self.rng.random_range(1..6);
        self.next += 1;
        let bodies: Vec<String> = (0..rows).map(|row| format!("{:06}.{row}", self.next)).collect();
        self.ledger.sent.extend(bodies.iter().map(|body| (tenant, body.clone())));
        if store.append(log_append(&self.tenant(tenant), &bodies)).await.is_ok() {
            self.ledger.acknowledged.extend(bodies.into_iter().map(|body| (tenant, body)));
        }
    }

    async fn append_samples(&mut self, store: &Store, tenant: usize) {
        self.phase = "intake";
        self.next += 1;
        let time = NOW_MS + self.next as i64 * 1_000;
        let name = self.tenant(tenant);
        let names: Vec<String> = (0..self.rng.random_range(1..4)).map(|n| format!("i{n}")).collect();
        let Ok(mut resolver) = store.resolver(&name).await else { return };
        let mut append = Append::new(name.clone());
        let mut rows = Vec::new();
        for instance in &names {
            let Ok(known) = resolver.intern_labels(labels("up", instance)) else { return };
            append.samples.push(known.series, time, 1.5, 0);
            let id = isinglass_model::ids::series_id(&labels("up", instance));
            rows.push((tenant, format!("{id}@{time}=1.5")));
        }
        drop(resolver);
        self.ledger.sent.extend(rows.iter().cloned());
        if store.append(append).await.is_ok() {
            self.ledger.acknowledged.extend(rows);
        }
    }

    fn tenant(&self, at: usize) -> Tenant {
        tenant(["a", "b"][at])
    }

    async fn audit(&self, store: &Store) -> Result<(), String> {
        for at in 0..2 {
            let view = store.view(&self.tenant(at)).await.map_err(|error| format!("no view: {error}"))?;
            let read = |error: object_store::Error| format!("no rows: {error}");
            let mut rows = try_rows_of_view(&view, Kind::Logs).await.map_err(read)?;
            let samples = try_rows_of_view(&view, Kind::Samples).await.map_err(read)?;
            let series: BTreeSet<i64> =
                view.series().of_metric("up").iter().map(|series| series.series_id).collect();
            for sample in &samples {
                let id = sample.split('@').next().and_then(|id| id.parse().ok());
                if !id.is_some_and(|id: i64| series.contains(&id)) {
                    return Err(format!("the series of {sample} is lost"));
                }
            }
            rows.extend(samples);
            let count = rows.len();
            let seen: BTreeSet<String> = rows.into_iter().collect();
            if seen.len() < count {
                return Err(format!("{} rows of tenant {at} are doubled", count - seen.len()));
            }
            let of = |rows: &BTreeSet<(usize, String)>| -> BTreeSet<String> {
                rows.iter().filter(|(tenant, _)| *tenant == at).map(|(_, row)| row.clone()).collect()
            };
            if let Some(row) = of(&self.ledger.acknowledged).difference(&seen).next() {
                return Err(format!("{row} of tenant {at} is lost"));
            }
            if let Some(row) = seen.difference(&of(&self.ledger.sent)).next() {
                return Err(format!("{row} of tenant {at} came from nowhere"));
            }
        }
        Ok(())
    }
}

/// Answers soon after the machine died.
async fn blown(fuse: &Fuse) {
    while fuse.death().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

impl Deaths {
    fn add(&mut self, phase: &'static str, death: Death) {
        let commit = death.what.contains("_delta_log");
        let phase = if death.what == "the end" {
            "the end"
        } else if commit && phase != "start" {
            "commit"
        } else {
            phase
        };
        *self.by_phase.entry((phase, death.operation)).or_default() += 1;
        self.points.insert((phase.to_owned(), death.operation, death.number));
    }

    /// Says what was covered, and fails where something never was.
    fn report(&self, what: &str, phases: &[&str], operations: &[Operation]) {
        eprintln!(
            "torture: {what}: {} machines, {} deaths at {} distinct points, {} rows acknowledged, 0 lost, 0 doubled",
            self.machines,
            self.by_phase.values().sum::<u64>(),
            self.points.len(),
            self.rows
        );
        for ((phase, operation), deaths) in &self.by_phase {
            eprintln!("torture:   {phase} / {operation}: {deaths}");
        }
        for phase in phases {
            assert!(self.by_phase.keys().any(|(hit, _)| hit == phase), "no death in {phase}");
        }
        for operation in operations {
            assert!(self.by_phase.keys().any(|(_, hit)| hit == operation), "no death at {operation}");
        }
    }
}

/// Lets machines die `deaths_wanted` times.
fn run(what: &str, end: End, deaths_wanted: u64) -> Deaths {
    let first = from_environment("ISINGLASS_TORTURE_SEED", 1);
    let machines = deaths_wanted.div_ceil(LIVES as u64);
    let mut deaths = Deaths::default();
    for seed in first..first + machines {
        if let Err(what) = Machine::live_and_die(seed, end, Lies::default(), &mut deaths) {
            panic!("{end:?}: {what}");
        }
        if deaths.machines.is_multiple_of(200) {
            eprintln!("torture: {what}: {} of {machines} machines", deaths.machines);
        }
    }
    deaths
}

const PHASES: [&str; 6] = ["start", "intake", "flush", "commit", "merge", "round"];

#[test]
fn power_cuts_lose_and_double_nothing() {
    let deaths = run("power cuts", End::PowerCut, from_environment("ISINGLASS_TORTURE_CUTS", 500));
    deaths.report(
        "power cuts",
        &PHASES,
        &[Operation::Write, Operation::Sync, Operation::Link, Operation::Unlink, Operation::SyncFolder],
    );
}

#[test]
fn kills_lose_and_double_nothing() {
    let deaths = run("kills", End::Kill, from_environment("ISINGLASS_TORTURE_KILLS", 100));
    deaths.report("kills", &PHASES[..4], &[Operation::Write, Operation::Sync, Operation::SyncFolder]);
}

#[test]
fn deaths_at_requests_lose_and_double_nothing() {
    let deaths = run("requests", End::Connect, from_environment("ISINGLASS_TORTURE_KILLS", 100));
    deaths.report("requests", &PHASES[..4], &[Operation::Connect]);
}

/// Operations of which each may find no room.
const NEED_ROOM: &[Operation] =
    &[Operation::Create, Operation::MakeFolder, Operation::Write, Operation::Link, Operation::Rename];
/// All that a disk may fail at.
const ALL: &[Operation] = &[
    Operation::Create,
    Operation::MakeFolder,
    Operation::Write,
    Operation::Sync,
    Operation::Link,
    Operation::Rename,
    Operation::Unlink,
    Operation::SyncFolder,
];

/// Operations fail from the `from`th on; then the disk is well again. Without a restart
/// the machine takes writes, and nothing is lost, then and after a kill.
fn check_failing(from: u64, count: u64, only: &'static [Operation], error: std::io::ErrorKind) -> u64 {
    let mut machine = Machine {
        rng: StdRng::seed_from_u64(from),
        hardware: Hardware::new(End::Kill, Lies::default()),
        ledger: Ledger::default(),
        phase: "start",
        next: 0,
    };
    machine.hardware.again(End::Kill, Lies::default(), &Fuse::default(), from);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let hit = runtime.block_on(async {
        let store = machine.hardware.start().await.unwrap();
        let fuse = Fuse::failing(from, count, only, error);
        machine.hardware.plug(&fuse);
        for _ in 0..STEPS {
            machine.step(&store).await;
        }
        let hit = fuse.heal();
        // A refused sender waits a second before it tries again.
        machine.hardware.clock.advance(Duration::from_secs(1));
        for tenant in 0..2 {
            let before = machine.ledger.acknowledged.len();
            machine.append(&store, tenant).await;
            assert!(machine.ledger.acknowledged.len() > before, "no writes after {error:?} at {from}");
        }
        machine.audit(&store).await.unwrap_or_else(|what| panic!("{error:?} at {from}: {what}"));
        store.flush().await.unwrap();
        store.core.upkeep.compact().await.unwrap();
        machine.audit(&store).await.unwrap_or_else(|what| panic!("{error:?} at {from}: {what}"));
        hit
    });
    runtime.shutdown_background();
    machine.hardware.again(End::Kill, Lies::default(), &Fuse::default(), from);
    machine.last_life().unwrap_or_else(|what| panic!("{error:?} at {from}, restarted: {what}"));
    hit
}

#[test]
fn one_failing_operation_costs_nothing_else() {
    let failed: u64 =
        (1..120).step_by(2).map(|from| check_failing(from, 1, ALL, std::io::ErrorKind::Other)).sum();
    eprintln!("torture: {failed} operations failed, one a machine");
    assert!(failed > 50, "{failed}");
}

#[test]
fn a_full_disk_at_any_operation_is_taken_up_again_without_a_restart() {
    let check = |from| check_failing(from, 6, NEED_ROOM, std::io::ErrorKind::StorageFull);
    let failed: u64 = (2..=120).step_by(2).map(check).sum();
    eprintln!("torture: {failed} operations found no room");
    assert!(failed > 250, "{failed}");
}

/// A store of which one request in five fails, one in ten of the others fails after the
/// deed, and each takes its time.
#[test]
fn a_store_that_fails_now_and_then_loses_and_doubles_nothing() {
    let mut failed = 0;
    for seed in 0..30 {
        let mut machine = Machine {
            rng: StdRng::seed_from_u64(seed),
            hardware: Hardware::new(End::Connect, Lies::default()),
            ledger: Ledger::default(),
            phase: "start",
            next: 0,
        };
        let Media::Objects(objects) = &machine.hardware.tables else { unreachable!("made of objects") };
        let well = objects.clone();
        let dice = parking_lot::Mutex::new((StdRng::seed_from_u64(seed), Arc::new(AtomicU64::new(0))));
        let count = Arc::clone(&dice.lock().1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = machine.hardware.start().await.unwrap();
            drop(store);
            machine.hardware.disk = machine.hardware.disk.kill();
            machine.hardware.tables = Media::Objects(well.behind(move |_| {
                let (rng, failed) = &mut *dice.lock();
                let moment = match rng.random_range(0..100) {
                    0..20 => Some(Moment::Before),
                    20..28 => Some(Moment::After),
                    _ => None,
                };
                failed.fetch_add(u64::from(moment.is_some()), Ordering::Relaxed);
                moment
            }));
            // It may fail at the start too: it is tried again, as a supervisor would.
            let mut started = machine.hardware.start().await;
            while started.is_err() {
                machine.hardware.disk = machine.hardware.disk.kill();
                started = machine.hardware.start().await;
            }
            let store = started.unwrap();
            for _ in 0..STEPS {
                machine.step(&store).await;
            }
        });
        runtime.shutdown_background();
        machine.hardware.disk = machine.hardware.disk.kill();
        machine.hardware.tables = Media::Objects(well.clone());
        machine.last_life().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        machine.check_orphans(&well);
        failed += count.load(Ordering::Relaxed);
    }
    eprintln!("torture: {failed} requests failed");
    assert!(failed > 300, "{failed}");
}

/// A machine that does not do what it says is caught by the same audit.
fn check_mutant(lies: Lies) {
    let mut deaths = Deaths::default();
    let caught = (1..400).find_map(|seed| {
        let life = || Machine::live_and_die(seed, End::PowerCut, lies, &mut deaths);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(life)) {
            Ok(result) => result.err(),
            Err(_) => Some("a panic".to_owned()),
        }
    });
    let what = caught.unwrap_or_else(|| panic!("{lies:?} was not noticed"));
    eprintln!("torture: {lies:?}: {what}");
}

#[test]
fn folders_that_are_not_synced_are_noticed() {
    check_mutant(Lies { folders: true, files: false });
}

#[test]
fn files_that_are_not_synced_are_noticed() {
    check_mutant(Lies { folders: false, files: true });
}
