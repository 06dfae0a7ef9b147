//! Which pieces a backup has, of a running store or of a folder that nobody has open.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use isinglass_model::{Clock, Kind, Tenant};
use tokio::sync::mpsc;

use super::log::LogCopy;
use super::manifest::{Manifest, Object};
use super::{PIECE_BYTES, Piece, plugins, tables};
use crate::config::StoreConfig;
use crate::files::Tables;
use crate::lock::Lock;
use crate::log_id::LogId;
use crate::removals::Kept;
use crate::store::Core;
use crate::tables::{TableFiles, TableState};
use crate::wal::{Disk, Folder};
use crate::{Seq, Store, StoreError};

/// Pieces between the store and whoever takes them: with [`PIECE_BYTES`] the memory of a
/// backup, beside one segment of the log.
const QUEUE_PIECES: usize = 4;

/// Who takes no piece for so long is given up: a backup keeps files from being deleted.
const STALL_MAX: Duration = Duration::from_secs(60);

/// What is said when the log could not wait.
const LOG_WENT: &str = "the log came near its bound before it was copied; writes are more important";

/// Objects that the destination has: names and sizes.
#[derive(Debug, Clone, Default)]
pub struct Have(HashMap<String, u64>);

impl Have {
    /// Whether an object is among them.
    pub(super) fn has(&self, object: &Object) -> bool {
        self.0.get(&object.name()) == Some(&object.bytes)
    }

    /// A line for each: size, space, name.
    pub fn encode(&self) -> String {
        self.0.iter().map(|(name, bytes)| format!("{bytes} {name}\n")).collect()
    }

    /// Reads such lines.
    pub fn decode(text: &str) -> Result<Self, StoreError> {
        let entry = |line: &str| {
            let (bytes, name) = line.split_once(' ')?;
            Some((name.to_owned(), bytes.parse().ok()?))
        };
        let entries = text.lines().map(|line| {
            entry(line).ok_or_else(|| StoreError::damaged("list of objects", format!("line {line:?}")))
        });
        Ok(Self(entries.collect::<Result<_, _>>()?))
    }
}

impl FromIterator<(String, u64)> for Have {
    fn from_iter<T: IntoIterator<Item = (String, u64)>>(entries: T) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// The pieces of a backup that is being taken. Dropped before the last one, it ends.
#[derive(Debug)]
pub struct Pieces {
    pieces: mpsc::Receiver<Piece>,
}

impl Pieces {
    /// The next piece; `None` after the last.
    pub async fn next(&mut self) -> Option<Piece> {
        self.pieces.recv().await
    }

    fn of(source: Source, have: Have) -> Self {
        let (sender, pieces) = mpsc::channel(QUEUE_PIECES);
        tokio::spawn(async move {
            let outlet = Outlet { sender, have };
            let last = match source.run(&outlet).await {
                Ok(manifest) => Piece::Done(Box::new(manifest)),
                Err(error) => {
                    tracing::warn!(%error, "a backup failed");
                    Piece::Failed(error.to_string())
                }
            };
            // Whoever took the pieces may have gone.
            let _ = outlet.send(last).await;
        });
        Self { pieces }
    }
}

impl Store {
    /// Takes a backup without what the destination has already. One at a time.
    pub async fn backup(&self, have: Have) -> Result<Pieces, StoreError> {
        let core = Arc::clone(&self.core);
        let alone = Arc::clone(&core.backup)
            .try_lock_owned()
            .map_err(|_| StoreError::Backup { reason: "another backup is being taken".to_owned() })?;
        let started_unix_ms = core.clock.now_unix_millis();
        let holds = Holds {
            log: Some(core.log_removals.keep().await),
            delta: Some(core.flusher.files.log_removals().keep().await),
            _files: Some(core.upkeep.removals.keep().await),
            _alone: Some(alone),
            _lock: None,
        };
        let source = Source {
            data_dir: core.config.data_dir.clone(),
            disk: Arc::clone(&core.disk),
            files: Arc::clone(&core.flusher.files),
            tenants: core.flusher.tenants.names(),
            epoch: core.flusher.files.epoch(),
            clock: Arc::clone(&core.clock),
            started_unix_ms,
            running: Some(core),
            holds,
        };
        Ok(Pieces::of(source, have))
    }
}

/// Takes a backup of a folder that no process has open, without what the destination has
/// already. The folder is locked until the last piece.
pub async fn of_folder(
    config: &StoreConfig,
    clock: Arc<dyn Clock>,
    have: Have,
) -> Result<Pieces, StoreError> {
    let wal = config.data_dir.join("wal");
    if !wal.is_dir() {
        let reason = format!("{} is no data folder: it has no wal/", config.data_dir.display());
        return Err(StoreError::Setting { reason });
    }
    let lock = Lock::take(&config.data_dir)?;
    let disk: Arc<dyn Disk> = Arc::new(Folder::to_read(wal, config.data_dir.join("quarantine")));
    let folder = config.data_dir.join("tables");
    let tables = Tables::to_read(&config.url, &config.objects, &folder, Arc::clone(&clock))?;
    super::restored::check(&config.data_dir, &config.url, &tables.objects()).await?;
    let headers = crate::wal::scan::headers_of(&*disk)?;
    let log = headers.iter().rev().find_map(|(_, header)| header.map(|header| header.log));
    tables.set_log(log.unwrap_or(LogId::FIRST));
    let source = Source {
        data_dir: config.data_dir.clone(),
        disk,
        tenants: tables.tenants().await?,
        epoch: tables.highest_epoch().await?,
        files: Arc::new(tables),
        started_unix_ms: clock.now_unix_millis(),
        clock,
        running: None,
        holds: Holds { log: None, delta: None, _files: None, _alone: None, _lock: Some(lock) },
    };
    Ok(Pieces::of(source, have))
}

/// What stays as it is for a backup.
struct Holds {
    log: Option<Kept>,
    delta: Option<Kept>,
    _files: Option<Kept>,
    _alone: Option<tokio::sync::OwnedMutexGuard<()>>,
    _lock: Option<Lock>,
}

struct Source {
    data_dir: PathBuf,
    disk: Arc<dyn Disk>,
    files: Arc<dyn TableFiles>,
    tenants: Vec<Tenant>,
    epoch: u64,
    clock: Arc<dyn Clock>,
    started_unix_ms: i64,
    /// `None`: a folder that nobody has open.
    running: Option<Arc<Core>>,
    holds: Holds,
}

impl Source {
    async fn run(mut self, outlet: &Outlet) -> Result<Manifest, StoreError> {
        let mut manifest = Manifest { epoch: self.epoch, ..Manifest::new(self.started_unix_ms) };
        let tables = self.newest().await?;
        let files = tables.iter().flat_map(|(_, _, table)| table.files.iter());
        let (files, bytes) = files.fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.size_bytes));
        outlet.send(Piece::Plan { files, bytes }).await?;

        let flushed = tables.iter().map(|(_, _, table)| table.flushed).max().unwrap_or(0);
        self.copy_log(self.last_acknowledged(flushed), outlet, &mut manifest).await?;
        // The rows that these have beyond the log are in no backup.
        manifest.wal.up_to = manifest.wal.up_to.max(flushed);
        self.holds.log = None;

        for (tenant, kind, table) in &tables {
            manifest.tables.push(tables::log(&*self.files, tenant, *kind, table, outlet).await?);
        }
        self.holds.delta = None;
        manifest.plugins = plugins::copy(&self.data_dir, outlet).await?;

        for ((_, _, table), part) in tables.into_iter().zip(&mut manifest.tables) {
            part.data = tables::data(&*self.files, &table, outlet).await?;
        }
        manifest.finished_unix_ms = self.clock.now_unix_millis();
        Ok(manifest)
    }

    /// The newest version of each table. Read one after the other: what is flushed between
    /// is in the log as well, which is kept.
    async fn newest(&self) -> Result<Vec<(Tenant, Kind, TableState)>, StoreError> {
        let mut tables = Vec::new();
        for tenant in &self.tenants {
            for kind in Kind::ALL {
                if let Some(table) = self.files.load(tenant, kind).await? {
                    tables.push((tenant.clone(), kind, table));
                }
            }
        }
        Ok(tables)
    }

    /// The last record that the copy has. Every table is flushed to it or less.
    fn last_acknowledged(&self, flushed: Seq) -> Seq {
        self.running.as_ref().map_or(Seq::MAX, |core| {
            core.applied.load(Ordering::Acquire).max(core.tail.logged()).max(flushed)
        })
    }

    async fn copy_log(&self, up_to: Seq, outlet: &Outlet, manifest: &mut Manifest) -> Result<(), StoreError> {
        let disk = Arc::clone(&self.disk);
        let (plan, last) = blocking(move || {
            let plan = LogCopy::plan(disk, up_to)?;
            let last = plan.last_record()?;
            Ok((Arc::new(plan), last))
        })
        .await?;
        manifest.log = plan.log.and_then(LogId::name);
        manifest.wal.up_to = last;
        for at in 0..plan.len() {
            let reader = Arc::clone(&plan);
            let read = blocking(move || reader.read(at)).await;
            self.check_log()?;
            if let Some((path, bytes)) = read? {
                manifest.wal.files.push(outlet.object(path, bytes.into()).await?);
            }
        }
        self.check_log()
    }

    fn check_log(&self) -> Result<(), StoreError> {
        self.holds.log.as_ref().map_or(Ok(()), |kept| kept.check(LOG_WENT))
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
}

/// Where pieces go.
pub(super) struct Outlet {
    sender: mpsc::Sender<Piece>,
    have: Have,
}

impl Outlet {
    pub(super) async fn send(&self, piece: Piece) -> Result<(), StoreError> {
        let gone = |reason: &str| StoreError::Backup { reason: reason.to_owned() };
        match tokio::time::timeout(STALL_MAX, self.sender.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(gone("nobody takes it any more")),
            Err(_) => Err(gone("nobody has taken any of it for a minute")),
        }
    }

    /// Whether this one need not be sent; if so, it was told.
    pub(super) async fn knows(&self, object: &Object) -> Result<bool, StoreError> {
        let known = self.have.has(object);
        if known {
            self.send(Piece::Known(object.clone())).await?;
        }
        Ok(known)
    }

    /// Sends an object that is in memory, unless it is known.
    pub(super) async fn object(&self, path: String, content: Bytes) -> Result<Object, StoreError> {
        let object = Object::of(path, &content);
        if self.knows(&object).await? {
            return Ok(object);
        }
        self.send(Piece::Object(object.clone())).await?;
        for at in (0..content.len()).step_by(PIECE_BYTES as usize) {
            let end = content.len().min(at + PIECE_BYTES as usize);
            self.send(Piece::Bytes(content.slice(at..end))).await?;
        }
        Ok(object)
    }
}
