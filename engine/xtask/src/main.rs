//! `cargo xtask torture`: runs the real binary under load while disk, object store,
//! memory and process fail, and compares what it acknowledged with what it answers.
//!
//! | file | |
//! |---|---|
//! | `cgroup` | a bound on the memory of a process |
//! | `server` | starting the binary, also under another program; its end |
//! | `load` | senders of all signals, their ledger, the audit by SQL |
//! | `tools` | strace, moto and others: found, or said to be missing |
//! | `toxic` | a TCP proxy that delays, cuts and refuses |
//! | `volume` | a file system whose power can be cut |
//! | `outcome` | the table at the end |
//! | `scenarios` | one file each |
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command of developers that reports here")]

mod cgroup;
mod load;
mod outcome;
mod resident;
mod scenarios;
mod server;
mod tools;
mod toxic;
mod volume;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::outcome::Outcome;

#[derive(Debug, Parser)]
#[command(about = "Tasks of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Breaks everything around the server and counts what is lost or doubled
    Torture(Torture),
}

/// How the torture is to be run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Torture {
    /// A few points of each scenario, in about ten minutes
    #[arg(long)]
    quick: bool,
    /// Only scenarios whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// The server; else it is built in the release profile
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where the choices begin: the same seed, the same points
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many kill points, instead of 20 with --quick and 1000 without
    #[arg(long)]
    points: Option<u64>,
}

impl Torture {
    /// One number for a quick run, one for a full one.
    fn either<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Task::Torture(torture) = Arguments::parse().task;
    match run(torture).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost or doubled and nothing else failed.
async fn run(mut torture: Torture) -> anyhow::Result<bool> {
    let wanted = |name: &str| torture.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let scenarios: Vec<_> = scenarios::ALL.iter().filter(|scenario| wanted(scenario.name())).collect();
    anyhow::ensure!(!scenarios.is_empty(), "no scenario has this name: {}", scenarios::names());
    let binary = match torture.binary.take() {
        Some(path) => path.canonicalize().with_context(|| format!("--binary {}", path.display()))?,
        None if scenarios.iter().any(|scenario| scenario.has_server()) => tools::build()?,
        None => PathBuf::new(),
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    for scenario in scenarios {
        println!("== {}: {}", scenario.name(), scenario.what());
        let mut outcome = Outcome::new(scenario.name());
        if let Err(error) = scenario.run(&torture, &binary, &mut outcome).await {
            outcome.fail(format!("{error:#}"));
        }
        println!("{outcome}");
        outcomes.push(outcome);
    }
    println!("\n{}", outcome::table(&outcomes));
    Ok(outcomes.iter().all(Outcome::is_good))
}
