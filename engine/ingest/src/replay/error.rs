//! Why nothing could be derived again.

use isinglass_chain::ChainError;
use isinglass_model::ErrorKind;
use isinglass_store::StoreError;

use crate::IngestError;

/// A replay that came to nothing: nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Request(String),
    /// The plugin cannot be loaded.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Rows or samples cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tick before it failed.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The plugin failed: what it did not count would be missing.
    #[error("the plugin failed on rows from {time_ms} ms since 1970 on: {failure}")]
    Plugin {
        /// Where.
        time_ms: i64,
        /// How.
        failure: String,
    },
    /// More series than can be compared.
    #[error("more than {limit} series, which is 64 times ingest.derived_series_max")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// The process has no memory for it.
    #[error("the process has no room for ingest.replay_memory_bytes = {wanted} beside what it holds")]
    NoRoom {
        /// How much it would need.
        wanted: u64,
    },
    /// Records come in so fast that no moment was found between two of them.
    #[error("no moment between two records of the tenant was found; try again")]
    NoMoment,
    /// Another one runs.
    #[error("replay {id} is running; there is one at a time")]
    Busy {
        /// Its number.
        id: u64,
    },
    /// Somebody gave it up.
    #[error("the replay was cancelled")]
    Cancelled,
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl ReplayError {
    /// What it means to the one who asked.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Request(_) => ErrorKind::Malformed,
            Self::Chain(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Ingest(error) => error.kind(),
            Self::Plugin { .. } | Self::Internal(_) => ErrorKind::Internal,
            Self::TooManySeries { .. } => ErrorKind::TooLarge,
            Self::NoRoom { .. } | Self::NoMoment | Self::Busy { .. } | Self::Cancelled => {
                ErrorKind::Unavailable
            }
        }
    }
}
