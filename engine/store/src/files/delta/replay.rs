//! Rows of metrics that were derived again take the place of others, in one commit.
//!
//! It is a rewrite like any other (see [`super::exchange`]): files go and files come, whole or not
//! at all, and of two rewrites of one file one wins. What was derived by what, and from which
//! rows, stands in its commit info.

use deltalake_core::protocol::{DeltaOperation, SaveMode};
use serde_json::Value;

use super::Table;
use super::exchange::{Exchange, Output};
use crate::files::Result;
use crate::tables::DataFile;

/// The field of the commit info that says where the rows are from.
const PROVENANCE: &str = "isinglass.replay";

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
        let predicate = Some(format!("{} derived again", self.kind));
        let exchange = Exchange {
            name: "replay",
            inputs: replayed.inputs,
            outputs: replayed.outputs,
            changes_rows: true,
            operation: DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate },
            info: [(PROVENANCE.to_owned(), replayed.provenance.clone())].into(),
        };
        self.commit_exchange(&exchange, |table| table.has_outputs(replayed), now_unix_millis).await
    }

    /// Whether it has landed. Names of outputs are ours alone; without any, nobody can tell.
    fn has_outputs(&self, replayed: &Replayed<'_>) -> bool {
        let mut outputs = replayed.outputs.iter().peekable();
        outputs.peek().is_some() && outputs.all(|output| self.names(output.file))
    }
}
