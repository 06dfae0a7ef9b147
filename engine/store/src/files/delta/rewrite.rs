//! Replacing files by others with the same rows, or by nothing.

use std::collections::{HashMap, HashSet};

use deltalake_core::protocol::DeltaOperation;

use super::exchange::{Exchange, Output};
use super::{NewFile, Table};
use crate::files::Result;
use crate::tables::{DataFile, Kept};

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
        let &Replacement { inputs, outputs, level, kept, changes_rows } = replacement;
        let accepted = inputs.iter().map(|file| file.accepted).min().unwrap_or(0);
        let outputs: Vec<_> = outputs.iter().map(|file| Output { file, level, accepted, kept }).collect();
        let operation = match changes_rows {
            true => DeltaOperation::Delete {
                predicate: Some(format!("{} past retention or of replicas", self.kind)),
            },
            false => DeltaOperation::Optimize { predicate: None, target_size: 0 },
        };
        let (name, info) = ("rewrite", HashMap::new());
        let exchange = Exchange { name, inputs, outputs: &outputs, changes_rows, operation, info };
        self.commit_exchange(&exchange, |table| table.is_replaced(replacement), now_unix_millis).await
    }

    /// Whether a commit of this replacement has landed. Names of outputs are ours alone;
    /// where there are none, whoever removed the inputs did what was wanted.
    fn is_replaced(&self, replacement: &Replacement<'_>) -> bool {
        let live: HashSet<_> = self.state().files.iter().map(|file| &file.path).collect();
        let gone = replacement.inputs.iter().all(|file| !live.contains(&file.path));
        gone && replacement.outputs.iter().all(|file| self.names(file))
    }
}
