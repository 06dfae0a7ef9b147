//! `isinglass plugin build`: from sources to a component for exactly our interface.
//!
//! | file | is |
//! |---|---|
//! | `rust.rs`, `c.rs` | a core module, wrapped here |
//! | `javascript.rs`, `python.rs` | a component by the language's own tool |
//! | `tools.rs` | where compilers are looked for, and how they are fetched |
//! | `wrap.rs` | from a core module to a component |
//! | `info.rs` | what `plugin.toml` says, for sources that are not Rust |

mod c;
mod info;
mod javascript;
mod python;
mod rust;
mod tools;
mod wrap;

pub(super) use tools::cache;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::HumanBytes;

use super::manifest::{Lang, Project};

/// What to build.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// The folder of the plugin
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// Fetch what it needs and this machine lacks, into a cache
    #[arg(long)]
    pub fetch: bool,
}

/// Builds it.
pub(super) fn run(args: &BuildArgs) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.folder)?;
    let began = Instant::now();
    let target = project.target();
    std::fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    let component = match project.manifest.lang {
        Lang::Rust => rust::build(&project, args.fetch),
        Lang::C => c::build(&project, args.fetch),
        Lang::Javascript => javascript::build(&project, args.fetch),
        Lang::Python => python::build(&project, args.fetch),
    }?;
    let path = project.component();
    std::fs::write(&path, &component).with_context(|| format!("cannot write {}", path.display()))?;
    let (shown, bytes) = (args.folder.join(path.file_name().unwrap_or_default()), component.len() as u64);
    let took = began.elapsed().as_secs_f64();
    writeln!(std::io::stdout(), "{}: {}, built in {took:.1} s", shown.display(), HumanBytes(bytes))?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is being done.
fn say(what: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{what}")?)
}

/// Runs a program, whose words go to standard error.
fn execute(command: &mut Command) -> anyhow::Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    command.stdin(std::process::Stdio::null()).stdout(std::io::stderr());
    let status = command.status().with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} failed ({status})");
    Ok(())
}
