//! Why a query has no answer.

use std::fmt;

use isinglass_lang::promql::ParseError;

/// Why a query has no answer. The message is what a client is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// Which kind of failure.
    pub kind: ErrorKind,
    /// What is wrong, and where.
    pub message: String,
}

/// Kinds of failure, as Prometheus' HTTP API tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text or a parameter cannot be right.
    BadData,
    /// The expression cannot be evaluated on these series.
    Execution,
    /// A limit on what a query may use.
    Limit,
    /// The query took too long.
    Timeout,
    /// The client went away, or the query was ended.
    Canceled,
    /// Samples could not be read.
    Internal,
}

impl EvalError {
    pub(crate) fn execution(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Execution, message: message.to_string() }
    }

    /// A failure of a source.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self { kind: ErrorKind::Internal, message: message.to_string() }
    }

    /// A failure of some kind.
    pub fn of(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string() }
    }
}

impl From<ParseError> for EvalError {
    fn from(error: ParseError) -> Self {
        Self { kind: ErrorKind::BadData, message: error.to_string() }
    }
}

/// What most of this crate returns.
pub type Result<T> = std::result::Result<T, EvalError>;
