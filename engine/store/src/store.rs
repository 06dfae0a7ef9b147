//! The store.

use std::sync::Arc;

use isinglass_model::{Clock, Tenant};

use crate::append::{Append, Appended, BatchKey, Observer};
use crate::config::StoreConfig;
use crate::dedup::Begin;
use crate::error::StoreError;
use crate::series::Resolver;
use crate::stats::StoreStats;
use crate::view::View;

/// The store. Cheap to clone; all clones are one store.
#[derive(Clone)]
pub struct Store {
    config: Arc<StoreConfig>,
}

impl Store {
    /// Opens a folder: takes its lock, replays the WAL into the head and tells
    /// `observer` of every record in it.
    pub async fn open(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let _ = (clock, observer);
        Ok(Self { config: Arc::new(config) })
    }

    /// Its configuration.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The series of a tenant, for one request.
    pub async fn resolver(&self, tenant: &Tenant) -> Result<Resolver, StoreError> {
        Err(StoreError::unavailable(format!("{tenant}: not built yet")))
    }

    /// Whether a batch was stored in the last minutes; waits while it is being stored.
    pub async fn begin(&self, tenant: &Tenant, key: BatchKey) -> Begin {
        let _ = (tenant, key);
        Begin::Duplicate(isinglass_model::Counts::default())
    }

    /// Stores a request. Resolves after its record is durable and its rows are visible.
    pub async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        Err(StoreError::unavailable(format!("{}: not built yet", append.tenant)))
    }

    /// What can be seen of a tenant now.
    pub async fn view(&self, tenant: &Tenant) -> Result<Arc<View>, StoreError> {
        Err(StoreError::unavailable(format!("{tenant}: not built yet")))
    }

    /// Tenants that have rows, sorted.
    pub fn tenants(&self) -> Vec<Tenant> {
        Vec::new()
    }

    /// Flushes everything that was acknowledged before the call into committed tables.
    pub async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Stops taking appends, flushes, and gives the folder free.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> StoreStats {
        StoreStats::default()
    }
}
