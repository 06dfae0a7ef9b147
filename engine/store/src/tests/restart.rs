//! A start that does not wait for its log: writes and queries go on while it is read.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::append::{Note, Seq, Tick};

/// Stops the reader of the log where it is told to, and notes what it is shown.
#[derive(Default)]
struct Gate {
    /// The first record that is not let through.
    stop_at: Mutex<Option<Seq>>,
    changed: Condvar,
    seen: Mutex<Vec<Seq>>,
}

impl Gate {
    fn stop_at(&self, seq: Seq) {
        *self.stop_at.lock() = Some(seq);
    }

    fn open(&self) {
        *self.stop_at.lock() = None;
        self.changed.notify_all();
    }

    /// What one life of the process was shown.
    fn take(&self) -> Vec<Seq> {
        std::mem::take(&mut *self.seen.lock())
    }
}

impl Observer for Gate {
    fn applied(&self, _: &Tenant, seq: Seq, _: Option<Note>) {
        self.seen.lock().push(seq);
    }

    fn replayed(
        &self,
        _: &Tenant,
        seq: Seq,
        _: Option<&RecordBatch>,
        _: Option<&RecordBatch>,
        _: Option<Tick>,
    ) {
        let mut stop_at = self.stop_at.lock();
        while stop_at.is_some_and(|stop| seq >= stop) {
            self.changed.wait(&mut stop_at);
        }
        self.seen.lock().push(seq);
    }

    fn holds(&self) -> Option<Seq> {
        None
    }
}

impl World {
    /// Waits until commits that were under way have landed: those of a process that is
    /// gone land before the next one looks.
    async fn die(mut self) -> Self {
        let flusher = Arc::downgrade(&self.store.core.flusher);
        let nothing = Arc::new(MemoryTables::default());
        let (clock, observer) = (Arc::clone(&self.clock), Arc::clone(&self.observer));
        self.store = begin(&self.config, &clock, &observer, &SimDisk::default(), &nothing).await.unwrap();
        while flusher.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self
    }

    /// The process dies and is started again; nobody waits for its log.
    async fn restart_early(self, disk: SimDisk) -> Self {
        let Self { clock, tables, config, observer, store, .. } = self;
        drop(store);
        let store = begin(&config, &clock, &observer, &disk, &tables).await.unwrap();
        Self { clock, disk, tables, config, observer, store }
    }
}

async fn begin(
    config: &StoreConfig,
    clock: &Arc<ManualClock>,
    observer: &Arc<dyn Observer>,
    disk: &SimDisk,
    tables: &Arc<MemoryTables>,
) -> Result<Store, StoreError> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let (disk, tables) = (Arc::new(disk.clone()), Arc::<MemoryTables>::clone(tables));
    Store::begin_on(config.clone(), clock, Arc::clone(observer), disk, tables, None).await
}

fn gated() -> (Arc<Gate>, Arc<dyn Observer>) {
    let gate = Arc::new(Gate::default());
    (Arc::clone(&gate), gate)
}

fn line(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_taken_while_the_log_is_read_and_come_after_what_it_holds() {
    let (acme, late, never) = (tenant("acme"), tenant("late"), tenant("never"));
    let (gate, observer) = gated();
    let world = World::on(SimDisk::default(), small(), observer).await;
    for n in 0..20_u64 {
        let append = log_append(&acme, &line(&format!("old {n:02}")));
        append_once(&world.store, u128::from(n), append).await.unwrap().unwrap();
    }
    gate.take();
    gate.stop_at(5);
    let disk = world.disk.kill();
    let world = world.restart_early(disk).await;
    let store = &world.store;

    // Durable at once, seen later, and told so.
    append_once(store, 100, log_append(&acme, &line("new a"))).await.unwrap().unwrap();
    store.append(log_append(&late, &line("new b"))).await.unwrap();
    let view = store.view(&acme).await.unwrap();
    assert!(view.replaying && rows_in(&view, &world.tables).get(&Kind::Logs).is_none_or(|r| r.len() < 20));
    assert!(store.view(&late).await.unwrap().replaying);
    assert!(!store.view(&never).await.unwrap().replaying);
    assert!(store.is_replaying() && store.stats().replaying && store.stats().replay_behind > 0);

    // Batches from before the crash and from after it are known already.
    assert!(append_once(store, 7, log_append(&acme, &line("old 07"))).await.is_none());
    assert!(append_once(store, 100, log_append(&acme, &line("new a"))).await.is_none());

    let settled = tokio::spawn({
        let (store, acme) = (store.clone(), acme.clone());
        async move { store.settled(&acme).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!settled.is_finished());
    gate.open();
    settled.await.unwrap().unwrap();
    store.caught_up().await.unwrap();
    store.append(log_append(&acme, &line("new c"))).await.unwrap();
    let logs = world.logs(&acme).await;
    assert_eq!((logs.len(), &logs[0][..], &logs[2][..]), (22, "new a", "old 00"));
    assert_eq!(world.logs(&late).await, ["new b"]);
    assert!(!store.view(&acme).await.unwrap().replaying && !store.is_replaying());
    // In the order of the log, each once, whoever brought it.
    assert_eq!(gate.take(), (1..=23).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_while_the_log_is_read_loses_nothing() {
    let acme = tenant("acme");
    let (gate, observer) = gated();
    let mut world = World::on(SimDisk::default(), small(), observer).await;
    let mut expected = Vec::new();
    for round in 0..6_u64 {
        for n in 0..10 {
            let text = format!("{round} {n}");
            world.store.append(log_append(&acme, &line(&text))).await.unwrap();
            expected.push(text);
        }
        gate.stop_at(round * 7 + 3);
        let disk = if round % 2 == 0 { world.disk.kill() } else { world.disk.cut_power(round) };
        world = world.restart_early(disk).await;
        if round == 3 {
            gate.open();
            world.store.flush().await.unwrap();
        }
    }
    gate.open();
    world.store.caught_up().await.unwrap();
    assert_eq!(world.logs(&acme).await, expected);
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_the_log() {
    let acme = tenant("acme");
    let (gate, observer) = gated();
    let config = StoreConfig { head_bytes: 64 << 10, ..small() };
    let world = World::on(SimDisk::default(), config, observer).await;
    let lines = vec!["x".repeat(1_000); 10];
    for _ in 0..30 {
        world.store.append(log_append(&acme, &lines)).await.unwrap();
    }
    gate.stop_at(2);
    let disk = world.disk.kill();
    let world = world.restart_early(disk).await;
    world.store.append(log_append(&acme, &lines)).await.unwrap();
    let closing = tokio::spawn(world.store.clone().close());
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.open();
    closing.await.unwrap().unwrap();
    assert!(world.store.append(log_append(&acme, &lines)).await.is_err());
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await.len(), 310);
}

#[tokio::test]
async fn keys_outlive_their_segments() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    let lines = vec!["x".repeat(1_000); 5];
    for key in 0..40 {
        append_once(&world.store, key, log_append(&acme, &lines)).await.unwrap().unwrap();
    }
    assert!(world.store.stats().wal_segments > 8);
    world.store.flush().await.unwrap();
    assert_eq!(world.store.stats().wal_segments, 1);
    let world = world.kill().await;
    for key in 0..40 {
        assert!(append_once(&world.store, key, log_append(&acme, &lines)).await.is_none(), "{key}");
    }
    assert_eq!(world.logs(&acme).await.len(), 200);
    world.clock.advance(Duration::from_secs(601));
    world.store.flush().await.unwrap();
    // The newest segment stays, and the heads of its few records.
    assert!(world.store.stats().wal_heads_bytes < 500);
}

#[tokio::test]
async fn a_damaged_heads_file_costs_nothing_while_its_segment_is_there() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    let lines = vec!["x".repeat(1_000); 5];
    for key in 0..10 {
        append_once(&world.store, key, log_append(&acme, &lines)).await.unwrap().unwrap();
    }
    world.store.core.maintain().await.unwrap();
    let names: Vec<String> = crate::wal::Disk::list(&world.disk).unwrap().into_iter().map(|f| f.0).collect();
    let heads: Vec<&String> = names.iter().filter(|name| name.ends_with(".heads")).collect();
    assert!(heads.len() > 1, "{names:?}");
    for damage in [0_usize, 40, 140, 180] {
        let mut files: Vec<(String, Vec<u8>)> =
            names.iter().map(|name| (name.clone(), world.disk.bytes(name))).collect();
        for (_, bytes) in files.iter_mut().filter(|(name, _)| name.ends_with(".heads")) {
            bytes[damage] ^= 4;
            bytes[damage + 1] ^= 4;
        }
        let again = World::on(SimDisk::holding(&files), small(), Arc::new(NoObserver)).await;
        for key in 0..10 {
            assert!(append_once(&again.store, key, log_append(&acme, &lines)).await.is_none(), "{damage}");
        }
        assert_eq!(again.logs(&acme).await.len(), 50);
        assert_eq!(again.disk.set_aside_names(), Vec::<String>::new());
    }
}

/// A log with a damaged record in its middle: the files, and where the damage is.
async fn damaged() -> (Vec<(String, Vec<u8>)>, String, usize) {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    for n in 0..30_i64 {
        world.store.append(log_append(&acme, &line(&format!("{n:02}")))).await.unwrap();
        world.clock.advance(Duration::from_secs(10));
    }
    let disk = world.disk.kill();
    let segments = crate::wal::segments_of(&disk).unwrap();
    let name = segments[0].name.clone();
    let mut files: Vec<(String, Vec<u8>)> =
        segments.iter().map(|found| (found.name.clone(), disk.bytes(&found.name))).collect();
    // In the fifth record.
    let frames = &files[0].1;
    let mut at = 128;
    for _ in 0..4 {
        at += 8 + u32::from_le_bytes(frames[at..at + 4].try_into().unwrap()) as usize;
        at = at.next_multiple_of(8);
    }
    files[0].1[at + 40] ^= 1;
    (files, name, at)
}

#[tokio::test]
async fn lost_ranges_are_told_with_their_records_and_times() {
    let (files, name, at) = damaged().await;
    let world = World::on(SimDisk::holding(&files), small(), Arc::new(NoObserver)).await;
    assert_eq!(world.logs(&tenant("acme")).await.len(), 29);
    let stats = world.store.stats();
    assert_eq!(stats.lost.len(), 1);
    let lost = &stats.lost[0];
    assert_eq!((&lost.segment, lost.offset, lost.records), (&name, at as u64, (5, 5)));
    assert_eq!(lost.time_unix_ms, (Some(NOW_MS + 30_000), Some(NOW_MS + 50_000)));
    assert_eq!((stats.quarantined_records, stats.quarantined_seqs), (1, Some((5, 5))));
    assert_eq!(stats.quarantined_time_unix_ms, lost.time_unix_ms);
    assert_eq!(world.disk.set_aside_names(), [format!("{name}-{at}.damaged")]);
}

#[tokio::test]
async fn strict_refuses_to_start_where_anything_would_be_set_aside() {
    let (files, name, at) = damaged().await;
    let (clock, observer) = (Arc::new(ManualClock::at(NOW_MS * 1_000_000)), gated().1);
    let tables = Arc::new(MemoryTables::default());
    let config = StoreConfig { strict: true, ..small() };
    let disk = SimDisk::holding(&files);
    let error = begin(&config, &clock, &observer, &disk, &tables).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("damaged wal segment {name} at bytes {at} to ")), "{error}");
    assert!(error.contains("after record 4 until record 6; `strict` refuses"), "{error}");
    assert_eq!(disk.set_aside_names(), Vec::<String>::new());

    let mut whole = files;
    whole[0].1[at + 40] ^= 1;
    begin(&config, &clock, &observer, &SimDisk::holding(&whole), &tables).await.unwrap();
    whole[0].1[..128].fill(0);
    let error = begin(&config, &clock, &observer, &SimDisk::holding(&whole), &tables).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("{name} at bytes 0 to 16384: no readable header")),
        "{error}"
    );
}

/// Opens every table slowly.
struct SlowTables {
    inner: MemoryTables,
    loads: AtomicU64,
}

#[async_trait::async_trait]
impl crate::tables::TableFiles for SlowTables {
    async fn load(
        &self,
        tenant: &Tenant,
        kind: Kind,
    ) -> Result<Option<crate::tables::TableState>, StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.inner.load(tenant, kind).await
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rows: SortedRows,
        reach: crate::tables::Reach,
    ) -> Result<crate::tables::TableState, StoreError> {
        self.inner.commit(tenant, kind, rows, reach).await
    }

    async fn rewrite(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rewrite: &crate::tables::Rewrite,
        gate: &tokio::sync::Mutex<()>,
        publish: &(dyn for<'r> Fn(&'r crate::tables::TableState) + Send + Sync),
    ) -> Result<Option<crate::tables::Rewritten>, StoreError> {
        self.inner.rewrite(tenant, kind, rewrite, gate, publish).await
    }

    async fn erase(
        &self,
        tenant: &Tenant,
        kind: Kind,
        up_to: Seq,
    ) -> Result<(Option<crate::tables::TableState>, Vec<crate::tables::DataFile>), StoreError> {
        self.inner.erase(tenant, kind, up_to).await
    }

    async fn list(&self, tenant: &Tenant, kind: Kind) -> Result<Vec<crate::tables::FoundFile>, StoreError> {
        self.inner.list(tenant, kind).await
    }

    async fn delete(&self, files: Vec<object_store::path::Path>) -> Result<u64, StoreError> {
        self.inner.delete(files).await
    }

    async fn read_series(
        &self,
        tenant: &Tenant,
        each: &mut (dyn for<'r> FnMut(crate::tables::SeriesRow<'r>) + Send),
    ) -> Result<(), StoreError> {
        self.inner.read_series(tenant, each).await
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        Ok((0..500).map(|n| tenant(&format!("t{n}"))).collect())
    }

    fn objects(&self) -> Arc<dyn object_store::ObjectStore> {
        self.inner.objects()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_many_tenants_are_opened_side_by_side() {
    let world = World::new(StoreConfig { wal_segment_bytes: 1 << 20, ..small() }).await;
    for n in 0..500 {
        world.store.append(log_append(&tenant(&format!("t{n}")), &line("a"))).await.unwrap();
    }
    let disk = Arc::new(world.disk.kill());
    let tables = Arc::new(SlowTables { inner: MemoryTables::default(), loads: AtomicU64::new(0) });
    let (clock, observer): (Arc<dyn Clock>, _) = (Arc::new(ManualClock::at(0)), gated().1);
    let begun = Instant::now();
    let store = Store::begin_on(small(), clock, observer, disk, Arc::<SlowTables>::clone(&tables), None)
        .await
        .unwrap();
    // Not one of them is in the way of the first write.
    store.append(log_append(&tenant("new"), &line("a"))).await.unwrap();
    let first = begun.elapsed();
    store.caught_up().await.unwrap();
    let all = begun.elapsed();
    assert!(tables.loads.load(Ordering::Relaxed) >= 3_500);
    // One after the other it would be 35 s.
    assert!(first < Duration::from_secs(2) && all < Duration::from_secs(8), "{first:?}, {all:?}");
}

/// A disk whose room is what the test says.
struct Tight {
    inner: SimDisk,
    low: AtomicBool,
}

impl crate::wal::Disk for Tight {
    fn list(&self) -> std::io::Result<Vec<(String, u64)>> {
        self.inner.list()
    }
    fn create(&self, name: &str, bytes: u64) -> std::io::Result<Box<dyn crate::wal::LogFile>> {
        self.inner.create(name, bytes)
    }
    fn open(&self, name: &str) -> std::io::Result<Box<dyn crate::wal::LogFile>> {
        self.inner.open(name)
    }
    fn read(&self, name: &str, bytes_max: usize) -> std::io::Result<Vec<u8>> {
        self.inner.read(name, bytes_max)
    }
    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.inner.remove(name)
    }
    fn sync_folder(&self) -> std::io::Result<()> {
        self.inner.sync_folder()
    }
    fn set_aside(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.inner.set_aside(name, bytes)
    }
    fn space(&self) -> std::io::Result<Option<crate::wal::Space>> {
        let free = if self.low.load(Ordering::Relaxed) { 5 << 20 } else { 50 << 20 };
        Ok(Some(crate::wal::Space { free, total: 100 << 20 }))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_the_floor_writes_are_refused_and_reads_go_on_until_there_is_room() {
    let acme = tenant("acme");
    let tight = Arc::new(Tight { inner: SimDisk::default(), low: AtomicBool::new(false) });
    let (clock, tables): (Arc<dyn Clock>, _) =
        (Arc::new(ManualClock::at(0)), Arc::new(MemoryTables::default()));
    let disk = Arc::<Tight>::clone(&tight);
    let store = Store::open_on(small(), clock, gated().1, disk, Arc::<MemoryTables>::clone(&tables), None)
        .await
        .unwrap();
    for _ in 0..40 {
        store.append(log_append(&acme, &line(&"a".repeat(1_000)))).await.unwrap();
    }
    store.flush().await.unwrap();
    assert!(store.stats().wal_spare_bytes > 0);

    tight.low.store(true, Ordering::Relaxed);
    let refused = loop {
        match store.append(log_append(&acme, &line("b"))).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => break error,
        }
    };
    assert!(
        refused.to_string().contains("has 5242880 bytes free, disk_free_min_bytes is 10485760"),
        "{refused}"
    );
    assert_eq!(refused.kind(), isinglass_model::ErrorKind::Unavailable);
    assert!(refused.retry_after().is_some());
    assert!(store.stats().disk_low && store.takes_writes().is_err() && store.is_healthy().is_ok());
    let rows = || async { rows_in(&*store.view(&acme).await.unwrap(), &tables)[&Kind::Logs].len() };
    let before = rows().await;
    store.flush().await.unwrap();
    assert_eq!(rows().await, before);
    assert_eq!(store.stats().wal_spare_bytes, 0, "files that only wait take room");

    tight.low.store(false, Ordering::Relaxed);
    let room = Instant::now();
    while store.append(log_append(&acme, &line("c"))).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(room.elapsed() < Duration::from_secs(5));
    assert_eq!(rows().await, before + 1);
}

#[derive(Debug, Clone)]
enum Step {
    Append { tenant: usize, rows: usize },
    Resend,
    Flush,
    FailFlushes { count: usize },
    Settle,
    Kill,
    CutPower { seed: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3_usize, 1..12_usize).prop_map(|(tenant, rows)| Step::Append { tenant, rows }),
        1 => Just(Step::Resend),
        1 => Just(Step::Flush),
        1 => (1..3_usize).prop_map(|count| Step::FailFlushes { count }),
        1 => Just(Step::Settle),
        2 => Just(Step::Kill),
        1 => any::<u64>().prop_map(|seed| Step::CutPower { seed }),
    ];
    vec(step, 1..40)
}

/// Starts never wait for their log here, and the head is so small that it is often full.
async fn run(steps: Vec<Step>) {
    let tenants = ["a", "b", "c"].map(tenant);
    let (mut gate, observer) = gated();
    let config = StoreConfig { wal_segment_bytes: 8 << 10, head_bytes: 8 << 10, ..small() };
    let mut world = World::on(SimDisk::default(), config, observer).await;
    let (mut acknowledged, mut next, mut last) = (BTreeSet::new(), 0_u64, None);
    for step in steps {
        match step {
            Step::Append { tenant, rows } => {
                next += 1;
                let bodies: Vec<String> = (0..rows).map(|row| format!("{next:06}.{row}")).collect();
                let append = log_append(&tenants[tenant], &bodies);
                if append_once(&world.store, u128::from(next), append).await.unwrap().is_ok() {
                    acknowledged.extend(bodies.iter().map(|body| (tenant, body.clone())));
                    last = Some((u128::from(next), tenant, bodies));
                }
            }
            Step::Resend => {
                if let Some((key, tenant, bodies)) = &last {
                    let again = append_once(&world.store, *key, log_append(&tenants[*tenant], bodies)).await;
                    assert!(again.is_none(), "an acknowledged batch was taken again");
                }
            }
            Step::Flush => drop(world.store.flush().await),
            Step::FailFlushes { count } => {
                (0..count).for_each(|_| world.tables.fail_next(Fault::Before));
            }
            Step::Settle => world.store.caught_up().await.unwrap(),
            Step::Kill | Step::CutPower { .. } => {
                in_order(&gate.take());
                let disk = match step {
                    Step::CutPower { seed } => world.disk.cut_power(seed),
                    _ => world.disk.kill(),
                };
                // The threads of the old life may still be shown something.
                (gate, world.observer) = gated();
                world = world.die().await.restart_early(disk).await;
            }
        }
        for (at, tenant) in tenants.iter().enumerate() {
            let view = world.store.view(tenant).await.unwrap();
            let rows = rows_in(&view, &world.tables).remove(&Kind::Logs).unwrap_or_default();
            let distinct: BTreeSet<(usize, String)> = rows.iter().map(|row| (at, row.clone())).collect();
            assert_eq!(distinct.len(), rows.len(), "a row is there twice");
            let missing = acknowledged.iter().any(|row| row.0 == at && !distinct.contains(row));
            assert!(!missing || view.replaying, "rows are missing and nobody says so");
        }
    }
    world.tables.forget_faults();
    world.store.caught_up().await.unwrap();
    in_order(&gate.take());
    world.store.flush().await.unwrap();
    for (at, tenant) in tenants.iter().enumerate() {
        let rows = world.logs(tenant).await;
        for (_, row) in acknowledged.iter().filter(|(of, _)| *of == at) {
            assert!(rows.contains(row), "{row} was acknowledged and is not there");
        }
        assert!(!world.store.view(tenant).await.unwrap().replaying);
    }
}

/// One life of the process sees every record once, in the order of the log.
fn in_order(seen: &[Seq]) {
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_doubled_while_the_log_is_read(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
