//! What is said of a folder is what a start then does, and saying it changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use isinglass_testkit::faulty::{FaultyStore, Moment};
use object_store::local::LocalFileSystem;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::golden::{NOW, content, copy, golden};
use super::*;
use crate::files::Tables;
use crate::inspect::{Inspection, NextStart, inspect, inspect_on};
use crate::wal::Folder;

fn config(folder: &Path) -> StoreConfig {
    let mut config = StoreConfig { data_dir: folder.to_owned(), wal_segment_bytes: 8 << 10, ..small() };
    config.compaction.enabled = false;
    config
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW_MS * 1_000_000))
}

async fn open(config: &StoreConfig) -> Result<Store, StoreError> {
    let clock: Arc<dyn Clock> = clock();
    Store::open(config.clone(), clock, Arc::new(NoObserver)).await
}

/// Two tenants, one of them flushed in part; logs, spans and samples in several segments.
async fn written(folder: &Path) {
    let store = open(&config(folder)).await.unwrap();
    for n in 0..60_i64 {
        let name = if n % 3 == 0 { "other" } else { "acme" };
        let body = format!("line {n:03} {}", "x".repeat(n as usize * 7 % 200));
        store.append(log_append(&tenant(name), &[body])).await.unwrap();
        if n % 4 == 0 {
            let instance = format!("host-{}", n / 12);
            let append = sample_append(&store, &tenant("acme"), NOW_MS + n, &[&instance, "one"], 0.5).await;
            store.append(append).await.unwrap();
            store.append(span_append(&tenant("other"), &[format!("GET {n}")])).await.unwrap();
        }
        if n == 20 {
            store.core.flusher.flush_all(u64::MAX).await.unwrap();
        }
    }
    // Heads are saved, and segments let go whose rows are all in tables.
    store.core.maintain().await.unwrap();
}

/// Looks at a folder, which stays as it is.
async fn look(config: &StoreConfig, deep: bool) -> Inspection {
    let before = content(&config.data_dir);
    let found = inspect(config, clock(), deep).await.unwrap();
    let after = content(&config.data_dir);
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert!(before == after, "looking has changed a file");
    found
}

type Rows = BTreeMap<(String, &'static str), u64>;

fn said_rows(found: &Inspection) -> Rows {
    let tenants = found.next_start.replayed.iter();
    let of_tenant = |replayed: &crate::inspect::Replayed| {
        let tenant = replayed.tenant.clone();
        replayed.rows.clone().into_iter().map(move |(kind, rows)| ((tenant.clone(), kind), rows))
    };
    tenants.flat_map(of_tenant).collect()
}

async fn real_rows(store: &Store) -> Rows {
    let mut rows = Rows::new();
    let apart: BTreeSet<Tenant> = store.stats().tenants_apart.into_iter().map(|apart| apart.tenant).collect();
    for name in store.tenants().into_iter().filter(|name| !apart.contains(name)) {
        let view = store.view(&name).await.unwrap();
        for kind in Kind::ALL {
            let count = view.table(kind).head_rows() as u64;
            if count > 0 {
                rows.insert((name.as_str().to_owned(), kind.as_str()), count);
            }
        }
    }
    rows
}

/// Compares what is said with what is done; gives back what was said.
async fn compare(case: &str, config: &StoreConfig) -> Inspection {
    let found = look(config, false).await;
    let start = &found.next_start;
    let quarantine = config.data_dir.join("quarantine");
    let set_aside_before: BTreeSet<String> = names_in(&quarantine);
    assert_eq!(start.stuck, None, "{case}: no object store is away");
    let opened = tokio::time::timeout(Duration::from_secs(60), open(config)).await;
    let store = match opened.unwrap_or_else(|_| panic!("{case}: stuck, and that was not said")) {
        Ok(store) => store,
        Err(error) => {
            assert!(start.refused.contains(&error.to_string()), "{case}: {error}, not {:?}", start.refused);
            return found;
        }
    };
    assert_eq!(start.refused, Vec::<String>::new(), "{case}: it was taken");
    // Rows can be seen a moment before the records that they came from are counted.
    while store.is_replaying() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stats = store.stats();
    assert_eq!(said_rows(&found), real_rows(&store).await, "{case}");
    let said: Vec<_> = start
        .set_aside
        .iter()
        .map(|aside| (aside.segment.clone(), aside.offset, aside.bytes, aside.records))
        .collect();
    let done: Vec<_> =
        stats.lost.iter().map(|lost| (lost.segment.clone(), lost.offset, lost.bytes, lost.records)).collect();
    assert_eq!(said, done, "{case}");
    let set_aside: BTreeSet<String> = names_in(&quarantine).difference(&set_aside_before).cloned().collect();
    assert_eq!(
        start.set_aside.iter().map(|aside| aside.name.clone()).collect::<BTreeSet<_>>(),
        set_aside,
        "{case}"
    );
    let said: Vec<_> =
        start.apart.iter().map(|apart| (apart.tenant.clone(), apart.first, apart.reason.clone())).collect();
    let done = stats.tenants_apart.iter();
    let done: Vec<_> = done.map(|it| (it.tenant.as_str().to_owned(), it.first, it.reason.clone())).collect();
    assert_eq!(said, done, "{case}");
    if said.is_empty() {
        assert_eq!(start.records_read, stats.replayed_records, "{case}");
    }
    if let Some(cut) = &start.cut {
        let size = std::fs::metadata(config.data_dir.join("wal").join(&cut.segment)).unwrap().len();
        assert_eq!(cut.to, size, "{case}");
    }
    found
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn wal_files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let names = names_in(&folder.join("wal")).into_iter().filter(|name| name.ends_with(end));
    names.map(|name| folder.join("wal").join(name)).collect()
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    how(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// A file below a folder, the first by name.
fn first(folder: PathBuf, end: &str) -> PathBuf {
    let found = content(&folder).into_keys().find(|path| path.to_str().unwrap().ends_with(end));
    found.unwrap_or_else(|| panic!("no {end} in {}", folder.display()))
}

/// Kinds of damage that were found.
fn kinds(found: &Inspection) -> BTreeSet<&'static str> {
    found.damage.iter().map(|damage| damage.what).collect()
}

/// What is done to a folder, and the damage that is to be found.
type Case = (&'static str, fn(&Path), &'static [&'static str]);

const CASES: &[Case] = &[
    ("nothing", |_| (), &[]),
    (
        "a torn tail",
        |folder| {
            let last = wal_files(folder, ".wal").pop().unwrap();
            change(&last, |bytes| {
                let header = crate::wal::Header::decode("x", bytes).unwrap().unwrap();
                let end = crate::wal::parse(bytes, &header, None).records.last().unwrap().1.end;
                let end = end.next_multiple_of(8);
                bytes.resize(bytes.len().max(end + 100), 0);
                bytes[end..end + 60].fill(0xA5);
            });
        },
        &["torn_tail"],
    ),
    ("a header", |folder| change(&wal_files(folder, ".wal")[1], |bytes| bytes[..128].fill(0)), &["wal"]),
    (
        "a segment gone",
        |folder| std::fs::remove_file(&wal_files(folder, ".wal")[1]).unwrap(),
        &["wal", "wal_missing"],
    ),
    ("a heads file", |folder| change(&wal_files(folder, ".heads")[0], |bytes| bytes[140] ^= 1), &["heads"]),
    (
        "no heads files",
        |folder| wal_files(folder, ".heads").iter().for_each(|path| std::fs::remove_file(path).unwrap()),
        &[],
    ),
    (
        "a commit",
        |folder| {
            change(&first(folder.join("tables/acme/logs/_delta_log"), "1.json"), |bytes| bytes[200] ^= 1)
        },
        &["table"],
    ),
    (
        "a commit gone",
        |folder| std::fs::remove_file(first(folder.join("tables/other/logs/_delta_log"), "0.json")).unwrap(),
        &["table"],
    ),
    (
        "label sets gone",
        |folder| std::fs::remove_file(first(folder.join("tables/acme/series"), ".parquet")).unwrap(),
        &["file_missing"],
    ),
    (
        "label sets cut",
        |folder| change(&first(folder.join("tables/acme/series"), ".parquet"), |bytes| bytes.truncate(100)),
        &["file_size"],
    ),
    (
        "label sets turned",
        |folder| change(&first(folder.join("tables/acme/series"), ".parquet"), |bytes| bytes[100] ^= 1),
        &[],
    ),
    (
        "lines gone",
        |folder| std::fs::remove_file(first(folder.join("tables/acme/logs"), ".parquet")).unwrap(),
        &["file_missing"],
    ),
    (
        "lines cut",
        |folder| change(&first(folder.join("tables/acme/logs"), ".parquet"), |bytes| bytes.truncate(100)),
        &["file_size"],
    ),
    (
        "a newer release",
        |folder| {
            change(&wal_files(folder, ".wal")[0], |bytes| {
                for copy in [0, 64] {
                    bytes[copy + 8] = 3;
                    let crc = crc32c::crc32c(&bytes[copy..copy + 32]).to_le_bytes();
                    bytes[copy + 32..copy + 36].copy_from_slice(&crc);
                }
            });
        },
        &[],
    ),
    (
        "no log",
        |folder| wal_files(folder, "").iter().for_each(|path| std::fs::remove_file(path).unwrap()),
        &[],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_a_damaged_folder_is_what_a_start_does() {
    let right = tempfile::tempdir().unwrap();
    written(right.path()).await;
    assert!(wal_files(right.path(), ".wal").len() > 3, "too few segments");
    for (case, damage, expected) in CASES {
        let folder = tempfile::tempdir().unwrap();
        copy(right.path(), folder.path());
        damage(folder.path());
        let found = compare(case, &config(folder.path())).await;
        assert_eq!(kinds(&found), expected.iter().copied().collect(), "{case}: {:?}", found.damage);
        let apart: Vec<&str> = found.next_start.apart.iter().map(|apart| apart.reason.as_str()).collect();
        if case.starts_with("label sets") {
            assert!(matches!(apart[..], [reason] if reason.contains("acme/series/")), "{case}: {apart:?}");
        }
        let is_refused = !found.next_start.refused.is_empty();
        assert_eq!(found.is_sound(), expected.is_empty() && !is_refused && apart.is_empty(), "{case}");
        if *case == "nothing" {
            // Again, after a start that has cut and claimed.
            assert!(compare(case, &config(folder.path())).await.is_sound());
            assert!(said_rows(&found).len() > 4, "{:?}", said_rows(&found));
        }
    }
}

/// Requests for label sets that fail before the object store answers again: more than it takes
/// to set a tenant apart, two to each try.
const FAILED: usize = 2 * 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_that_does_not_answer_is_waited_for_as_is_said() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path()).await;
    let settings = config(folder.path());
    let expected = said_rows(&look(&settings, false).await);
    let label_sets = first(folder.path().join("tables/acme/series"), ".parquet");
    let label_sets = label_sets.file_name().unwrap().to_str().unwrap().to_owned();
    let (away, failed) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (gate, count) = (Arc::clone(&away), Arc::clone(&failed));
    let local = LocalFileSystem::new_with_prefix(folder.path().join("tables")).unwrap();
    let objects = FaultyStore::new(Arc::new(local)).behind(move |path| {
        let fails = path.ends_with(&label_sets) && gate.load(Ordering::Relaxed);
        count.fetch_add(usize::from(fails), Ordering::Relaxed);
        fails.then_some(Moment::Before)
    });
    let tables = Arc::new(Tables::on(Arc::new(objects), clock()));

    let found = inspect_on(&settings, Arc::clone(&tables), clock(), false).await.unwrap();
    let NextStart { stuck, apart, .. } = &found.next_start;
    let stuck = stuck.as_ref().unwrap();
    assert!(stuck.tenant == "acme" && apart.is_empty() && !found.is_sound(), "{stuck:?} {apart:?}");
    assert!(found.damage.is_empty(), "{:?}", found.damage);

    let disk = Folder::new(folder.path().join("wal"), folder.path().join("quarantine")).unwrap();
    tables.claim_epoch().await.unwrap();
    failed.store(0, Ordering::Relaxed);
    let store =
        Store::begin_on(settings, clock(), Arc::new(NoObserver), Arc::new(disk), tables, None).await.unwrap();
    while failed.load(Ordering::Relaxed) < FAILED {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(store.is_replaying() && store.stats().tenants_apart.is_empty());
    away.store(false, Ordering::Relaxed);
    store.caught_up().await.unwrap();
    assert!(store.stats().tenants_apart.is_empty());
    assert_eq!(real_rows(&store).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turned_bits_are_said_as_they_are_set_aside_and_refused_by_strict() {
    let right = tempfile::tempdir().unwrap();
    written(right.path()).await;
    let mut rng = StdRng::seed_from_u64(6);
    let mut damaged = 0;
    for round in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        copy(right.path(), folder.path());
        let segments = wal_files(folder.path(), ".wal");
        let path = &segments[rng.random_range(0..segments.len())];
        change(path, |bytes| {
            for _ in 0..1 + round % 3 {
                let bit = rng.random_range(0..bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        });
        let case = format!("round {round}: {}", path.display());
        let strict = StoreConfig { strict: true, ..config(folder.path()) };
        let found = compare(&case, &strict).await;
        damaged += usize::from(!found.is_sound());
        compare(&case, &config(folder.path())).await;
    }
    assert!(damaged > 12, "{damaged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_in_use_is_told_and_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path()).await;
    let config = config(folder.path());
    assert!(!look(&config, true).await.lock.held);
    let store = open(&config).await.unwrap();
    store.append(log_append(&tenant("acme"), &["one more".to_owned()])).await.unwrap();
    store.core.maintain().await.unwrap();
    let found = look(&config, true).await;
    assert_eq!((found.lock.held, found.lock.process.clone()), (true, Some(std::process::id().to_string())));
    assert!(found.is_sound(), "{:?}", found.damage);
    assert_eq!(said_rows(&found), real_rows(&store).await);
    // While it moves.
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..200 {
                store.append(log_append(&tenant("acme"), &[format!("{n}")])).await.unwrap();
                if n % 20 == 0 {
                    store.flush().await.unwrap();
                }
            }
        }
    });
    while !writer.is_finished() {
        let found = inspect(&config, clock(), false).await.unwrap();
        assert!(found.lock.held && found.is_sound(), "{:?} {:?}", found.damage, found.next_start.refused);
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn golden_folders_are_sound_and_a_turned_bit_in_a_file_is_found_by_a_deep_look() {
    for version in ["v1", NOW] {
        let found = look(&config(&golden(version)), true).await;
        assert!(found.is_sound(), "{version}: {:?} {:?}", found.damage, found.next_start.refused);
        assert!(found.tables.iter().all(|table| table.checked_bytes == table.bytes), "{version}");
        assert_eq!(
            found.wal.segments.iter().filter_map(|it| it.version).max(),
            Some(if version == "v1" { 1 } else { 2 })
        );
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&golden(NOW), folder.path());
    let files = content(&folder.path().join("tables/acme/logs")).into_keys();
    for file in files.filter(|path| is_data(path)) {
        change(&file, |bytes| bytes[50] ^= 8);
    }
    let settings = config(folder.path());
    let found = look(&settings, false).await;
    assert!(found.is_sound(), "{:?}", found.damage);
    let found = look(&settings, true).await;
    assert!(kinds(&found) == BTreeSet::from(["file"]), "{:?}", found.damage);
    let damage = &found.damage[0];
    assert!(damage.place.starts_with("acme/logs/") && damage.reason.contains("checksum"), "{damage:?}");
    let nothing = config(&folder.path().join("nothing"));
    let error = inspect(&nothing, clock(), false).await.unwrap_err();
    assert!(error.to_string().contains("is no data folder"), "{error}");
}

fn is_data(path: &Path) -> bool {
    let text = path.to_str().unwrap();
    text.ends_with(".parquet") && !text.contains("_delta_log")
}
