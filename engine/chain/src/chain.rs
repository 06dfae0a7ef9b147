//! The chain: plugins in their order, and what becomes of a batch when one fails.

use std::sync::Arc;

use isinglass_model::columns::{Columns, Shape};
use isinglass_model::deltas::{Deltas, DerivedMetric, Pairing};
use isinglass_model::kind::Signal;
use isinglass_model::reason::code;
use isinglass_model::verdict::Verdicts;
use isinglass_model::{Clock, Tenant};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::abi::VerdictsOut;
use crate::buckets::Buckets;
use crate::columns::Offered;
use crate::component::{Loader, hex};
use crate::config::{Binding, ChainConfig, OnError, World};
use crate::engine::{Sandbox, Settings};
use crate::error::ChainError;
use crate::failure::Failure;
use crate::lines::LogLine;
use crate::plugin::{Caller, Plugin};
use crate::shown::Shown;
use crate::signed::TrustedKeys;
use crate::stats::BindingStats;
use crate::ticker::Ticker;
use crate::verdicts::Author;
use crate::when::When;
use crate::{deltas, functions, verdicts};

/// A loaded chain of plugins; shared by all requests.
///
/// Its calls block for as long as the plugins run: call them off async workers.
pub struct Chain {
    // Before the engine, whose memory the instances use.
    pub(crate) plugins: Vec<Plugin>,
    /// Those that are tried out.
    pub(crate) shadows: Vec<Plugin>,
    derivers: Vec<Deriver>,
    validators_digest: String,
    pub(crate) buckets: Arc<Buckets>,
    /// Of those that are tried out, so that they take nothing from anybody.
    pub(crate) shadow_buckets: Arc<Buckets>,
    pub(crate) clock: Arc<dyn Clock>,
    ticker: Ticker,
    _engine: Engine,
}

/// A deriver under one configuration. `Chain::derivers()[i].binding == i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Deriver {
    /// What [`Deltas::binding`] says.
    pub binding: u16,
    /// Name of the binding. Several entries share it where tenants have
    /// configurations of their own.
    pub name: String,
    /// `name@version` of the plugin.
    pub plugin: String,
    /// sha256 of the component in hex.
    pub digest: String,
    /// The metrics that it writes.
    pub metrics: Arc<[DerivedMetric]>,
    /// What becomes of its halves, if it gives any.
    pub pairing: Option<Arc<Pairing>>,
    /// A label of its exemplars that holds the trace's id once more; empty = none.
    pub exemplar_label: Arc<str>,
}

/// A binding as it is for one tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// Its place in the chain, from 0. Worlds run in their own order.
    pub order: u16,
    /// Signals that it is shown.
    pub signals: Vec<Signal>,
    /// What must hold of an item for it to be shown.
    pub when: When,
    /// What happens when it fails.
    pub on_error: OnError,
    /// Whether the tenant has a configuration of its own.
    pub own_config: bool,
    /// Whether it failed so often for the tenant that it is left alone for a while.
    pub left_alone: bool,
    /// What it did for all tenants since the chain was loaded.
    pub stats: BindingStats,
}

/// What a binding did for one tenant, since the process began.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginCost {
    /// Name of the binding.
    pub binding: String,
    /// `name@version` of the plugin.
    pub plugin: String,
    /// sha256 of the component in hex.
    pub digest: String,
    /// What it is used as.
    pub world: World,
    /// Whether it is tried out.
    pub shadow: bool,
    /// Calls for the tenant, failed ones included.
    pub calls: u64,
    /// Rows of the tenant that it was shown.
    pub rows: u64,
    /// Thread CPU time of these calls.
    pub cpu_seconds: f64,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plugins: Vec<_> = self.plugins.iter().map(|plugin| (&plugin.binding, &plugin.plugin)).collect();
        f.debug_struct("Chain").field("plugins", &plugins).finish_non_exhaustive()
    }
}

impl Chain {
    /// Compiles the components and asks each plugin what it is. Everything that
    /// is wrong with a configuration shows here.
    pub fn load(config: &ChainConfig, clock: Arc<dyn Clock>) -> Result<Self, ChainError> {
        let buckets = || Arc::new(Buckets::new(config.buckets_max as usize));
        Self::load_with(config, clock, (buckets(), buckets()), None)
    }

    /// The same for one that takes the place of another: token buckets are those of the other,
    /// and what is counted by the name of a binding goes on.
    pub fn load_after(config: &ChainConfig, before: &Self) -> Result<Self, ChainError> {
        let buckets = (Arc::clone(&before.buckets), Arc::clone(&before.shadow_buckets));
        Self::load_with(config, Arc::clone(&before.clock), buckets, Some(before))
    }

    fn load_with(
        config: &ChainConfig,
        clock: Arc<dyn Clock>,
        (buckets, shadow_buckets): (Arc<Buckets>, Arc<Buckets>),
        before: Option<&Self>,
    ) -> Result<Self, ChainError> {
        config.check()?;
        let bindings = u32::try_from(config.bindings.len()).unwrap_or(u32::MAX);
        // One place more for the instance that is tried out while a chain loads.
        let instances = bindings.saturating_mul(config.instances_max).saturating_add(1);
        let budgets = config.bindings.iter().map(|binding| &binding.budget);
        let settings = Settings::of(budgets).deterministic(config.deterministic);
        let sandbox = Sandbox::new(instances, settings)?;
        let ticker = Ticker::start(&sandbox.engine)?;
        let mut loader =
            Loader::new(&sandbox, &config.compilation)?.trusting(TrustedKeys::parse(&config.trusted_keys)?);
        let named = |one: &Binding| {
            let plugins = if one.shadow { &before?.shadows } else { &before?.plugins };
            plugins.iter().find(|plugin| plugin.binding == one.name)
        };
        let plugins = (config.bindings.iter().enumerate())
            .map(|(at, one)| Plugin::load(&mut loader, &ticker, &clock, config, at, named(one)))
            .collect::<Result<Vec<_>, _>>()?;
        let (shadows, mut plugins): (Vec<_>, Vec<_>) = plugins.into_iter().partition(|plugin| plugin.shadow);
        functions::check_names(&plugins)?;
        let derivers = number_derivers(&mut plugins);
        Ok(Self {
            validators_digest: validators_digest(&plugins),
            plugins,
            shadows,
            derivers,
            buckets,
            shadow_buckets,
            clock,
            ticker,
            _engine: sandbox.engine,
        })
    }

    /// Identifies the transformers and validators, their order and their configurations.
    /// What was said of a label set holds under this digest.
    pub fn validators_digest(&self) -> &str {
        &self.validators_digest
    }

    /// The derivers; [`Deltas::binding`] is an index into them.
    pub fn derivers(&self) -> &[Deriver] {
        &self.derivers
    }

    /// All plugins, those that are tried out behind the others.
    fn all(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().chain(&self.shadows)
    }

    /// What each binding did since the chain was loaded.
    pub fn stats(&self) -> Vec<BindingStats> {
        self.all().map(Plugin::stats).collect()
    }

    /// What each binding cost a tenant.
    pub fn costs(&self, tenant: &Tenant) -> Vec<PluginCost> {
        let cost = |plugin: &Plugin| {
            let cost = plugin.meter.costs.of(tenant);
            PluginCost {
                binding: plugin.binding.clone(),
                plugin: plugin.plugin.clone(),
                digest: plugin.component.digest.clone(),
                world: plugin.world,
                shadow: plugin.shadow,
                calls: cost.calls,
                rows: cost.rows,
                cpu_seconds: cost.cpu_nanos as f64 / 1e9,
            }
        };
        self.all().filter(|plugin| plugin.is_for(tenant)).map(cost).collect()
    }

    /// CPU time in seconds, of each binding by tenant, and whether it is tried out.
    pub fn cpu_by_tenant(&self) -> Vec<(String, bool, Vec<(Tenant, f64)>)> {
        let of = |plugin: &Plugin| (plugin.binding.clone(), plugin.shadow, plugin.meter.costs.cpu_seconds());
        self.all().map(of).collect()
    }

    /// Whether the plugin of a binding is this component and failed so often for a tenant that it
    /// was left alone.
    pub(crate) fn has_given_up(&self, binding: &str, digest: &str) -> bool {
        let mut plugins = self.plugins.iter();
        plugins.any(|plugin| {
            plugin.binding == binding && plugin.component.digest == digest && plugin.stats().opened > 0
        })
    }

    /// What the plugin of a binding logged last, the oldest first; `None` if there is no such
    /// binding. `shadow`: of the one that is tried out.
    pub fn log_of(&self, binding: &str, shadow: bool) -> Option<Vec<LogLine>> {
        let mut plugins = self.all();
        let plugin = plugins.find(|plugin| plugin.binding == binding && plugin.shadow == shadow)?;
        Some(plugin.meter.lines.all())
    }

    /// The bindings, as they are for a tenant.
    pub fn bound(&self, tenant: &Tenant) -> Vec<Bound> {
        let bound = |plugin: &Plugin, stats| Bound {
            order: plugin.index,
            signals: Signal::ALL.into_iter().filter(|signal| plugin.takes(tenant, *signal)).collect(),
            when: plugin.when.clone(),
            on_error: plugin.on_error,
            own_config: plugin.variant_of(tenant) > 0,
            left_alone: plugin.is_left_alone(tenant),
            stats,
        };
        let theirs = self.all().filter(|plugin| plugin.is_for(tenant));
        theirs.map(|plugin| bound(plugin, plugin.stats())).collect()
    }

    /// Shows a batch to the validators. Each of them sees all rows; a row is
    /// refused for the reason of the first that refuses it.
    pub fn validate(&self, tenant: &Tenant, batch: &dyn Columns, now_unix_nanos: i64) -> Verdicts {
        let caller = self.caller(tenant, now_unix_nanos);
        let signal = signal_of(batch.shape());
        let mut offered = Offered::new(batch);
        let mut merged = Verdicts::default();
        let validators =
            self.plugins.iter().filter(|p| p.world == World::Validator && p.takes(tenant, signal));
        for plugin in validators {
            let author = Author::of(plugin);
            match answers(plugin, caller, &mut offered) {
                Ok(answers) => {
                    for (cut, answer) in &answers {
                        verdicts::merge(&mut merged, batch.rows(), cut, answer, &author, |reason, rows| {
                            plugin.meter.rejected(&reason.code, rows);
                        });
                    }
                }
                Err(failure) => {
                    plugin.failed(tenant, &failure);
                    if plugin.on_error != OnError::Reject {
                        merged.plugin_errors += 1;
                        continue;
                    }
                    let shown = plugin.condition.rows(tenant, &mut offered);
                    let refused = verdicts::refuse_rest(&mut merged, batch.rows(), &shown, &author, &failure);
                    plugin.meter.rejected(code::PLUGIN_ERROR, refused);
                    if shown.len() == batch.rows() {
                        return merged;
                    }
                }
            }
        }
        merged
    }

    /// Shows the kept rows of a batch to the derivers. A large batch gives
    /// several `Deltas` of one deriver; their order does not matter.
    pub fn derive(&self, tenant: &Tenant, batch: &dyn Columns, now_unix_nanos: i64) -> Vec<Deltas> {
        let mut all = Vec::new();
        self.derive_each(tenant, batch, now_unix_nanos, &mut all, |plugin, failure| {
            plugin.failed(tenant, &failure);
            true
        });
        all
    }

    /// The same of several requests as one batch, if no deriver fails: `None` is no failure of a
    /// deriver, but that it is to be asked about each of them.
    pub fn derive_joined(
        &self,
        tenant: &Tenant,
        batch: &dyn Columns,
        now_unix_nanos: i64,
    ) -> Option<Vec<Deltas>> {
        let mut all = Vec::new();
        let whole = self.derive_each(tenant, batch, now_unix_nanos, &mut all, |_, _| false);
        whole.then_some(all)
    }

    /// Whether any plugin derives from rows of a tenant.
    pub fn derives(&self, tenant: &Tenant, signal: Signal) -> bool {
        self.derivers_of(tenant, signal).next().is_some()
    }

    fn derivers_of(&self, tenant: &Tenant, signal: Signal) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().filter(move |p| p.world == World::Deriver && p.takes(tenant, signal))
    }

    /// Whether all were asked; `failed` says whether to go on.
    fn derive_each(
        &self,
        tenant: &Tenant,
        batch: &dyn Columns,
        now_unix_nanos: i64,
        all: &mut Vec<Deltas>,
        mut failed: impl FnMut(&Plugin, Failure) -> bool,
    ) -> bool {
        let caller = self.caller(tenant, now_unix_nanos);
        let mut offered = Offered::new(batch);
        for plugin in self.derivers_of(tenant, signal_of(batch.shape())) {
            let variant = &plugin.variants[plugin.variant_of(tenant)];
            let before = all.len();
            let result = plugin.each_cut(tenant, &mut offered, |cut| {
                let out = plugin.call(caller, |guest, context| guest.derive(context, cut.batch))?;
                deltas::check(out, variant, cut, all)
            });
            if let Err(failure) = result {
                // A batch is derived as a whole or not at all.
                all.truncate(before);
                if !failed(plugin, failure) {
                    return false;
                }
            }
        }
        true
    }

    pub(crate) fn caller<'a>(&'a self, tenant: &'a Tenant, now_unix_nanos: i64) -> Caller<'a> {
        Caller { ticker: &self.ticker, tenant, now_unix_nanos, memory: None }
    }
}

/// What a validator says of a batch: the cuts of which it refuses rows.
pub(crate) fn answers(
    plugin: &Plugin,
    caller: Caller<'_>,
    offered: &mut Offered<'_>,
) -> Result<Vec<(Shown, VerdictsOut)>, Failure> {
    let mut answers = Vec::new();
    plugin.each_cut(caller.tenant, offered, |cut| {
        let out = plugin.call(caller, |guest, context| guest.validate(context, cut.batch))?;
        let answer = verdicts::check(out, cut.rows.len())?;
        answers.extend(answer.map(|answer| (cut.rows.clone(), answer)));
        Ok(())
    })?;
    Ok(answers)
}

/// The signal that a batch belongs to.
pub(crate) fn signal_of(shape: Shape) -> Signal {
    match shape {
        Shape::Samples | Shape::Series => Signal::Metrics,
        Shape::Logs => Signal::Logs,
        Shape::Spans => Signal::Traces,
    }
}

fn number_derivers(plugins: &mut [Plugin]) -> Vec<Deriver> {
    let mut derivers = Vec::new();
    for plugin in plugins.iter_mut().filter(|plugin| plugin.world == World::Deriver) {
        for variant in &mut plugin.variants {
            variant.deriver = u16::try_from(derivers.len()).unwrap_or(u16::MAX);
            derivers.push(Deriver {
                binding: variant.deriver,
                name: plugin.binding.clone(),
                plugin: plugin.plugin.clone(),
                digest: plugin.component.digest.clone(),
                metrics: variant.metrics.as_slice().into(),
                pairing: variant.pairing.clone(),
                exemplar_label: Arc::clone(&variant.exemplar_label),
            });
        }
    }
    derivers
}

/// Whether it decides what becomes of a label set.
fn judges(plugin: &Plugin) -> bool {
    matches!(plugin.world, World::Transformer | World::Validator)
}

fn validators_digest(plugins: &[Plugin]) -> String {
    let mut hash = Sha256::new();
    for plugin in plugins.iter().filter(|plugin| judges(plugin)) {
        hash.update(plugin.world.as_str());
        for part in plugin.identity() {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hex(&hash.finalize())
}

#[cfg(test)]
pub(crate) mod tests;
