//! What plugins are used as, and what happens when one fails.

use serde::{Deserialize, Serialize};

/// The interface of derivers that pair rows, and give more than the first one could.
pub(crate) const PAIRS: &str = "derive-pairs";

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

    pub(super) const fn policies(self) -> &'static [OnError] {
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
