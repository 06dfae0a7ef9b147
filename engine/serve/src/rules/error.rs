//! Why there are no rules, or still the old ones.

use std::io;

use isinglass_rules::file::FileError;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A setting that cannot be.
    #[error("rules.{key} = {value:?}: {reason}")]
    Setting {
        /// Its name.
        key: String,
        /// What it says.
        value: String,
        /// Why it cannot be.
        reason: String,
    },
    /// A file that is named and cannot be read, or a folder that a glob has to look into.
    #[error("cannot read rule file {path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        reason: io::Error,
    },
    /// Mistakes in rule files, all of them.
    #[error("{}", lines(.0))]
    Files(Vec<FileError>),
    /// More files, groups or rules than a tenant may have.
    #[error("tenant {tenant} has {got} {what}, the limit is {limit}")]
    TooMany {
        /// Whose they are.
        tenant: String,
        /// `rule files`, `rule groups` or `rules`.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The configuration cannot be read again.
    #[error("{0}")]
    Config(String),
    /// There is no client for Alertmanagers.
    #[error("cannot send to Alertmanagers: {0}")]
    Client(String),
    /// A fault of ours.
    #[error("a fault of the server stopped the reload: {0}")]
    Internal(String),
}

fn lines(errors: &[FileError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
