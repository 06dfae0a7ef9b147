//! Which plugins run, in which order, with which configuration and bounds.
//!
//! The format is described in `docs/formats/plugin-config.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Tenant;
use isinglass_model::kind::Signal;
use isinglass_model::limits::Limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compile::Compilation;
use crate::error::ChainError;
use crate::rates::SignalRates;
use crate::when::When;

/// The interface of derivers that pair rows, and give more than the first one could.
pub(crate) const PAIRS: &str = "derive-pairs";

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

/// A plugin in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Its name in metrics, logs and errors; unique in the chain.
    pub name: String,
    /// Where the component comes from.
    pub source: Source,
    /// What its bytes must be, `sha256:` and the hash in hex; absent = whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What minisign says of its bytes, where `trusted_keys` ask for that; absent = the file
    /// `.minisig` beside its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What it is used as.
    pub world: World,
    /// Whether it is tried out: it sees what it would see, and nothing is done as it says. It
    /// may have the name of one that is enforced, to be compared with that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Signals it is shown; empty = all.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// Tenants that it is for; empty = all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub for_tenants: Vec<String>,
    /// What must hold of an item for it to be shown.
    #[serde(default, skip_serializing_if = "When::is_empty")]
    pub when: When,
    /// Its configuration, handed over as JSON text.
    #[serde(default = "empty_object")]
    pub config: Value,
    /// Per tenant, merged over `config`.
    #[serde(default)]
    pub tenants: BTreeMap<String, Value>,
    /// What happens when it fails; absent = [`World::on_error`].
    #[serde(default)]
    pub on_error: Option<OnError>,
    /// Rates for `on_error = "native"`; absent = read from `config`.
    #[serde(default)]
    pub fallback: Option<SignalRates>,
    /// Whether what a call leaves in memory is there for the next one.
    #[serde(default, skip_serializing_if = "Isolation::is_warm")]
    pub isolation: Isolation,
    /// What the names of a function plugin's functions begin with.
    #[serde(default)]
    pub prefix: String,
    /// Bounds of one call.
    #[serde(default)]
    pub budget: Budget,
}

impl Binding {
    /// A binding of a built-in plugin under its own name.
    pub fn builtin(name: &str, world: World, config: Value) -> Self {
        Self {
            name: name.to_owned(),
            source: Source::Builtin(name.to_owned()),
            world,
            digest: None,
            signature: None,
            shadow: false,
            signals: Vec::new(),
            for_tenants: Vec::new(),
            when: When::default(),
            config,
            tenants: BTreeMap::new(),
            on_error: None,
            fallback: None,
            isolation: Isolation::Warm,
            prefix: String::new(),
            budget: Budget::default(),
        }
    }

    /// Whether it is the one of this name, tried out or enforced.
    pub(crate) fn is(&self, name: &str, shadow: bool) -> bool {
        self.name == name && self.shadow == shadow
    }

    /// What happens when it fails.
    pub fn on_error(&self) -> OnError {
        self.on_error.unwrap_or(self.world.on_error())
    }

    /// Bounds of one call. A query may wait longer than intake, unless told otherwise.
    pub(crate) fn budget(&self) -> Budget {
        let given = self.budget;
        match self.world == World::Function && given == Budget::default() {
            true => Budget { cpu_hard_ms: QUERY_CPU_HARD_MS, ..given },
            false => given,
        }
    }

    /// Whether it is shown batches of this signal.
    pub fn takes(&self, signal: Signal) -> bool {
        self.signals.is_empty() || self.signals.contains(&signal)
    }

    fn check(&self) -> Result<(), ChainError> {
        let fault = |fault: String| ChainError::Binding { binding: self.name.clone(), fault };
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(word) {
            return Err(fault("its name must be 1 to 64 of a-z 0-9 -".to_owned()));
        }
        let allowed = self.world.policies();
        if !allowed.contains(&self.on_error()) {
            let names: Vec<_> = allowed.iter().map(|policy| policy.as_str()).collect();
            return Err(fault(format!(
                "on_error = {:?} has no meaning for a {}; use one of: {}",
                self.on_error().as_str(),
                self.world.as_str(),
                names.join(", ")
            )));
        }
        if self.fallback.is_some() && self.on_error() != OnError::Native {
            return Err(fault("fallback is used only with on_error = \"native\"".to_owned()));
        }
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins = |c: char| c.is_ascii_lowercase() || c == '_';
        let prefix = &self.prefix;
        if !prefix.is_empty()
            && (!prefix.starts_with(begins) || prefix.len() > 32 || !prefix.chars().all(word))
        {
            return Err(fault("prefix must be at most 32 of a-z 0-9 _".to_owned()));
        }
        if self.shadow && self.world == World::Function {
            return Err(fault(
                "functions cannot be tried out with shadow = true: no batch is shown to them".to_owned(),
            ));
        }
        self.when.check().map_err(fault)?;
        if self.world == World::Function && !self.when.is_empty() {
            return Err(fault("when has no meaning for functions: no item is shown to them".to_owned()));
        }
        if !prefix.is_empty() && self.world != World::Function {
            return Err(fault("prefix is used only with world = \"function\"".to_owned()));
        }
        self.budget.check().map_err(fault)
    }
}

/// What becomes of an instance after a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// It is kept for the next one, as long as it behaves.
    #[default]
    Warm,
    /// It goes: nothing that a guest keeps outlives a call. Its memory is touched anew each time.
    Fresh,
}

impl Isolation {
    fn is_warm(&self) -> bool {
        *self == Self::Warm
    }
}

/// Where a component comes from: `builtin:NAME` or `file:PATH` in text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Embedded in the engine.
    Builtin(String),
    /// A file.
    File(PathBuf),
    /// Given by the caller; has no text form.
    Bytes(Arc<[u8]>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Bytes(bytes) => write!(f, "bytes:{}", bytes.len()),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.split_once(':') {
            Some(("builtin", name)) if !name.is_empty() => Ok(Self::Builtin(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(serde::de::Error::custom(format!(
                "plugin source {text:?} must be builtin:NAME or file:PATH"
            ))),
        }
    }
}

/// What a plugin is used as; a world of `wit/plugin-0.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// Changes or drops rows before anything else sees them.
    Transformer,
    /// Keeps or refuses rows.
    Validator,
    /// Says what a request costs; the host keeps the buckets.
    Limiter,
    /// Makes metrics of rows.
    Deriver,
    /// Brings functions to queries; sees nothing of intake.
    Function,
}

impl World {
    /// All worlds.
    pub const ALL: [Self; 5] =
        [Self::Transformer, Self::Validator, Self::Limiter, Self::Deriver, Self::Function];

    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transformer => "transformer",
            Self::Validator => "validator",
            Self::Limiter => "limiter",
            Self::Deriver => "deriver",
            Self::Function => "function",
        }
    }

    /// The interface that a component must export, in whichever version.
    pub(crate) const fn interface(self) -> &'static str {
        match self {
            Self::Transformer => "transform",
            Self::Validator => "validate",
            Self::Limiter => "limit",
            Self::Deriver => "derive",
            Self::Function => "compute",
        }
    }

    /// The interfaces of which a component must export one; the first that it has counts.
    pub(crate) const fn interfaces(self) -> &'static [&'static str] {
        match self {
            Self::Transformer => &["transform"],
            Self::Validator => &["validate"],
            Self::Limiter => &["limit"],
            Self::Deriver => &[PAIRS, "derive"],
            Self::Function => &["compute"],
        }
    }

    /// The policy where a binding names none: a transformer may be what takes
    /// secrets out, so nothing goes on that it has not seen; a validator that fails
    /// must not stop intake (the core's hard caps still hold), a limiter must never
    /// mean unlimited, a deriver loses the derived points of a batch.
    pub const fn on_error(self) -> OnError {
        match self {
            Self::Transformer => OnError::Quarantine,
            Self::Validator => OnError::Pass,
            Self::Limiter => OnError::Native,
            Self::Deriver => OnError::Skip,
            Self::Function => OnError::Fail,
        }
    }

    const fn policies(self) -> &'static [OnError] {
        match self {
            Self::Transformer => &[OnError::Quarantine, OnError::Reject, OnError::Pass],
            Self::Validator => &[OnError::Pass, OnError::Reject],
            Self::Limiter => &[OnError::Native, OnError::Pass, OnError::Reject],
            Self::Deriver => &[OnError::Skip],
            Self::Function => &[OnError::Fail],
        }
    }
}

/// What happens to a batch when its plugin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Goes on as if the plugin had not been there; counted.
    Pass,
    /// The host's own limiter decides.
    Native,
    /// Nothing is derived from this batch; counted.
    Skip,
    /// Transformer, validator: every row is refused with `plugin_error`. Limiter:
    /// the request is refused as unavailable.
    Reject,
    /// The query ends.
    Fail,
    /// The request is refused as unavailable and nothing of it is stored, not even
    /// what was wrong with it: its sender still has it.
    Quarantine,
}

impl OnError {
    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Native => "native",
            Self::Skip => "skip",
            Self::Reject => "reject",
            Self::Fail => "fail",
            Self::Quarantine => "quarantine",
        }
    }
}

/// Bounds of one call and of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Thread CPU time above which a call is counted as slow, in milliseconds.
    pub cpu_soft_ms: u32,
    /// Thread CPU time at which a call is stopped, in milliseconds.
    pub cpu_hard_ms: u32,
    /// Linear memory of an instance, in bytes.
    pub memory_bytes_max: u32,
    /// The component itself, in bytes.
    pub component_bytes_max: u32,
    /// Whether it may consist of several modules and memories, as a component with the
    /// interpreter of a language in it does.
    pub composed: bool,
    /// CPU time that compiling it may take, all threads together, in milliseconds.
    pub compile_cpu_ms: u32,
    /// Memory that compiling it may take, in bytes.
    pub compile_memory_bytes_max: u64,
}

/// Thread CPU time at which a call of a query is stopped, unless told otherwise.
const QUERY_CPU_HARD_MS: u32 = 1_000;

/// The most linear memory that a budget may give an instance.
pub(crate) const MEMORY_BYTES_MAX: u32 = 128 << 20;

/// The largest component that a budget may allow.
pub(crate) const COMPONENT_BYTES_MAX: u32 = 64 << 20;

/// The least memory that a compiler can do with: its allocator takes some 25 MB a thread.
const COMPILE_BYTES_MIN: u64 = 128 << 20;

/// The most CPU time that compiling may be given.
const COMPILE_MS_MAX: u32 = 3_600_000;

impl Default for Budget {
    fn default() -> Self {
        Self {
            cpu_soft_ms: 20,
            cpu_hard_ms: 200,
            memory_bytes_max: 64 << 20,
            component_bytes_max: 8 << 20,
            composed: false,
            compile_cpu_ms: 300_000,
            compile_memory_bytes_max: 1 << 30,
        }
    }
}

impl Budget {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(1..=10_000).contains(&self.cpu_hard_ms) || self.cpu_soft_ms > self.cpu_hard_ms {
            return Err("budget.cpu_hard_ms must be 1 to 10000 and not below budget.cpu_soft_ms".to_owned());
        }
        if !(64 << 10..=MEMORY_BYTES_MAX).contains(&self.memory_bytes_max) {
            return Err(format!("budget.memory_bytes_max must be 65536 to {MEMORY_BYTES_MAX}"));
        }
        if !(1..=COMPONENT_BYTES_MAX).contains(&self.component_bytes_max) {
            return Err(format!("budget.component_bytes_max must be 1 to {COMPONENT_BYTES_MAX}"));
        }
        if !(1_000..=COMPILE_MS_MAX).contains(&self.compile_cpu_ms) {
            return Err(format!("budget.compile_cpu_ms must be 1000 to {COMPILE_MS_MAX}"));
        }
        if self.compile_memory_bytes_max < COMPILE_BYTES_MIN {
            return Err(format!("budget.compile_memory_bytes_max must be at least {COMPILE_BYTES_MIN}"));
        }
        Ok(())
    }
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
