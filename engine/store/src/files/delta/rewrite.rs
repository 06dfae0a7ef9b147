//! Replacing files by others with the same rows, or by nothing.
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

use super::{NewFile, REWRITE_APP_ID, Table, stats};
use crate::files::{FilesError, Result};
use crate::tables::{DataFile, Kept};

/// Attempts to commit: a flush that comes between costs one.
const ATTEMPTS_MAX: u32 = 8;

/// What is to be replaced by what.
#[derive(Debug)]
pub(in crate::files) struct Replacement<'a> {
    /// The files that go. None may be missing from the table.
    pub(in crate::files) inputs: &'a [DataFile],
    /// The files that come, already put.
    pub(in crate::files) outputs: &'a [NewFile],
    /// Level of the outputs.
    pub(in crate::files) level: u8,
    /// Rules of retention that the outputs are rid of.
    pub(in crate::files) kept: Option<Kept>,
    /// Whether rows are others after it: some went, or those of replicas were renamed.
    pub(in crate::files) changes_rows: bool,
}

impl Table {
    /// Commits a replacement. `false`: another rewrite was first, nothing was done, and
    /// the outputs belong to no version.
    ///
    /// After an error the replacement is in the table whole or not at all.
    pub(in crate::files) async fn commit_rewrite(
        &mut self,
        replacement: &Replacement<'_>,
        now_unix_millis: i64,
    ) -> Result<bool> {
        for attempt in 1..=ATTEMPTS_MAX {
            if !self.has_all(replacement.inputs) {
                return Ok(self.is_replaced(replacement));
            }
            let error = match self.try_rewrite(replacement, now_unix_millis).await {
                Ok(()) => return Ok(true),
                Err(error @ FilesError::Fenced { .. }) => return Err(error),
                Err(error) => error,
            };
            tracing::debug!(
                tenant = %self.tenant, kind = %self.kind, attempt, error = error.chain(),
                "rewrite not committed, reading the log anew"
            );
            // It may have landed. Without the log nobody knows, and the caller must
            // keep both inputs and outputs.
            self.reload().await?;
            if attempt == ATTEMPTS_MAX && !self.is_replaced(replacement) {
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Whether every one of these files is part of the newest known version.
    pub(super) fn has_all(&self, files: &[DataFile]) -> bool {
        let live: HashSet<_> = self.state().files.iter().map(|file| &file.path).collect();
        files.iter().all(|file| live.contains(&file.path))
    }

    /// Whether a commit of this replacement has landed. Names of outputs are ours alone;
    /// where there are none, whoever removed the inputs did what was wanted.
    fn is_replaced(&self, replacement: &Replacement<'_>) -> bool {
        let live: HashSet<_> = self.state().files.iter().map(|file| &file.path).collect();
        let gone = replacement.inputs.iter().all(|file| !live.contains(&file.path));
        gone && replacement.outputs.iter().all(|file| self.names(file))
    }

    async fn try_rewrite(&mut self, replacement: &Replacement<'_>, now_unix_millis: i64) -> Result<()> {
        let number = i64::try_from(self.transaction(REWRITE_APP_ID).await?).unwrap_or(i64::MAX);
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false))
            .with_application_transaction(Transaction::new_with_last_update(
                REWRITE_APP_ID,
                number.saturating_add(1),
                Some(now_unix_millis),
            ));
        let properties = self.admit(properties).await?;
        let operation = match replacement.changes_rows {
            true => DeltaOperation::Delete {
                predicate: Some(format!("{} past retention or of replicas", self.kind)),
            },
            false => DeltaOperation::Optimize { predicate: None, target_size: 0 },
        };
        let actions = self.replacing(replacement, now_unix_millis).map_err(|error| self.error(error))?;
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.snapshot), self.log.clone(), operation)
            .await
            .map_err(|error| self.error(error))?;
        let flushed = self.state().flushed;
        self.adopt(commit.snapshot(), flushed)
    }

    fn replacing(
        &self,
        replacement: &Replacement<'_>,
        now_unix_millis: i64,
    ) -> Result<Vec<Action>, DeltaTableError> {
        let accepted = replacement.inputs.iter().map(|file| file.accepted).min().unwrap_or(0);
        let gone: HashSet<_> = replacement.inputs.iter().filter_map(|file| file.path.filename()).collect();
        let log_data = self.snapshot.snapshot().try_log_data()?;
        let removed = log_data.iter().filter(|view| gone.contains(view.path().as_ref())).map(|view| {
            let mut remove = view.remove_action(replacement.changes_rows);
            remove.deletion_timestamp = Some(now_unix_millis);
            Action::Remove(remove)
        });
        let added = replacement.outputs.iter().map(|file| {
            Action::Add(Add {
                path: file.name.clone(),
                partition_values: HashMap::new(),
                size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
                modification_time: now_unix_millis,
                data_change: replacement.changes_rows,
                stats: Some(stats::to_json(self.kind, &file.extent)),
                tags: Some(stats::to_tags(file, replacement.level, accepted, replacement.kept)),
                deletion_vector: None,
                base_row_id: None,
                default_row_commit_version: None,
                clustering_provider: None,
            })
        });
        Ok(self.growth()?.into_iter().chain(removed).chain(added).collect())
    }
}
