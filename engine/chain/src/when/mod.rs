//! Which items a binding sees: conditions about where they come from.
//!
//! ```text
//! [plugins.bindings.when] ─▶ When ─▶ checked, made ─▶ Condition ─▶ the rows of a batch that are shown
//! ```
//!
//! | file | is |
//! |---|---|
//! | `pattern.rs` | an exact text, or one with `*` in it |
//! | `condition.rs` | conditions over a batch: asked once per distinct value |
//! | `remembered.rs` | which series they fit |
//!
//! Items for which they do not hold are passed by as if the plugin were not bound.

mod condition;
mod pattern;
mod remembered;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use condition::Condition;
use pattern::Pattern;

/// Patterns of one field.
const PATTERNS_MAX: usize = 64;
const PATTERN_BYTES_MAX: usize = 256;
/// Attributes of resources that one binding may ask for.
const RESOURCE_KEYS_MAX: usize = 16;
const KEY_BYTES_MAX: usize = 255;

/// The attribute that `service` is.
pub(crate) const SERVICE_NAME: &str = "service.name";

/// What must hold of an item. All that is given must: of a field one of its patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Its service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Vec<String>>,
    /// Name of its instrumentation scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<String>>,
    /// Name of its metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Vec<String>>,
    /// Attributes of its resource, by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: BTreeMap<String, Vec<String>>,
    /// What must not hold: an item is passed by if one of these fields fits it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<When>>,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field<'a> {
    Service,
    Scope,
    Metric,
    Resource(&'a str),
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service"),
            Self::Scope => f.write_str("scope"),
            Self::Metric => f.write_str("metric"),
            Self::Resource(key) => write!(f, "resource.{key}"),
        }
    }
}

impl When {
    /// Whether it holds of everything.
    pub fn is_empty(&self) -> bool {
        self.fields().next().is_none() && self.not.as_ref().is_none_or(|not| not.is_empty())
    }

    /// What is given besides `not`.
    fn fields(&self) -> impl Iterator<Item = (Field<'_>, &[String])> {
        let own =
            [(Field::Service, &self.service), (Field::Scope, &self.scope), (Field::Metric, &self.metric)];
        let own = own.into_iter().filter_map(|(field, patterns)| Some((field, patterns.as_deref()?)));
        own.chain(self.resource.iter().map(|(key, patterns)| (Field::Resource(key), patterns.as_slice())))
    }

    /// What is given, and whether it must not hold.
    fn clauses(&self) -> impl Iterator<Item = (Field<'_>, &[String], bool)> {
        let must = self.fields().map(|(field, patterns)| (field, patterns, false));
        let not = self.not.iter().flat_map(|not| not.fields());
        must.chain(not.map(|(field, patterns)| (field, patterns, true)))
    }

    /// Checks names, patterns and their number.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_part("when")?;
        let Some(not) = &self.not else { return Ok(()) };
        match &not.not {
            Some(_) => Err("when.not.not has no meaning".to_owned()),
            None => not.check_part("when.not"),
        }
    }

    fn check_part(&self, part: &str) -> Result<(), String> {
        let keys = self.resource.len();
        if keys > RESOURCE_KEYS_MAX {
            return Err(format!("{part}.resource has {keys} attributes, the limit is {RESOURCE_KEYS_MAX}"));
        }
        if let Some(key) = self.resource.keys().find(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            let got = key.len();
            return Err(format!("{part}.resource: a key of {got} bytes, allowed are 1 to {KEY_BYTES_MAX}"));
        }
        for (field, patterns) in self.fields() {
            check_patterns(patterns).map_err(|fault| format!("{part}.{field}: {fault}"))?;
        }
        Ok(())
    }
}

fn check_patterns(patterns: &[String]) -> Result<(), String> {
    let got = patterns.len();
    if got == 0 {
        return Err("a list without a pattern holds of nothing; leave it out".to_owned());
    }
    if got > PATTERNS_MAX {
        return Err(format!("{got} patterns, the limit is {PATTERNS_MAX}"));
    }
    for text in patterns {
        let bytes = text.len();
        if bytes > PATTERN_BYTES_MAX {
            let shown: String = text.chars().take(32).collect();
            return Err(format!("pattern \"{shown}…\" has {bytes} bytes, the limit is {PATTERN_BYTES_MAX}"));
        }
        Pattern::parse(text)?;
    }
    Ok(())
}

/// `service=pay-*|shop, service!=pay-test`: what must hold, one after the other.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (field, patterns, not)) in self.clauses().enumerate() {
            let (comma, sign) = (if at > 0 { ", " } else { "" }, if not { "!=" } else { "=" });
            write!(f, "{comma}{field}{sign}{}", patterns.join("|"))?;
        }
        Ok(())
    }
}
