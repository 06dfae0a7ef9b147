//! Rule files as they are written, with their places.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

/// A file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) groups: Option<Vec<Spanned<RawGroup>>>,
}

/// A group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) interval: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) query_offset: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) limit: Option<i64>,
    #[serde(default)]
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) rules: Option<Vec<Spanned<RawRule>>>,
}

/// A rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    #[serde(default)]
    pub(super) record: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) alert: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) expr: Option<Spanned<String>>,
    #[serde(default, rename = "for")]
    pub(super) hold: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) keep_firing_for: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// Line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// What is no YAML of rules, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YamlFault {
    pub(super) place: Option<Place>,
    pub(super) message: String,
}

/// Reads a file; an empty one has no groups.
pub(super) fn read(text: &str) -> Result<RawFile, YamlFault> {
    let read: Result<Option<RawFile>, _> = serde_saphyr::from_str(text);
    match read {
        Ok(raw) => Ok(raw.unwrap_or_default()),
        Err(fault) => Err(fault_of(&fault)),
    }
}

/// The reader says the place in its message once more, which goes.
fn fault_of(fault: &serde_saphyr::Error) -> YamlFault {
    let place = fault.location().map(Place::from);
    let mut message = fault.without_snippet().to_string();
    if let Some(place) = place {
        let suffix = format!(" at line {}, column {}", place.line, place.column);
        message.truncate(message.strip_suffix(&suffix).map_or(message.len(), str::len));
    }
    YamlFault { place, message }
}
