//! Files that no version of a table names.
//!
//! A write that died between put and commit leaves them, and so does a process that ended
//! before the grace of what it replaced. Tables in use are looked through by the vacuum.
//! Tenants that nobody has used since the start are looked through once, when the process is
//! a day old: only one before it can have left anything there.

use std::collections::HashSet;
use std::time::Duration;

use isinglass_model::{Kind, Tenant};
use object_store::path::Path;

use super::Upkeep;
use super::vacuum::DELETES_MAX;
use crate::StoreError;

/// The one look at tenants that are not in memory.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// When it was first asked for, on the monotonic clock.
    since: Option<Duration>,
    done: bool,
}

impl Idle {
    /// Deletes what processes before this one left behind, when it is time; how many files.
    pub(super) async fn run(&mut self, upkeep: &Upkeep, now_unix_ms: i64) -> u64 {
        let now = upkeep.clock.monotonic();
        let since = *self.since.get_or_insert(now);
        if self.done || now.saturating_sub(since) < age(upkeep) {
            return 0;
        }
        self.done = true;
        let mut deleted = 0;
        for tenant in upkeep.tenants.names() {
            for kind in Kind::ALL {
                match delete_idle(upkeep, &tenant, kind, now_unix_ms).await {
                    Ok(files) => deleted += files,
                    Err(error) => tracing::warn!(%tenant, %kind, %error, "orphans of an idle tenant stay"),
                }
            }
        }
        deleted
    }
}

/// Until a tenant is in memory nobody here writes to its tables, and no view holds files.
async fn delete_idle(
    upkeep: &Upkeep,
    tenant: &Tenant,
    kind: Kind,
    now_unix_ms: i64,
) -> Result<u64, StoreError> {
    if upkeep.tenants.loaded(tenant).is_some() {
        return Ok(0);
    }
    let old = old_files(upkeep, tenant, kind, now_unix_ms).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let table = upkeep.files.load(tenant, kind).await?;
    // It may have come into memory meanwhile, and replaced files that a view holds.
    if upkeep.tenants.loaded(tenant).is_some() {
        return Ok(0);
    }
    let named = table.iter().flat_map(|table| table.files.iter()).map(|file| &file.path).collect();
    let mut deleted = 0;
    // All of them: there is no other look.
    for some in old.chunks(DELETES_MAX) {
        deleted += delete_but(upkeep, tenant, kind, some.to_vec(), &[&named]).await?;
    }
    Ok(deleted)
}

fn age(upkeep: &Upkeep) -> Duration {
    Duration::from_millis(upkeep.config.compaction.orphan_ms)
}

/// Files in the folder of a table that are old enough to be orphans.
pub(super) async fn old_files(
    upkeep: &Upkeep,
    tenant: &Tenant,
    kind: Kind,
    now_unix_ms: i64,
) -> Result<Vec<Path>, StoreError> {
    let age_ms = i64::try_from(age(upkeep).as_millis()).unwrap_or(i64::MAX);
    let found = upkeep.files.list(tenant, kind).await?.into_iter();
    let old = found.filter(|file| now_unix_ms.saturating_sub(file.modified_unix_ms) >= age_ms);
    Ok(old.map(|file| file.path).collect())
}

/// Deletes those of some files that are in none of these sets; how many.
pub(super) async fn delete_but(
    upkeep: &Upkeep,
    tenant: &Tenant,
    kind: Kind,
    files: Vec<Path>,
    needed: &[&HashSet<&Path>],
) -> Result<u64, StoreError> {
    let nobody_needs = |path: &Path| needed.iter().all(|needed| !needed.contains(path));
    let orphans: Vec<Path> = files.into_iter().filter(nobody_needs).take(DELETES_MAX).collect();
    if orphans.is_empty() {
        return Ok(0);
    }
    tracing::info!(%tenant, %kind, files = orphans.len(), "deleting files that no table names");
    upkeep.files.delete(orphans).await
}
