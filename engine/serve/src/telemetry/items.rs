//! The ledger of items: received = stored + rejected, by tenant and signal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use isinglass_ingest::{SignalStats, TenantStats};
use isinglass_model::Reason;
use isinglass_model::kind::Signal;
use parking_lot::Mutex;
use prometheus_client::encoding::DescriptorEncoder;

use super::engine::{Labels, counter};

/// The tenant label of all tenants without one of their own; no tenant can have this name.
const OTHERS: &str = "{others}";

/// Which tenants have a label value of their own: the first ones seen. Not the
/// largest ones, because a counter must not change its label while it grows.
#[derive(Debug)]
pub(super) struct TenantNames {
    max: usize,
    named: Mutex<BTreeSet<String>>,
}

impl TenantNames {
    pub(super) fn new(max: usize) -> Self {
        Self { max, named: Mutex::default() }
    }

    pub(super) fn fold(&self, tenants: BTreeMap<String, TenantStats>) -> BTreeMap<String, TenantStats> {
        let mut named = self.named.lock();
        let mut folded = BTreeMap::new();
        for (name, stats) in tenants {
            let name = shown(&mut named, self.max, name);
            add(folded.entry(name).or_default(), stats);
        }
        folded
    }
}

impl TenantNames {
    /// The name under which a tenant is shown.
    pub(super) fn shown(&self, name: &str) -> String {
        shown(&mut self.named.lock(), self.max, name.to_owned())
    }
}

fn shown(named: &mut BTreeSet<String>, max: usize, name: String) -> String {
    let own = named.contains(&name) || (named.len() < max && named.insert(name.clone()));
    if own { name } else { OTHERS.to_owned() }
}

fn add(to: &mut TenantStats, from: TenantStats) {
    to.derived_samples += from.derived_samples;
    to.failed_ticks += from.failed_ticks;
    for (signal, stats) in from.signals {
        let sum = to.signals.entry(signal).or_default();
        sum.counts.add(&stats.counts);
        sum.requests += stats.requests;
        sum.wire_bytes += stats.wire_bytes;
        sum.duplicates += stats.duplicates;
        sum.weigh(&stats.rejected_bytes);
        for (field, values) in &stats.truncated {
            *sum.truncated.entry(field.clone()).or_default() += values;
        }
        for (reason, count) in stats.refused_requests {
            *sum.refused_requests.entry(reason).or_default() += count;
        }
    }
}

/// A row per tenant and signal.
fn per_signal<'a>(
    tenants: &'a BTreeMap<String, TenantStats>,
    value: impl Fn(&SignalStats) -> u64 + 'a,
) -> impl Iterator<Item = (Labels, u64)> + 'a {
    tenants.iter().flat_map(move |(tenant, stats)| {
        let rows: Vec<_> =
            stats.signals.iter().map(|(signal, s)| (labels(tenant, *signal), value(s))).collect();
        rows
    })
}

/// A row per tenant, signal and reason, or what else the last label is.
fn per_reason<'a>(
    tenants: &'a BTreeMap<String, TenantStats>,
    label: &'static str,
    reasons: impl Fn(&SignalStats) -> &BTreeMap<Reason, u64> + 'a,
) -> impl Iterator<Item = (Labels, u64)> + 'a {
    tenants.iter().flat_map(move |(tenant, stats)| {
        let mut rows = Vec::new();
        for (signal, stats) in &stats.signals {
            for (reason, count) in reasons(stats) {
                let mut labels = labels(tenant, *signal);
                labels.push((label, reason.to_string()));
                rows.push((labels, *count));
            }
        }
        rows
    })
}

fn labels(tenant: &str, signal: Signal) -> Labels {
    vec![("tenant", tenant.to_owned()), ("signal", signal.as_str().to_owned())]
}

/// The ledger: received = stored + rejected.
pub(super) fn items(
    encoder: &mut DescriptorEncoder<'_>,
    tenants: &BTreeMap<String, TenantStats>,
) -> fmt::Result {
    counter(
        encoder,
        "isinglass_received_items",
        "Items received",
        per_signal(tenants, |s| s.counts.received),
    )?;
    counter(
        encoder,
        "isinglass_stored_items",
        "Items acknowledged as stored",
        per_signal(tenants, |s| s.counts.stored),
    )?;
    let rejected = per_reason(tenants, "reason", |s| &s.counts.rejected);
    counter(encoder, "isinglass_rejected_items", "Items not kept, by reason", rejected)?;
    let refused = per_reason(tenants, "reason", |s| &s.refused_requests);
    counter(encoder, "isinglass_refused_requests", "Requests refused whole, by reason", refused)?;
    let truncated = per_reason(tenants, "field", |s| &s.truncated);
    counter(
        encoder,
        "isinglass_truncated_values",
        "Lines and values of attributes that were cut, by field",
        truncated,
    )?;
    let bytes = per_reason(tenants, "reason", |s| &s.rejected_bytes);
    counter(
        encoder,
        "isinglass_rejected_bytes",
        "Bytes of log records, spans and requests not kept, by reason",
        bytes,
    )?;
    counter(encoder, "isinglass_received_requests", "Requests taken", per_signal(tenants, |s| s.requests))?;
    counter(
        encoder,
        "isinglass_received_bytes",
        "Bytes of requests on the wire",
        per_signal(tenants, |s| s.wire_bytes),
    )?;
    let duplicates = per_signal(tenants, |s| s.duplicates);
    counter(
        encoder,
        "isinglass_duplicate_requests",
        "Requests answered as repeats and not stored again",
        duplicates,
    )?;
    let derived = tenants.iter().map(|(tenant, s)| (vec![("tenant", tenant.clone())], s.derived_samples));
    counter(encoder, "isinglass_derived_samples", "Samples written by derivers", derived)?;
    let failed = tenants.iter().map(|(tenant, s)| (vec![("tenant", tenant.clone())], s.failed_ticks));
    counter(encoder, "isinglass_failed_ticks", "Ticks of derived metrics that could not be stored", failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_beyond_the_bound_are_added_up() {
        let names = TenantNames::new(2);
        let stats = |n| TenantStats { derived_samples: n, ..TenantStats::default() };
        let of =
            |pairs: &[(&str, u64)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), stats(*n))).collect();
        assert_eq!(names.fold(of(&[("m", 1), ("n", 2)])), of(&[("m", 1), ("n", 2)]));
        // A tenant that sorts first but came later does not push another one out.
        assert_eq!(
            names.fold(of(&[("a", 5), ("b", 6), ("m", 3), ("n", 4)])),
            of(&[("m", 3), ("n", 4), (OTHERS, 11)])
        );
    }
}
