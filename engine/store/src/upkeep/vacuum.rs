//! Deleting files that nobody needs.
//!
//! A file that a rewrite replaced goes when no view names it any more and a grace has
//! passed, which is longer than any query. A file that no version of its table names, the
//! remains of a write that died between put and commit, or of a process that ended within
//! the grace, goes when it is a day old by a clock that can be trusted ([`super::orphans`]).
//! With a data file goes its index of tokens in `_index/`. Nothing else in the folder of a
//! table is ever looked at, its log least of all.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use isinglass_model::{Kind, Tenant};
use object_store::path::Path;

use super::Upkeep;
use super::orphans::{delete_but, old_files};
use crate::StoreError;
use crate::tenant::TenantState;

/// Files deleted at a time.
pub(super) const DELETES_MAX: usize = 1_000;

/// How often the folder of a table is listed, looking for files that nobody named.
const LIST_EVERY: Duration = Duration::from_secs(6 * 3_600);

/// What is to be deleted, and when.
#[derive(Debug, Default)]
pub(super) struct Vacuum {
    tables: HashMap<(Tenant, Kind), Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Replaced files and when they were.
    replaced: Vec<(Duration, Path)>,
    listed: Option<Duration>,
}

impl Vacuum {
    /// Files of a table that wait to be deleted.
    pub(super) fn waiting(&self, tenant: &Tenant, kind: Kind) -> usize {
        self.tables.get(&(tenant.clone(), kind)).map_or(0, |waiting| waiting.replaced.len())
    }

    /// Files of a table were replaced.
    pub(super) fn replaced(&mut self, tenant: &Tenant, kind: Kind, files: Vec<Path>, now: Duration) {
        if files.is_empty() {
            return;
        }
        let waiting = self.tables.entry((tenant.clone(), kind)).or_default();
        waiting.replaced.extend(files.into_iter().map(|path| (now, path)));
    }

    /// Deletes what may go from a table; how many files.
    pub(super) async fn run(
        &mut self,
        upkeep: &Upkeep,
        tenant: &TenantState,
        kind: Kind,
        trusted_unix_ms: Option<i64>,
    ) -> Result<u64, StoreError> {
        let now = upkeep.clock.monotonic();
        self.replaced(&tenant.name, kind, tenant.take_erased(kind), now);
        let waiting = self.tables.entry((tenant.name.clone(), kind)).or_default();
        let in_use = tenant.files_in_use(kind);
        let deleted = waiting.delete_replaced(upkeep, &in_use, now).await?;
        // Until they are erased, files of a deleted tenant are named by the table alone.
        let Some(now_unix_ms) = trusted_unix_ms.filter(|_| tenant.erasing(kind).is_none()) else {
            return Ok(deleted);
        };
        if waiting.listed.is_some_and(|listed| now.saturating_sub(listed) < LIST_EVERY) {
            return Ok(deleted);
        }
        let orphans = waiting.delete_orphans(upkeep, tenant, kind, now_unix_ms).await?;
        waiting.listed = Some(now);
        Ok(deleted + orphans)
    }
}

impl Waiting {
    async fn delete_replaced(
        &mut self,
        upkeep: &Upkeep,
        in_use: &HashSet<Path>,
        now: Duration,
    ) -> Result<u64, StoreError> {
        let grace = Duration::from_millis(upkeep.config.compaction.grace_ms);
        let may_go =
            |since: Duration, path: &Path| now.saturating_sub(since) >= grace && !in_use.contains(path);
        let due: Vec<Path> = self
            .replaced
            .iter()
            .filter(|(since, path)| may_go(*since, path))
            .map(|(_, path)| path.clone())
            .take(DELETES_MAX)
            .collect();
        if due.is_empty() {
            return Ok(0);
        }
        let gone: HashSet<Path> = due.iter().cloned().collect();
        let deleted = upkeep.files.delete(due).await?;
        self.replaced.retain(|(_, path)| !gone.contains(path));
        Ok(deleted)
    }

    /// What the folder has is listed first: a file that is committed meanwhile is then
    /// among those that the table names.
    async fn delete_orphans(
        &self,
        upkeep: &Upkeep,
        tenant: &TenantState,
        kind: Kind,
        now_unix_ms: i64,
    ) -> Result<u64, StoreError> {
        let old = old_files(upkeep, &tenant.name, kind, now_unix_ms).await?;
        let in_use = tenant.files_in_use(kind);
        let in_use = in_use.iter().collect();
        let waiting = self.replaced.iter().map(|(_, path)| path).collect();
        delete_but(upkeep, &tenant.name, kind, old, &[&in_use, &waiting]).await
    }
}
