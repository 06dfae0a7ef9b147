//! Rows of metrics replaced by others: merges without them, and one commit.

use std::sync::Arc;

use isinglass_model::Tenant;
use object_store::ObjectStore;

use super::Result;
use super::delta::{NewFile, Output, Replayed, Table};
use super::merge::{self, MergeOptions};
use crate::Seq;
use crate::tables::{DataFile, Kept, Replace, Replaced};

/// A group of files without what goes of them.
#[derive(Debug)]
pub(super) struct Group {
    files: Vec<NewFile>,
    level: u8,
    accepted: Seq,
    kept: Option<Kept>,
    removed: u64,
}

impl Group {
    pub(super) fn files(&self) -> &[NewFile] {
        &self.files
    }
}

/// Merges each group by itself, so that no file spans more than those that it is made of.
pub(super) async fn merge(
    objects: &Arc<dyn ObjectStore>,
    tenant: &Tenant,
    replace: &Replace,
    name: &mut (dyn FnMut() -> String + Send),
    merged: &mut Vec<Group>,
) -> Result<()> {
    let options = MergeOptions {
        zstd_level: replace.zstd_level,
        file_bytes: replace.file_bytes,
        memory_bytes: replace.memory_bytes,
        attribute_columns_max: 0,
        keep_from: None,
        drop_rows: None,
        ha: None,
        gone: Some(Arc::clone(&replace.gone)),
    };
    for inputs in &replace.inputs {
        let mut inputs = inputs.clone();
        inputs.sort_by(|a, b| (a.accepted, &a.path).cmp(&(b.accepted, &b.path)));
        let result = merge::merge(objects, tenant, replace.kind, &inputs, &options, name).await?;
        merged.push(Group {
            files: result.files,
            level: inputs.iter().map(|file| file.level).min().unwrap_or(0),
            accepted: inputs.iter().map(|file| file.accepted).min().unwrap_or(0),
            kept: kept(&inputs),
            removed: result.expired,
        });
    }
    Ok(())
}

/// What all of them are rid of.
fn kept(inputs: &[DataFile]) -> Option<Kept> {
    let first = inputs.first()?.kept?;
    inputs.iter().all(|file| file.kept == Some(first)).then_some(first)
}

/// Commits the groups and the files that were put before.
pub(super) async fn commit(
    table: &mut Table,
    replace: &Replace,
    merged: &[Group],
    now_unix_millis: i64,
) -> Result<Option<Replaced>> {
    let inputs: Vec<DataFile> = replace.inputs.iter().flatten().cloned().collect();
    let flushed = table.state().flushed;
    let rewritten = merged.iter().flat_map(|group| {
        let Group { level, accepted, kept, .. } = *group;
        group.files.iter().map(move |file| Output { file, level, accepted, kept })
    });
    let added = replace.added.iter().map(|file| Output { file, level: 0, accepted: flushed, kept: None });
    let outputs: Vec<Output<'_>> = rewritten.chain(added).collect();
    if inputs.is_empty() && outputs.is_empty() {
        return Ok(Some(Replaced { version: table.state().version, removed: 0, added: 0 }));
    }
    let replayed = Replayed { inputs: &inputs, outputs: &outputs, provenance: &replace.provenance };
    if !table.commit_replay(&replayed, now_unix_millis).await? {
        return Ok(None);
    }
    Ok(Some(Replaced {
        version: table.state().version,
        removed: merged.iter().map(|group| group.removed).sum(),
        added: replace.added.iter().map(|file| file.extent.rows).sum(),
    }))
}
