//! What a binding costs, tenant by tenant.

use hashbrown::HashMap;
use isinglass_model::Tenant;
use parking_lot::Mutex;

/// Tenants whose costs are kept apart, of each binding. Those that come later are not charged.
const TENANTS_MAX: usize = 10_000;

/// What a tenant's data took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Calls, failed ones included.
    pub(crate) calls: u64,
    /// Rows of calls that ended well.
    pub(crate) rows: u64,
    pub(crate) cpu_nanos: u64,
}

/// Of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Costs(Mutex<HashMap<Tenant, Cost>>);

impl Costs {
    /// A call ended.
    pub(crate) fn call(&self, tenant: &Tenant, cpu_nanos: u64) {
        self.charge(tenant, |cost| {
            cost.calls += 1;
            cost.cpu_nanos += cpu_nanos;
        });
    }

    /// It was shown rows.
    pub(crate) fn rows(&self, tenant: &Tenant, rows: u64) {
        self.charge(tenant, |cost| cost.rows += rows);
    }

    fn charge(&self, tenant: &Tenant, add: impl FnOnce(&mut Cost)) {
        let mut costs = self.0.lock();
        if let Some(cost) = costs.get_mut(tenant) {
            add(cost);
        } else if costs.len() < TENANTS_MAX {
            add(costs.entry(tenant.clone()).or_default());
        }
    }

    pub(crate) fn of(&self, tenant: &Tenant) -> Cost {
        self.0.lock().get(tenant).copied().unwrap_or_default()
    }

    /// CPU time of each tenant in seconds.
    pub(crate) fn cpu_seconds(&self) -> Vec<(Tenant, f64)> {
        let costs = self.0.lock();
        costs.iter().map(|(tenant, cost)| (tenant.clone(), cost.cpu_nanos as f64 / 1e9)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_its_own_and_there_is_a_bound() {
        let costs = Costs::default();
        let tenant = |n: usize| Tenant::new(&format!("t{n}")).unwrap();
        for n in 0..TENANTS_MAX + 10 {
            costs.call(&tenant(n), 5);
        }
        costs.call(&tenant(7), 20);
        costs.rows(&tenant(7), 100);
        assert_eq!(costs.of(&tenant(7)), Cost { calls: 2, rows: 100, cpu_nanos: 25 });
        assert_eq!(costs.of(&tenant(TENANTS_MAX + 1)), Cost::default());
        assert_eq!(costs.cpu_seconds().len(), TENANTS_MAX);
    }
}
