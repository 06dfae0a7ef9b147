//! The limiters of a chain: what they take for a request, and what becomes of it when one fails.

use isinglass_model::Tenant;
use isinglass_model::columns::Columns;
use isinglass_model::kind::Signal;
use isinglass_model::reason::code;
use isinglass_model::verdict::Decision;

use crate::abi::SignalName;
use crate::chain::{Chain, signal_of};
use crate::columns::Offered;
use crate::config::{OnError, World};
use crate::failure::Failure;
use crate::plan::{Bill, settle};
use crate::plugin::{Caller, Plugin};
use crate::rates::Unit;

impl Chain {
    /// Asks the limiters about a request before it is decoded: all that is known
    /// is its signal and its size on the wire. Those with conditions are asked when its
    /// items are known, by [`Chain::limit_sent`].
    pub fn admit(&self, tenant: &Tenant, signal: Signal, wire_bytes: u64) -> Decision {
        let caller = self.caller(tenant, self.clock.now_unix_nanos());
        self.decide(tenant, |plugin| match plugin.takes(tenant, signal) && plugin.condition.is_empty() {
            true => self.admit_one(plugin, caller, signal, wire_bytes),
            false => Ok(Bill::default()),
        })
    }

    fn admit_one(
        &self,
        plugin: &Plugin,
        caller: Caller<'_>,
        signal: Signal,
        wire_bytes: u64,
    ) -> Result<Bill, Decision> {
        let bill = bill_of_bytes(plugin, caller, signal, wire_bytes);
        self.or_native(plugin, caller.tenant, bill, Unit::Bytes, || vec![(signal, wire_bytes)])
    }

    /// Asks the limiters about the kept rows of a request, all batches together:
    /// either all of it is taken from the buckets or nothing.
    pub fn limit(&self, tenant: &Tenant, batches: &[&dyn Columns], now_unix_nanos: i64) -> Decision {
        self.limit_sent(tenant, batches, 0, now_unix_nanos)
    }

    /// The same for a request that came over the wire: limiters with conditions are also asked
    /// about the part of its bytes that they are for.
    pub fn limit_sent(
        &self,
        tenant: &Tenant,
        batches: &[&dyn Columns],
        wire_bytes: u64,
        now_unix_nanos: i64,
    ) -> Decision {
        let caller = self.caller(tenant, now_unix_nanos);
        self.decide(tenant, |plugin| {
            let takes = |batch: &&dyn Columns| plugin.takes(tenant, signal_of(batch.shape()));
            let batches: Vec<&dyn Columns> = batches.iter().copied().filter(takes).collect();
            let mut bill = self.bill_of_rows(plugin, caller, &batches)?;
            if wire_bytes > 0
                && !plugin.condition.is_empty()
                && let Some(batch) = batches.first()
                && let Some(bytes) = plugin.share(tenant, batches.iter().copied(), wire_bytes)
            {
                bill.join(self.admit_one(plugin, caller, signal_of(batch.shape()), bytes)?);
            }
            Ok(bill)
        })
    }

    fn bill_of_rows(
        &self,
        plugin: &Plugin,
        caller: Caller<'_>,
        batches: &[&dyn Columns],
    ) -> Result<Bill, Decision> {
        let (tenant, mut bill) = (caller.tenant, Bill::default());
        let result = batches.iter().try_for_each(|batch| {
            let shown = plugin.each_cut(tenant, &mut Offered::new(*batch), |cut| {
                let plan = plugin.call(caller, |guest, context| guest.limit(context, cut.batch))?;
                bill.add(tenant, &plugin.account, &plan)
            });
            shown.map(|_| ())
        });
        let cost =
            |batch: &&dyn Columns| (signal_of(batch.shape()), plugin.shown(tenant, *batch).len() as u64);
        let costs = || batches.iter().map(cost).collect();
        self.or_native(plugin, tenant, result.map(|()| bill), Unit::Items, costs)
    }

    /// Collects a bill from every limiter and settles them together.
    fn decide(&self, tenant: &Tenant, bill: impl Fn(&Plugin) -> Result<Bill, Decision>) -> Decision {
        let limiters: Vec<&Plugin> =
            self.plugins.iter().filter(|p| p.world == World::Limiter && p.is_for(tenant)).collect();
        let mut bills = Vec::with_capacity(limiters.len());
        for plugin in &limiters {
            match bill(plugin) {
                Ok(bill) => bills.push((plugin.binding.as_str(), bill)),
                Err(decision) => return decision,
            }
        }
        match settle(&self.buckets, bills, self.clock.monotonic()) {
            Ok(()) => Decision::Allow,
            Err((at, decision)) => {
                let reason = match &decision {
                    Decision::Deny { reason, .. } => reason,
                    _ => code::RATE_LIMITED,
                };
                limiters[at].meter.rejected(reason, 1);
                tracing::debug!(tenant = tenant.as_str(), ?decision, "request over its rate");
                decision
            }
        }
    }

    /// The bill of a limiter, or what its policy says when it failed.
    fn or_native(
        &self,
        plugin: &Plugin,
        tenant: &Tenant,
        bill: Result<Bill, Failure>,
        unit: Unit,
        costs: impl FnOnce() -> Vec<(Signal, u64)>,
    ) -> Result<Bill, Decision> {
        let failure = match bill {
            Ok(bill) => return Ok(bill),
            Err(failure) => failure,
        };
        plugin.failed(tenant, &failure);
        let rates = &plugin.variants[plugin.variant_of(tenant)].fallback;
        match (plugin.on_error, rates) {
            (OnError::Reject, _) => {
                plugin.meter.rejected(code::PLUGIN_ERROR, 1);
                let (binding, kind) = (&plugin.binding, failure.kind.as_str());
                Err(Decision::Unavailable { message: format!("rate limiter {binding} failed ({kind})") })
            }
            (OnError::Native, Some(rates)) => Ok(Bill::native(tenant, &plugin.account, rates, unit, costs())),
            _ => Ok(Bill::default()),
        }
    }
}

/// What a limiter takes for bytes on the wire.
pub(crate) fn bill_of_bytes(
    plugin: &Plugin,
    caller: Caller<'_>,
    signal: Signal,
    bytes: u64,
) -> Result<Bill, Failure> {
    let (name, mut bill) = (SignalName::from(signal), Bill::default());
    let plan = plugin.call(caller, |guest, context| guest.admit(context, name, bytes))?;
    bill.add(caller.tenant, &plugin.account, &plan).map(|()| bill)
}
