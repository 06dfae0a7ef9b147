//! What `/metrics` shows of the write path.

use std::collections::BTreeMap;

use isinglass_model::kind::Signal;
use isinglass_model::{Counts, Reason, Tenant};
use parking_lot::Mutex;

/// Tenants counted by name; what comes beyond is counted under [`OTHER_TENANTS`].
const TENANTS_MAX: usize = 10_000;
/// Stands for all tenants beyond the bound; no tenant can have this name.
pub const OTHER_TENANTS: &str = "{others}";

/// Items of one signal by fate, since start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalStats {
    /// Items; balanced.
    pub counts: Counts,
    /// Requests taken, duplicates among them.
    pub requests: u64,
    /// Bytes of those requests on the wire.
    pub wire_bytes: u64,
    /// Requests answered as repeats.
    pub duplicates: u64,
    /// Requests refused whole before their items were known, by reason.
    pub refused_requests: BTreeMap<Reason, u64>,
    /// Bytes that were not kept, by reason: of requests refused whole those on the wire, of log
    /// records those of the line, of spans those of their messages.
    pub rejected_bytes: BTreeMap<Reason, u64>,
    /// Lines and values of attributes that were cut, by field.
    pub truncated: BTreeMap<Reason, u64>,
}

impl SignalStats {
    /// Adds values that were cut.
    pub fn cut(&mut self, cuts: &BTreeMap<&'static str, u64>) {
        for (field, values) in cuts {
            *self.truncated.entry((*field).into()).or_default() += values;
        }
    }

    /// Adds bytes that were not kept.
    pub fn weigh(&mut self, bytes: &BTreeMap<Reason, u64>) {
        for (reason, bytes) in bytes {
            *self.rejected_bytes.entry(reason.clone()).or_default() += bytes;
        }
    }
}

/// One tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantStats {
    /// By signal.
    pub signals: BTreeMap<Signal, SignalStats>,
    /// Samples written by ticks.
    pub derived_samples: u64,
    /// Ticks that could not be stored.
    pub failed_ticks: u64,
}

/// All tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestStats {
    /// By tenant name.
    pub tenants: BTreeMap<String, TenantStats>,
}

/// Collects what happens.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<IngestStats>);

impl Recorder {
    pub(crate) fn snapshot(&self) -> IngestStats {
        self.0.lock().clone()
    }

    pub(crate) fn signal(&self, tenant: &Tenant, signal: Signal, note: impl FnOnce(&mut SignalStats)) {
        self.tenant(tenant, |stats| note(stats.signals.entry(signal).or_default()));
    }

    pub(crate) fn tenant(&self, tenant: &Tenant, note: impl FnOnce(&mut TenantStats)) {
        let mut stats = self.0.lock();
        let known = stats.tenants.contains_key(tenant.as_str()) || stats.tenants.len() < TENANTS_MAX;
        let name = if known { tenant.as_str() } else { OTHER_TENANTS };
        if let Some(tenant) = stats.tenants.get_mut(name) {
            note(tenant);
        } else {
            note(stats.tenants.entry(name.to_owned()).or_default());
        }
    }
}
