//! Backups and what is restored from them: every row that was acknowledged before a backup
//! began is in it once, whatever is written, flushed, merged or removed meanwhile.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::golden::{NOW, audit, content, golden, open_golden};
use super::rewrites::rows_of_view;
use super::*;
use crate::ObjectsConfig;
use crate::backup::{Destination, Have, Manifest, Piece, Pieces, Progress, of_folder, restore};
use crate::upkeep::{Keep, KeepByKind};

/// A folder with a store, and one for backups.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        // Thousands of small files; a disk would take its time.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { root: root.unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn config(&self, name: &str) -> StoreConfig {
        let mut config = StoreConfig { data_dir: self.at(name), ..small() };
        // Rounds are the test's own, and nothing replaced stays for long.
        (config.compaction.enabled, config.compaction.grace_ms) = (false, 0);
        config
    }

    async fn open(&self, name: &str, clock: &Arc<ManualClock>) -> Result<Store, StoreError> {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        Store::open(self.config(name), clock, Arc::new(NoObserver)).await
    }

    fn destination(&self) -> Destination {
        Destination::open(self.at("backup").to_str().unwrap(), &ObjectsConfig::default()).unwrap()
    }

    async fn take(
        &self,
        pieces: impl AsyncFnOnce(Have) -> Result<Pieces, StoreError>,
    ) -> (Manifest, Progress) {
        let mut to = self.destination();
        let mut pieces = pieces(to.have().await.unwrap()).await.unwrap();
        loop {
            let piece = pieces.next().await.expect("a last piece");
            if let Some(manifest) = to.take(piece).await.unwrap() {
                return (manifest, to.progress());
            }
        }
    }

    async fn restore(&self, name: &str) -> Result<Manifest, StoreError> {
        let source = self.at("backup");
        let options = ObjectsConfig::default();
        let restored = restore(source.to_str().unwrap(), &options, &self.config(name), &|_| {}).await?;
        Ok(restored.manifest)
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW_MS * 1_000_000))
}

async fn logs_of(store: &Store, name: &str) -> Vec<String> {
    rows_of_view(&*store.view(&tenant(name)).await.unwrap(), Kind::Logs).await
}

/// The row with a number.
fn body(n: usize) -> String {
    format!("line {n:08}")
}

/// Writes rows of `a`, one after the other, until it is told to stop.
async fn write(store: Store, acknowledged: Arc<AtomicUsize>, stop: Arc<AtomicBool>) {
    let (a, mortal) = (tenant("a"), tenant("mortal"));
    while !stop.load(Ordering::Relaxed) {
        let n = acknowledged.load(Ordering::Relaxed);
        let bodies: Vec<String> = (n..n + 1 + n % 3).map(body).collect();
        let count = bodies.len();
        store.append(log_append(&a, &bodies)).await.unwrap();
        acknowledged.store(n + count, Ordering::Release);
        // Rows that retention takes away again.
        store.append(log_append(&mortal, &bodies)).await.unwrap();
    }
}

/// Flushes, merges and removes, again and again.
async fn keep_busy(store: Store, clock: Arc<ManualClock>, stop: Arc<AtomicBool>) {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        store.flush().await.unwrap();
        if round % 3 == 2 {
            store.core.upkeep.compact().await.unwrap();
        }
        clock.advance(Duration::from_secs(600));
        store.core.upkeep.round().await;
        round += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_acknowledged_before_is_there_once_whatever_goes_on() {
    let (place, clock) = (Place::new(), clock());
    let mut config = place.config("data");
    let hour = Some(Keep::For(3_600_000));
    config.retention.tenants.insert("mortal".to_owned(), KeepByKind { logs: hour, ..KeepByKind::default() });
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let store = Store::open(config, time, Arc::new(NoObserver)).await.unwrap();
    let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let tasks = [
        tokio::spawn(write(store.clone(), Arc::clone(&acknowledged), Arc::clone(&stop))),
        tokio::spawn(keep_busy(store.clone(), Arc::clone(&clock), Arc::clone(&stop))),
    ];
    for round in 0..8 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let before = acknowledged.load(Ordering::Acquire);
        let (manifest, _) = place.take(async |have| store.backup(have).await).await;
        let name = format!("restored-{round}");
        assert_eq!(place.restore(&name).await.unwrap(), manifest);
        let restored = place.open(&name, &clock).await.unwrap();
        let rows = logs_of(&restored, "a").await;
        let expected: Vec<String> = (0..rows.len()).map(body).collect();
        assert!(rows == expected && rows.len() >= before, "round {round}: {} of {before} rows", rows.len());
        // It goes on from there, and finds all that again.
        restored.append(log_append(&tenant("a"), &[body(rows.len())])).await.unwrap();
        restored.close().await.unwrap();
        let restored = place.open(&name, &clock).await.unwrap();
        assert_eq!(logs_of(&restored, "a").await.len(), rows.len() + 1, "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let stats = store.stats();
    assert!(stats.merges > 5 && stats.deleted_files > 5 && stats.flushes > 20, "{stats:?}");
    let rows = logs_of(&store, "a").await;
    assert_eq!(rows, (0..acknowledged.load(Ordering::Acquire)).map(body).collect::<Vec<_>>());
}

/// A store with flushed, merged and unflushed rows.
async fn filled(place: &Place) -> (Store, Vec<String>) {
    let store = place.open("data", &clock()).await.unwrap();
    let bodies: Vec<String> = (0..40).map(body).collect();
    for (n, body) in bodies.iter().enumerate() {
        store.append(log_append(&tenant("a"), std::slice::from_ref(body))).await.unwrap();
        if n % 10 == 5 {
            store.flush().await.unwrap();
        }
        if n == 20 {
            store.compact().await.unwrap();
        }
    }
    (store, bodies)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_broke_off_is_none_and_leaves_the_one_before() {
    let place = Place::new();
    let (store, mut bodies) = filled(&place).await;
    for whole_before in [false, true] {
        if whole_before {
            place.take(async |have| store.backup(have).await).await;
            bodies.push("line of later".to_owned());
            store.append(log_append(&tenant("a"), &bodies[bodies.len() - 1..])).await.unwrap();
            store.flush().await.unwrap();
        }
        for pieces in 0..40 {
            let mut to = place.destination();
            let mut from = store.backup(Have::default()).await.unwrap();
            for _ in 0..pieces {
                let Some(piece) = from.next().await.filter(|piece| !matches!(piece, Piece::Done(_))) else {
                    break;
                };
                to.take(piece).await.unwrap();
            }
            drop((from, to));
            // The hold of the one before may take a moment to end.
            while Arc::clone(&store.core.backup).try_lock_owned().is_err() {
                tokio::task::yield_now().await;
            }
            let (name, restored) = (format!("after-{pieces}"), 40);
            let outcome = place.restore(&name).await;
            if !whole_before {
                let error = outcome.unwrap_err().to_string();
                assert!(
                    error.contains("has no backup.json: no backup, or one that was not finished"),
                    "{error}"
                );
                assert!(!place.at(&name).exists(), "{pieces}: something was written");
            } else if pieces % 8 == 0 {
                outcome.unwrap();
                let store = place.open(&name, &clock()).await.unwrap();
                assert_eq!(logs_of(&store, "a").await, bodies[..restored], "after {pieces} pieces");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turned_bit_is_refused_with_the_name_of_its_object_and_so_is_what_it_leaves() {
    let place = Place::new();
    let (store, _) = filled(&place).await;
    place.take(async |have| store.backup(have).await).await;
    for (n, (path, right)) in content(&place.at("backup")).into_iter().enumerate() {
        let object = path.strip_prefix(place.at("backup")).unwrap().to_str().unwrap().to_owned();
        let mut wrong = right.clone();
        wrong[n * 7_919 % right.len()] ^= 1 << (n % 8);
        std::fs::write(&path, &wrong).unwrap();
        let name = format!("restored-{n}");
        let error = place.restore(&name).await.unwrap_err().to_string();
        assert!(error.contains(&object), "{object}: {error}");
        std::fs::write(&path, &right[..right.len() - 1]).unwrap();
        let error = place.restore(&format!("{name}-cut")).await.unwrap_err().to_string();
        assert!(error.contains(&object), "{object} cut: {error}");
        std::fs::write(&path, &right).unwrap();
        if place.at(&name).exists() {
            let error = place.open(&name, &clock()).await.unwrap_err().to_string();
            assert!(error.contains("or the restore was not finished"), "{error}");
        }
    }
    place.restore("restored").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backup_copies_what_is_new_and_prunes_what_is_old() {
    let place = Place::new();
    let (store, mut bodies) = filled(&place).await;
    let (first, all) = place.take(async |have| store.backup(have).await).await;
    assert_eq!((all.objects, all.bytes, all.known), (first.size().0, first.size().1, 0));
    let (_, same) = place.take(async |have| store.backup(have).await).await;
    assert_eq!((same.objects, same.known, same.known_bytes), (0, all.objects, all.bytes));

    bodies.push("line of later".to_owned());
    store.append(log_append(&tenant("a"), &bodies[40..])).await.unwrap();
    let (_, little) = place.take(async |have| store.backup(have).await).await;
    assert!(little.objects <= 2 && little.bytes < all.bytes / 2, "{little:?} of {all:?}");

    store.compact().await.unwrap();
    let (manifest, _) = place.take(async |have| store.backup(have).await).await;
    let (count, bytes) = place.destination().prune(&manifest).await.unwrap();
    assert!(count > 3 && bytes > 1_000, "{count} objects, {bytes} bytes");
    assert_eq!(place.destination().prune(&manifest).await.unwrap(), (0, 0));
    let left: u64 = content(&place.at("backup")).values().map(|bytes| bytes.len() as u64).sum();
    assert!(left < manifest.size().1 + 64 * 1024, "{left}");
    place.restore("restored").await.unwrap();
    assert_eq!(logs_of(&place.open("restored", &clock()).await.unwrap(), "a").await, bodies);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_nobody_has_open_gives_the_same_and_one_in_use_none() {
    let place = Place::new();
    let (store, bodies) = filled(&place).await;
    let offline = async |have| of_folder(&place.config("data"), clock(), have).await;
    let error = offline(Have::default()).await.unwrap_err().to_string();
    assert!(error.ends_with("is in use by another process"), "{error}");
    let (running, _) = place.take(async |have| store.backup(have).await).await;
    drop(store);
    let before = content(&place.at("data"));
    let (stopped, progress) = place.take(offline).await;
    assert!(content(&place.at("data")) == before, "a backup has changed its source");
    assert_eq!((progress.objects, &stopped.wal, &stopped.tables), (0, &running.wal, &running.tables));
    assert_eq!((&stopped.log, stopped.epoch), (&running.log, running.epoch));
    place.restore("restored").await.unwrap();
    assert_eq!(logs_of(&place.open("restored", &clock()).await.unwrap(), "a").await, bodies);
    let nothing = of_folder(&place.config("nothing"), clock(), Have::default()).await.unwrap_err();
    assert!(nothing.to_string().contains("is no data folder"), "{nothing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_folder_takes_no_other_tables_and_a_full_one_is_not_restored_into() {
    let place = Place::new();
    let (store, bodies) = filled(&place).await;
    place.take(async |have| store.backup(have).await).await;
    drop(store);
    place.restore("restored").await.unwrap();
    let config =
        StoreConfig { url: place.at("data/tables").to_str().unwrap().to_owned(), ..place.config("restored") };
    let error = Store::open(config, clock(), Arc::new(NoObserver)).await.unwrap_err().to_string();
    assert!(error.contains("are not those that were restored with it"), "{error}");
    for full in ["data", "restored"] {
        let error = place.restore(full).await.unwrap_err().to_string();
        assert!(error.contains("is not empty: it has"), "{error}");
    }
    let config = StoreConfig {
        url: place.at("data/tables").to_str().unwrap().to_owned(),
        ..place.config("elsewhere")
    };
    let source = place.at("backup");
    let refused = restore(source.to_str().unwrap(), &ObjectsConfig::default(), &config, &|_| {}).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("are not empty: there is"), "{error}");
    // Both go on, side by side.
    for name in ["data", "restored"] {
        let store = place.open(name, &clock()).await.unwrap();
        assert_eq!(logs_of(&store, "a").await, bodies, "{name}");
        store.append(log_append(&tenant("a"), &["only here".to_owned()])).await.unwrap();
        store.close().await.unwrap();
        let store = place.open(name, &clock()).await.unwrap();
        assert_eq!(logs_of(&store, "a").await.len(), bodies.len() + 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_at_a_time_and_it_keeps_what_it_needs_for_as_long_as_it_is_read() {
    let place = Place::new();
    let (store, bodies) = filled(&place).await;
    let mut first = store.backup(Have::default()).await.unwrap();
    let Some(Piece::Plan { files, bytes }) = first.next().await else { panic!("no plan") };
    assert!(files > 0 && bytes > 0);
    let error = store.backup(Have::default()).await.unwrap_err().to_string();
    assert_eq!(error, "cannot back up: another backup is being taken");
    // Merged away, and its grace is over.
    store.compact().await.unwrap();
    store.core.upkeep.round().await;
    let mut to = place.destination();
    to.have().await.unwrap();
    loop {
        if to.take(first.next().await.unwrap()).await.unwrap().is_some() {
            break;
        }
    }
    place.restore("restored").await.unwrap();
    assert_eq!(logs_of(&place.open("restored", &clock()).await.unwrap(), "a").await, bodies);
    let deleted = store.stats().deleted_files;
    drop(first);
    while Arc::clone(&store.core.backup).try_lock_owned().is_err() {
        tokio::task::yield_now().await;
    }
    store.core.upkeep.round().await;
    assert!(store.stats().deleted_files > deleted, "what waited goes after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_near_its_bound_is_shortened_and_the_backup_fails() {
    let place = Place::new();
    let config = StoreConfig { wal_bytes_max: 64 << 10, ..place.config("data") };
    let store = Store::open(config, clock(), Arc::new(NoObserver)).await.unwrap();
    let lines = |n: usize| vec![format!("{n} {}", "x".repeat(4_000))];
    for n in 0..10 {
        store.append(log_append(&tenant("a"), &lines(n))).await.unwrap();
    }
    let mut pieces = store.backup(Have::default()).await.unwrap();
    for n in 0..60 {
        store.append(log_append(&tenant("a"), &lines(n))).await.unwrap();
        store.core.maintain().await.unwrap();
    }
    let mut last = None;
    while let Some(piece) = pieces.next().await {
        last = Some(piece);
    }
    let Some(Piece::Failed(reason)) = last else { panic!("{last:?}") };
    assert!(reason.contains("writes are more important"), "{reason}");
}

/// The golden folder, by way of a backup.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_golden_folder_comes_back_as_it_was() {
    for version in ["v1", NOW] {
        let place = Place::new();
        super::golden::copy(&golden(version), &place.at("data"));
        std::fs::create_dir_all(place.at("data/wal")).unwrap();
        place.take(async |have| of_folder(&place.config("data"), clock(), have).await).await;
        place.restore("restored").await.unwrap();
        let (from, to) = (content(&place.at("data")), content(&place.at("restored")));
        let mut same = 0;
        for (path, bytes) in to {
            let name = path.strip_prefix(place.at("restored")).unwrap();
            let original = from.get(&place.at("data").join(name));
            let Some(original) = original else {
                let text = name.to_str().unwrap();
                assert!(text == "restored.json" || text.starts_with("tables/_isinglass/restored/"), "{text}");
                continue;
            };
            let equal = match name.extension().and_then(|end| end.to_str()) {
                // Without what follows the last record.
                Some("wal") => original.starts_with(&bytes),
                _ => {
                    *original == bytes
                        || name.starts_with("tables/_isinglass/epochs")
                        || name.ends_with("LOCK")
                }
            };
            assert!(equal, "{}", name.display());
            same += 1;
        }
        assert!(same > 20, "{same} files");
        let opened = open_golden(&place.at("restored")).await.unwrap();
        opened.store.caught_up().await.unwrap();
        audit(version, &opened.store, &[]).await;
    }
}

/// A backup that a release with this format took can be restored by every later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_earlier_releases_are_restored() {
    let backup = golden("backup-v1");
    let place = Place::new();
    if !backup.exists() {
        super::golden::copy(&golden(NOW), &place.at("data"));
        place.take(async |have| of_folder(&place.config("data"), clock(), have).await).await;
        super::golden::copy(&place.at("backup"), &backup);
        panic!("{} was missing and is made now: look at it and commit it", backup.display());
    }
    super::golden::copy(&backup, &place.at("backup"));
    let manifest = place.restore("restored").await.unwrap();
    assert_eq!((manifest.format, manifest.wal.up_to > 5, manifest.tables.len()), (1, true, 6));
    assert!(content(&place.at("backup")) == content_of(&backup, &place.at("backup")), "restore changed it");
    let opened = open_golden(&place.at("restored")).await.unwrap();
    opened.store.caught_up().await.unwrap();
    audit(NOW, &opened.store, &[]).await;
}

/// The files of a folder, named as if they were in another.
fn content_of(folder: &Path, named: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let named_in = |path: PathBuf| named.join(path.strip_prefix(folder).unwrap());
    content(folder).into_iter().map(|(path, bytes)| (named_in(path), bytes)).collect()
}
