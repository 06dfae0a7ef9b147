//! Files go and files come, in one commit.
//!
//! Delta lets two rewrites of one file both succeed, and its rows are there twice. So
//! every commit that removes files carries the application transaction
//! `isinglass/rewrite`, one above the number in the very snapshot that it builds on, and
//! is tried at the version right after that snapshot only: of two rewrites one wins, and
//! the other looks again whether all the files it read are still there.

use std::collections::{HashMap, HashSet};

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Transaction};
use deltalake_core::protocol::DeltaOperation;
use serde_json::Value;

use super::{NewFile, REWRITE_APP_ID, Table, stats};
use crate::Seq;
use crate::files::{FilesError, Result};
use crate::tables::{DataFile, Kept};

/// Attempts to commit: a flush that comes between costs one.
const ATTEMPTS_MAX: u32 = 8;

/// A file that comes, already put.
#[derive(Debug, Clone, Copy)]
pub(in crate::files) struct Output<'a> {
    pub(in crate::files) file: &'a NewFile,
    pub(in crate::files) level: u8,
    pub(in crate::files) accepted: Seq,
    pub(in crate::files) kept: Option<Kept>,
}

/// What goes, what comes, and what it is called in the log.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    /// For our own log.
    pub(super) name: &'static str,
    /// The files that go. None may be missing from the table.
    pub(super) inputs: &'a [DataFile],
    pub(super) outputs: &'a [Output<'a>],
    /// Whether rows are others after it.
    pub(super) changes_rows: bool,
    pub(super) operation: DeltaOperation,
    /// More fields of the commit info.
    pub(super) info: HashMap<String, Value>,
}

impl Table {
    /// Commits it. `false`: another rewrite was first, nothing was done, and the outputs belong to
    /// no version. `landed` says of the newest known version whether it is in it.
    ///
    /// After an error it is in the table whole or not at all.
    pub(super) async fn commit_exchange(
        &mut self,
        exchange: &Exchange<'_>,
        landed: impl Fn(&Self) -> bool,
        now_unix_millis: i64,
    ) -> Result<bool> {
        for attempt in 1..=ATTEMPTS_MAX {
            if landed(self) {
                return Ok(true);
            }
            if !self.has_all(exchange.inputs) {
                return Ok(false);
            }
            let error = match self.try_exchange(exchange, now_unix_millis).await {
                Ok(()) => return Ok(true),
                Err(error @ FilesError::Fenced { .. }) => return Err(error),
                Err(error) => error,
            };
            tracing::debug!(
                tenant = %self.tenant, kind = %self.kind, attempt, error = error.chain(),
                "{} not committed, reading the log anew", exchange.name
            );
            // It may have landed. Without the log nobody knows, and the caller must
            // keep both inputs and outputs.
            self.reload().await?;
            if attempt == ATTEMPTS_MAX && !landed(self) {
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Whether every one of these files is part of the newest known version.
    fn has_all(&self, files: &[DataFile]) -> bool {
        let live: HashSet<_> = self.state().files.iter().map(|file| &file.path).collect();
        files.iter().all(|file| live.contains(&file.path))
    }

    async fn try_exchange(&mut self, exchange: &Exchange<'_>, now_unix_millis: i64) -> Result<()> {
        let number = i64::try_from(self.transaction(REWRITE_APP_ID).await?).unwrap_or(i64::MAX);
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false))
            .with_metadata(exchange.info.clone())
            .with_application_transaction(Transaction::new_with_last_update(
                REWRITE_APP_ID,
                number.saturating_add(1),
                Some(now_unix_millis),
            ));
        let properties = self.admit(properties).await?;
        let actions = self.actions_of(exchange, now_unix_millis).map_err(|error| self.error(error))?;
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.snapshot), self.log.clone(), exchange.operation.clone())
            .await
            .map_err(|error| self.error(error))?;
        let flushed = self.state().flushed;
        self.adopt(commit.snapshot(), flushed)
    }

    fn actions_of(
        &self,
        exchange: &Exchange<'_>,
        now_unix_millis: i64,
    ) -> Result<Vec<Action>, DeltaTableError> {
        let gone: HashSet<_> = exchange.inputs.iter().filter_map(|file| file.path.filename()).collect();
        let log_data = self.snapshot.snapshot().try_log_data()?;
        let removed = log_data.iter().filter(|view| gone.contains(view.path().as_ref())).map(|view| {
            let mut remove = view.remove_action(exchange.changes_rows);
            remove.deletion_timestamp = Some(now_unix_millis);
            Action::Remove(remove)
        });
        let added = exchange.outputs.iter().map(|Output { file, level, accepted, kept }| {
            Action::Add(Add {
                path: file.name.clone(),
                partition_values: HashMap::new(),
                size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
                modification_time: now_unix_millis,
                data_change: exchange.changes_rows,
                stats: Some(stats::to_json(self.kind, &file.extent)),
                tags: Some(stats::to_tags(file, *level, *accepted, *kept)),
                deletion_vector: None,
                base_row_id: None,
                default_row_commit_version: None,
                clustering_provider: None,
            })
        });
        Ok(self.growth()?.into_iter().chain(removed).chain(added).collect())
    }
}
