//! Commands and flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use isinglass_cli::backup::{BackupArgs, RestoreArgs};
use isinglass_cli::doctor::DoctorArgs;
use isinglass_cli::plugin::PluginArgs;
use isinglass_cli::sql::SqlArgs;
use isinglass_cli::verify::VerifyArgs;

/// Metrics, logs and spans in; open Parquet tables; SQL out.
#[derive(Debug, Parser)]
#[command(name = "isinglass", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// What to do; `serve` without one
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Run the server and a ride service that sends to it
    Demo(DemoArgs),
    /// Ask a running server
    Sql(SqlArgs),
    /// Write known data to a running server and check that it can be read back
    Verify(VerifyArgs),
    /// Say what is on disk, what is damaged, and what a start would do; changes nothing
    Doctor(DoctorArgs),
    /// Copy a running server or a stopped folder
    Backup(BackupArgs),
    /// Make a folder that can be started out of a backup
    Restore(RestoreArgs),
    /// What authors and operators of plugins need
    Plugin(PluginArgs),
    /// Compile a plugin from standard input to standard output, within the limits of a job in JSON
    #[command(hide = true)]
    PluginCompile {
        /// What this program says to itself
        job: String,
    },
    /// Print the configuration that `serve` with the same flags would have
    Config(ServeArgs),
}

/// Flags win over the environment, the environment over the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServeArgs {
    /// Folder for log and tables [default: isinglass-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Remote write, Loki push, SQL, /metrics [default: 127.0.0.1:4319]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// OTLP over gRPC [default: 127.0.0.1:4317]
    #[arg(long, value_name = "ADDR")]
    pub otlp_grpc: Option<String>,
    /// OTLP over HTTP [default: 127.0.0.1:4318]
    #[arg(long, value_name = "ADDR")]
    pub otlp_http: Option<String>,
    /// TOML file; keys can also be set as ISINGLASS_SECTION__KEY
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What the process may hold in memory, as in 512MiB; all budgets are shares of it [default: half of
    /// the machine's, at most 4GiB]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Refuse to start where a part of the log cannot be read, instead of setting it aside
    #[arg(long)]
    pub strict: bool,
    /// error, warn, info, debug, trace, or directives as in RUST_LOG, which wins
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// End after this time, e.g. 30s or 5m; without it at ctrl-c
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub for_: Option<Duration>,
    /// Rides ordered per second
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    pub rides_per_second: f64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn serve_is_the_default() {
        let args = Args::parse_from(["isinglass", "--data-dir", "x"]);
        assert!(args.command.is_none());
        assert_eq!(args.serve.data_dir, Some("x".into()));
        let args = Args::parse_from(["isinglass", "demo", "--for", "30s", "--data-dir", "x"]);
        let Some(Command::Demo(demo)) = args.command else { panic!("{args:?}") };
        assert_eq!((demo.for_, demo.serve.data_dir), (Some(Duration::from_secs(30)), Some("x".into())));
    }
}
