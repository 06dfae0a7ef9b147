//! Tenants whose tables cannot be read while the log is.
//!
//! Their rows cannot go into memory: which of them are in files already stands in the very
//! tables, and what their series are called in the data files of `series`, of which one may be
//! gone or damaged. So these tenants are set apart, and everybody else goes on. Their records
//! wait in the log, which is not shortened past them; writes and queries of theirs are refused
//! with the reason. The tables are tried again and again, and when they can be read the records
//! come into memory ([`crate::recovery::rejoin`]). An object store that is away is no reason:
//! it is waited for.

use std::collections::HashMap;
use std::time::Duration;

use isinglass_model::Tenant;
use parking_lot::RwLock;

use crate::{Seq, StoreError};

/// Reading the tables is tried so often before a tenant is set apart: an object store fails
/// now and then.
const TRIES: u32 = 5;
/// Waits after a failure double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A tenant that waits for its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApartTenant {
    /// Whose.
    pub tenant: Tenant,
    /// The first of its records in the log.
    pub first: Seq,
    /// Why its tables cannot be read.
    pub reason: String,
}

struct Waiting {
    first: Seq,
    error: StoreError,
    /// On the monotonic clock.
    retry_at: Duration,
    pause: Duration,
}

/// All that are set apart.
#[derive(Default)]
pub(crate) struct Apart {
    tenants: RwLock<HashMap<Tenant, Waiting, ahash::RandomState>>,
    /// Of those that are not set apart yet.
    failures: RwLock<HashMap<Tenant, u32, ahash::RandomState>>,
}

impl Apart {
    /// Sets a tenant apart, whose first record is this one, when its tables could not be read
    /// for the last try. Before that the error is given back.
    pub(crate) fn add(
        &self,
        tenant: &Tenant,
        first: Seq,
        error: StoreError,
        now: Duration,
    ) -> Result<(), StoreError> {
        let mut failures = self.failures.write();
        let failed = failures.entry(tenant.clone()).or_default();
        *failed += 1;
        if *failed < TRIES {
            return Err(error);
        }
        failures.remove(tenant);
        tracing::error!(
            %tenant, first_record = first, %error,
            "the tables of a tenant cannot be read: its records wait in the log, others go on"
        );
        let waiting = Waiting { first, error, retry_at: now + PAUSES.0, pause: PAUSES.0 };
        self.tenants.write().insert(tenant.clone(), waiting);
        Ok(())
    }

    /// Its tables still cannot be read.
    pub(crate) fn postpone(&self, tenant: &Tenant, error: StoreError, now: Duration) {
        if let Some(waiting) = self.tenants.write().get_mut(tenant) {
            waiting.pause = (waiting.pause * 2).min(PAUSES.1);
            waiting.retry_at = now + waiting.pause;
            tracing::warn!(%tenant, %error, again_in = ?waiting.pause, "tables still cannot be read");
            waiting.error = error;
        }
    }

    /// All its records are in memory.
    pub(crate) fn remove(&self, tenant: &Tenant) {
        if self.tenants.write().remove(tenant).is_some() {
            tracing::info!(%tenant, "its tables can be read again, its records are in memory");
        }
    }

    /// Why a tenant is set apart, if it is.
    pub(crate) fn reason(&self, tenant: &Tenant) -> Option<StoreError> {
        self.tenants.read().get(tenant).map(|waiting| waiting.error.clone())
    }

    /// The first record that any of them needs.
    pub(crate) fn first_needed(&self) -> Option<Seq> {
        self.tenants.read().values().map(|waiting| waiting.first).min()
    }

    /// Those to be tried again now, with their first records.
    pub(crate) fn due(&self, now: Duration) -> Vec<(Tenant, Seq)> {
        let tenants = self.tenants.read();
        let due = tenants.iter().filter(|(_, waiting)| waiting.retry_at <= now);
        due.map(|(tenant, waiting)| (tenant.clone(), waiting.first)).collect()
    }

    /// All, for a person to look at, sorted by name.
    pub(crate) fn listed(&self) -> Vec<ApartTenant> {
        let tenants = self.tenants.read();
        let listed = tenants.iter().map(|(tenant, waiting)| ApartTenant {
            tenant: tenant.clone(),
            first: waiting.first,
            reason: waiting.error.to_string(),
        });
        let mut listed: Vec<_> = listed.collect();
        listed.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        listed
    }
}
