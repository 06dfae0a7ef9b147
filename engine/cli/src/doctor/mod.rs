//! `isinglass doctor`: what is on disk, what is damaged, what the next start would do.
//!
//! | file | is |
//! |---|---|
//! | `text.rs` | the report for a person |

mod text;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use isinglass_model::clock::SystemClock;
use isinglass_store::StoreConfig;
use isinglass_store::inspect::inspect;

/// Exit code where something is damaged, or a start would be refused.
const DAMAGED: u8 = 1;
/// Where there is nothing to look at.
const CANNOT_LOOK: u8 = 2;

/// Where to look, and how closely.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Folder of the server, running or not [default: isinglass-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// TOML file of the server
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read every data file and compare it with its checksums
    #[arg(long)]
    pub deep: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Looks and tells. Exit code 0: sound, 1: damage, 2: cannot look.
pub async fn run(args: DoctorArgs, store: StoreConfig) -> anyhow::Result<ExitCode> {
    let found = match inspect(&store, Arc::new(SystemClock::new()), args.deep).await {
        Ok(found) => found,
        Err(error) => {
            writeln!(std::io::stderr(), "error: cannot look: {error}")?;
            return Ok(ExitCode::from(CANNOT_LOOK));
        }
    };
    let report = if args.json {
        serde_json::to_string_pretty(&found)? + "\n"
    } else {
        text::report(&found, args.deep)
    };
    std::io::stdout().lock().write_all(report.as_bytes())?;
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
}
