//! `isinglass plugin`: what authors and operators of plugins need.
//!
//! | file | is |
//! |---|---|
//! | `check.rs` | `plugin check`: what a component is, and whether a server would load it |

mod check;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use check::CheckArgs;

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
    /// Say what a component is, and whether a server would load it
    Check(CheckArgs),
}

/// Runs a command.
pub fn run(args: PluginArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        PluginCommand::Check(args) => check::run(&args),
    }
}
