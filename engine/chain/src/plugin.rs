//! A binding that is loaded: a component, its configurations, its instances.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use isinglass_model::functions::CallMemory;
use isinglass_model::kind::Signal;
use isinglass_model::{Clock, Tenant};

use crate::breaker::{Breakers, Led};
use crate::component::{Component, Loader};
use crate::config::{Budget, ChainConfig, Isolation, OnError, World};
use crate::cuts::CallSize;
use crate::deltas::SERIES_MAX;
use crate::error::ChainError;
use crate::failure::{Failure, FailureKind, shorten};
use crate::instance::{Context, Instance};
use crate::pool::Pool;
use crate::stats::{BindingStats, Meter};
use crate::ticker::Ticker;
use crate::variant::{Trial, Variant};
use crate::when::{Condition, When};

/// A loaded binding.
pub(crate) struct Plugin {
    pub(crate) index: u16,
    pub(crate) binding: String,
    /// The same, for token buckets.
    pub(crate) account: Arc<str>,
    /// `name@version`.
    pub(crate) plugin: String,
    pub(crate) world: World,
    /// Whether it is tried out.
    pub(crate) shadow: bool,
    pub(crate) on_error: OnError,
    pub(crate) component: Component,
    pub(crate) variants: Vec<Variant>,
    pub(crate) meter: Arc<Meter>,
    breakers: Arc<Breakers>,
    clock: Arc<dyn Clock>,
    signals: Vec<Signal>,
    /// Empty = all.
    for_tenants: Vec<String>,
    /// What must hold of an item.
    pub(crate) when: When,
    pub(crate) condition: Condition,
    budget: Budget,
    tenants: HashMap<String, usize>,
    pool: Pool,
    pub(crate) call_size: CallSize,
}

/// For whom and when a plugin is called.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) ticker: &'a Ticker,
    pub(crate) tenant: &'a Tenant,
    pub(crate) now_unix_nanos: i64,
    /// Who pays for the guest's memory; `None` = the binding.
    pub(crate) memory: Option<&'a Arc<dyn CallMemory>>,
}

impl Plugin {
    /// Loads a binding and asks one instance per configuration what it is.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        ticker: &Ticker,
        clock: &Arc<dyn Clock>,
        config: &ChainConfig,
        index: usize,
        before: Option<&Self>,
    ) -> Result<Self, ChainError> {
        let binding = &config.bindings[index];
        let component = loader.load(binding)?;
        let meter = before.map_or_else(
            || Arc::new(Meter::new(&binding.name, Arc::clone(clock))),
            |before| Arc::clone(&before.meter),
        );
        // Others may do better.
        let breakers = before.filter(|before| before.component.digest == component.digest);
        let breakers = breakers.map(|before| Arc::clone(&before.breakers)).unwrap_or_default();
        let trial = Trial { binding, component: &component, meter: &meter, ticker, clock };

        let mut variants = Vec::new();
        let mut tenants = HashMap::new();
        let (plugin, default, warm) = trial.variant(&config.config_of(binding), None)?;
        variants.push(default);
        for (tenant, config) in config.tenant_configs(binding) {
            let text = config.to_string();
            let known = variants.iter().position(|variant| variant.config == text);
            let at = match known {
                Some(at) => at,
                None => {
                    // Its instance is dropped: many tenants may never send.
                    variants.push(trial.variant(&config, Some(&tenant))?.1);
                    variants.len() - 1
                }
            };
            tenants.insert(tenant, at);
        }
        let condition = Condition::new(&binding.when)
            .map_err(|fault| ChainError::Binding { binding: binding.name.clone(), fault })?;
        let pool = Pool::new(variants.len(), config.instances_max, config.instance_wait(), warm);
        let pool = if binding.isolation == Isolation::Fresh { pool.of_fresh() } else { pool };
        Ok(Self {
            index: u16::try_from(index).unwrap_or(u16::MAX),
            binding: binding.name.clone(),
            account: binding.name.as_str().into(),
            plugin,
            world: binding.world,
            shadow: binding.shadow,
            on_error: binding.on_error(),
            component,
            variants,
            meter,
            breakers,
            clock: Arc::clone(clock),
            signals: Signal::ALL.into_iter().filter(|signal| binding.takes(*signal)).collect(),
            for_tenants: binding.for_tenants.clone(),
            when: binding.when.clone(),
            condition,
            budget: binding.budget(),
            tenants,
            pool,
            call_size: call_size(config, binding.world),
        })
    }

    /// Whether it is shown batches of this signal of a tenant.
    pub(crate) fn takes(&self, tenant: &Tenant, signal: Signal) -> bool {
        self.signals.contains(&signal) && self.is_for(tenant)
    }

    /// Whether a tenant has it.
    pub(crate) fn is_for(&self, tenant: &Tenant) -> bool {
        self.for_tenants.is_empty() || self.for_tenants.iter().any(|one| one == tenant.as_str())
    }

    /// Which configuration a tenant has.
    pub(crate) fn variant_of(&self, tenant: &Tenant) -> usize {
        self.tenants.get(tenant.as_str()).copied().unwrap_or(0)
    }

    /// Everything that its answers depend on besides the batch.
    pub(crate) fn identity(&self) -> Vec<Vec<u8>> {
        let mut parts = vec![self.component.digest.clone().into_bytes()];
        parts.extend(self.signals.iter().map(|signal| signal.as_str().as_bytes().to_vec()));
        parts.extend(self.for_tenants.iter().map(|tenant| format!("for {tenant}").into_bytes()));
        parts.extend((!self.condition.is_empty()).then(|| format!("when {}", self.condition.text()).into()));
        parts.extend(self.variants.iter().map(|variant| variant.config.clone().into_bytes()));
        let mut tenants: Vec<_> = self.tenants.iter().collect();
        tenants.sort_unstable();
        parts.extend(tenants.iter().map(|(tenant, variant)| format!("{tenant}={variant}").into_bytes()));
        parts
    }

    /// Calls the plugin on an instance of its own.
    pub(crate) fn call<R>(
        &self,
        caller: Caller<'_>,
        call: impl FnOnce(&mut Instance, &Context<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let context = Context {
            budget: &self.budget,
            ticker: caller.ticker,
            tenant: Some(caller.tenant),
            now_unix_nanos: caller.now_unix_nanos,
            memory: caller.memory,
        };
        self.breakers.ask(caller.tenant, self.clock.monotonic()).map_err(left_alone)?;
        let variant = self.variant_of(caller.tenant);
        let start = || self.start(&context, variant);
        let mut lease = self.pool.lease(variant, start)?;
        let result = call(lease.instance()?, &context)?;
        lease.give_back();
        Meter::add(&self.meter.calls, 1);
        if self.breakers.succeeded(caller.tenant, self.clock.monotonic()) {
            let (binding, plugin, tenant) = (&self.binding, &self.plugin, caller.tenant.as_str());
            tracing::info!(binding, plugin, tenant, "plugin does well again");
        }
        Ok(result)
    }

    fn start(&self, context: &Context<'_>, variant: usize) -> Result<Instance, Failure> {
        let config = &self.variants[variant].config;
        Instance::start_configured(&self.component, self.world, &self.meter, context, config)?.map_err(
            |sentence| Failure::new(FailureKind::Start, format!("configure: {}", shorten(&sentence))),
        )
    }

    /// Whether calls for a tenant fail at once.
    pub(crate) fn is_left_alone(&self, tenant: &Tenant) -> bool {
        self.breakers.is_open(tenant)
    }

    /// What it did so far.
    pub(crate) fn stats(&self) -> BindingStats {
        let mut stats = self.meter.read(&self.plugin, &self.component.digest, self.world);
        stats.shadow = self.shadow;
        (stats.open, stats.opened) = (self.breakers.open(), self.breakers.opened());
        stats
    }

    /// Counts a failure, and logs it unless there were many just now.
    pub(crate) fn failed(&self, tenant: &Tenant, failure: &Failure) {
        self.meter.failed(failure.kind);
        let now = self.clock.monotonic();
        let led = match failure.kind {
            FailureKind::Open => return,
            FailureKind::Busy => {
                self.breakers.not_called(tenant, now);
                Led::Nowhere
            }
            _ => self.breakers.failed(tenant, now),
        };
        if let Led::Opened(pause) = led {
            let (binding, plugin, tenant) = (&self.binding, &self.plugin, tenant.as_str());
            let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(
                binding,
                plugin,
                tenant,
                shadow = self.shadow,
                pause_ms,
                "plugin fails too often and is left alone for a while"
            );
        }
        if !self.meter.may_warn() {
            return;
        }
        let message = format!("{}: {}", failure.kind.as_str(), failure.message);
        self.meter.keep_line("failure", tenant.as_str(), &shorten(&message));
        tracing::warn!(
            binding = self.binding,
            plugin = self.plugin,
            tenant = tenant.as_str(),
            kind = failure.kind.as_str(),
            on_error = if self.shadow { "shadow" } else { self.on_error.as_str() },
            "plugin failed: {}",
            failure.message
        );
    }
}

fn left_alone(rest: Duration) -> Failure {
    let message = format!("it failed too often and is tried again in {} ms", rest.as_millis());
    Failure::new(FailureKind::Open, message)
}

/// A deriver may always answer a series per row, so it is shown no more rows
/// than it may answer series.
fn call_size(config: &ChainConfig, world: World) -> CallSize {
    let rows_max = config.call_rows_max as usize;
    let rows_max = if world == World::Deriver { rows_max.min(SERIES_MAX as usize) } else { rows_max };
    CallSize { rows_max, bytes_max: config.call_bytes_max as usize }
}
