//! The tenants in memory. One is loaded from its tables when it is first used and stays:
//! its series refs are valid for the life of the process.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use parking_lot::RwLock;
use tokio::sync::OnceCell;

use crate::apart::Apart;
use crate::series::{Answers, SeriesTable, restore_row};
use crate::tables::{DataFile, TableFiles, TableState};
use crate::tenant::{TenantState, Usage};
use crate::{Seq, StoreError};

/// A record of each of some tenants.
pub(crate) type Seqs = HashMap<Tenant, Seq, ahash::RandomState>;

type Slot = Arc<OnceCell<Arc<TenantState>>>;

pub(crate) struct Tenants {
    files: Arc<dyn TableFiles>,
    usage: Arc<Usage>,
    salt: u64,
    series_max: usize,
    tenants_max: usize,
    /// What expressions on labels found, of all tenants.
    answers: Arc<Answers>,
    /// Raised to what the tables of a tenant are flushed to: the WAL gives out only
    /// numbers above, or rows would be taken for flushed ones after the next start.
    floor: Arc<AtomicU64>,
    /// Tenants that had a folder at start. Nobody else makes folders.
    stored: HashSet<Tenant, ahash::RandomState>,
    /// Tenants that the log knows at start, with their last record, until it is replayed.
    logged: RwLock<Seqs>,
    /// Tenants that the log says were deleted, with the record.
    deleted: RwLock<Seqs>,
    slots: RwLock<HashMap<Tenant, Slot, ahash::RandomState>>,
    /// Whose tables could not be read: neither written to nor shown.
    pub(crate) apart: Apart,
}

impl Tenants {
    pub(crate) async fn new(
        files: Arc<dyn TableFiles>,
        usage: Arc<Usage>,
        salt: u64,
        (series_max, tenants_max): (usize, usize),
        floor: Arc<AtomicU64>,
    ) -> Result<Self, StoreError> {
        let stored = files.tenants().await?.into_iter().collect();
        Ok(Self {
            files,
            usage,
            salt,
            series_max,
            tenants_max,
            answers: Answers::new(series_max),
            floor,
            stored,
            logged: RwLock::default(),
            deleted: RwLock::default(),
            slots: RwLock::default(),
            apart: Apart::default(),
        })
    }

    /// Tenants that the log has records of, with the last one of each, and with the one
    /// that deleted them.
    pub(crate) fn expect(&self, logged: Seqs, deleted: Seqs) {
        *self.logged.write() = logged;
        *self.deleted.write() = deleted;
    }

    /// A tenant that is in memory.
    pub(crate) fn loaded(&self, tenant: &Tenant) -> Option<Arc<TenantState>> {
        self.slots.read().get(tenant).and_then(|slot| slot.get().cloned())
    }

    /// Ends the life of a tenant at a record: what is asked for from now on is another one.
    pub(crate) fn retire(&self, tenant: &TenantState, deleted: Seq) -> Arc<TenantState> {
        let series = self.new_series();
        let next = Arc::new(tenant.retire(deleted, series));
        let slot = Arc::new(OnceCell::new_with(Some(Arc::clone(&next))));
        self.slots.write().insert(tenant.name.clone(), slot);
        next
    }

    /// The log is replayed: what it held is applied.
    pub(crate) fn replayed(&self) {
        *self.logged.write() = HashMap::default();
    }

    /// A tenant that the log has records of: there is always room for it.
    pub(crate) async fn get_known(&self, tenant: &Tenant) -> Result<Arc<TenantState>, StoreError> {
        let slot = Arc::clone(self.slots.write().entry(tenant.clone()).or_default());
        slot.get_or_try_init(|| self.load(tenant)).await.cloned()
    }

    /// The tenant, loaded if need be; refused if there are too many.
    pub(crate) async fn get(&self, tenant: &Tenant) -> Result<Arc<TenantState>, StoreError> {
        self.apart.reason(tenant).map_or(Ok(()), Err)?;
        let slot = match self.slot(tenant) {
            Some(slot) => slot,
            None => self.add(tenant)?,
        };
        slot.get_or_try_init(|| self.load(tenant)).await.cloned()
    }

    /// The tenant, if it has anything in memory or on disk. Others are not remembered.
    pub(crate) async fn find(&self, tenant: &Tenant) -> Result<Option<Arc<TenantState>>, StoreError> {
        self.apart.reason(tenant).map_or(Ok(()), Err)?;
        if self.slot(tenant).is_some() || self.stored.contains(tenant) {
            return self.get(tenant).await.map(Some);
        }
        if self.logged.read().contains_key(tenant) {
            return self.get_known(tenant).await.map(Some);
        }
        Ok(None)
    }

    /// A tenant without any rows.
    pub(crate) fn empty(&self, tenant: &Tenant) -> TenantState {
        self.state(tenant, Default::default())
    }

    /// The names of all tenants, in memory or not, sorted.
    pub(crate) fn names(&self) -> Vec<Tenant> {
        let mut names: Vec<Tenant> = self.all().iter().map(|tenant| tenant.name.clone()).collect();
        names.extend(self.stored.iter().cloned());
        names.extend(self.logged.read().keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Every tenant in memory.
    pub(crate) fn all(&self) -> Vec<Arc<TenantState>> {
        self.slots.read().values().filter_map(|slot| slot.get().cloned()).collect()
    }

    fn slot(&self, tenant: &Tenant) -> Option<Slot> {
        self.slots.read().get(tenant).cloned()
    }

    fn add(&self, tenant: &Tenant) -> Result<Slot, StoreError> {
        let mut slots = self.slots.write();
        if slots.len() >= self.tenants_max && !slots.contains_key(tenant) {
            return Err(StoreError::TooManyTenants { limit: self.tenants_max });
        }
        Ok(Arc::clone(slots.entry(tenant.clone()).or_default()))
    }

    async fn load(&self, tenant: &Tenant) -> Result<Arc<TenantState>, StoreError> {
        let mut tables: [Option<TableState>; Kind::ALL.len()] = Default::default();
        if !self.stored.contains(tenant) {
            return Ok(Arc::new(self.state(tenant, tables)));
        }
        let loaded = Kind::ALL.map(|kind| self.files.load(tenant, kind));
        for (loaded, table) in futures::future::try_join_all(loaded).await?.into_iter().zip(&mut tables) {
            *table = loaded;
            self.floor.fetch_max(table.as_ref().map_or(0, |table| table.highest), Ordering::AcqRel);
        }
        let has_series = tables[Kind::Series as usize - 1].is_some();
        let live = tables.each_ref().map(|table| table.as_ref().map(|table| Arc::clone(&table.files)));
        let state = self.state(tenant, tables);
        if state.deleted() > 0 {
            self.find_erased(&state, live).await?;
        }
        if has_series && state.erasing(Kind::Series).is_none() {
            self.load_series(&state).await?;
        }
        Ok(Arc::new(state))
    }

    /// Files that the deletion before the last stop took out of the tables. Nothing of this
    /// process is on its way into a folder whose tenant is not loaded yet.
    async fn find_erased(
        &self,
        state: &TenantState,
        live: [Option<Arc<[DataFile]>>; Kind::ALL.len()],
    ) -> Result<(), StoreError> {
        for (kind, live) in Kind::ALL.into_iter().zip(live) {
            let Some(live) = live else { continue };
            let live: HashSet<&Path> = live.iter().map(|file| &file.path).collect();
            let found = self.files.list(&state.name, kind).await?.into_iter().map(|file| file.path);
            state.add_erased(kind, found.filter(|path| !live.contains(path)));
        }
        Ok(())
    }

    async fn load_series(&self, state: &TenantState) -> Result<(), StoreError> {
        let mut fault = None;
        let mut each = |row: crate::tables::SeriesRow<'_>| {
            if let Err(error) = restore_row(&state.series, &row) {
                fault.get_or_insert(error);
            }
        };
        self.files.read_series(&state.name, &mut each).await?;
        match fault {
            None => Ok(()),
            Some(error) => Err(StoreError::Table {
                tenant: state.name.clone(),
                kind: Kind::Series,
                reason: error.to_string(),
            }),
        }
    }

    fn new_series(&self) -> Arc<SeriesTable> {
        Arc::new(SeriesTable::with_answers(self.salt, self.series_max, Arc::clone(&self.answers)))
    }

    fn state(&self, tenant: &Tenant, tables: [Option<TableState>; Kind::ALL.len()]) -> TenantState {
        let series = self.new_series();
        let checker = self.files.checker();
        let deleted = self.deleted.read().get(tenant).copied().unwrap_or(0);
        let state =
            TenantState::new(tenant.clone(), series, tables, Arc::clone(&self.usage), checker, deleted);
        state.expect(self.logged.read().get(tenant).copied().unwrap_or(0));
        state
    }
}
