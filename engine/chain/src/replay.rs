//! A deriver by itself, to derive again from what is stored.
//!
//! It is the same component under the same configuration, or what is to be tried in its place, in
//! a chain of its own: it waits for no instance that intake needs, what it costs is not counted
//! as intake's, and its failures leave it alone for nobody else. Its answers are the same on
//! every machine, to the bit.

use std::sync::Arc;

use isinglass_model::batch::columns_behind;
use isinglass_model::columns::{Columns, Shape};
use isinglass_model::deltas::Deltas;
use isinglass_model::{Clock, Tenant};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::chain::{Chain, Deriver, signal_of};
use crate::component::hex;
use crate::config::{Binding, Budget, ChainConfig, Source, World};
use crate::error::ChainError;

/// What is tried in the place of what a server has.
#[derive(Debug, Clone, Default)]
pub struct Instead {
    /// The component.
    pub component: Option<Vec<u8>>,
    /// All of its configuration.
    pub config: Option<Value>,
    /// What it may use.
    pub budget: Option<Budget>,
}

/// A deriver for one tenant.
pub struct Again {
    chain: Chain,
    tenant: Tenant,
}

impl Again {
    /// Of a configuration's binding of this name, or of a component that is given.
    pub(crate) fn load(
        whole: &ChainConfig,
        name: &str,
        tenant: &Tenant,
        instead: Instead,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ChainError> {
        let known = whole.bindings.iter().find(|binding| binding.is(name, false)).cloned();
        let none = || ChainError::Config(format!("there is no plugin {name:?}"));
        let mut binding = match (known, &instead.component) {
            (Some(binding), _) => binding,
            (None, Some(_)) => Binding::builtin(name, World::Deriver, json!({})),
            (None, None) => return Err(none()),
        };
        if binding.world != World::Deriver {
            let fault =
                format!("it is a {}; only what derivers make can be made again", binding.world.as_str());
            return Err(ChainError::Binding { binding: name.to_owned(), fault });
        }
        if let Some(component) = instead.component {
            (binding.source, binding.digest, binding.signature) =
                (Source::Bytes(component.into()), None, None);
        }
        binding.budget = instead.budget.unwrap_or(binding.budget);
        binding.for_tenants.clear();
        let mut config = ChainConfig {
            config: whole.config.clone(),
            tenants: whole.tenants.clone(),
            instances_max: 1,
            deterministic: true,
            ..whole.clone()
        };
        config.config.retain(|of, _| of == name);
        config.tenants.values_mut().for_each(|of_tenant| of_tenant.retain(|of, _| of == name));
        if let Some(instead) = instead.config {
            binding.config = instead;
            binding.tenants.clear();
            config.config.clear();
            config.tenants.clear();
        }
        config.bindings = vec![binding];
        Ok(Self { chain: Chain::load(&config, clock)?, tenant: tenant.clone() })
    }

    /// What it is: plugin, digest, metrics.
    pub fn deriver(&self) -> Option<&Deriver> {
        let plugin = self.chain.plugins.first()?;
        let variant = &plugin.variants[plugin.variant_of(&self.tenant)];
        self.chain.derivers().iter().find(|deriver| deriver.binding == variant.deriver)
    }

    /// Its configuration as JSON text, the same text for the same configuration.
    pub fn config(&self) -> &str {
        let variant = |plugin: &'_ crate::plugin::Plugin| plugin.variant_of(&self.tenant);
        self.chain.plugins.first().map_or("", |plugin| &plugin.variants[variant(plugin)].config)
    }

    /// sha256 of that in hex, with its conditions as JSON text behind it if it has any.
    pub fn config_digest(&self) -> String {
        let when = self.chain.plugins.first().map_or("", |plugin| plugin.condition.text());
        hex(&Sha256::new().chain_update(self.config()).chain_update(when).finalize())
    }

    /// The columns that it and its conditions want of rows of a shape; `None`: it is not shown
    /// such rows.
    pub fn columns(&self, shape: Shape) -> Option<Vec<String>> {
        let plugin = self.chain.plugins.first().filter(|one| one.takes(&self.tenant, signal_of(shape)))?;
        let requests = &plugin.variants[plugin.variant_of(&self.tenant)].requests[shape as usize];
        if requests.is_empty() {
            return None;
        }
        let mut names = requests.iter().map(|request| request.name.clone()).collect::<Vec<_>>();
        names.extend(plugin.condition.columns().map(str::to_owned));
        let behind =
            names.iter().flat_map(|name| columns_behind(name)).map(str::to_owned).collect::<Vec<_>>();
        names.extend(behind);
        Some(names)
    }

    /// Shows it a batch. An error says how it failed: what is left out here would be missing.
    pub fn derive(&self, batch: &dyn Columns, now_unix_nanos: i64) -> Result<Vec<Deltas>, String> {
        let deltas = self.chain.derive(&self.tenant, batch, now_unix_nanos);
        let failures = self.chain.stats().into_iter().map(|stats| stats.failures.values().sum::<u64>());
        if failures.sum::<u64>() == 0 {
            return Ok(deltas);
        }
        let log = self.chain.plugins.first().map(|plugin| plugin.meter.lines.all()).unwrap_or_default();
        let line = log.into_iter().rev().find(|line| line.level == "failure");
        Err(line.map_or_else(|| "it failed".to_owned(), |line| line.message))
    }
}

#[cfg(test)]
mod tests;
