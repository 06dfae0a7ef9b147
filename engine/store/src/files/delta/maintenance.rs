//! Checkpoints and log cleanup: steps of their own, because they may fail
//! without any harm to the commits that they follow.

use deltalake_core::{DeltaTable, checkpoints};

use super::Table;
use crate::files::Result;

impl Table {
    /// Whether the newest version is due for a checkpoint, of which there is one after
    /// `every` so many commits.
    pub(in crate::files) fn checkpoint_is_due(&self, every: i64) -> bool {
        let version = self.state().version;
        version > 0 && version % every == 0
    }

    /// Writes a checkpoint, removes log entries beyond the retention that it
    /// makes superfluous, and reads the log anew, so that no snapshot of ours
    /// goes on to refer to them.
    pub(in crate::files) async fn checkpoint(&mut self) -> Result<()> {
        let mut table = DeltaTable::new(self.log.clone());
        let error = |error| self.error(error);
        table.load().await.map_err(error)?;
        checkpoints::create_checkpoint(&table, None).await.map_err(error)?;
        let removed = checkpoints::cleanup_metadata(&table, None).await.map_err(error)?;
        tracing::debug!(tenant = %self.tenant, kind = %self.kind, version = ?table.version(), removed, "checkpoint");
        self.reload().await
    }
}
