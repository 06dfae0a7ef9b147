//! What can go wrong with files and tables.

use std::io;
use std::path::PathBuf;

use isinglass_model::{Kind, Tenant};

use crate::StoreError;

/// An error of the tables of the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// The folder of tables cannot be used.
    #[error("folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A second creation of one object succeeded: two writers could both commit
    /// the same version, and rows would be lost.
    #[error(
        "store.url = {store:?}: it does not refuse to create an object twice (If-None-Match: * is ignored), \
         so commits to it are not safe; AWS, Google, Azure, MinIO, Ceph and R2 do, and local file systems with \
         hard links"
    )]
    Unsafe {
        /// What the user calls it.
        store: String,
    },
    /// A setting of the object store that cannot be.
    #[error("{key} = {value:?}: {problem}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// What it says.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The object store failed.
    #[error("object store")]
    Objects(#[from] object_store::Error),
    /// The Delta log failed.
    #[error("delta log of {tenant}/{kind}")]
    Delta {
        /// Whose table.
        tenant: Tenant,
        /// Which table.
        kind: Kind,
        /// What deltalake said.
        #[source]
        source: Box<deltalake_core::DeltaTableError>,
    },
    /// The columns of a table are not a prefix of those of this release.
    #[error("table {tenant}/{kind} was written by another release: {difference}")]
    Schema {
        /// Whose table.
        tenant: Tenant,
        /// Which table.
        kind: Kind,
        /// The first difference.
        difference: String,
    },
    /// Rows that cannot be written.
    #[error("rows of {kind}: {problem}")]
    Rows {
        /// Which table.
        kind: Kind,
        /// What is wrong with them.
        problem: String,
    },
    /// A file or a commit that does not say what it should.
    #[error("{path}: {problem}")]
    Damaged {
        /// The object.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Parquet encoding or decoding failed.
    #[error("parquet")]
    Parquet(#[from] ::parquet::errors::ParquetError),
    /// An Arrow kernel failed.
    #[error("arrow")]
    Arrow(#[from] arrow_schema::ArrowError),
    /// Another writer has taken over the tables.
    #[error("{reason}")]
    Fenced {
        /// Who, and how it came out.
        reason: String,
    },
    /// A worker thread panicked or the runtime stops.
    #[error("worker")]
    Worker(#[from] tokio::task::JoinError),
    /// A thread cannot be started.
    #[error("thread")]
    Thread(#[source] io::Error),
    /// A thread of our own panicked.
    #[error("a thread ended early")]
    ThreadEnded,
}

impl FilesError {
    /// It and what it came from, in one line.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

/// An error and what it came from, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Some errors repeat what they came from.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

impl From<FilesError> for StoreError {
    fn from(error: FilesError) -> Self {
        let reason = error.chain();
        match error {
            FilesError::Folder { path, source } => Self::io(format!("folder {}", path.display()), &source),
            FilesError::Unsafe { .. } | FilesError::Setting { .. } => Self::Setting { reason },
            FilesError::Fenced { reason } => Self::Fenced { reason },
            FilesError::Delta { tenant, kind, .. } => Self::Table { tenant, kind, reason },
            FilesError::Schema { tenant, kind, difference } => {
                Self::Incompatible { what: format!("table {tenant}/{kind}"), reason: difference }
            }
            FilesError::Damaged { path, problem } => Self::Damaged { what: path, reason: problem },
            FilesError::Thread(source) => Self::io("thread", &source),
            FilesError::Objects(_) => Self::Io { context: "object store".to_owned(), reason },
            FilesError::Rows { .. }
            | FilesError::Parquet(_)
            | FilesError::Arrow(_)
            | FilesError::Worker(_)
            | FilesError::ThreadEnded => Self::Internal(reason),
        }
    }
}
