//! Why a whole request was not taken.

use std::time::Duration;

use isinglass_decode::DecodeError;
use isinglass_model::kind::Signal;
use isinglass_model::reason::code;
use isinglass_model::{ErrorKind, Reason, Tenant};
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
    #[error("{}: {message}; nothing of this request was stored", rate_limit(*.signal))]
    RateLimited {
        /// The reason code.
        reason: Reason,
        /// What was sent.
        signal: Signal,
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
    /// All that was left of it is new and over a limit on what is active.
    #[error("{message}; nothing of this request was stored")]
    OverLimit {
        /// The reason code.
        reason: Reason,
        /// What is new, and the limit.
        message: String,
        /// When something may have become idle.
        retry_after: Duration,
    },
    /// Intake of the tenant is switched off.
    #[error("intake of tenant {:?} is switched off until {until_ms} ms since 1970 (blocked_until_ms); nothing of this request was stored", .tenant.as_str())]
    Blocked {
        /// Whose.
        tenant: Tenant,
        /// Until when, in milliseconds since 1970.
        until_ms: i64,
        /// The HTTP status to answer with.
        status: u16,
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

/// What the sentence begins with; senders of spans look for Tempo's word.
fn rate_limit(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "RATE_LIMITED",
        Signal::Metrics | Signal::Logs => "rate limit",
    }
}

impl IngestError {
    /// What it means to the sender.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Decode(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::RateLimited { .. } | Self::OverLimit { .. } => ErrorKind::RateLimited,
            Self::Blocked { .. } => ErrorKind::Forbidden,
            Self::OverBurst { .. } => ErrorKind::TooLarge,
            Self::LimiterFailed { .. } | Self::Untransformed(_) | Self::Busy { .. } | Self::Stopping => {
                ErrorKind::Unavailable
            }
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// The code under which the bytes of the request are counted.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::OverBurst { .. } | Self::LimiterFailed { .. } => code::RATE_LIMITED.into(),
            Self::RateLimited { reason, .. } | Self::OverLimit { reason, .. } => reason.clone(),
            Self::Blocked { .. } => code::BLOCKED_INGESTION.into(),
            Self::Untransformed(_) => code::PLUGIN_ERROR.into(),
            other => other.kind().as_str().into(),
        }
    }

    /// The HTTP status that was chosen for it, where one was.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Blocked { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the sender should wait, if trying again helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::OverLimit { retry_after, .. } => Some(*retry_after),
            Self::Store(error) => error.retry_after(),
            other => other.kind().retry_after(),
        }
    }
}
