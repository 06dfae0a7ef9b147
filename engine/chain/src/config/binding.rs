//! One plugin in the chain.

use std::collections::BTreeMap;

use isinglass_model::kind::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::budget::QUERY_CPU_HARD_MS;
use super::{Budget, OnError, Source, World, empty_object};
use crate::error::ChainError;
use crate::rates::SignalRates;
use crate::when::When;

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

    pub(super) fn check(&self) -> Result<(), ChainError> {
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
