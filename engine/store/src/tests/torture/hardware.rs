//! What a machine consists of between two lives.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use isinglass_testkit::faulty::{FaultyStore, Moment};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::ledger::MORTAL;
use crate::files::Tables;
use crate::files::local::LocalFolder;
use crate::tests::machine::{Coin, Fate, Fuse, Lies, Operation, Recorder};
use crate::tests::*;
use crate::upkeep::{Keep, KeepByKind};

/// Commits from one checkpoint to the next; few, so that machines die in them.
const CHECKPOINT_EVERY: i64 = 5;

/// How long [`MORTAL`]'s rows are kept.
const KEEP_MS: u64 = 3_600_000;

/// How a machine dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Kill,
    PowerCut,
    /// The one or the other: what a kill left in the page cache may go with the power later,
    /// when the next life has relied on it.
    Either,
    /// A kill at a request to an object store.
    Connect,
}

/// Which parts of a machine lie.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    pub(super) log: Lies,
    pub(super) tables: Lies,
}

/// In memory where there is such a file system: nothing here is ever synced, and a
/// journal costs more than all the rest.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

/// Disk, tables and clock.
pub(super) struct Hardware {
    pub(super) disk: SimDisk,
    pub(super) tables: Media,
    pub(super) clock: Arc<ManualClock>,
    parts: Parts,
    /// Folders of this machine, removed with it.
    folders: Vec<tempfile::TempDir>,
}

/// Where the tables are.
pub(super) enum Media {
    Folder(Recorder, PathBuf),
    Objects(FaultyStore),
}

impl Hardware {
    pub(super) fn new(end: End, parts: Parts) -> Self {
        let folder = folder();
        let tables = match end {
            End::Connect => Media::Objects(FaultyStore::new(Arc::new(InMemory::new()))),
            _ => Media::Folder(
                Recorder::new(folder.path(), Fuse::default(), parts.tables),
                folder.path().canonicalize().unwrap(),
            ),
        };
        let clock = Arc::new(ManualClock::at(NOW_MS * 1_000_000));
        let disk = SimDisk::of(Fuse::default(), parts.log);
        Self { disk, tables, clock, parts, folders: vec![folder] }
    }

    /// Puts a new fuse in; what was on its way when the old one blew is decided now.
    pub(super) fn again(&mut self, end: End, fuse: &Fuse, seed: u64) {
        let coin = &mut Coin(seed);
        let cut = end == End::PowerCut || (end == End::Either && coin.throw());
        self.disk = if cut { self.disk.cut_power(seed) } else { self.disk.kill() };
        self.disk.plug(fuse.clone(), self.parts.log);
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
        if let Media::Folder(_, root) = &self.tables {
            age(root, false).unwrap();
        }
    }

    /// Whether any part of it does.
    pub(super) fn lies(&self) -> bool {
        let lies = |part: Lies| part.files || part.folders;
        lies(self.parts.log) || lies(self.parts.tables)
    }

    /// Another fuse for disk and tables of a machine that runs.
    pub(super) fn plug(&mut self, fuse: &Fuse) {
        self.disk.plug(fuse.clone(), self.parts.log);
        if let Media::Folder(recorder, _) = &self.tables {
            recorder.plug(fuse);
        }
    }

    pub(super) async fn start(&self) -> Result<Store, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let objects: Arc<dyn ObjectStore> = match &self.tables {
            Media::Objects(objects) => Arc::new(objects.clone()),
            Media::Folder(recorder, root) => {
                let changes = Arc::new(recorder.clone());
                Arc::new(LocalFolder::open_with(root, changes).map_err(|error| text(&error))?)
            }
        };
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let tables = Tables::with_checkpoints(objects, Arc::clone(&clock), CHECKPOINT_EVERY);
        tables.claim_epoch().await.map_err(|error| error.chain())?;
        let disk = Arc::new(self.disk.clone());
        let store = Store::open_on(config(), clock, Arc::new(NoObserver), disk, Arc::new(tables), None);
        store.await.map_err(|error| text(&error))
    }
}

fn config() -> StoreConfig {
    let mut config = StoreConfig { wal_segment_bytes: 8 << 10, ..small() };
    // Rounds are the machine's own steps.
    config.compaction.enabled = false;
    let keep = KeepByKind { default: Some(Keep::For(KEEP_MS)), ..KeepByKind::default() };
    config.retention.tenants.insert(MORTAL.to_owned(), keep);
    config
}

/// Lets two days pass for what the logs of tables hold, so that a checkpoint has
/// something to clean up.
fn age(folder: &Path, log: bool) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            age(&path, log || path.ends_with("_delta_log"))?;
        } else if log {
            let file = std::fs::File::options().write(true).open(&path)?;
            file.set_modified(SystemTime::now() - Duration::from_secs(2 * 86_400))?;
        }
    }
    Ok(())
}
