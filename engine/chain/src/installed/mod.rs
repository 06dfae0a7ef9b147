//! Plugins that were installed while the server ran, in a folder of its own.
//!
//! ```text
//! plugins/
//!   installed.json            what is installed, see docs/formats/installed-plugins.md
//!   sha256-HEX.wasm           one component each, by the hash of its bytes
//! ```
//!
//! A component is written and synced before the list names it, and the list is replaced as a
//! whole. So a crash leaves the list from before or the one from after, and at worst a component
//! that nobody names, which the next change deletes.

mod folder;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use folder::InstalledFolder;

use crate::config::{Binding, ChainConfig, Source};
use crate::error::ChainError;

/// Version of the list.
pub(crate) const FORMAT: u32 = 1;

/// What is installed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledList {
    /// Version of the format.
    pub format: u32,
    /// The plugins, in the order in which they came.
    pub plugins: Vec<Installed>,
}

impl Default for InstalledList {
    fn default() -> Self {
        Self { format: FORMAT, plugins: Vec::new() }
    }
}

/// An installed plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// What runs.
    #[serde(flatten)]
    pub version: Version,
    /// What ran before, to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Version>,
}

/// A component and how it is bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// sha256 of the component in hex.
    pub digest: String,
    /// When it was installed, milliseconds since 1970.
    pub installed_unix_ms: i64,
    /// How it is bound. The source is the file of the component within the folder.
    pub binding: Binding,
}

impl Installed {
    /// Name of the binding.
    pub fn name(&self) -> &str {
        &self.version.binding.name
    }

    /// Whether it is the one of this name, tried out or enforced.
    fn is(&self, name: &str, shadow: bool) -> bool {
        self.version.binding.is(name, shadow)
    }

    /// Hashes of the components that it needs.
    fn digests(&self) -> impl Iterator<Item = &str> {
        [Some(&self.version), self.previous.as_ref()].into_iter().flatten().map(|one| one.digest.as_str())
    }
}

impl InstalledList {
    /// The plugin with this name, enforced or tried out.
    pub fn get(&self, name: &str, shadow: bool) -> Option<&Installed> {
        self.plugins.iter().find(|one| one.is(name, shadow))
    }

    /// Puts a version in place of the one that has its name, or behind all others. One that is
    /// enforced is tried out no longer.
    #[must_use]
    pub fn with(&self, version: Version) -> Self {
        let (mut list, binding) = (self.clone(), &version.binding);
        let tried = |one: &Installed| one.is(&binding.name, true) && one.version.digest == version.digest;
        list.plugins.retain(|one| binding.shadow || !tried(one));
        match list.plugins.iter_mut().find(|one| one.is(&binding.name, binding.shadow)) {
            // The same bytes again: what was before them stays what one goes back to.
            Some(one) if one.version.digest == version.digest => one.version = version,
            Some(one) => one.previous = Some(std::mem::replace(&mut one.version, version)),
            None => list.plugins.push(Installed { version, previous: None }),
        }
        list
    }

    /// Takes a plugin away; `None` if there is none of this name.
    pub fn without(&self, name: &str, shadow: bool) -> Option<Self> {
        let mut list = self.clone();
        list.plugins.retain(|one| !one.is(name, shadow));
        (list.plugins.len() < self.plugins.len()).then_some(list)
    }

    /// Goes back to what ran before; `None` if nothing did.
    pub fn rolled_back(&self, name: &str) -> Option<Self> {
        let mut list = self.clone();
        let one = list.plugins.iter_mut().find(|one| one.is(name, false))?;
        one.version = one.previous.take()?;
        Some(list)
    }

    /// A configuration with these behind its own bindings.
    pub fn behind(&self, config: &ChainConfig, folder: &InstalledFolder) -> Result<ChainConfig, ChainError> {
        let mut config = config.clone();
        for one in &self.plugins {
            let Version { digest, binding, .. } = &one.version;
            if config.bindings.iter().any(|other| other.is(&binding.name, binding.shadow)) {
                let fault = "a binding of the configuration has its name".to_owned();
                return Err(ChainError::Binding { binding: binding.name.clone(), fault });
            }
            let (source, digest) = (Source::File(folder.component(digest)), Some(format!("sha256:{digest}")));
            config.bindings.push(Binding { source, digest, ..binding.clone() });
        }
        Ok(config)
    }
}

/// Name of a component's file.
pub(crate) fn file_name(digest: &str) -> PathBuf {
    format!("sha256-{digest}.wasm").into()
}

#[cfg(test)]
mod tests;
