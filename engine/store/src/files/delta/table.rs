//! An open table.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::kernel::{LogicalFileView, StructField, Transaction};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTableError, TableProperty};
use isinglass_model::{Kind, Tenant, tables};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use super::objects::KernelObjects;
use super::schema::{self, Fit};
use super::{FLUSH_APP_ID, stats};
use crate::Seq;
use crate::files::epoch::{EPOCH_APP_ID, Epoch};
use crate::files::{FilesError, Result};
use crate::log_id::LogId;
use crate::tables::{DataFile, TableState};

/// Log entries older than this are removed once a checkpoint covers them.
const LOG_RETENTION: &str = "interval 1 day";

/// A table and the snapshot that the next commit builds on.
#[derive(Debug)]
pub(in crate::files) struct Table {
    pub(super) tenant: Tenant,
    pub(super) kind: Kind,
    pub(super) log: LogStoreRef,
    pub(super) snapshot: DeltaTableState,
    /// The columns of this release, if the table still lacks some of them.
    pub(super) grows_to: Option<Vec<StructField>>,
    /// The application transaction of the log that rows come from.
    pub(super) flush_app: Arc<str>,
    /// Who commits; `None` = whoever likes.
    writer: Option<Arc<Epoch>>,
    /// The writer that the snapshot says committed last.
    epoch: u64,
    state: TableState,
}

/// What a snapshot says beside its files.
#[derive(Debug)]
struct Transactions {
    /// The record of our log up to which the table is flushed.
    flushed: Seq,
    /// The same of whichever log is furthest.
    highest: Seq,
    /// The writer that committed last.
    epoch: u64,
}

impl Table {
    /// Opens a table at its newest version; `None` if it was never created.
    pub(in crate::files) async fn open(
        objects: &Arc<dyn ObjectStore>,
        tenant: &Tenant,
        kind: Kind,
        from: LogId,
    ) -> Result<Option<Self>> {
        let log = log_store(objects, tenant, kind)?;
        let snapshot = match DeltaTableState::try_new(&log, None).await {
            Ok(snapshot) => snapshot,
            Err(DeltaTableError::NotATable(_)) => return Ok(None),
            Err(error) => return Err(delta_error(tenant, kind, error)),
        };
        let columns =
            schema::columns(tables::Table::of(kind)).map_err(|error| delta_error(tenant, kind, error))?;
        let grows_to = match schema::fit(&snapshot.schema(), &columns) {
            Fit::Same => None,
            Fit::Older => Some(columns),
            Fit::Different(difference) => {
                return Err(FilesError::Schema { tenant: tenant.clone(), kind, difference });
            }
        };
        let nothing = TableState { version: -1, flushed: 0, highest: 0, files: Arc::new([]) };
        let mut table = Self {
            tenant: tenant.clone(),
            kind,
            log,
            snapshot,
            grows_to,
            flush_app: from
                .name()
                .map_or_else(|| FLUSH_APP_ID.into(), |log| format!("{FLUSH_APP_ID}/{log}").into()),
            writer: None,
            epoch: 0,
            state: nothing,
        };
        let transactions = table.transactions(&table.snapshot).await?;
        table.take(table.snapshot.clone(), transactions)?;
        Ok(Some(table))
    }

    /// Opens a table, or creates it.
    pub(in crate::files) async fn open_or_create(
        objects: &Arc<dyn ObjectStore>,
        tenant: &Tenant,
        kind: Kind,
        from: LogId,
    ) -> Result<Self> {
        if let Some(table) = Self::open(objects, tenant, kind, from).await? {
            return Ok(table);
        }
        let columns =
            schema::columns(tables::Table::of(kind)).map_err(|error| delta_error(tenant, kind, error))?;
        let created = create(log_store(objects, tenant, kind)?, kind, columns).await;
        // Another writer may have been first, and an error may come after the
        // table is there: what the log says counts.
        match (Self::open(objects, tenant, kind, from).await?, created) {
            (Some(table), _) => Ok(table),
            (None, Err(error)) => Err(delta_error(tenant, kind, error)),
            (None, Ok(())) => Err(FilesError::Damaged {
                path: format!("{tenant}/{kind}"),
                problem: "the table was created and is not there".to_owned(),
            }),
        }
    }

    /// The same table, whose commits are those of a writer.
    pub(in crate::files) fn written_by(mut self, writer: Option<Arc<Epoch>>) -> Self {
        self.writer = writer;
        self
    }

    /// What every commit begins with: fails if a later writer has started, else marks the
    /// commit as this writer's.
    pub(super) async fn admit(&self, commit: CommitProperties) -> Result<CommitProperties> {
        let Some(writer) = &self.writer else {
            return Ok(commit);
        };
        writer.check(self.epoch).await?;
        Ok(commit.with_application_transaction(writer.transaction()))
    }

    /// A commit with which the table is flushed up to a record of this log.
    pub(super) fn flushes(
        &self,
        commit: CommitProperties,
        up_to: Seq,
        now_unix_millis: i64,
    ) -> CommitProperties {
        let version = |seq| i64::try_from(seq).unwrap_or(i64::MAX);
        let transaction =
            |app: &str, seq| Transaction::new_with_last_update(app, version(seq), Some(now_unix_millis));
        let commit =
            commit.with_application_transaction(transaction(FLUSH_APP_ID, up_to.max(self.state.highest)));
        match &*self.flush_app {
            FLUSH_APP_ID => commit,
            own => commit.with_application_transaction(transaction(own, up_to)),
        }
    }

    /// The newest known version.
    pub(in crate::files) fn state(&self) -> &TableState {
        &self.state
    }

    /// Takes over a snapshot that a commit led to.
    pub(super) fn adopt(&mut self, snapshot: DeltaTableState, flushed: Seq) -> Result<()> {
        let highest = self.state.highest.max(flushed);
        let epoch = self.writer.as_ref().map_or(self.epoch, |writer| writer.number());
        self.take(snapshot, Transactions { flushed, highest, epoch })?;
        self.grows_to = None;
        Ok(())
    }

    /// Reads the log anew.
    pub(in crate::files) async fn reload(&mut self) -> Result<()> {
        let snapshot = DeltaTableState::try_new(&self.log, None).await.map_err(|error| self.error(error))?;
        let transactions = self.transactions(&snapshot).await?;
        self.take(snapshot, transactions)
    }

    /// Goes over to another snapshot, wholly or, after an error, not at all: a table that knew
    /// of a flush but not of its files would take these for superfluous, and delete them.
    fn take(&mut self, snapshot: DeltaTableState, transactions: Transactions) -> Result<()> {
        let Transactions { flushed, highest, epoch } = transactions;
        let files = self.files(&snapshot)?;
        let version = i64::try_from(snapshot.version()).unwrap_or(i64::MAX);
        self.state = TableState { version, flushed, highest, files };
        self.epoch = epoch;
        self.snapshot = snapshot;
        Ok(())
    }

    /// What the snapshot's own log says is flushed, and its last writer.
    async fn transactions(&self, snapshot: &DeltaTableState) -> Result<Transactions> {
        let highest = self.transaction_in(snapshot, FLUSH_APP_ID).await?;
        let flushed = match &*self.flush_app {
            FLUSH_APP_ID => highest,
            own => self.transaction_in(snapshot, own).await?,
        };
        let epoch = self.transaction_in(snapshot, EPOCH_APP_ID).await?;
        Ok(Transactions { flushed, highest, epoch })
    }

    /// The version of an application transaction; 0 = there is none.
    pub(super) async fn transaction(&self, app_id: &str) -> Result<u64> {
        self.transaction_in(&self.snapshot, app_id).await
    }

    async fn transaction_in(&self, snapshot: &DeltaTableState, app_id: &str) -> Result<u64> {
        let version = snapshot.snapshot().transaction_version(&self.log, app_id).await;
        let version = version.map_err(|error| self.error(error))?;
        Ok(version.and_then(|version| u64::try_from(version).ok()).unwrap_or(0))
    }

    /// The files of a snapshot. Those known from before are not read again, so that this
    /// costs little in a table of many files.
    fn files(&self, snapshot: &DeltaTableState) -> Result<Arc<[DataFile]>> {
        let known: HashMap<&str, &DataFile> =
            self.state.files.iter().map(|file| (file.path.as_ref(), file)).collect();
        let log_data = snapshot.snapshot().try_log_data().map_err(|error| self.error(error))?;
        let files = log_data.iter().map(|view| {
            let path = format!("{}/{}/{}", self.tenant, self.kind, view.path());
            match known.get(path.as_str()) {
                Some(file) => Ok((*file).clone()),
                None => data_file(self.kind, path, &view),
            }
        });
        let mut files = files.collect::<Result<Vec<_>>>()?;
        // Names begin with the time of their making.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files.into())
    }

    pub(super) fn error(&self, source: DeltaTableError) -> FilesError {
        delta_error(&self.tenant, self.kind, source)
    }
}

fn data_file(kind: Kind, path: String, view: &LogicalFileView) -> Result<DataFile> {
    let damaged = |problem: &str| FilesError::Damaged { path: path.clone(), problem: problem.to_owned() };
    if view.deletion_vector_descriptor().is_some() {
        return Err(damaged("the file has a deletion vector, which is not read here"));
    }
    let location = Path::parse(&path).map_err(|error| damaged(&error.to_string()))?;
    let extent = view.stats().and_then(|text| stats::from_json(kind, &text));
    let extent = extent.ok_or_else(|| damaged("the commit does not say how many rows the file has"))?;
    let size_bytes = u64::try_from(view.size()).map_err(|_| damaged("the file has a negative size"))?;
    #[expect(deprecated, reason = "tags are to be had in no other way; it is called once for each file")]
    let tags = view.add_action().tags.unwrap_or_default();
    let (level, accepted) = stats::from_tags(&tags);
    let kept = stats::kept(&tags);
    let crc32c = stats::checksums(&tags, size_bytes).map_err(|problem| damaged(&problem))?;
    let token_index_bytes = stats::token_index_bytes(&tags);
    let attribute_columns = stats::attribute_columns(&tags);
    Ok(DataFile {
        path: location,
        size_bytes,
        rows: extent.rows,
        time: extent.time,
        metric_id: extent.metric_id,
        level,
        accepted,
        kept,
        crc32c,
        token_index_bytes,
        attribute_columns,
    })
}

async fn create(log: LogStoreRef, kind: Kind, columns: Vec<StructField>) -> Result<(), DeltaTableError> {
    let properties = CommitProperties::default()
        .with_max_retries(0)
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false));
    CreateBuilder::new()
        .with_log_store(log)
        .with_columns(columns)
        .with_configuration_property(
            TableProperty::DataSkippingStatsColumns,
            Some(stats::indexed_columns(kind)),
        )
        .with_configuration_property(TableProperty::LogRetentionDuration, Some(LOG_RETENTION))
        .with_commit_properties(properties)
        .await
        .map(drop)
}

/// The log of a table below the root of `objects`. The URL is but a name.
fn log_store(objects: &Arc<dyn ObjectStore>, tenant: &Tenant, kind: Kind) -> Result<LogStoreRef> {
    let folder = format!("{tenant}/{kind}");
    let damaged = |problem: String| FilesError::Damaged { path: folder.clone(), problem };
    let location =
        Url::parse(&format!("isinglass:///{folder}/")).map_err(|error| damaged(error.to_string()))?;
    let prefix = Path::parse(&folder).map_err(|error| damaged(error.to_string()))?;
    let root: Arc<dyn ObjectStore> = Arc::new(KernelObjects(Arc::clone(objects)));
    let table = Arc::new(PrefixStore::new(Arc::clone(&root), prefix));
    Ok(default_logstore(table, root, &location, &StorageConfig::default()))
}

fn delta_error(tenant: &Tenant, kind: Kind, source: DeltaTableError) -> FilesError {
    FilesError::Delta { tenant: tenant.clone(), kind, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::files::delta::{Extent, NewFile};
    use crate::tables::Reach;

    const KIND: Kind = Kind::Samples;

    /// A table as another release made it.
    async fn table_with(columns: Vec<StructField>) -> (Arc<dyn ObjectStore>, Tenant) {
        let (objects, tenant): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), Tenant::default());
        create(log_store(&objects, &tenant, KIND).unwrap(), KIND, columns).await.unwrap();
        (objects, tenant)
    }

    fn columns() -> Vec<StructField> {
        schema::columns(tables::Table::of(KIND)).unwrap()
    }

    fn file(name: &str) -> NewFile {
        let extent = Extent { rows: 1, time: Some((1, 2)), metric_id: Some((3, 4)), series_id: None };
        NewFile {
            name: name.to_owned(),
            size_bytes: 5,
            extent,
            crc32c: vec![6],
            token_index_bytes: None,
            attribute_columns: Vec::new(),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_of_an_older_release_gets_the_new_columns_with_its_next_commit() {
        let (objects, tenant) = table_with(columns()[..4].to_vec()).await;
        let mut table = Table::open(&objects, &tenant, KIND, LogId::FIRST).await.unwrap().unwrap();
        table.commit_flush(&[file("a.parquet")], Reach { after: 0, up_to: 1 }, 0).await.unwrap();
        table.commit_flush(&[file("b.parquet")], Reach { after: 1, up_to: 2 }, 0).await.unwrap();
        let table = Table::open(&objects, &tenant, KIND, LogId::FIRST).await.unwrap().unwrap();
        assert!(table.grows_to.is_none());
        assert_eq!(schema::fit(&table.snapshot.schema(), &columns()), Fit::Same);
        assert_eq!((table.state.version, table.state.flushed, table.state.files.len()), (2, 2, 2));
        assert_eq!((table.state.files[0].time, table.state.files[0].metric_id), (Some((1, 2)), Some((3, 4))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_with_other_columns_is_left_alone() {
        let mut other = columns();
        other.swap(0, 1);
        let (objects, tenant) = table_with(other).await;
        let error = Table::open(&objects, &tenant, KIND, LogId::FIRST).await.unwrap_err();
        assert!(matches!(error, FilesError::Schema { .. }), "{error}");
    }

    /// A commit goes on top of the snapshot that was looked at, or nowhere.
    #[tokio::test(flavor = "multi_thread")]
    async fn of_two_snapshots_the_second_looks_again() {
        let (objects, tenant) = table_with(columns()).await;
        let mut one = Table::open(&objects, &tenant, KIND, LogId::FIRST).await.unwrap().unwrap();
        let mut other = Table::open(&objects, &tenant, KIND, LogId::FIRST).await.unwrap().unwrap();
        one.commit_flush(&[file("one.parquet")], Reach { after: 0, up_to: 7 }, 0).await.unwrap();
        other.commit_flush(&[file("same-rows.parquet")], Reach { after: 0, up_to: 7 }, 0).await.unwrap();
        assert!(!other.names(&file("same-rows.parquet")));
        other.commit_flush(&[file("more.parquet")], Reach { after: 7, up_to: 8 }, 0).await.unwrap();
        one.reload().await.unwrap();
        let names: Vec<_> = one.state.files.iter().filter_map(|file| file.path.filename()).collect();
        assert_eq!(names, ["more.parquet", "one.parquet"]);
        assert_eq!(one.state.flushed, 8);
    }
}
