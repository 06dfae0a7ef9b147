//! What can go wrong in the store, and what it means to the one who asked.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use isinglass_model::{ErrorKind, Kind, Tenant};

/// An error of the store. Cloneable, because one failed sync answers many appends.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder.
    #[error("data folder {path:?}{} is in use by another process", held_by(holder.as_deref()))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The id of the process that has it, as it wrote it down.
        holder: Option<String>,
    },
    /// A newer writer has taken over the tables. This one may never write again.
    #[error("fenced, writes are refused for good: {reason}")]
    Fenced {
        /// Who has them, and how it came out.
        reason: String,
    },
    /// The folder was written by a newer release, or is none of ours.
    #[error("cannot read {what}: {reason}")]
    Incompatible {
        /// File or table.
        what: String,
        /// What was found.
        reason: String,
    },
    /// A setting with which the store cannot be opened.
    #[error("{reason}")]
    Setting {
        /// Which, its value, and what is wrong with it.
        reason: String,
    },
    /// The WAL cannot take it: disk full, failed sync, too slow, stopping.
    #[error("cannot take writes: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// A request that does not fit into one WAL record.
    #[error("request needs {got} bytes in the log, the limit is {limit}")]
    TooLarge {
        /// Its size.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// The cap on tenants in memory, and none of them is idle.
    #[error("{limit} tenants are active, which is the limit")]
    TooManyTenants {
        /// The cap.
        limit: usize,
    },
    /// A backup cannot be taken now.
    #[error("cannot back up: {reason}")]
    Backup {
        /// Why.
        reason: String,
    },
    /// A table could not be read or written.
    #[error("table {kind} of tenant {tenant}: {reason}")]
    Table {
        /// Whose.
        tenant: Tenant,
        /// Which.
        kind: Kind,
        /// Why.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{context}: {reason}")]
    Io {
        /// What was being done, with the path.
        context: String,
        /// What the system said.
        reason: String,
    },
    /// Bytes that are not what they should be.
    #[error("damaged {what}: {reason}")]
    Damaged {
        /// File or section.
        what: String,
        /// The first fault.
        reason: String,
    },
    /// A condition on labels that cannot be answered: no expression, or beyond a limit.
    #[error("matcher {matcher}: {reason}")]
    Matcher {
        /// Which, as PromQL writes it.
        matcher: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Rows or samples of so short a time that they cannot be held at once to be put in order.
    #[error("{what} of {span_ms} ms need more than ingest.replay_memory_bytes = {limit}")]
    Dense {
        /// Of which table.
        what: Kind,
        /// The time.
        span_ms: i64,
        /// The limit.
        limit: usize,
    },
    /// Some tables have the rows that were derived again, another has not.
    #[error("{done} have the new rows, {kind} have not: {reason}; derive the same range again")]
    Partly {
        /// The first table that has them.
        done: Kind,
        /// The first that has not.
        kind: Kind,
        /// Why.
        reason: Box<StoreError>,
    },
    /// A fault of ours.
    #[error("internal error in store: {0}")]
    Internal(String),
}

impl StoreError {
    /// An I/O error with what was being done.
    pub fn io(context: impl Into<String>, error: &io::Error) -> Self {
        Self::Io { context: context.into(), reason: error.to_string() }
    }

    /// A refusal of writes.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }

    /// Bytes that are not what they should be.
    pub(crate) fn damaged(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), reason: reason.into() }
    }

    /// What it means to the one who asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. }
            | Self::Fenced { .. }
            | Self::Unavailable { .. }
            | Self::Backup { .. }
            | Self::TooManyTenants { .. } => ErrorKind::Unavailable,
            Self::TooLarge { .. } | Self::Dense { .. } => ErrorKind::TooLarge,
            Self::Matcher { .. } => ErrorKind::Malformed,
            Self::Partly { reason, .. } => reason.kind(),
            Self::Setting { .. }
            | Self::Incompatible { .. }
            | Self::Table { .. }
            | Self::Io { .. }
            | Self::Damaged { .. }
            | Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// When trying again may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fenced { .. } => None,
            other => other.kind().retry_after(),
        }
    }

    /// Whether it is about the tables of one tenant, and not about the whole object store.
    pub(crate) fn is_of_a_table(&self) -> bool {
        matches!(self, Self::Table { .. } | Self::Damaged { .. } | Self::Incompatible { .. })
    }

    /// What the sender of a write is told when the tenant's tables cannot be read: the same
    /// batch can be taken later.
    pub(crate) fn for_writer(self) -> Self {
        match self {
            Self::Io { .. } | Self::Table { .. } | Self::Damaged { .. } | Self::Incompatible { .. } => {
                Self::unavailable(self.to_string())
            }
            other => other,
        }
    }
}

fn held_by(holder: Option<&str>) -> String {
    holder.map(|holder| format!(" (held by process {holder})")).unwrap_or_default()
}

impl From<arrow_schema::ArrowError> for StoreError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Internal(error.to_string())
    }
}
