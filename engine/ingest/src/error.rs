//! Why a whole request was not taken.

use std::time::Duration;

use isinglass_decode::DecodeError;
use isinglass_model::ErrorKind;
use isinglass_store::StoreError;

/// A request of which nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The bytes cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The log or the tables cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A limiter refused it.
    #[error("rate limit: {message}; nothing of this request was stored")]
    RateLimited {
        /// Which bucket, its rate and burst.
        message: String,
        /// When it would be taken.
        retry_after: Duration,
    },
    /// A request that could never pass a limiter: it costs more than the burst.
    #[error("rate limit: {message}; nothing of this request was stored")]
    OverBurst {
        /// Which bucket, its burst and the cost.
        message: String,
    },
    /// A limiter failed and its policy is to refuse.
    #[error("limiter failed: {message}; nothing of this request was stored")]
    LimiterFailed {
        /// Which plugin and how.
        message: String,
    },
    /// A transformer failed whose policy is `quarantine`.
    #[error("{0}; nothing of this request was stored")]
    Untransformed(#[from] isinglass_chain::Untransformed),
    /// All compute slots were taken for too long.
    #[error("the server is busy: no compute slot became free within {waited_ms} ms")]
    Busy {
        /// How long it waited.
        waited_ms: u64,
    },
    /// The server is going down.
    #[error("the server is stopping")]
    Stopping,
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl IngestError {
    /// What it means to the sender.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Decode(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::RateLimited { .. } => ErrorKind::RateLimited,
            Self::OverBurst { .. } => ErrorKind::TooLarge,
            Self::LimiterFailed { .. } | Self::Untransformed(_) | Self::Busy { .. } | Self::Stopping => {
                ErrorKind::Unavailable
            }
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// How long the sender should wait, if trying again helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            Self::Store(error) => error.retry_after(),
            other => other.kind().retry_after(),
        }
    }
}
