//! Where what is installed comes from: a file, the folder of a plugin, or a registry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use isinglass_chain::Budget;

use crate::plugin::manifest::Project;
use crate::plugin::registry::{self, Reference};

/// What an argument names.
#[derive(Debug, Clone)]
pub enum Source {
    /// A component, or the folder of a plugin with its component in it.
    Path(PathBuf),
    /// An image in a registry.
    Registry(Reference),
}

/// What is installed, as far as its source says.
pub(super) struct Component {
    pub(super) bytes: Vec<u8>,
    /// What it may be called.
    pub(super) name: Option<String>,
    /// What minisign says of it.
    pub(super) signature: Option<String>,
    /// What it needs to run.
    pub(super) budget: Option<Budget>,
}

impl Source {
    /// Reads the component, and its signature from `signature` or from where such are.
    pub(super) async fn read(&self, signature: Option<&Path>) -> anyhow::Result<Component> {
        let mut found = match self {
            Self::Registry(reference) => from_registry(reference).await?,
            Self::Path(path) if path.is_dir() => from_folder(path)?,
            Self::Path(path) => from_file(path)?,
        };
        if let Some(path) = signature {
            found.signature = Some(text(path)?);
        }
        Ok(found)
    }
}

async fn from_registry(reference: &Reference) -> anyhow::Result<Component> {
    let pulled = registry::pull(reference).await?;
    let name = name_of(reference.name());
    Ok(Component { bytes: pulled.component, name, signature: pulled.signature, budget: None })
}

fn from_folder(folder: &Path) -> anyhow::Result<Component> {
    let project = Project::open(folder)?;
    let component = project.component();
    let found = from_file(&component).context("`isinglass plugin build` makes the component of a folder")?;
    Ok(Component { name: Some(project.manifest.name), budget: project.manifest.budget, ..found })
}

fn from_file(path: &Path) -> anyhow::Result<Component> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".minisig");
    let beside = PathBuf::from(beside);
    let signature = beside.is_file().then(|| text(&beside)).transpose()?;
    let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(name_of);
    Ok(Component { bytes, name, signature, budget: None })
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A name without what a build adds to it.
fn name_of(stem: &str) -> Option<String> {
    let name = stem.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    (!name.is_empty()).then_some(name)
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with(registry::SCHEME) {
            true => text.parse().map(Self::Registry),
            false => Ok(Self::Path(text.into())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}
