//! Tasks of the project that are no tests.
//!
//! `cargo xtask torture` lets the real binary die, run out of space and read damaged
//! disks, thousands of times, and audits what it acknowledged. What is promised and
//! how it is tested stands in `docs/durability.md`.

mod client;
mod server;
mod torture;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Kills, failing disks, full disks, replay in little memory: nothing acknowledged is lost.
    Torture(torture::Args),
}

fn main() -> ExitCode {
    let Task::Torture(args) = Args::parse().task;
    match torture::run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
