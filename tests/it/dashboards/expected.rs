//! `expected.toml`: what may be empty, and what may be remarked.

use serde::Deserialize;

/// A query that finds nothing here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {
    pub(super) file: String,
    /// The end of where it stands: the title of its panel in quotes and its letter, or the
    /// name of its annotation, variable or rule.
    pub(super) place: String,
    #[allow(dead_code, reason = "for who reads the file")]
    reason: String,
}

/// A remark of the engine that helps nobody here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    text: String,
    #[allow(dead_code, reason = "for who reads the file")]
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    #[serde(default)]
    pub(super) empty: Vec<Empty>,
    #[serde(default)]
    info: Vec<Info>,
}

impl Expected {
    pub(super) fn read() -> Self {
        toml::from_str(include_str!("expected.toml")).unwrap()
    }

    pub(super) fn may_be_empty(&self, file: &str, place: &str) -> bool {
        self.empty.iter().any(|empty| empty.file == file && place.ends_with(&empty.place))
    }

    pub(super) fn may_be_said(&self, info: &str) -> bool {
        self.info.iter().any(|expected| info.contains(&expected.text))
    }
}
