//! `isinglass plugin new`: a folder with a plugin that works, to be changed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;

use super::manifest::{Lang, check_name};
use super::templates;

/// What to make.
#[derive(Debug, Clone, Args)]
pub struct NewArgs {
    /// Its name, which is the folder's too
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it is to be
    #[arg(long, value_parser = templates::worlds())]
    pub world: String,
    /// What it is to be written in
    #[arg(long, default_value = "rust")]
    pub lang: Lang,
    /// Make the folder within this one
    #[arg(long = "in", value_name = "FOLDER", default_value = ".")]
    pub within: PathBuf,
}

/// Writes the folder.
pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    check_name(&args.name)?;
    let folder = args.within.join(&args.name);
    ensure!(!folder.exists(), "{} exists", folder.display());
    for file in templates::of(&args.name, &args.world, args.lang) {
        write(&folder.join(&file.path), &file.text)?;
    }
    let (folder, world) = (folder.display(), &args.world);
    writeln!(
        std::io::stdout(),
        "{folder}: a {world} in {}\n\n    isinglass plugin build {folder}\n    isinglass plugin test {folder}",
        args.lang.as_str()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
