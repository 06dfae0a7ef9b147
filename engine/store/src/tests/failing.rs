//! A disk whose syncs fail now and then, or take their time.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::wal::sim::Faults;
use crate::wal::{Disk, LogFile};

/// Every so many syncs of a file fail.
struct Periodic {
    inner: SimDisk,
    every: u64,
    syncs: Arc<AtomicU64>,
}

struct PeriodicFile {
    inner: Box<dyn LogFile>,
    every: u64,
    syncs: Arc<AtomicU64>,
}

impl Periodic {
    fn file(&self, inner: Box<dyn LogFile>) -> Box<dyn LogFile> {
        Box::new(PeriodicFile { inner, every: self.every, syncs: Arc::clone(&self.syncs) })
    }
}

impl LogFile for PeriodicFile {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let number = self.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_multiple_of(self.every) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.inner.sync()
    }
}

impl Disk for Periodic {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.inner.list()
    }
    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn LogFile>> {
        Ok(self.file(self.inner.create(name, bytes)?))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        Ok(self.file(self.inner.open(name)?))
    }
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.inner.read(name, bytes_max)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.inner.sync_folder()
    }
    fn set_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.inner.set_aside(name, bytes)
    }
}

/// Whatever `every` is: a batch whose sync failed is refused and not there, the next one
/// goes into another segment, and two failures in a row end all writing until a restart.
async fn check_every(every: u64) {
    let acme = tenant("acme");
    let (disk, clock) = (SimDisk::default(), Arc::new(ManualClock::at(NOW_MS * 1_000_000)));
    let (tables, observer): (_, Arc<dyn Observer>) =
        (Arc::new(MemoryTables::default()), Arc::new(NoObserver));
    let failing = Arc::new(Periodic { inner: disk.clone(), every, syncs: Arc::default() });
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let files = Arc::<MemoryTables>::clone(&tables);
    let store = Store::open_on(small(), time, Arc::clone(&observer), failing, files, None).await.unwrap();
    let (mut acknowledged, mut refused, mut segments) = (Vec::new(), Vec::new(), 0);
    for n in 0..50 {
        let body = format!("{n:03}");
        match store.append(log_append(&acme, std::slice::from_ref(&body))).await {
            Ok(_) => acknowledged.push(body),
            Err(error) => {
                assert_eq!(error.kind(), isinglass_model::ErrorKind::Unavailable);
                assert!(error.retry_after().is_some(), "{error}");
                refused.push(body);
                let now = store.stats().wal_segments;
                assert!(store.stats().read_only || now >= segments, "every {every}");
                segments = now;
            }
        }
        let seen = rows_in(&*store.view(&acme).await.unwrap(), &tables).remove(&Kind::Logs);
        assert_eq!(seen.unwrap_or_default(), acknowledged, "every {every}");
    }
    let stats = store.stats();
    if every <= 2 {
        assert!(stats.read_only && acknowledged.is_empty(), "every {every}: {acknowledged:?}");
        let said = store.append(log_append(&acme, &["x".to_owned()])).await.unwrap_err().to_string();
        assert!(said.contains("the log failed twice in a row"), "{said}");
    } else {
        assert!(!stats.read_only && !refused.is_empty(), "every {every}");
        assert_eq!(stats.wal_failures, refused.len() as u64, "every {every}");
    }
    drop(store);
    let disk = disk.cut_power(every);
    let store = open(&small(), &clock, &observer, &disk, &tables).await.unwrap();
    let rows = rows_in(&*store.view(&acme).await.unwrap(), &tables).remove(&Kind::Logs).unwrap_or_default();
    assert!(acknowledged.iter().all(|row| rows.contains(row)), "every {every}: {rows:?}");
    // What was refused last has no segment behind it that says so.
    let more: Vec<&String> = rows.iter().filter(|row| !acknowledged.contains(row)).collect();
    assert!(more.len() <= 1 && more.iter().all(|row| refused.contains(row)), "every {every}: {more:?}");
    assert_eq!(store.stats().quarantined_records, 0, "every {every}");
    store.append(log_append(&acme, &["after".to_owned()])).await.unwrap();
}

#[tokio::test]
async fn a_sync_that_fails_every_nth_time_fails_its_batch_alone() {
    for every in 1..=40 {
        check_every(every).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_syncs_take_seconds_the_queue_is_bounded_and_who_waits_too_long_is_refused() {
    let acme = tenant("acme");
    let config = StoreConfig { wal_queue_bytes: 32 << 10, wal_segment_bytes: 1 << 20, ..small() };
    let world = World::new(config).await;
    world.store.append(log_append(&acme, &["first".to_owned()])).await.unwrap();
    world.disk.faults(Faults { sync_takes: Duration::from_secs(2), ..Faults::default() });
    let begun = Instant::now();
    let body = |n: usize| format!("{n:04} {}", "x".repeat(1_000));
    let appends = (0..400).map(|n| {
        let (store, append) = (world.store.clone(), log_append(&acme, &[body(n)]));
        tokio::spawn(async move {
            let result = store.append(append).await;
            (n, begun.elapsed(), result)
        })
    });
    let (mut taken, mut refused) = (vec!["first".to_owned()], 0);
    for answer in futures::future::join_all(appends).await {
        let (n, took, result) = answer.unwrap();
        match result {
            Ok(_) => taken.push(body(n)),
            Err(error) => {
                refused += 1;
                assert_eq!(error.to_string(), "cannot take writes: the log is too slow, its queue is full");
                assert!(error.retry_after().is_some());
                assert!(took < Duration::from_millis(1_500), "refused after {took:?}");
            }
        }
    }
    // Two units of 1 KiB each: at most 16 wait, and those that came in while they went.
    assert!((10..60).contains(&taken.len()) && refused > 300, "{} taken, {refused} refused", taken.len());
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    world.disk.faults(Faults::default());
    world.store.append(log_append(&acme, &["last".to_owned()])).await.unwrap();
    taken.push("last".to_owned());
    taken.sort();
    assert_eq!(world.logs(&acme).await, taken);
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await, taken);
}

/// A start reads what the process left in the page cache, also after a sync that failed.
/// Once it relied on that, by answering for a batch or using a series that only this batch
/// defines, the power may go.
#[tokio::test]
async fn what_a_start_found_outlives_the_power() {
    let acme = tenant("acme");
    for seed in 0..32 {
        let world = World::new(small()).await;
        world.store.append(log_append(&acme, &["before".to_owned()])).await.unwrap();
        world.disk.faults(Faults { syncs: 1, ..Faults::default() });
        let refused = vec!["refused".to_owned()];
        let mut append = sample_append(&world.store, &acme, NOW_MS, &["a"], 1.5).await;
        append.logs = Some(logs(&refused));
        assert!(append_once(&world.store, 7, append).await.expect("a new key").is_err());

        let world = world.kill().await;
        assert_eq!(world.logs(&acme).await, ["before", "refused"], "the page cache has both");
        assert!(append_once(&world.store, 7, log_append(&acme, &refused)).await.is_none(), "it is there");
        let append = sample_append(&world.store, &acme, NOW_MS + 1, &["a"], 2.5).await;
        world.store.append(append).await.unwrap();

        let world = world.cut_power(seed).await;
        assert_eq!(world.logs(&acme).await, ["before", "refused"], "seed {seed}");
        assert_eq!(world.rows(&acme).await[&Kind::Samples].len(), 2, "seed {seed}");
    }
}

/// What was found cannot be relied on where the disk refuses to sync it: no start, and the
/// reason. The next one has everything.
#[tokio::test]
async fn a_start_whose_disk_refuses_to_sync_what_it_found_is_refused() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    world.store.append(log_append(&acme, &["a".to_owned()])).await.unwrap();
    let disk = world.disk.kill();
    let open = || open(&world.config, &world.clock, &world.observer, &disk, &world.tables);
    for (faults, said) in [
        (Faults { syncs: 1, ..Faults::default() }, "sync error"),
        (Faults { writes: 1, ..Faults::default() }, "write error"),
    ] {
        disk.faults(faults);
        let error = open().await.unwrap_err().to_string();
        assert_eq!(error, format!("syncing 00000000000000000001.wal: {said}"));
    }
    let store = open().await.unwrap();
    let rows = rows_in(&*store.view(&acme).await.unwrap(), &world.tables);
    assert_eq!(rows[&Kind::Logs], ["a"]);
}
