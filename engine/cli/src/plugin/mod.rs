//! `isinglass plugin`: what authors and operators of plugins need.
//!
//! | file | is |
//! |---|---|
//! | `new.rs`, `templates.rs` | `plugin new`: a folder with a plugin that works |
//! | `manifest.rs` | `plugin.toml` |
//! | `build/` | `plugin build`: from sources to a component |
//! | `test/` | `plugin test`: its cases, in the sandbox of a server |
//! | `bench/` | `plugin bench`: what a row costs |
//! | `server/` | `plugin install`, `list`, `log`, `remove`, `rollback`, `promote`, `diff`, `reingest`, `replay`: what a running server does |
//! | `registry/` | `plugin pull`: components from OCI registries |
//! | `check.rs` | `plugin check`: what a component is, and whether a server would load it |

mod bench;
mod build;
mod check;
mod manifest;
mod new;
mod registry;
mod server;
mod templates;
mod test;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use isinglass_chain::{CODE_FOLDER, Compilation, Compiler};

pub use bench::BenchArgs;
pub use build::BuildArgs;
pub use check::CheckArgs;
pub use manifest::Lang;
pub use new::NewArgs;
pub use registry::PullArgs;
pub use server::{
    DiffArgs, EitherArgs, InstallArgs, ListArgs, NamedArgs, ReingestArgs, ReplayArgs, ServerArgs,
};
pub use test::TestArgs;

/// Which of its commands.
#[derive(Debug, Clone, Args)]
pub struct PluginArgs {
    /// What to do
    #[command(subcommand)]
    pub command: PluginCommand,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum PluginCommand {
    /// Make a folder with a plugin that works
    New(NewArgs),
    /// Make the component of a folder
    Build(BuildArgs),
    /// Run the cases of a folder, as a server would
    Test(TestArgs),
    /// Tell what a row costs in the sandbox
    Bench(BenchArgs),
    /// Say what a component is, and whether a server would load it
    Check(CheckArgs),
    /// Fetch a component from an OCI registry
    Pull(PullArgs),
    /// Install a component in a running server
    Install(InstallArgs),
    /// List the plugins of a running server
    List(ListArgs),
    /// Print what a plugin of a running server logged last
    Log(EitherArgs),
    /// Take an installed plugin away
    Remove(EitherArgs),
    /// Say what a plugin that is tried out would have done, beside what was done
    Diff(DiffArgs),
    /// Enforce a plugin that was tried out
    Promote(NamedArgs),
    /// Send refused items through the chain again
    Reingest(ReingestArgs),
    /// Derive again from what a running server has stored
    Replay(ReplayArgs),
    /// Go back to what was installed under a name before
    Rollback(NamedArgs),
}

/// Runs a command.
pub async fn run(args: PluginArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        PluginCommand::New(args) => new::run(&args),
        PluginCommand::Build(args) => build::run(&args),
        PluginCommand::Test(args) => test::run(&args),
        PluginCommand::Bench(args) => bench::run(&args),
        PluginCommand::Check(args) => check::run(&args),
        PluginCommand::Pull(args) => registry::run(&args).await,
        PluginCommand::Install(args) => server::install(&args).await,
        PluginCommand::List(args) => server::list(&args).await,
        PluginCommand::Log(args) => server::log(&args).await,
        PluginCommand::Remove(args) => server::remove(&args).await,
        PluginCommand::Diff(args) => server::diff(&args).await,
        PluginCommand::Promote(args) => server::promote(&args).await,
        PluginCommand::Reingest(args) => server::reingest(&args).await,
        PluginCommand::Replay(args) => server::replay(&args).await,
        PluginCommand::Rollback(args) => server::roll_back(&args).await,
    }
}

/// How these commands compile, as a server does. They keep machine code in the user's cache, or in
/// the data folder of a server.
fn compilation(data_dir: Option<&Path>) -> Compilation {
    let folder = data_dir.map(Path::to_owned).or_else(|| build::cache().ok());
    let code_dir = folder.map(|folder| folder.join(CODE_FOLDER));
    Compilation { code_dir, compiler: Compiler::of_this_program() }
}
