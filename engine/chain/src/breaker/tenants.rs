//! The breakers of a binding: one for each tenant for which it failed lately.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use isinglass_model::Tenant;
use parking_lot::Mutex;

use super::{Breaker, Led};

/// Tenants of which failures are counted at once. Beyond it those are forgotten that did well
/// since; where there are none, calls of further tenants go on whatever becomes of them.
const TENANTS_MAX: usize = 10_000;
/// From so many on, those that did well are looked for.
const TENANTS_FEW: usize = 64;

/// Costs a binding that never fails one atomic load a call.
#[derive(Debug, Default)]
pub(crate) struct Breakers {
    /// How many there are.
    known: AtomicUsize,
    opened: AtomicU64,
    by_tenant: Mutex<HashMap<Tenant, Breaker>>,
}

impl Breakers {
    /// Tenants whose calls fail at once.
    pub(crate) fn open(&self) -> u64 {
        if self.known.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.by_tenant.lock().values().filter(|breaker| breaker.is_open()).count() as u64
    }

    /// Whether calls of a tenant fail at once.
    pub(crate) fn is_open(&self, tenant: &Tenant) -> bool {
        self.with(tenant, |breaker| breaker.is_open()).unwrap_or(false)
    }

    /// How often one was opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Before a call; the error is the time until one is tried.
    pub(crate) fn ask(&self, tenant: &Tenant, now: Duration) -> Result<(), Duration> {
        self.with(tenant, |breaker| breaker.ask(now)).unwrap_or(Ok(()))
    }

    /// A call ended well. Says whether it ended a pause.
    pub(crate) fn succeeded(&self, tenant: &Tenant, now: Duration) -> bool {
        self.with(tenant, |breaker| breaker.succeeded(now)).unwrap_or(false)
    }

    /// A call was not made after all.
    pub(crate) fn not_called(&self, tenant: &Tenant, now: Duration) {
        self.with(tenant, |breaker| breaker.not_called(now));
    }

    /// A call failed, or what it answered could not be used.
    pub(crate) fn failed(&self, tenant: &Tenant, now: Duration) -> Led {
        let mut by_tenant = self.by_tenant.lock();
        if by_tenant.len() >= TENANTS_FEW && !by_tenant.contains_key(tenant) {
            by_tenant.retain(|_, breaker| !breaker.is_idle(now));
        }
        if by_tenant.len() >= TENANTS_MAX && !by_tenant.contains_key(tenant) {
            return Led::Nowhere;
        }
        let led = by_tenant.entry(tenant.clone()).or_insert_with(Breaker::new).failed(now);
        self.known.store(by_tenant.len(), Ordering::Relaxed);
        self.opened.fetch_add(u64::from(led != Led::Nowhere), Ordering::Relaxed);
        led
    }

    fn with<R>(&self, tenant: &Tenant, of: impl FnOnce(&mut Breaker) -> R) -> Option<R> {
        if self.known.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.by_tenant.lock().get_mut(tenant).map(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: usize) -> Tenant {
        Tenant::new(&format!("t{n}")).unwrap()
    }

    #[test]
    fn a_tenant_does_not_notice_another() {
        let breakers = Breakers::default();
        let (now, bad, good) = (Duration::from_secs(1), tenant(0), tenant(1));
        assert_eq!((1..=5).filter(|_| breakers.failed(&bad, now) != Led::Nowhere).count(), 1);
        assert!(breakers.ask(&bad, now).is_err() && breakers.ask(&good, now).is_ok());
        assert_eq!((breakers.open(), breakers.opened()), (1, 1));
        assert!(breakers.is_open(&bad) && !breakers.is_open(&good));
    }

    #[test]
    fn those_that_did_well_are_forgotten() {
        let breakers = Breakers::default();
        for n in 0..3 * TENANTS_MAX {
            breakers.failed(&tenant(n), Duration::from_millis(n as u64));
            assert!(breakers.known.load(Ordering::Relaxed) <= TENANTS_MAX);
        }
        assert_eq!(breakers.open(), 0);
    }
}
