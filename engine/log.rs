//! Structured logs on standard error: text for people, JSON for machines.

use std::io::{self, IsTerminal};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// `[log]` in the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// error, warn, info, debug, trace, off, or directives such as
    /// `info,isinglass_store=debug`. The environment variable RUST_LOG wins.
    pub level: String,
    /// How lines are written.
    pub format: LogFormat,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// An object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// Sends logs of this process to standard error from now on.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let directives = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| directives(&config.level));
    let filter = EnvFilter::try_new(&directives).with_context(|| format!("log level {directives:?}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let json = match config.format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(io::stderr().is_terminal()).init();
    }
    Ok(())
}

/// A bare level is meant for our own crates; of others only warnings matter, and
/// of the Delta crates less: they report every table that does not exist yet and
/// every commit that is tried again, and what matters of that comes back to the
/// store, which reports it.
fn directives(level: &str) -> String {
    match level.parse::<LevelFilter>() {
        Ok(level) if level > LevelFilter::WARN => {
            format!("warn,buoyant_kernel=off,deltalake_core=error,isinglass={level}")
        }
        _ => level.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_for_our_own_crates() {
        assert_eq!(directives("debug"), "warn,buoyant_kernel=off,deltalake_core=error,isinglass=debug");
        assert_eq!(directives("ERROR"), "ERROR");
        assert_eq!(directives("info,h2=trace"), "info,h2=trace");
    }
}
