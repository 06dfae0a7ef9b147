//! Which plugins run, in which order, with which configuration and bounds.
//!
//! The format is described in `docs/formats/plugin-config.md`.

mod binding;
mod budget;
mod source;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use isinglass_model::Tenant;
use isinglass_model::kind::Signal;
use isinglass_model::limits::Limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use binding::{Binding, Isolation};
pub use budget::Budget;
pub(crate) use budget::COMPONENT_BYTES_MAX;
pub use source::Source;
pub(crate) use world::PAIRS;
pub use world::{OnError, World};

use crate::compile::Compilation;
use crate::error::ChainError;

/// The plugin chain: bindings in the order in which they run within their world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// The plugins. Worlds run in a fixed order: transformers, validators, limiters, derivers.
    pub bindings: Vec<Binding>,
    /// Configuration by binding name, merged over the binding's own.
    pub config: BTreeMap<String, Value>,
    /// Configuration by tenant and binding name, merged over all others.
    pub tenants: BTreeMap<String, BTreeMap<String, Value>>,
    /// Instances that a binding may have at once, warm or busy.
    pub instances_max: u32,
    /// How long a call waits for an instance before it counts as failed, in milliseconds.
    pub instance_wait_ms: u64,
    /// Rows of a batch that a plugin is shown in one call; larger batches are cut.
    pub call_rows_max: u32,
    /// Bytes of columns that a plugin is shown in one call; larger batches are cut.
    pub call_bytes_max: u32,
    /// Token buckets kept at once, all tenants together.
    pub buckets_max: u32,
    /// Public keys of minisign: components that are not built in must be signed with one of them.
    /// Empty = nobody need sign.
    pub trusted_keys: Vec<String>,
    /// Who compiles components, and where the code is kept; set by who loads the chain.
    #[serde(skip)]
    pub compilation: Compilation,
    /// Whether answers are to be the same on every machine, to the bit, which costs a little.
    #[serde(skip)]
    pub deterministic: bool,
}

impl Default for ChainConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        Self {
            bindings: vec![
                Binding::builtin("validate", World::Validator, as_json(&Limits::default())),
                Binding::builtin("rate-limit", World::Limiter, empty_object()),
                Binding {
                    signals: vec![Signal::Traces],
                    ..Binding::builtin("span-metrics", World::Deriver, empty_object())
                },
            ],
            config: BTreeMap::new(),
            tenants: BTreeMap::new(),
            instances_max: u32::try_from(cores).unwrap_or(64).clamp(4, 64),
            instance_wait_ms: 5_000,
            call_rows_max: 16_384,
            call_bytes_max: 4 << 20,
            buckets_max: 100_000,
            trusted_keys: Vec::new(),
            compilation: Compilation::default(),
            deterministic: false,
        }
    }
}

fn as_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|_| empty_object())
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

impl ChainConfig {
    pub(crate) fn instance_wait(&self) -> Duration {
        Duration::from_millis(self.instance_wait_ms)
    }

    /// Checks everything that needs no component.
    pub(crate) fn check(&self) -> Result<(), ChainError> {
        let fault = |text: &str| Err(ChainError::Config(text.to_owned()));
        if !(1..=256).contains(&self.instances_max) {
            return fault("instances_max must be 1 to 256");
        }
        if self.instance_wait_ms > 60_000 {
            return fault("instance_wait_ms must be at most 60000");
        }
        if !(1..=1 << 20).contains(&self.call_rows_max) {
            return fault("call_rows_max must be 1 to 1048576");
        }
        if !(64 << 10..=32 << 20).contains(&self.call_bytes_max) {
            return fault("call_bytes_max must be 65536 to 33554432");
        }
        if self.buckets_max == 0 {
            return fault("buckets_max must be at least 1");
        }
        if self.bindings.len() > 32 {
            return fault("at most 32 bindings");
        }
        for (at, binding) in self.bindings.iter().enumerate() {
            binding.check()?;
            if self.bindings[..at].iter().any(|other| other.is(&binding.name, binding.shadow)) {
                let shadow = if binding.shadow { " with shadow = true" } else { "" };
                return Err(ChainError::Config(format!(
                    "two bindings{shadow} are called {:?}",
                    binding.name
                )));
            }
        }
        let named = self.config.keys().chain(self.tenants.values().flat_map(BTreeMap::keys));
        for name in named {
            self.check_name(name)?;
        }
        let tenants =
            self.bindings.iter().flat_map(|binding| binding.tenants.keys().chain(&binding.for_tenants));
        for tenant in tenants.chain(self.tenants.keys()) {
            Tenant::new(tenant).map_err(|error| ChainError::Config(format!("tenant {tenant:?}: {error}")))?;
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), ChainError> {
        if self.bindings.iter().any(|binding| binding.name == *name) {
            return Ok(());
        }
        let names: Vec<_> = self.bindings.iter().map(|binding| binding.name.as_str()).collect();
        Err(ChainError::Config(format!("there is no binding {name:?}; there are: {}", names.join(", "))))
    }

    /// The configuration of a binding for all tenants without one of their own.
    pub(crate) fn config_of(&self, binding: &Binding) -> Value {
        let mut config = binding.config.clone();
        if let Some(patch) = self.config.get(&binding.name) {
            merge(&mut config, patch);
        }
        config
    }

    /// The configurations of a binding for tenants with one of their own.
    pub(crate) fn tenant_configs(&self, binding: &Binding) -> BTreeMap<String, Value> {
        let mut configs = BTreeMap::new();
        let base = self.config_of(binding);
        let from_binding = binding.tenants.iter();
        let from_chain =
            self.tenants.iter().filter_map(|(tenant, by_name)| Some((tenant, by_name.get(&binding.name)?)));
        for (tenant, patch) in from_binding.chain(from_chain) {
            merge(configs.entry(tenant.clone()).or_insert_with(|| base.clone()), patch);
        }
        configs
    }
}

/// JSON merge patch (RFC 7396): objects are merged, `null` removes, everything
/// else replaces.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = empty_object();
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(config: Value, fault: &str) {
        let error = match serde_json::from_value::<ChainConfig>(config) {
            Ok(config) => config.check().map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(error.err().unwrap_or_default().contains(fault), true, "{fault}");
    }

    #[test]
    fn the_default_is_the_three_builtins() {
        let config = ChainConfig::default();
        config.check().unwrap();
        let names: Vec<_> = config.bindings.iter().map(|b| b.source.to_string()).collect();
        assert_eq!(names, ["builtin:validate", "builtin:rate-limit", "builtin:span-metrics"]);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ChainConfig>(&text).unwrap(), config);
    }

    #[test]
    fn faults_are_named() {
        let binding = |extra: Value| {
            let mut binding = json!({ "name": "x", "source": "builtin:validate", "world": "validator" });
            merge(&mut binding, &extra);
            json!({ "bindings": [binding] })
        };
        check(
            binding(json!({ "on_error": "native" })),
            "no meaning for a validator; use one of: pass, reject",
        );
        check(
            binding(json!({ "world": "transformer", "on_error": "skip" })),
            "use one of: quarantine, reject, pass",
        );
        check(binding(json!({ "world": "deriver", "on_error": "pass" })), "use one of: skip");
        check(binding(json!({ "world": "limiter", "on_error": "skip" })), "use one of: native, pass, reject");
        check(binding(json!({ "on_error": "explode" })), "unknown variant");
        check(binding(json!({ "source": "http://x" })), "must be builtin:NAME or file:PATH");
        check(binding(json!({ "name": "No Spaces" })), "must be 1 to 64 of a-z 0-9 -");
        check(binding(json!({ "budget": { "cpu_soft_ms": 300 } })), "not below budget.cpu_soft_ms");
        check(binding(json!({ "budget": { "memory_bytes_max": 1 } })), "memory_bytes_max must be 65536");
        check(
            binding(json!({ "budget": { "component_bytes_max": 0 } })),
            "component_bytes_max must be 1 to 67108864",
        );
        check(
            binding(json!({ "budget": { "compile_cpu_ms": 999 } })),
            "compile_cpu_ms must be 1000 to 3600000",
        );
        check(
            binding(json!({ "budget": { "compile_memory_bytes_max": 1 } })),
            "compile_memory_bytes_max must be at least 134217728",
        );
        check(binding(json!({ "tenants": { "..": {} } })), "tenant \"..\"");
        check(binding(json!({ "fallback": {} })), "fallback is used only");
        check(binding(json!({ "prefix": "geo_" })), "prefix is used only");
        check(binding(json!({ "world": "function", "shadow": true })), "cannot be tried out");
        check(binding(json!({ "world": "function", "prefix": "Geo" })), "prefix must be");
        check(
            json!({ "config": { "validat": {} } }),
            "there is no binding \"validat\"; there are: validate,",
        );
        check(json!({ "instances_max": 0 }), "instances_max");
        check(json!({ "surprise": 1 }), "unknown field `surprise`");
    }

    #[test]
    fn one_that_is_tried_out_may_have_the_name_of_another() {
        let binding = |shadow: bool| json!({ "name": "x", "source": "builtin:validate", "world": "validator", "shadow": shadow });
        let bindings = |all: &[bool]| json!({ "bindings": all.iter().map(|shadow| binding(*shadow)).collect::<Vec<_>>() });
        serde_json::from_value::<ChainConfig>(bindings(&[false, true])).unwrap().check().unwrap();
        check(bindings(&[false, false]), "two bindings are called \"x\"");
        check(bindings(&[true, false, true]), "two bindings with shadow = true are called \"x\"");
    }

    #[test]
    fn overrides_are_merged_in_order() {
        let config: ChainConfig = serde_json::from_value(json!({
            "bindings": [{
                "name": "x", "source": "builtin:validate", "world": "validator",
                "config": { "a": 1, "b": { "c": 2, "d": 3 } },
                "tenants": { "acme": { "a": 10 } },
            }],
            "config": { "x": { "b": { "c": 20 } } },
            "tenants": { "acme": { "x": { "b": { "d": null } } } },
        }))
        .unwrap();
        config.check().unwrap();
        assert_eq!(config.config_of(&config.bindings[0]), json!({ "a": 1, "b": { "c": 20, "d": 3 } }));
        let tenants = config.tenant_configs(&config.bindings[0]);
        assert_eq!(tenants["acme"], json!({ "a": 10, "b": { "c": 20 } }));
    }
}
