//! Kinds of failure, as Prometheus' HTTP API tells them apart.

use isinglass_model::ErrorKind;
use isinglass_promql::EvalError;

use crate::error::QueryError;

/// Kinds of failure, as Prometheus' HTTP API tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromqlKind {
    /// The text or a parameter cannot be right. 400.
    BadData,
    /// The expression cannot be evaluated on these series, or a limit was reached. 422.
    Execution,
    /// The query took too long. 503.
    Timeout,
    /// The query was ended, or could not begin: too many run, or the server is stopping. 503.
    Canceled,
    /// Too many queries of the tenant wait for a turn. 429.
    TooManyRequests,
    /// There is no such thing. 404.
    NotFound,
    /// Samples could not be read. 500.
    Internal,
}

impl PromqlKind {
    /// The text of `errorType`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::TooManyRequests => "too_many_requests",
            Self::NotFound => "not_found",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadData => 400,
            Self::NotFound => 404,
            Self::Execution => 422,
            Self::TooManyRequests => 429,
            Self::Internal => 500,
            Self::Timeout | Self::Canceled => 503,
        }
    }
}

impl QueryError {
    /// What a client of Prometheus' API is told of the kind of a failure.
    pub fn promql_kind(&self) -> PromqlKind {
        match self.kind() {
            ErrorKind::Malformed => PromqlKind::BadData,
            ErrorKind::NotFound => PromqlKind::NotFound,
            ErrorKind::Timeout => PromqlKind::Timeout,
            ErrorKind::Unavailable => PromqlKind::Canceled,
            ErrorKind::Internal => PromqlKind::Internal,
            ErrorKind::RateLimited => PromqlKind::TooManyRequests,
            ErrorKind::Rejected | ErrorKind::TooLarge | ErrorKind::Unsupported | ErrorKind::Forbidden => {
                PromqlKind::Execution
            }
        }
    }

    /// An error of the PromQL engine.
    pub(crate) fn of_promql(error: EvalError) -> Self {
        use isinglass_promql::ErrorKind as Promql;
        let kind = match error.kind {
            Promql::BadData => ErrorKind::Malformed,
            Promql::Execution => ErrorKind::Rejected,
            Promql::Limit => ErrorKind::TooLarge,
            Promql::Timeout => ErrorKind::Timeout,
            Promql::Canceled => ErrorKind::Unavailable,
            Promql::Internal => ErrorKind::Internal,
        };
        Self::new(kind, error.message)
    }

    /// The same for the PromQL engine, which hands it back when it ends.
    pub(crate) fn to_promql(&self) -> EvalError {
        use isinglass_promql::ErrorKind as Promql;
        let kind = match self.promql_kind() {
            PromqlKind::BadData => Promql::BadData,
            PromqlKind::Timeout => Promql::Timeout,
            PromqlKind::Canceled | PromqlKind::TooManyRequests => Promql::Canceled,
            PromqlKind::Internal | PromqlKind::NotFound => Promql::Internal,
            PromqlKind::Execution if self.kind() == ErrorKind::TooLarge => Promql::Limit,
            PromqlKind::Execution => Promql::Execution,
        };
        EvalError::of(kind, self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_the_way_through_the_engine() {
        let kinds = [
            ErrorKind::Malformed,
            ErrorKind::Rejected,
            ErrorKind::TooLarge,
            ErrorKind::Timeout,
            ErrorKind::Internal,
        ];
        for kind in kinds.into_iter().chain([ErrorKind::Unavailable]) {
            let error = QueryError::new(kind, "no");
            assert_eq!(QueryError::of_promql(error.to_promql()), error);
        }
    }
}
