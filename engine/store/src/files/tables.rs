//! All tables of the store.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use hashbrown::HashMap;
use isinglass_model::{Clock, Kind, Tenant};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use parking_lot::Mutex;

use super::delta::{self, Table};
use super::epoch::{Epoch, OWN_FOLDER};
use super::objects::{self, Checker, Counters, ObjectStats, ObjectsConfig};
use super::parquet::{self, Encoded};
use super::{FilesError, Result, days, epoch, error, replace, rewrite, series, tokens};
use crate::log_id::LogId;
use crate::removals::Removals;
use crate::tables::{
    DataFile, FoundFile, Reach, Replace, Replaced, Rewrite, Rewritten, SeriesRow, SortedRows, TableFiles,
    TableState,
};
use crate::{Seq, StoreConfig, StoreError};

/// Open tables held in memory: 18 KiB each for `samples`, 120 for `spans` with
/// its many columns, so at most 60 MiB. Beyond it the ones not used for the
/// longest time are closed; opening one again costs some milliseconds.
const OPEN_TABLES_MAX: usize = 512;

/// Commits from one checkpoint of a table's log to the next.
const CHECKPOINT_INTERVAL: i64 = 100;

/// Attempts to put a file.
const PUT_ATTEMPTS_MAX: u32 = 3;

/// All Delta tables below one folder: `<tenant>/<kind>/`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tables {
    shared: Arc<Shared>,
}

struct Shared {
    objects: Arc<dyn ObjectStore>,
    counters: Arc<Counters>,
    checker: Arc<Checker>,
    clock: Arc<dyn Clock>,
    checkpoint_every: i64,
    /// Which writer this is, once that is claimed.
    epoch: OnceLock<Arc<Epoch>>,
    /// Where the rows come from.
    log: OnceLock<LogId>,
    slots: Mutex<HashMap<(Tenant, Kind), Arc<Slot>, ahash::RandomState>>,
    uses: AtomicU64,
    /// Checkpoints remove what they make superfluous.
    log_removals: Removals,
}

/// A table's place. The lock is held over a commit: a table has one at a time.
#[derive(Default)]
struct Slot {
    table: tokio::sync::Mutex<Option<Table>>,
    last_use: AtomicU64,
}

impl Tables {
    /// Opens the tables at the URL of the configuration, nothing meaning the folder `folder`,
    /// and makes the folder where it is missing.
    pub(crate) async fn open(config: &StoreConfig, folder: &FilePath, clock: Arc<dyn Clock>) -> Result<Self> {
        let objects = objects::open(&config.url, &config.objects, folder).await?;
        let (objects, counters) = objects::metered(objects, Arc::clone(&clock));
        let checker = objects::checker(config, Arc::clone(&objects), folder).await?;
        Ok(Self::read_by(checker, objects, counters, clock, CHECKPOINT_INTERVAL))
    }

    /// Tables to look at: nothing is made or changed by opening them.
    pub(crate) fn to_read(
        url: &str,
        options: &ObjectsConfig,
        folder: &FilePath,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        Ok(Self::on(objects::to_read("store.url", url, options, folder)?, clock))
    }

    /// The highest number that any writer has claimed; 0 = none has.
    pub(crate) async fn highest_epoch(&self) -> Result<u64> {
        epoch::highest(&self.shared.objects).await
    }

    /// Tables on any object store that refuses a second create.
    pub(crate) fn on(objects: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>) -> Self {
        Self::with_checkpoints(objects, clock, CHECKPOINT_INTERVAL)
    }

    /// The same, with a checkpoint after every so many commits to a table.
    pub(crate) fn with_checkpoints(
        objects: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        checkpoint_every: i64,
    ) -> Self {
        let (objects, counters) = objects::metered(objects, Arc::clone(&clock));
        let checker = Checker::new(Arc::clone(&objects));
        Self::read_by(checker, objects, counters, clock, checkpoint_every)
    }

    fn read_by(
        checker: Checker,
        objects: Arc<dyn ObjectStore>,
        counters: Arc<Counters>,
        clock: Arc<dyn Clock>,
        checkpoint_every: i64,
    ) -> Self {
        let (epoch, log, slots, uses) =
            (OnceLock::new(), OnceLock::new(), Mutex::default(), AtomicU64::new(0));
        let checker = Arc::new(checker);
        let log_removals = Removals::default();
        let shared = Shared {
            objects,
            counters,
            checker,
            clock,
            checkpoint_every,
            epoch,
            log,
            slots,
            uses,
            log_removals,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Takes the tables over: from now on no process that came before can commit.
    pub(crate) async fn claim_epoch(&self) -> Result<()> {
        let who = format!(
            "process {} at {} ms since 1970",
            std::process::id(),
            self.shared.clock.now_unix_millis()
        );
        let epoch = Epoch::claim(&self.shared.objects, &who).await?;
        tracing::info!(epoch = epoch.number(), "claimed the tables");
        let _ = self.shared.epoch.set(Arc::new(epoch));
        Ok(())
    }

    fn log(&self) -> LogId {
        self.shared.log.get().copied().unwrap_or(LogId::FIRST)
    }

    /// The newest version of a table; `None` if it was never created.
    async fn load_table(&self, tenant: &Tenant, kind: Kind) -> Result<Option<TableState>> {
        let slot = self.slot(tenant, kind);
        let mut table = slot.table.lock().await;
        if table.is_none() {
            let opened = Table::open(&self.shared.objects, tenant, kind, self.log()).await?;
            *table = opened.map(|table| table.written_by(self.shared.epoch.get().cloned()));
        }
        Ok(table.as_ref().map(|table| table.state().clone()))
    }

    /// Adds rows to a table and marks it flushed up to a WAL position (counted
    /// from 1), once: if it is flushed that far already, nothing is written.
    ///
    /// After an error the rows are in the table whole or not at all; calling
    /// again with the same position finds out which.
    async fn commit_rows(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rows: SortedRows,
        reach: Reach,
    ) -> Result<TableState> {
        let slot = self.slot(tenant, kind);
        let mut place = slot.table.lock().await;
        // Taken out, so that after an error the next one reads the log anew.
        let mut table = match place.take() {
            Some(table) => table,
            None => {
                let epoch = self.shared.epoch.get().cloned();
                Table::open_or_create(&self.shared.objects, tenant, kind, self.log()).await?.written_by(epoch)
            }
        };
        if !table.is_flushed(reach.up_to) {
            table.refuse_if_overtaken(reach)?;
            self.flush(&mut table, tenant, kind, rows, reach).await?;
        }
        let state = table.state().clone();
        let checkpoint = table.checkpoint_is_due(self.shared.checkpoint_every);
        *place = Some(table);
        drop(place);
        if checkpoint {
            tokio::spawn(checkpoint_in(slot, self.shared.log_removals.clone()));
        }
        Ok(state)
    }

    async fn flush(
        &self,
        table: &mut Table,
        tenant: &Tenant,
        kind: Kind,
        rows: SortedRows,
        reach: Reach,
    ) -> Result<()> {
        let now = self.shared.clock.now_unix_millis();
        // A file for each day, so that no file spans more.
        let encode = move || {
            let days = days::split(kind, rows)?;
            days.into_iter().map(|rows| parquet::encode(kind, rows)).collect::<Result<Vec<_>>>()
        };
        let mut files = Vec::new();
        for encoded in tokio::task::spawn_blocking(encode).await?? {
            files.push(self.put_new(tenant, kind, encoded).await?);
        }
        let committed = table.commit_flush(&files, reach, now).await;
        if committed.is_ok() {
            // If there are any, another writer had flushed this far already.
            for file in files.iter().filter(|file| !table.names(file)) {
                let path = data_path(tenant, kind, &file.name)?;
                let removed = self.delete_files(vec![path.clone()]).await;
                tracing::warn!(%path, ?removed, "another writer was first; its commit stands, our file goes");
            }
        }
        committed
    }

    async fn put_new(&self, tenant: &Tenant, kind: Kind, encoded: Encoded) -> Result<delta::NewFile> {
        let name = format!("{}.parquet", self.new_id());
        let path = data_path(tenant, kind, &name)?;
        let Encoded { payload, size_bytes, extent, crc32c, token_index } = encoded;
        self.put(&path, payload).await?;
        let token_index_bytes = token_index.as_ref().map(|index| index.len() as u64);
        if let Some((index, path)) = token_index.zip(tokens::path_of(&path)) {
            self.put(&path, index.into()).await?;
        }
        let attribute_columns = Vec::new();
        Ok(delta::NewFile { name, size_bytes, extent, crc32c, token_index_bytes, attribute_columns })
    }

    async fn rewrite_files(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rewrite: &Rewrite,
        gate: &tokio::sync::Mutex<()>,
        publish: &(dyn for<'r> Fn(&'r TableState) + Send + Sync),
    ) -> Result<Option<Rewritten>> {
        let objects = &self.shared.objects;
        let mut name = || format!("{}.parquet", self.new_id());
        let merged = rewrite::merge(objects, tenant, kind, rewrite, &mut name).await?;
        let slot = self.slot(tenant, kind);
        let committed = {
            let _closed = gate.lock().await;
            let mut place = slot.table.lock().await;
            let mut table = match place.take() {
                Some(table) => table,
                None => {
                    let epoch = self.shared.epoch.get().cloned();
                    Table::open_or_create(objects, tenant, kind, self.log()).await?.written_by(epoch)
                }
            };
            // After an error the outputs may be in the table: they stay, and are
            // collected as orphans if they are not.
            let now = self.shared.clock.now_unix_millis();
            let committed = rewrite::commit(&mut table, rewrite, &merged, now).await?;
            publish(table.state());
            *place = Some(table);
            committed
        };
        if committed.is_none() {
            self.discard(tenant, kind, &merged.files).await;
        }
        Ok(committed)
    }

    /// Encodes rows, a file for each day, and puts them.
    async fn put_days(&self, tenant: &Tenant, kind: Kind, rows: SortedRows) -> Result<Vec<delta::NewFile>> {
        let encode = move || {
            let days = days::split(kind, rows)?;
            days.into_iter().map(|rows| parquet::encode(kind, rows)).collect::<Result<Vec<_>>>()
        };
        let mut files = Vec::new();
        for encoded in tokio::task::spawn_blocking(encode).await?? {
            files.push(self.put_new(tenant, kind, encoded).await?);
        }
        Ok(files)
    }

    async fn replace_rows(
        &self,
        tenant: &Tenant,
        replace: &Replace,
        gate: &tokio::sync::Mutex<()>,
        may: &(dyn Fn() -> Result<(), StoreError> + Send + Sync),
        publish: &(dyn for<'r> Fn(&'r TableState) + Send + Sync),
    ) -> Result<Option<Replaced>, StoreError> {
        let (objects, kind) = (&self.shared.objects, replace.kind);
        let mut name = || format!("{}.parquet", self.new_id());
        let mut merged = Vec::new();
        let result = replace::merge(objects, tenant, replace, &mut name, &mut merged).await;
        let files = |merged: &[replace::Group]| -> Vec<Path> {
            let names = merged.iter().flat_map(replace::Group::files);
            names.filter_map(|file| data_path(tenant, kind, &file.name).ok()).collect()
        };
        if let Err(error) = result {
            // None of them was in a commit.
            let _ = self.delete_files(files(&merged)).await;
            return Err(error.into());
        }
        let slot = self.slot(tenant, kind);
        let _closed = gate.lock().await;
        may()?;
        let mut place = slot.table.lock().await;
        let mut table = match place.take() {
            Some(table) => table,
            None => {
                let epoch = self.shared.epoch.get().cloned();
                Table::open_or_create(objects, tenant, kind, self.log()).await?.written_by(epoch)
            }
        };
        // After an error the outputs may be in the table: they stay, and are collected as
        // orphans if they are not.
        let now = self.shared.clock.now_unix_millis();
        let committed = replace::commit(&mut table, replace, &merged, now).await?;
        publish(table.state());
        *place = Some(table);
        if committed.is_none() {
            let _ = self.delete_files(files(&merged)).await;
        }
        Ok(committed)
    }

    /// Removes files that no version of the table names.
    async fn discard(&self, tenant: &Tenant, kind: Kind, files: &[delta::NewFile]) {
        let paths: Result<Vec<Path>> = files.iter().map(|file| data_path(tenant, kind, &file.name)).collect();
        let deleted = match paths {
            Ok(paths) => self.delete_files(paths).await,
            Err(error) => Err(error),
        };
        if let Err(error) = deleted {
            let error = error.chain();
            tracing::warn!(%tenant, %kind, error, "files that no table names stay until they are collected");
        }
    }

    async fn erase_table(
        &self,
        tenant: &Tenant,
        kind: Kind,
        up_to: Seq,
    ) -> Result<(Option<TableState>, Vec<DataFile>)> {
        let slot = self.slot(tenant, kind);
        let mut place = slot.table.lock().await;
        let opened = match place.take() {
            Some(table) => Some(table),
            None => Table::open(&self.shared.objects, tenant, kind, self.log()).await?,
        };
        let Some(table) = opened else { return Ok((None, Vec::new())) };
        let mut table = table.written_by(self.shared.epoch.get().cloned());
        let gone = table.commit_erasure(up_to, self.shared.clock.now_unix_millis()).await?;
        let state = table.state().clone();
        *place = Some(table);
        Ok((Some(state), gone))
    }

    /// Deletes data files and their indexes. What is not there is gone, too.
    async fn delete_files(&self, files: Vec<Path>) -> Result<()> {
        self.shared.checker.forget(&files);
        let indexes: Vec<Path> = files.iter().filter_map(tokens::path_of).collect();
        let paths = futures::stream::iter(files.into_iter().chain(indexes).map(Ok)).boxed();
        let mut deleted = self.shared.objects.delete_stream(paths);
        while let Some(deleted) = deleted.next().await {
            match deleted {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The data files of all indexes of a table, whose folders are these.
    async fn list_indexes(&self, folders: &[Path]) -> Result<Vec<FoundFile>> {
        let Some(folder) = folders.iter().find(|folder| folder.filename() == Some(tokens::FOLDER)) else {
            return Ok(Vec::new());
        };
        let listed = self.shared.objects.list_with_delimiter(Some(folder)).await?;
        let found = listed.objects.into_iter().filter_map(|object| {
            let modified_unix_ms = object.last_modified.timestamp_millis();
            Some(FoundFile { path: tokens::file_of(&object.location)?, size_bytes: None, modified_unix_ms })
        });
        Ok(found.collect())
    }

    /// The name is new, so a put may be repeated whatever became of it.
    async fn put(&self, path: &Path, payload: PutPayload) -> Result<()> {
        for attempt in 1.. {
            match self.shared.objects.put(path, payload.clone()).await {
                Ok(_) => break,
                Err(error) if attempt >= PUT_ATTEMPTS_MAX => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%path, attempt, error = error::chain(&error), "put failed, trying again");
                }
            }
        }
        Ok(())
    }

    /// A checkpoint of a table now.
    #[cfg(test)]
    pub(crate) async fn checkpoint(&self, tenant: &Tenant, kind: Kind) {
        checkpoint_in(self.slot(tenant, kind), self.shared.log_removals.clone()).await;
    }

    #[cfg(test)]
    pub(super) fn open_tables(&self) -> usize {
        self.shared.slots.lock().len()
    }

    /// UUID version 7 by the clock: names sort by the time of their making.
    fn new_id(&self) -> uuid::Uuid {
        let now = self.shared.clock.now_unix_nanos().max(0).unsigned_abs();
        let (seconds, nanos) = (now / 1_000_000_000, (now % 1_000_000_000) as u32);
        uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
    }

    fn slot(&self, tenant: &Tenant, kind: Kind) -> Arc<Slot> {
        let mut slots = self.shared.slots.lock();
        let now = self.shared.uses.fetch_add(1, Ordering::Relaxed);
        let key = (tenant.clone(), kind);
        if slots.len() >= OPEN_TABLES_MAX && !slots.contains_key(&key) {
            close_idle(&mut slots);
        }
        let slot = slots.entry(key).or_default();
        slot.last_use.store(now, Ordering::Relaxed);
        Arc::clone(slot)
    }
}

/// Not made from its parts, which would be encoded: a folder is named after its tenant,
/// letter by letter.
fn table_path(tenant: &Tenant, kind: Kind) -> Result<Path> {
    let path = format!("{tenant}/{kind}");
    Path::parse(&path).map_err(|error| FilesError::Damaged { path, problem: error.to_string() })
}

fn data_path(tenant: &Tenant, kind: Kind, name: &str) -> Result<Path> {
    let path = format!("{tenant}/{kind}/{name}");
    Path::parse(&path).map_err(|error| FilesError::Damaged { path, problem: error.to_string() })
}

#[async_trait]
impl TableFiles for Tables {
    fn set_log(&self, log: LogId) {
        let _ = self.shared.log.set(log);
    }

    async fn load(&self, tenant: &Tenant, kind: Kind) -> Result<Option<TableState>, StoreError> {
        Ok(self.load_table(tenant, kind).await?)
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rows: SortedRows,
        reach: Reach,
    ) -> Result<TableState, StoreError> {
        Ok(self.commit_rows(tenant, kind, rows, reach).await?)
    }

    async fn rewrite(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rewrite: &Rewrite,
        gate: &tokio::sync::Mutex<()>,
        publish: &(dyn for<'r> Fn(&'r TableState) + Send + Sync),
    ) -> Result<Option<Rewritten>, StoreError> {
        Ok(self.rewrite_files(tenant, kind, rewrite, gate, publish).await?)
    }

    async fn put_drafts(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rows: SortedRows,
    ) -> Result<Vec<delta::NewFile>, StoreError> {
        Ok(self.put_days(tenant, kind, rows).await?)
    }

    async fn discard_drafts(&self, tenant: &Tenant, kind: Kind, files: &[delta::NewFile]) {
        self.discard(tenant, kind, files).await;
    }

    async fn replace(
        &self,
        tenant: &Tenant,
        replace: &Replace,
        gate: &tokio::sync::Mutex<()>,
        may: &(dyn Fn() -> Result<(), StoreError> + Send + Sync),
        publish: &(dyn for<'r> Fn(&'r TableState) + Send + Sync),
    ) -> Result<Option<Replaced>, StoreError> {
        self.replace_rows(tenant, replace, gate, may, publish).await
    }

    async fn erase(
        &self,
        tenant: &Tenant,
        kind: Kind,
        up_to: Seq,
    ) -> Result<(Option<TableState>, Vec<DataFile>), StoreError> {
        Ok(self.erase_table(tenant, kind, up_to).await?)
    }

    async fn list(&self, tenant: &Tenant, kind: Kind) -> Result<Vec<FoundFile>, StoreError> {
        let folder = table_path(tenant, kind)?;
        let listed =
            self.shared.objects.list_with_delimiter(Some(&folder)).await.map_err(FilesError::from)?;
        let data = listed.objects.into_iter().filter(|object| object.location.extension() == Some("parquet"));
        let mut found: HashMap<Path, (Option<u64>, i64)> = data
            .map(|object| (object.location, (Some(object.size), object.last_modified.timestamp_millis())))
            .collect();
        for index in self.list_indexes(&listed.common_prefixes).await? {
            // The younger of the two counts.
            let (_, modified) = found.entry(index.path).or_insert((None, index.modified_unix_ms));
            *modified = index.modified_unix_ms.max(*modified);
        }
        let file = |(path, (size_bytes, modified_unix_ms))| FoundFile { path, size_bytes, modified_unix_ms };
        let mut found: Vec<FoundFile> = found.into_iter().map(file).collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    async fn delete(&self, files: Vec<Path>) -> Result<u64, StoreError> {
        let gone = files.len() as u64;
        self.delete_files(files).await?;
        Ok(gone)
    }

    async fn read_series(
        &self,
        tenant: &Tenant,
        each: &mut (dyn for<'r> FnMut(SeriesRow<'r>) + Send),
    ) -> Result<(), StoreError> {
        let Some(table) = self.load_table(tenant, Kind::Series).await? else { return Ok(()) };
        let objects = self.shared.checker.reading(vec![Arc::clone(&table.files)]);
        for file in table.files.iter() {
            series::read_file(&objects, file, each).await?;
        }
        Ok(())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let listed = self.shared.objects.list_with_delimiter(None).await;
        let folders = listed.map_err(FilesError::from)?.common_prefixes;
        let mut tenants = Vec::with_capacity(folders.len());
        for folder in folders {
            if folder.as_ref() == OWN_FOLDER {
                continue;
            }
            match Tenant::new(folder.as_ref()) {
                Ok(tenant) => tenants.push(tenant),
                Err(error) => tracing::warn!(%folder, %error, "a folder among the tables is no tenant"),
            }
        }
        Ok(tenants)
    }

    async fn log_files(&self, tenant: &Tenant, kind: Kind, version: i64) -> Result<Vec<Path>, StoreError> {
        let Ok(version) = u64::try_from(version) else { return Ok(Vec::new()) };
        Ok(delta::log_files(&self.shared.objects, tenant, kind, version).await?)
    }

    async fn read_log_file(&self, path: &Path) -> Result<Bytes, StoreError> {
        Ok(delta::read_log_file(&self.shared.objects, path).await?)
    }

    fn log_removals(&self) -> Removals {
        self.shared.log_removals.clone()
    }

    fn epoch(&self) -> u64 {
        self.shared.epoch.get().map_or(0, |epoch| epoch.number())
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.shared.objects)
    }

    fn checker(&self) -> Arc<Checker> {
        Arc::clone(&self.shared.checker)
    }

    fn object_stats(&self) -> BTreeMap<&'static str, ObjectStats> {
        self.shared.counters.stats()
    }
}

/// Closes the half that was not used for the longest time. A table in use stays,
/// so that it never has two slots.
fn close_idle(slots: &mut HashMap<(Tenant, Kind), Arc<Slot>, ahash::RandomState>) {
    let mut uses: Vec<u64> = slots.values().map(|slot| slot.last_use.load(Ordering::Relaxed)).collect();
    let middle = uses.len() / 2;
    let (_, median, _) = uses.select_nth_unstable(middle);
    let median = *median;
    slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.last_use.load(Ordering::Relaxed) > median);
}

/// Checkpoints the table of a slot. A failure costs only time at the next open, and so does
/// a backup that keeps all logs: the next checkpoint is due a hundred commits later.
async fn checkpoint_in(slot: Arc<Slot>, removals: Removals) {
    let Some(_removing) = removals.begin() else { return };
    let mut place = slot.table.lock().await;
    let Some(mut table) = place.take() else { return };
    match table.checkpoint().await {
        Ok(()) => *place = Some(table),
        Err(error) => tracing::warn!(error = error.chain(), "checkpoint failed"),
    }
}
