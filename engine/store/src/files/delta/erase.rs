//! Emptying a table: its tenant was deleted.
//!
//! The commit takes every file out, and marks the table flushed up to the record of the
//! deletion, so that no row from before it comes out of the log again. It is a rewrite like
//! any other (see [`super::rewrite`]): of a merge and an erasure of the same files one wins,
//! and a merge that won is erased by the next attempt.

use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Transaction};
use deltalake_core::protocol::DeltaOperation;

use super::{REWRITE_APP_ID, Table};
use crate::Seq;
use crate::files::{FilesError, Result};
use crate::tables::DataFile;

/// Attempts to commit; the caller tries again later.
const ATTEMPTS_MAX: u32 = 8;

impl Table {
    /// Takes all files out, unless the table is flushed up to this record already. The
    /// files that went, also those of an attempt whose answer was lost.
    pub(in crate::files) async fn commit_erasure(
        &mut self,
        up_to: Seq,
        now_unix_millis: i64,
    ) -> Result<Vec<DataFile>> {
        let mut gone: Vec<DataFile> = Vec::new();
        for attempt in 1..=ATTEMPTS_MAX {
            if self.is_flushed(up_to) {
                break;
            }
            for file in self.state().files.iter() {
                if gone.iter().all(|known| known.path != file.path) {
                    gone.push(file.clone());
                }
            }
            let error = match self.try_erase(up_to, now_unix_millis).await {
                Ok(()) => break,
                Err(error @ FilesError::Fenced { .. }) => return Err(error),
                Err(error) => error,
            };
            tracing::warn!(
                tenant = %self.tenant, kind = %self.kind, attempt, error = error.chain(),
                "erasure not committed, reading the log anew"
            );
            self.reload().await?;
            if attempt == ATTEMPTS_MAX && !self.is_flushed(up_to) {
                return Err(error);
            }
        }
        Ok(gone)
    }

    async fn try_erase(&mut self, up_to: Seq, now_unix_millis: i64) -> Result<()> {
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
        let properties = self.admit(self.flushes(properties, up_to, now_unix_millis)).await?;
        let log_data = self.snapshot.snapshot().try_log_data().map_err(|error| self.error(error))?;
        let removed = log_data.iter().map(|view| {
            let mut remove = view.remove_action(true);
            remove.deletion_timestamp = Some(now_unix_millis);
            Action::Remove(remove)
        });
        let growth = self.growth().map_err(|error| self.error(error))?;
        let operation = DeltaOperation::Delete { predicate: Some("tenant deleted".to_owned()) };
        let commit = CommitBuilder::from(properties)
            .with_actions(growth.into_iter().chain(removed).collect())
            .build(Some(&self.snapshot), self.log.clone(), operation)
            .await
            .map_err(|error| self.error(error))?;
        self.adopt(commit.snapshot(), up_to)
    }
}
