//! `plugin.toml`: what a plugin is called, made for and made of. See `docs/formats/plugin-toml.md`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use isinglass_chain::{Budget, World};
use serde::Deserialize;

pub(super) const FILE: &str = "plugin.toml";
const FORMAT: u32 = 1;

/// The languages that a plugin can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Rust, with the SDK
    Rust,
    /// C, with bindings to the interface
    C,
    /// JavaScript, run by QuickJS within the component
    Javascript,
    /// Python, run by CPython within the component
    Python,
}

impl Lang {
    #[cfg(test)]
    pub(super) const ALL: [Self; 4] = [Self::Rust, Self::C, Self::Javascript, Self::Python];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Javascript => "javascript",
            Self::Python => "python",
        }
    }
}

/// A world of the interface. To a server both kinds of derivers are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Interface {
    Transformer,
    Validator,
    Limiter,
    Deriver,
    PairingDeriver,
    Function,
}

impl Interface {
    /// As the interface calls it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::PairingDeriver => PAIRING_DERIVER,
            other => other.world().as_str(),
        }
    }

    /// What a server uses it as.
    pub(super) const fn world(self) -> World {
        match self {
            Self::Transformer => World::Transformer,
            Self::Validator => World::Validator,
            Self::Limiter => World::Limiter,
            Self::Deriver | Self::PairingDeriver => World::Deriver,
            Self::Function => World::Function,
        }
    }
}

/// The world whose name is not that of what a server uses it as.
pub(super) const PAIRING_DERIVER: &str = "pairing-deriver";

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) world: Interface,
    pub(super) lang: Lang,
    pub(super) sources: Vec<PathBuf>,
    /// Within what it is tested and measured, as in a binding.
    #[serde(default)]
    pub(super) budget: Option<Budget>,
}

/// A folder with a plugin in it.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
}

impl Project {
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: is this the folder of a plugin?", path.display()))?;
        let manifest = parse(&text).with_context(|| format!("{}", path.display()))?;
        // Tools are run in the folder, and are told absolute paths.
        let folder = folder.canonicalize().with_context(|| format!("{}", folder.display()))?;
        Ok(Self { folder, manifest })
    }

    /// Where the component is, or will be.
    pub(super) fn component(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.manifest.name))
    }

    /// Where everything else goes that is made.
    pub(super) fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    pub(super) fn budget(&self) -> Budget {
        self.manifest.budget.unwrap_or_default()
    }
}

fn parse(text: &str) -> anyhow::Result<Manifest> {
    let manifest: Manifest = toml::from_str(text)?;
    ensure!(manifest.format == FORMAT, "format is {}, this program knows {FORMAT}", manifest.format);
    check_name(&manifest.name)?;
    ensure!(!manifest.sources.is_empty(), "sources names no file");
    for source in &manifest.sources {
        let plain = source.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        ensure!(plain, "sources: {} must lie within the folder", source.display());
    }
    Ok(manifest)
}

/// Names that every language and a binding take.
pub(super) fn check_name(name: &str) -> anyhow::Result<()> {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let framed = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    if name.len() > 64 || !framed || !name.chars().all(word) {
        bail!("name {name:?} must be 1 to 64 of a-z 0-9 -, begin with a letter and not end with a dash");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "format = 1\nname = \"deny\"\nversion = \"0.1.0\"\nworld = \"validator\"\nlang = \"c\"\nsources = [\"src/plugin.c\"]\n";

    #[test]
    fn faults_are_named() {
        let check = |from: &str, to: &str, fault: &str| {
            let error = format!("{:#}", parse(&GOOD.replace(from, to)).unwrap_err());
            assert!(error.contains(fault), "{error}");
        };
        check("format = 1", "format = 2", "format is 2, this program knows 1");
        check("deny", "Deny It", "must be 1 to 64 of a-z");
        check("\"validator\"", "\"filter\"", "unknown variant `filter`");
        check("\"c\"", "\"cobol\"", "unknown variant `cobol`");
        check("src/plugin.c", "../plugin.c", "must lie within the folder");
        check("[\"src/plugin.c\"]", "[]", "sources names no file");
        check("format = 1", "format = 1\ntest = 1", "unknown field `test`");
    }

    /// A file as the first release wrote it.
    #[test]
    fn the_first_format_is_read() {
        let text = format!(
            "{GOOD}\n[budget]\nmemory_bytes_max = 134217728\ncomponent_bytes_max = 33554432\ncpu_hard_ms = 1000\n"
        );
        let manifest = parse(&text).unwrap();
        assert_eq!((manifest.world, manifest.lang), (Interface::Validator, Lang::C));
        let pairing = parse(&GOOD.replace("validator", "pairing-deriver")).unwrap().world;
        assert_eq!((pairing.world(), pairing.as_str()), (World::Deriver, "pairing-deriver"));
        assert_eq!(manifest.budget.unwrap().memory_bytes_max, 128 << 20);
    }
}
