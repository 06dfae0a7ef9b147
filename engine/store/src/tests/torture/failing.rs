//! Operations and requests that fail while the machine lives on.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isinglass_testkit::faulty::{FaultyStore, Moment};
use object_store::ObjectStore as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::from_environment;
use super::hardware::{End, Hardware, Media, Parts};
use super::ledger::TENANTS;
use super::life::Machine;
use crate::tests::machine::{Fuse, Operation};
use crate::tests::*;

/// Steps of a machine.
const STEPS: usize = 12;
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Operations fail from the `from`th on; then the disk is well again. Without a restart
/// the machine takes writes, and nothing is lost, then and after a kill.
fn check_failing(from: u64, count: u64, only: &'static [Operation], error: ErrorKind) -> u64 {
    let mut machine = Machine::new(from, Hardware::new(End::Kill, Parts::default()));
    machine.hardware.again(End::Kill, &Fuse::default(), from);
    let runtime = runtime();
    let hit = runtime.block_on(work_while_failing(&mut machine, Fuse::failing(from, count, only, error)));
    let hit = hit.unwrap_or_else(|what| panic!("{error:?} at {from}: {what}"));
    runtime.shutdown_background();
    machine.hardware.again(End::Kill, &Fuse::default(), from);
    machine.last_life().unwrap_or_else(|what| panic!("{error:?} at {from}, restarted: {what}"));
    hit
}

async fn work_while_failing(machine: &mut Machine, fuse: Fuse) -> Result<u64, String> {
    let store = machine.hardware.start().await?;
    machine.hardware.plug(&fuse);
    for step in 0..STEPS {
        machine.step(&store, step).await?;
    }
    let hit = fuse.heal();
    // A refused sender waits a second before it tries again.
    machine.hardware.clock.advance(Duration::from_secs(1));
    for tenant in TENANTS {
        let before = machine.ledger.acknowledged();
        machine.send(&store, tenant, Kind::Logs).await;
        if machine.ledger.acknowledged() == before {
            return Err("no writes".to_owned());
        }
    }
    machine.ledger.audit(&store).await?;
    store.flush().await.map_err(|error| error.to_string())?;
    store.core.upkeep.compact().await.map_err(|error| error.to_string())?;
    machine.ledger.audit(&store).await?;
    Ok(hit)
}

#[test]
fn one_failing_operation_costs_nothing_else() {
    let failed: u64 = (1..100).step_by(3).map(|from| check_failing(from, 1, ALL, ErrorKind::Other)).sum();
    eprintln!("torture: {failed} operations failed, one a machine");
    assert!(failed > 25, "{failed}");
}

#[test]
fn a_full_disk_at_any_operation_is_taken_up_again_without_a_restart() {
    let check = |from| check_failing(from, 6, NEED_ROOM, ErrorKind::StorageFull);
    let failed: u64 = (2..100).step_by(3).map(check).sum();
    eprintln!("torture: {failed} operations found no room");
    assert!(failed > 100, "{failed}");
}

/// A store of which one request in five fails, one in ten of the others fails after the
/// deed, and each takes its time.
#[test]
fn a_store_that_fails_now_and_then_loses_and_doubles_nothing() {
    let stores = from_environment("ISINGLASS_TORTURE_STORES", 20);
    let failed: u64 = (0..stores).map(check_failing_store).sum();
    eprintln!("torture: {failed} requests to {stores} stores failed");
    assert!(failed > 150, "{failed}");
}

fn check_failing_store(seed: u64) -> u64 {
    let mut machine = Machine::new(seed, Hardware::new(End::Connect, Parts::default()));
    let Media::Objects(objects) = &machine.hardware.tables else { unreachable!("made of objects") };
    let well = objects.clone();
    let failed = Arc::new(AtomicU64::new(0));
    let runtime = runtime();
    runtime
        .block_on(async {
            drop(machine.hardware.start().await?);
            machine.hardware.disk = machine.hardware.disk.kill();
            machine.hardware.tables = Media::Objects(now_and_then(&well, seed, &failed));
            // It may fail at the start too: it is tried again, as a supervisor would.
            let mut started = machine.hardware.start().await;
            while started.is_err() {
                machine.hardware.disk = machine.hardware.disk.kill();
                started = machine.hardware.start().await;
            }
            let store = started?;
            for step in 0..STEPS {
                machine.step(&store, step).await?;
            }
            Ok(())
        })
        .unwrap_or_else(|what: String| panic!("seed {seed}: {what}"));
    runtime.shutdown_background();
    machine.hardware.disk = machine.hardware.disk.kill();
    machine.hardware.tables = Media::Objects(well.clone());
    machine.last_life().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    check_orphans(&machine.hardware, &well);
    failed.load(Ordering::Relaxed)
}

fn now_and_then(well: &FaultyStore, seed: u64, failed: &Arc<AtomicU64>) -> FaultyStore {
    let dice = parking_lot::Mutex::new(StdRng::seed_from_u64(seed));
    let failed = Arc::clone(failed);
    well.behind(move |_| {
        let moment = match dice.lock().random_range(0..100) {
            0..20 => Some(Moment::Before),
            20..28 => Some(Moment::After),
            _ => None,
        };
        failed.fetch_add(u64::from(moment.is_some()), Ordering::Relaxed);
        moment
    })
}

/// After a day and a grace nothing is in the store that no table names.
fn check_orphans(hardware: &Hardware, objects: &FaultyStore) {
    let runtime = runtime();
    runtime.block_on(async {
        let store = hardware.start().await.unwrap();
        // InMemory has the real time of each object.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let ahead = i64::try_from(now.as_millis()).unwrap() - hardware.clock.now_unix_millis();
        hardware.clock.advance(Duration::from_millis(ahead.max(0).cast_unsigned()));
        for _ in 0..40 {
            hardware.clock.advance(Duration::from_secs(3_600));
            store.core.upkeep.round().await;
        }
        let mut named = BTreeSet::new();
        for name in TENANTS {
            let view = store.view(&tenant(name)).await.unwrap();
            for kind in Kind::ALL {
                named.extend(view.table(kind).files.iter().map(|file| file.path.to_string()));
                let indexes = view.table(kind).files.iter().filter_map(crate::TokenIndex::path_of);
                named.extend(indexes.map(|path| path.to_string()));
            }
        }
        let all: Vec<_> = futures::StreamExt::collect(objects.list(None)).await;
        let there = all.into_iter().map(|meta| meta.unwrap().location.to_string());
        let ours = |path: &String| path.ends_with(".parquet") || path.ends_with(".tokens");
        let there: BTreeSet<String> = there.filter(ours).collect();
        let data = |path: &&String| !path.contains("_delta_log");
        let orphans: Vec<_> = there.difference(&named).filter(data).collect();
        assert!(orphans.is_empty(), "{orphans:?}");
        let gone: Vec<_> = named.difference(&there).collect();
        assert!(gone.is_empty(), "{gone:?}");
    });
    runtime.shutdown_background();
}
