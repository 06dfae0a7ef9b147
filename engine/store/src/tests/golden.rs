//! Folders that releases before this one wrote are read by this one.
//!
//! `tests/golden/v1` was written by the [`write`] of its time, `v2` by this one: where the
//! folder of the newest version is missing it is made, and the test fails once, so that
//! somebody looks at it and commits it. How a new version is added is in
//! `docs/formats/README.md`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::real::everything;
use super::rewrites::try_rows_of_view;
use super::*;
use crate::files::Tables;
use crate::wal::Folder;

/// Flushed before the checkpoint, merged, flushed after it, and in the log alone.
const BODIES: [&str; 9] = ["a1", "a2", "b1", "b2", "c1", "line", "w1", "w2", "w3"];
const KEYS: [u128; 2] = [0xA11CE, 0xB0B];

pub(super) fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(version)
}

pub(super) fn config(folder: &Path) -> StoreConfig {
    let mut config =
        StoreConfig { data_dir: folder.to_owned(), wal_segment_bytes: 2 << 10, ..StoreConfig::default() };
    config.compaction.enabled = false;
    config
}

pub(super) struct Opened {
    clock: Arc<ManualClock>,
    tables: Tables,
    pub(super) store: Store,
}

pub(super) async fn open_golden(folder: &Path) -> Result<Opened, StoreError> {
    let clock = Arc::new(ManualClock::at((NOW_MS + 60_000) * 1_000_000));
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let disk = Folder::new(folder.join("wal"), folder.join("quarantine")).unwrap();
    let at = folder.join("tables");
    let tables = Tables::open(&StoreConfig::default(), &at, Arc::clone(&time)).await.unwrap();
    tables.claim_epoch().await.unwrap();
    let files = Arc::new(tables.clone());
    let store =
        Store::begin_on(config(folder), time, Arc::new(NoObserver), Arc::new(disk), files, None).await?;
    Ok(Opened { clock, tables, store })
}

fn lines(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The newest.
pub(super) const NOW: &str = "v2";
/// Spans are in it from version 2 on.
const SPANS: [&str; 4] = ["GET /", "POST /", "flushed later", "in the log"];

/// What this release writes: every kind of file that there is, in every state.
async fn write(folder: &Path) {
    let (acme, other) = (tenant("acme"), tenant("other*one"));
    let Opened { clock, tables, store } = open_golden(folder).await.unwrap();
    clock.jump_to(NOW_MS * 1_000_000);
    let append = everything(&store, &acme).await;
    store.append(append).await.unwrap();
    store.append(span_append(&acme, &lines(&SPANS[..2]))).await.unwrap();
    append_once(&store, KEYS[0], log_append(&acme, &lines(&["a1", "a2"]))).await.unwrap().unwrap();
    store.flush().await.unwrap();
    store.append(log_append(&acme, &lines(&["b1", "b2"]))).await.unwrap();
    store.flush().await.unwrap();
    store.core.upkeep.compact().await.unwrap();
    tables.checkpoint(&acme, Kind::Logs).await;
    store.append(log_append(&acme, &lines(&["c1"]))).await.unwrap();
    store.append(span_append(&acme, &lines(&SPANS[2..3]))).await.unwrap();
    store.flush().await.unwrap();
    append_once(&store, KEYS[1], log_append(&acme, &lines(&["w1", "w2"]))).await.unwrap().unwrap();
    store.append(log_append(&acme, &lines(&["w3"]))).await.unwrap();
    store.append(span_append(&acme, &lines(&SPANS[3..]))).await.unwrap();
    let append = sample_append(&store, &other, NOW_MS, &["a", "b"], 7.25).await;
    store.append(append).await.unwrap();
}

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(
            |entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() },
        )
        .sum()
}

/// The rows of a golden folder, and `more` logs.
pub(super) async fn audit(version: &str, store: &Store, more: &[&str]) {
    let acme = store.view(&tenant("acme")).await.unwrap();
    let rows = |kind| try_rows_of_view(&acme, kind);
    let mut logs = lines(&BODIES);
    logs.extend(lines(more));
    logs.sort();
    assert_eq!(rows(Kind::Logs).await.unwrap(), logs);
    let up = acme.series().of_metric("up");
    assert_eq!((up.len(), &up[0].labels), (1, &labels("up", "a")));
    let samples = rows(Kind::Samples).await.unwrap();
    let id = up[0].series_id;
    // The second is a stale marker, which has no value.
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[0], format!("{id}@{NOW_MS}=1"));
    assert!(samples[1].starts_with(&format!("{id}@{}=", NOW_MS + 1)), "{samples:?}");
    let spans = if version == "v1" { Vec::new() } else { lines(&SPANS) };
    assert_eq!(rows(Kind::Spans).await.unwrap(), spans);
    // Of two histograms of one series at one time the merge has kept the first.
    for (kind, count) in [(Kind::Histograms, 1), (Kind::Exemplars, 1), (Kind::Series, 2)] {
        assert_eq!(rows(kind).await.unwrap().len(), count, "{kind}");
    }
    let other = store.view(&tenant("other*one")).await.unwrap();
    assert_eq!(other.series().of_metric("up").len(), 2);
    let samples = try_rows_of_view(&other, Kind::Samples).await.unwrap();
    assert!(samples.len() == 2 && samples.iter().all(|row| row.ends_with("=7.25")), "{samples:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_is_read_appended_to_flushed_merged_and_read_again() {
    let newest = golden(NOW);
    if !newest.exists() {
        write(&newest).await;
        panic!("{} was missing and is made now: look at it and commit it", newest.display());
    }
    for version in ["v1", NOW] {
        go_on_with(version).await;
    }
}

async fn go_on_with(version: &str) {
    let files = size(&golden(version));
    assert!((20_000..400_000).contains(&files), "{files} bytes");
    let folder = tempfile::tempdir().unwrap();
    copy(&golden(version), folder.path());
    let acme = tenant("acme");
    let Opened { store, .. } = open_golden(folder.path()).await.unwrap();
    store.caught_up().await.unwrap();
    assert_eq!(store.stats().quarantined_records, 0);
    audit(version, &store, &[]).await;
    let view = store.view(&acme).await.unwrap();
    assert_eq!(view.table(Kind::Logs).head_rows(), 3);
    assert!(view.table(Kind::Logs).files.iter().all(|file| file.crc32c.is_some()));
    for key in KEYS {
        assert!(append_once(&store, key, log_append(&acme, &lines(&["again"]))).await.is_none());
    }
    append_once(&store, 1, log_append(&acme, &lines(&["new"]))).await.unwrap().unwrap();
    audit(version, &store, &["new"]).await;
    store.flush().await.unwrap();
    store.core.upkeep.compact().await.unwrap();
    audit(version, &store, &["new"]).await;
    drop((view, store));
    let Opened { clock, store, .. } = open_golden(folder.path()).await.unwrap();
    store.caught_up().await.unwrap();
    audit(version, &store, &["new"]).await;
    clock.advance(Duration::from_secs(1));
    store.close().await.unwrap();
}

/// Every byte of a folder, by path.
pub(super) fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            all.extend(content(&entry));
        } else {
            all.insert(entry.clone(), std::fs::read(&entry).unwrap());
        }
    }
    all
}

/// What a newer release wrote is refused by name, and not a byte of it is touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formats_of_a_newer_release_are_refused_and_not_touched() {
    let newer_header = |bytes: &mut Vec<u8>| {
        for copy in [0, 64] {
            let header = &mut bytes[copy..copy + 64];
            header[8] = 3;
            let crc = crc32c::crc32c(&header[..32]).to_le_bytes();
            header[32..36].copy_from_slice(&crc);
        }
    };
    let first = |folder: &Path, end: &str| {
        let found =
            content(&folder.join("wal")).into_keys().find(|path| path.to_string_lossy().ends_with(end));
        found.unwrap_or_else(|| panic!("no {end}"))
    };
    for end in [".wal", ".heads"] {
        let folder = tempfile::tempdir().unwrap();
        copy(&golden(NOW), folder.path());
        let path = first(folder.path(), end);
        let mut bytes = std::fs::read(&path).unwrap();
        newer_header(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let before = content(&folder.path().join("wal"));
        let error = open_golden(folder.path()).await.err().expect("refused");
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(
            error.to_string(),
            format!("cannot read wal segment {name}: version 3, this release reads 1 to 2")
        );
        assert!(content(&folder.path().join("wal")) == before, "{end}: touched");
    }

    // A Delta protocol and a column that only a newer release knows.
    let protocol = r#"{"protocol":{"minReaderVersion":99,"minWriterVersion":99}}"#.to_owned();
    let log = golden(NOW).join("tables/acme/exemplars/_delta_log");
    let created = std::fs::read_to_string(log.join(format!("{:020}.json", 0))).unwrap();
    let metadata = created.lines().find(|line| line.starts_with("{\"metaData\"")).unwrap();
    let column =
        r#",{\"name\":\"of_tomorrow\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partition"#;
    let columns = metadata.replace(r#"]}","partition"#, column);
    assert_ne!(columns, metadata);
    for (commit, said) in [(protocol, "99"), (columns, "a newer release wrote it")] {
        let folder = tempfile::tempdir().unwrap();
        copy(&golden(NOW), folder.path());
        let log = folder.path().join("tables/acme/exemplars/_delta_log");
        let next = (0..).find(|version| !log.join(format!("{version:020}.json")).exists()).unwrap();
        std::fs::write(log.join(format!("{next:020}.json")), commit).unwrap();
        let before = content(&folder.path().join("tables/acme"));
        let refused = match open_golden(folder.path()).await {
            Ok(opened) => opened.store.view(&tenant("acme")).await.err(),
            Err(error) => Some(error),
        };
        let error = refused.unwrap_or_else(|| panic!("{said} was taken")).to_string();
        assert!(error.contains(said) && error.contains("exemplars"), "{error}");
        assert!(content(&folder.path().join("tables/acme")) == before, "{said}: touched");
    }
}
