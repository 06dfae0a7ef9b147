//! Plugins that are tried out: they are asked as they would be in the chain, and nobody does what
//! they say.
//!
//! Nothing of them touches the chain that is enforced: they have instances, breakers, counters and
//! token buckets of their own, and whoever asks them does so beside the requests.

use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Tenant;
use isinglass_model::columns::Columns;
use isinglass_model::deltas::{Deltas, DerivedMetric, Pairing};
use isinglass_model::edits::Editable;
use isinglass_model::kind::Signal;
use isinglass_model::labels::LabelSet;
use isinglass_model::verdict::{Decision, Verdicts};

use crate::chain::{Chain, answers};
use crate::columns::Offered;
use crate::config::World;
use crate::deltas;
use crate::failure::Failure;
use crate::limiters::bill_of_bytes;
use crate::plan::{Bill, settle};
use crate::plugin::{Caller, Plugin};
use crate::transform::apply;
use crate::verdicts::{self, Author};

/// Nobody knows what it would have said: it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The kind of failure.
    pub kind: &'static str,
    /// One sentence.
    pub message: String,
}

/// A plugin that is tried out.
#[derive(Clone, Copy)]
pub struct Shadow<'a> {
    chain: &'a Chain,
    plugin: &'a Plugin,
}

impl std::fmt::Debug for Shadow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shadow").field(&self.plugin.binding).finish()
    }
}

impl Chain {
    /// Whether batches of this signal of a tenant are shown to a plugin that is tried out.
    pub fn has_shadows(&self, tenant: &Tenant, signal: Signal) -> bool {
        self.shadows.iter().any(|plugin| plugin.takes(tenant, signal))
    }

    /// Those that are shown batches of this signal of a tenant.
    pub fn shadows<'a>(
        &'a self,
        tenant: &'a Tenant,
        signal: Signal,
    ) -> impl Iterator<Item = Shadow<'a>> + 'a {
        let plugins = self.shadows.iter().filter(move |plugin| plugin.takes(tenant, signal));
        plugins.map(|plugin| Shadow { chain: self, plugin })
    }
}

impl<'a> Shadow<'a> {
    /// Name of the binding.
    pub fn name(&self) -> &'a str {
        &self.plugin.binding
    }

    /// `name@version` of the plugin.
    pub fn plugin(&self) -> &'a str {
        &self.plugin.plugin
    }

    /// sha256 of the component in hex.
    pub fn digest(&self) -> &'a str {
        &self.plugin.component.digest
    }

    /// What it would be used as.
    pub fn world(&self) -> World {
        self.plugin.world
    }

    /// Everything that its answers depend on besides the batch.
    pub fn identity(&self) -> Vec<Vec<u8>> {
        self.plugin.identity()
    }

    /// What a deriver would write for a tenant.
    pub fn metrics(&self, tenant: &Tenant) -> &'a [DerivedMetric] {
        &self.plugin.variants[self.plugin.variant_of(tenant)].metrics
    }

    /// What would become of the halves that it gives for a tenant.
    pub fn pairing(&self, tenant: &Tenant) -> Option<&'a Arc<Pairing>> {
        self.plugin.variants[self.plugin.variant_of(tenant)].pairing.as_ref()
    }

    /// `name@version` and sha256 of the plugin that is enforced under this name for a tenant.
    pub fn enforced(&self, tenant: &Tenant) -> Option<(&'a str, &'a str)> {
        let same = |plugin: &&Plugin| {
            plugin.binding == self.plugin.binding
                && plugin.world == self.plugin.world
                && plugin.is_for(tenant)
        };
        let plugin = self.chain.plugins.iter().find(same)?;
        Some((&plugin.plugin, &plugin.component.digest))
    }

    /// Which rows of a batch it is shown; `None` = all.
    pub fn sees(&self, tenant: &Tenant, batch: &dyn Columns) -> Option<Vec<bool>> {
        let shown = self.plugin.shown(tenant, batch);
        (shown.len() < batch.rows()).then(|| {
            let mut sees = vec![false; batch.rows()];
            shown.iter().for_each(|row| sees[row] = true);
            sees
        })
    }

    /// Whether it is shown samples of a series.
    pub fn sees_series(&self, labels: &LabelSet) -> bool {
        self.plugin.condition.fits(labels)
    }

    /// What a validator says of a batch.
    pub fn validate(
        &self,
        tenant: &Tenant,
        batch: &dyn Columns,
        now_unix_nanos: i64,
    ) -> Result<Verdicts, Unknown> {
        let (caller, rows) = (self.chain.caller(tenant, now_unix_nanos), batch.rows());
        let answers = answers(self.plugin, caller, &mut Offered::new(batch));
        let answers = answers.map_err(|failure| self.unknown(tenant, &failure))?;
        let author = Author::of(self.plugin);
        let mut said = Verdicts::default();
        for (cut, answer) in &answers {
            verdicts::merge(&mut said, rows, cut, answer, &author, |reason, rows| {
                self.plugin.meter.rejected(&reason.code, rows);
            });
        }
        Ok(said)
    }

    /// Changes a batch as a transformer would; the verdicts are the rows that it drops.
    pub fn transform(
        &self,
        tenant: &Tenant,
        batch: &mut impl Editable,
        now_unix_nanos: i64,
    ) -> Result<Verdicts, Unknown> {
        let caller = self.chain.caller(tenant, now_unix_nanos);
        let mut said = Verdicts::default();
        let applied = apply(self.plugin, caller, batch, &mut said);
        applied.map(|()| said).map_err(|failure| self.unknown(tenant, &failure))
    }

    /// What a limiter says of a request: of its bytes before it is decoded, then of the rows that
    /// are kept. `at`: when it came, on the monotonic clock.
    pub fn limit(
        &self,
        tenant: &Tenant,
        (signal, wire_bytes): (Signal, u64),
        batches: &[&dyn Columns],
        now_unix_nanos: i64,
        at: Duration,
    ) -> Result<Decision, Unknown> {
        let caller = self.chain.caller(tenant, now_unix_nanos);
        let bytes = match self.plugin.condition.is_empty() {
            true => Some(wire_bytes),
            false => self.plugin.share(tenant, batches.iter().copied(), wire_bytes),
        };
        let Some(bytes) = bytes else { return Ok(Decision::Allow) };
        let decision = self.settled(tenant, bill_of_bytes(self.plugin, caller, signal, bytes), at)?;
        if decision != Decision::Allow {
            return Ok(decision);
        }
        self.settled(tenant, self.bill_of_rows(caller, batches), at)
    }

    fn bill_of_rows(&self, caller: Caller<'_>, batches: &[&dyn Columns]) -> Result<Bill, Failure> {
        let mut bill = Bill::default();
        for batch in batches {
            self.plugin.each_cut(caller.tenant, &mut Offered::new(*batch), |cut| {
                let plan = self.plugin.call(caller, |guest, context| guest.limit(context, cut.batch))?;
                bill.add(caller.tenant, &self.plugin.account, &plan)
            })?;
        }
        Ok(bill)
    }

    fn settled(
        &self,
        tenant: &Tenant,
        bill: Result<Bill, Failure>,
        at: Duration,
    ) -> Result<Decision, Unknown> {
        let bill = bill.map_err(|failure| self.unknown(tenant, &failure))?;
        match settle(&self.chain.shadow_buckets, vec![(self.name(), bill)], at) {
            Ok(()) => Ok(Decision::Allow),
            Err((_, decision)) => {
                self.plugin.meter.rejected(isinglass_model::reason::code::RATE_LIMITED, 1);
                Ok(decision)
            }
        }
    }

    /// What a deriver makes of kept rows. Whoever asks makes pairs of its halves.
    pub fn derive(
        &self,
        tenant: &Tenant,
        batch: &dyn Columns,
        now_unix_nanos: i64,
    ) -> Result<Vec<Deltas>, Unknown> {
        let caller = self.chain.caller(tenant, now_unix_nanos);
        let variant = &self.plugin.variants[self.plugin.variant_of(tenant)];
        let mut all = Vec::new();
        let result = self.plugin.each_cut(tenant, &mut Offered::new(batch), |cut| {
            let out = self.plugin.call(caller, |guest, context| guest.derive(context, cut.batch))?;
            deltas::check(out, variant, cut, &mut all)
        });
        result.map(|_| all).map_err(|failure| self.unknown(tenant, &failure))
    }

    /// Counts a failure; the breaker looks at it.
    fn unknown(&self, tenant: &Tenant, failure: &Failure) -> Unknown {
        self.plugin.failed(tenant, failure);
        Unknown { kind: failure.kind.as_str(), message: failure.message.clone() }
    }
}

#[cfg(test)]
mod tests;
