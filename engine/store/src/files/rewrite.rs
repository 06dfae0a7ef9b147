//! Rewriting files of a table: merge, commit, tell.
//!
//! The merge runs without any lock. The commit runs behind the caller's gate, which the
//! flush of the same table uses too: between a commit and the moment that it is known
//! nothing else may change what is known of the table, or rows would be seen twice.

use std::sync::Arc;

use isinglass_model::{Kind, Tenant};
use object_store::ObjectStore;

use super::Result;
use super::delta::{NewFile, Replacement, Table};
use super::merge::{self, MergeOptions, Merged};
use crate::tables::{Rewrite, Rewritten};

/// Merges the inputs, or nothing if their rows shall all go.
pub(super) async fn merge(
    objects: &Arc<dyn ObjectStore>,
    tenant: &Tenant,
    kind: Kind,
    rewrite: &Rewrite,
    name: &mut (dyn FnMut() -> String + Send),
) -> Result<Merged> {
    if rewrite.drop_all {
        return Ok(Merged::default());
    }
    let options = MergeOptions {
        zstd_level: rewrite.zstd_level,
        file_bytes: rewrite.file_bytes,
        memory_bytes: rewrite.memory_bytes,
        attribute_columns_max: rewrite.attribute_columns_max,
        keep_from: rewrite.keep_from,
        drop_rows: rewrite.drop_rows.clone(),
        ha: rewrite.ha.clone(),
        gone: None,
    };
    // Oldest acceptance first: of two samples with one key the first accepted stays.
    let mut inputs = rewrite.inputs.clone();
    inputs.sort_by(|a, b| (a.accepted, &a.path).cmp(&(b.accepted, &b.path)));
    merge::merge(objects, tenant, kind, &inputs, &options, name).await
}

/// Commits what was merged. `None`: another rewrite was first.
pub(super) async fn commit(
    table: &mut Table,
    rewrite: &Rewrite,
    merged: &Merged,
    now_unix_millis: i64,
) -> Result<Option<Rewritten>> {
    let replacement = Replacement {
        inputs: &rewrite.inputs,
        outputs: &merged.files,
        level: rewrite.level,
        kept: rewrite.kept,
        changes_rows: rewrite.drop_all || merged.expired > 0 || rewrite.ha.is_some(),
    };
    if !table.commit_rewrite(&replacement, now_unix_millis).await? {
        return Ok(None);
    }
    let bytes_of = |files: &[NewFile]| files.iter().map(|file| file.size_bytes).sum();
    let rows_before: u64 = rewrite.inputs.iter().map(|file| file.rows).sum();
    Ok(Some(Rewritten {
        bytes_in: rewrite.inputs.iter().map(|file| file.size_bytes).sum(),
        bytes_out: bytes_of(&merged.files),
        rows_in: rows_before,
        rows_out: merged.rows_out,
        duplicates: merged.duplicates,
        conflicts: merged.conflicts,
        expired: if rewrite.drop_all { rows_before } else { merged.expired },
        replicas: merged.replicas,
    }))
}
