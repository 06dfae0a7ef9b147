//! One kind of error for the whole engine, and the codes that senders see.

use std::time::Duration;

/// What an error means to the one who asked. Each crate's error type maps to
/// one of these; `serve` maps it to HTTP and gRPC.
///
/// The codes are those of the OTLP and remote-write specifications: a sender
/// retries 429, 502, 503 and 504 and drops everything else in 4xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The bytes or the text cannot be read. 400, INVALID_ARGUMENT.
    Malformed,
    /// Readable, and refused by a rule. 400, INVALID_ARGUMENT.
    Rejected,
    /// No such table, tenant or path. 404, NOT_FOUND.
    NotFound,
    /// Larger than a declared limit. 413, RESOURCE_EXHAUSTED without retry.
    TooLarge,
    /// A content type or encoding that this path does not take. 415, UNIMPLEMENTED.
    Unsupported,
    /// Over a rate; retry after the given time. 429, RESOURCE_EXHAUSTED with RetryInfo.
    RateLimited,
    /// Not allowed here. 403, PERMISSION_DENIED.
    Forbidden,
    /// The server cannot take it now (disk full, queue full, stopping). 503, UNAVAILABLE.
    Unavailable,
    /// Took longer than its deadline. 504, DEADLINE_EXCEEDED.
    Timeout,
    /// A fault of ours. 500, INTERNAL.
    Internal,
}

impl ErrorKind {
    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Malformed | Self::Rejected => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::TooLarge => 413,
            Self::Unsupported => 415,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The gRPC status code by number (`google.rpc.Code`).
    pub const fn grpc_code(self) -> i32 {
        match self {
            Self::Malformed | Self::Rejected => 3,
            Self::Timeout => 4,
            Self::NotFound => 5,
            Self::Forbidden => 7,
            Self::TooLarge | Self::RateLimited => 8,
            Self::Unsupported => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
        }
    }

    /// How long a sender should wait before it tries again, where trying
    /// again helps and the error itself does not know better.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::RateLimited => Some(Duration::from_secs(1)),
            Self::Unavailable => Some(Duration::from_secs(5)),
            _ => None,
        }
    }

    /// The name in JSON error bodies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Rejected => "rejected",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
        }
    }
}
