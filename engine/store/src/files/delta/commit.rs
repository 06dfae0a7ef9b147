//! Adding the files of a flush, exactly once.

use std::collections::HashMap;
use std::time::Duration;

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, MetadataExt as _, StructType};
use deltalake_core::protocol::{DeltaOperation, OutputMode};

use super::{Extent, Table, stats};
use crate::Seq;
use crate::files::{FilesError, Result};
use crate::tables::{AttributeColumn, Reach};

/// Attempts to commit before a flush gives up; its caller tries again later.
const ATTEMPTS_MAX: u32 = 6;

/// Wait before the second attempt; doubles with each.
const BACKOFF: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 20 });

/// A file that is put and not yet part of the table.
#[derive(Debug)]
pub(crate) struct NewFile {
    /// Its name in the folder of the table.
    pub(in crate::files) name: String,
    pub(in crate::files) size_bytes: u64,
    pub(in crate::files) extent: Extent,
    pub(in crate::files) crc32c: Vec<u32>,
    /// Size of its token index, if it has one, already put too.
    pub(in crate::files) token_index_bytes: Option<u64>,
    /// Attributes with a column of their own that holds for all rows, by key.
    pub(in crate::files) attribute_columns: Vec<AttributeColumn>,
}

impl Table {
    /// Whether the table has all rows up to this position.
    pub(in crate::files) fn is_flushed(&self, up_to: Seq) -> bool {
        self.state().flushed >= up_to
    }

    /// Whether the newest known version names this file.
    pub(in crate::files) fn names(&self, file: &NewFile) -> bool {
        self.state().files.iter().any(|known| known.path.filename() == Some(file.name.as_str()))
    }

    /// Makes the files part of the table and the table flushed up to `reach.up_to`,
    /// unless it is already.
    ///
    /// A commit is tried only at the version right after the snapshot whose
    /// transaction was looked at. So of two writers one wins, and the other
    /// looks again at what the winner wrote.
    pub(in crate::files) async fn commit_flush(
        &mut self,
        files: &[NewFile],
        reach: Reach,
        now_unix_millis: i64,
    ) -> Result<()> {
        let (mut wait, up_to) = (BACKOFF, reach.up_to);
        for attempt in 1..=ATTEMPTS_MAX {
            if self.is_flushed(up_to) {
                return Ok(());
            }
            let error = match self.try_commit(files, up_to, now_unix_millis).await {
                Ok(()) => return Ok(()),
                Err(error @ FilesError::Fenced { .. }) => return Err(error),
                Err(error) => error,
            };
            tracing::warn!(
                tenant = %self.tenant, kind = %self.kind, attempt, error = error.chain(),
                "commit failed, reading the log anew"
            );
            // It may have landed. If the log cannot be read now, the snapshot
            // stays, and a commit on top of it is refused if it did land.
            let reloaded = self.reload().await;
            self.refuse_if_overtaken(reach)?;
            if attempt == ATTEMPTS_MAX {
                return if reloaded.is_ok() && self.is_flushed(up_to) { Ok(()) } else { Err(error) };
            }
            if !self.is_flushed(up_to) {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        Ok(())
    }

    /// A commit of ours ends at `up_to` or is not there. One that ends in between is that
    /// of a process before this one, which landed after it died: some of our rows are in
    /// it, and only a new start can tell which.
    pub(in crate::files) fn refuse_if_overtaken(&self, Reach { after, up_to }: Reach) -> Result<()> {
        let flushed = self.state().flushed;
        if flushed == after || flushed >= up_to {
            return Ok(());
        }
        let table = format!("{}/{}", self.tenant, self.kind);
        Err(FilesError::Fenced {
            reason: format!(
                "another writer has flushed {table} from record {after} to {flushed} since this one opened it; \
                 start this process again"
            ),
        })
    }

    async fn try_commit(&mut self, files: &[NewFile], up_to: Seq, now_unix_millis: i64) -> Result<()> {
        let epoch_id = i64::try_from(up_to).map_err(|_| FilesError::Rows {
            kind: self.kind,
            problem: format!("WAL position {up_to} is beyond the range of a transaction"),
        })?;
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false));
        let properties = self.admit(self.flushes(properties, up_to, now_unix_millis)).await?;
        let operation = DeltaOperation::StreamingUpdate {
            output_mode: OutputMode::Append,
            query_id: self.flush_app.to_string(),
            epoch_id,
        };
        let actions = self.actions(files, up_to, now_unix_millis).map_err(|error| self.error(error))?;
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.snapshot), self.log.clone(), operation)
            .await
            .map_err(|error| self.error(error))?;
        self.adopt(commit.snapshot(), up_to)
    }

    /// The columns of this release, if the table still lacks some of them: whatever is
    /// committed first adds them.
    pub(super) fn growth(&self) -> Result<Option<Action>, DeltaTableError> {
        let Some(columns) = &self.grows_to else { return Ok(None) };
        let schema = StructType::try_new(columns.iter().cloned())?;
        Ok(Some(Action::Metadata(self.snapshot.metadata().clone().with_schema(&schema)?)))
    }

    fn actions(
        &self,
        files: &[NewFile],
        up_to: Seq,
        now_unix_millis: i64,
    ) -> Result<Vec<Action>, DeltaTableError> {
        let add = |file: &NewFile| {
            Action::Add(Add {
                path: file.name.clone(),
                partition_values: HashMap::new(),
                size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
                modification_time: now_unix_millis,
                data_change: true,
                stats: Some(stats::to_json(self.kind, &file.extent)),
                tags: Some(stats::to_tags(file, 0, up_to, None)),
                deletion_vector: None,
                base_row_id: None,
                default_row_commit_version: None,
                clustering_provider: None,
            })
        };
        let mut actions = Vec::with_capacity(files.len() + 1);
        actions.extend(self.growth()?);
        actions.extend(files.iter().map(add));
        Ok(actions)
    }
}
