//! The files of a Delta log from which one version of a table is read.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::objects::KernelObjects;
use super::sealed::LogFile;
use crate::files::{FilesError, Result};

/// The newest checkpoint up to a version, and the commits after it up to and with the version.
pub(in crate::files) async fn log_files(
    objects: &Arc<dyn ObjectStore>,
    tenant: &Tenant,
    kind: Kind,
    version: u64,
) -> Result<Vec<Path>> {
    let path = format!("{tenant}/{kind}/_delta_log");
    let damaged = |problem: String| FilesError::Damaged { path: path.clone(), problem };
    let folder = Path::parse(&path).map_err(|error| damaged(error.to_string()))?;
    let listed: Vec<_> = KernelObjects(Arc::clone(objects)).list(Some(&folder)).try_collect().await?;
    let numbered = listed.into_iter().filter_map(|meta| {
        let of: u64 = meta.location.filename()?.get(..20)?.parse().ok()?;
        Some((LogFile::at(&meta.location)?, of, meta.location)).filter(|(_, of, _)| *of <= version)
    });
    let (commits, checkpoints): (Vec<_>, Vec<_>) =
        numbered.partition(|(file, _, _)| *file == LogFile::Commit);
    let checkpoint = checkpoints.iter().map(|(_, of, _)| *of).max();
    let first = checkpoint.map_or(0, |checkpoint| checkpoint + 1);
    let commits: Vec<_> = commits.into_iter().filter(|(_, of, _)| *of >= first).collect();
    if !commits.iter().map(|(_, of, _)| *of).eq(first..=version) {
        return Err(damaged(format!("not all commits from {first} to {version} are there")));
    }
    let checkpoints = checkpoints.into_iter().filter(|(_, of, _)| Some(*of) == checkpoint);
    Ok(checkpoints.chain(commits).map(|(_, _, path)| path).collect())
}

/// A file of a log, compared with its seal.
pub(in crate::files) async fn read_log_file(objects: &Arc<dyn ObjectStore>, path: &Path) -> Result<Bytes> {
    Ok(KernelObjects(Arc::clone(objects)).get(path).await?.bytes().await?)
}
