//! Where the tools of a language are looked for, and how they are fetched.
//!
//! The order is fixed: a variable of the environment, `PATH`, the cache of this command. With
//! `--fetch` the language's own client fills the cache; nothing is fetched without it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::{execute, say};

/// A program.
pub(super) struct Tool {
    name: &'static str,
    /// The variable that names it.
    variable: &'static str,
    client: Client,
    /// Where it is below the folder that the client fills.
    inside: &'static str,
}

/// Who fetches it, and which version.
enum Client {
    Pip(&'static str),
    Npm(&'static str),
}

pub(super) const ZIG: Tool = Tool {
    name: "zig",
    variable: "ISINGLASS_ZIG",
    client: Client::Pip("ziglang==0.17.0"),
    inside: "lib/*/site-packages/ziglang/zig",
};

pub(super) const COMPONENTIZE_PY: Tool = Tool {
    name: "componentize-py",
    variable: "ISINGLASS_COMPONENTIZE_PY",
    client: Client::Pip("componentize-py==0.25.1"),
    inside: "bin/componentize-py",
};

pub(super) const COMPONENTIZE_QJS: Tool = Tool {
    name: "componentize-qjs",
    variable: "ISINGLASS_COMPONENTIZE_QJS",
    client: Client::Npm("componentize-qjs@0.4.5"),
    inside: "node_modules/.bin/componentize-qjs",
};

impl Tool {
    /// The program, wherever it is.
    pub(super) fn find(&self, fetch: bool) -> anyhow::Result<PathBuf> {
        if let Some(path) = std::env::var_os(self.variable).map(PathBuf::from) {
            ensure!(path.is_file(), "{} names {}, which is no file", self.variable, path.display());
            return Ok(path);
        }
        if let Some(path) = in_path(self.name) {
            return Ok(path);
        }
        let folder = cache()?.join(self.client.folder());
        if let Some(path) = below(&folder, self.inside) {
            return Ok(path);
        }
        if !fetch {
            bail!(
                "{} is missing: run `{}`, or build with --fetch, which keeps it in {}, or name it in {}",
                self.name,
                self.client.words(),
                folder.display(),
                self.variable
            );
        }
        self.client.fetch(&folder)?;
        let inside = folder.join(self.inside);
        below(&folder, self.inside)
            .with_context(|| format!("it was fetched, but there is no {}", inside.display()))
    }
}

impl Client {
    /// Versions lie side by side.
    fn folder(&self) -> &'static str {
        match self {
            Self::Pip(package) | Self::Npm(package) => package,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Pip(package) => format!("pip install {package}"),
            Self::Npm(package) => format!("npm install --global {package}"),
        }
    }

    fn fetch(&self, folder: &Path) -> anyhow::Result<()> {
        say(&format!("fetching {} into {}", self.folder(), folder.display()))?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        match self {
            Self::Pip(package) => {
                execute(Command::new("python3").args(["-m", "venv"]).arg(folder))
                    .context("python3 with its module venv is needed")?;
                let pip = folder.join("bin/pip");
                execute(Command::new(pip).args([
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    package,
                ]))
            }
            Self::Npm(package) => {
                let mut npm = Command::new("npm");
                npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
                execute(npm.arg(folder).arg(package)).context("npm of Node 20 or later is needed")
            }
        }
    }
}

/// What this command keeps for all plugins of a user.
pub(in crate::plugin) fn cache() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Ok(folder.context("neither XDG_CACHE_HOME nor HOME is set")?.join("isinglass"))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// `pattern` below a folder; a part of it that is `*` stands for any name.
fn below(folder: &Path, pattern: &str) -> Option<PathBuf> {
    let mut found = folder.to_owned();
    for part in Path::new(pattern) {
        found = match part == OsStr::new("*") {
            true => std::fs::read_dir(&found).ok()?.flatten().next()?.path(),
            false => found.join(part),
        };
    }
    found.is_file().then_some(found)
}
