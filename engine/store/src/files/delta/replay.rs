//! Rows of metrics that were derived again take the place of others, in one commit.
//!
//! It is a rewrite like any other (see [`super::rewrite`]): files go and files come, whole or not
//! at all, and of two rewrites of one file one wins. What was derived by what, and from which
//! rows, stands in its commit info.

use std::collections::{HashMap, HashSet};

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use serde_json::Value;

use super::{NewFile, REWRITE_APP_ID, Table, stats};
use crate::Seq;
use crate::files::{FilesError, Result};
use crate::tables::{DataFile, Kept};

/// Attempts to commit: a flush that comes between costs one.
const ATTEMPTS_MAX: u32 = 8;

/// The field of the commit info that says where the rows are from.
const PROVENANCE: &str = "isinglass.replay";

/// A file that comes.
#[derive(Debug)]
pub(in crate::files) struct Output<'a> {
    pub(in crate::files) file: &'a NewFile,
    pub(in crate::files) level: u8,
    pub(in crate::files) accepted: Seq,
    pub(in crate::files) kept: Option<Kept>,
}

/// What goes, what comes, and why.
#[derive(Debug)]
pub(in crate::files) struct Replayed<'a> {
    pub(in crate::files) inputs: &'a [DataFile],
    pub(in crate::files) outputs: &'a [Output<'a>],
    pub(in crate::files) provenance: &'a Value,
}

impl Table {
    /// Commits it. `false`: another rewrite was first, and nothing was done.
    pub(in crate::files) async fn commit_replay(
        &mut self,
        replayed: &Replayed<'_>,
        now_unix_millis: i64,
    ) -> Result<bool> {
        for attempt in 1..=ATTEMPTS_MAX {
            if self.has_outputs(replayed) {
                return Ok(true);
            }
            if !self.has_all(replayed.inputs) {
                return Ok(false);
            }
            let error = match self.try_replay(replayed, now_unix_millis).await {
                Ok(()) => return Ok(true),
                Err(error @ FilesError::Fenced { .. }) => return Err(error),
                Err(error) => error,
            };
            tracing::debug!(
                tenant = %self.tenant, kind = %self.kind, attempt, error = error.chain(),
                "replay not committed, reading the log anew"
            );
            // It may have landed.
            self.reload().await?;
            if attempt == ATTEMPTS_MAX && !self.has_outputs(replayed) {
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Whether it has landed. Names of outputs are ours alone; without any, nobody can tell.
    fn has_outputs(&self, replayed: &Replayed<'_>) -> bool {
        let mut outputs = replayed.outputs.iter().peekable();
        outputs.peek().is_some() && outputs.all(|output| self.names(output.file))
    }

    async fn try_replay(&mut self, replayed: &Replayed<'_>, now_unix_millis: i64) -> Result<()> {
        let number = i64::try_from(self.transaction(REWRITE_APP_ID).await?).unwrap_or(i64::MAX);
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false))
            .with_metadata([(PROVENANCE.to_owned(), replayed.provenance.clone())])
            .with_application_transaction(Transaction::new_with_last_update(
                REWRITE_APP_ID,
                number.saturating_add(1),
                Some(now_unix_millis),
            ));
        let properties = self.admit(properties).await?;
        let predicate = Some(format!("{} derived again", self.kind));
        let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate };
        let actions = self.replaying(replayed, now_unix_millis).map_err(|error| self.error(error))?;
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.snapshot), self.log.clone(), operation)
            .await
            .map_err(|error| self.error(error))?;
        let flushed = self.state().flushed;
        self.adopt(commit.snapshot(), flushed)
    }

    fn replaying(
        &self,
        replayed: &Replayed<'_>,
        now_unix_millis: i64,
    ) -> Result<Vec<Action>, DeltaTableError> {
        let gone: HashSet<_> = replayed.inputs.iter().filter_map(|file| file.path.filename()).collect();
        let log_data = self.snapshot.snapshot().try_log_data()?;
        let removed = log_data.iter().filter(|view| gone.contains(view.path().as_ref())).map(|view| {
            let mut remove = view.remove_action(true);
            remove.deletion_timestamp = Some(now_unix_millis);
            Action::Remove(remove)
        });
        let added = replayed.outputs.iter().map(|Output { file, level, accepted, kept }| {
            Action::Add(Add {
                path: file.name.clone(),
                partition_values: HashMap::new(),
                size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
                modification_time: now_unix_millis,
                data_change: true,
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
