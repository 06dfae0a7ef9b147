//! Deleting a tenant.
//!
//! A deletion is one record of the log: everything of the tenant in this and all earlier
//! records goes. Once that record is durable the tenant begins another life, empty, with
//! series of its own: head, files and labels of the life before are seen no more. Then each
//! table gets a commit that takes all its files out and marks it flushed up to the record;
//! the log keeps the record until they have it. The objects go when no view names them and
//! the grace has passed.
//!
//! | what dies when | what is there after |
//! |---|---|
//! | before the record is durable | the tenant as it was |
//! | after it, before a table is erased | nothing: a start knows the record before anything is read ([`crate::wal::scan`]), leaves out rows up to it, and erases what is left |
//! | after that | nothing: each table says that it is flushed up to the record |
//!
//! An append comes before a deletion or after it, never between its steps: appends hold
//! [`TenantState::writing`] until their record is in the queue of the log.

use std::sync::Arc;

use isinglass_model::{Kind, Tenant};
use tokio::sync::oneshot;

use crate::pending::prepare_deletion;
use crate::store::{Core, closing};
use crate::tenant::TenantState;
use crate::{Seq, Store, StoreError};

/// A tenant that was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// The record of the deletion: what was acknowledged before it is gone.
    pub seq: Seq,
    /// Files that were part of its tables.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows that were only in memory and in the log.
    pub head_rows: u64,
    /// Tables that still name files; that is tried again until none does.
    pub tables_left: usize,
    /// How long the objects stay at least, for queries that began before.
    pub grace_ms: u64,
}

/// What a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantReport {
    /// Series in memory.
    pub series: u64,
    /// Files of its tables.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows that are not in files yet.
    pub head_rows: u64,
    /// Tables that still name files of a life before.
    pub tables_left: usize,
    /// Files that no table names, waiting for the end of their grace.
    pub files_waiting: usize,
}

impl Store {
    /// Deletes all that was acknowledged for a tenant before the call. Resolves when the
    /// deletion is as durable as a write and none of it is seen any more; `None` if nothing
    /// is known of the tenant. Once begun it should be let come to its end.
    pub async fn delete_tenant(&self, name: &Tenant) -> Result<Option<Deleted>, StoreError> {
        let core = &*self.core;
        core.flusher.fenced.reason().map_or(Ok(()), Err)?;
        let Some((old, tenant, seq)) = core.end_life(name).await? else { return Ok(None) };
        core.dedup.forget(name);
        for kind in Kind::ALL.into_iter().filter(|kind| tenant.erasing(*kind).is_some()) {
            // An error is logged, and the erasure tried again.
            let _ = core.flusher.erase_table(&tenant, kind).await;
        }
        let deleted = Deleted { seq, tables_left: tables_left(&tenant), ..old };
        tracing::info!(tenant = %name, seq, files = deleted.files, bytes = deleted.bytes, "tenant deleted");
        Ok(Some(deleted))
    }

    /// What a tenant has; `None` if nothing is known of it.
    pub async fn tenant(&self, name: &Tenant) -> Result<Option<TenantReport>, StoreError> {
        let Some(tenant) = self.core.flusher.tenants.find(name).await? else { return Ok(None) };
        let (files, bytes, head_rows) = amount(&tenant);
        Ok(Some(TenantReport {
            series: tenant.series.len() as u64,
            files,
            bytes,
            head_rows,
            tables_left: tables_left(&tenant),
            files_waiting: self.core.upkeep.waiting(&tenant).await,
        }))
    }
}

impl Core {
    /// Logs a deletion and begins another life. What the one before had, the new one, and the
    /// record.
    async fn end_life(&self, name: &Tenant) -> Result<Option<(Deleted, Arc<TenantState>, Seq)>, StoreError> {
        loop {
            let Some(tenant) = self.flusher.tenants.find(name).await? else { return Ok(None) };
            let _alone = tenant.writing.write().await;
            if tenant.is_retired() {
                continue;
            }
            let (done, answer) = oneshot::channel();
            let now = self.clock.now_unix_millis();
            let (body, head, pending) = prepare_deletion(Arc::clone(&tenant), now, done);
            self.push(body, head, pending).await?;
            let seq = answer.await.unwrap_or_else(|_| Err(closing()))?.seq;
            let (files, bytes, head_rows) = amount(&tenant);
            let grace_ms = self.config.compaction.grace_ms;
            let had = Deleted { seq, files, bytes, head_rows, tables_left: 0, grace_ms };
            return Ok(Some((had, self.flusher.tenants.retire(&tenant, seq), seq)));
        }
    }
}

/// Files, their bytes, and unflushed rows.
fn amount(tenant: &TenantState) -> (u64, u64, u64) {
    let view = tenant.view();
    let files = Kind::ALL.into_iter().flat_map(|kind| view.table(kind).files.iter());
    let (files, bytes) = files.fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.size_bytes));
    let rows = Kind::ALL.into_iter().map(|kind| view.table(kind).head_rows() as u64).sum();
    (files, bytes, rows)
}

fn tables_left(tenant: &TenantState) -> usize {
    Kind::ALL.into_iter().filter(|kind| tenant.erasing(*kind).is_some()).count()
}
