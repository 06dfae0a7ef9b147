//! A failure in the words of Prometheus' API.

use std::fmt::Display;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use isinglass_lang::promql::quoted;
use isinglass_model::ErrorKind;
use isinglass_query::{PromqlKind, QueryError};

use super::text::write_html;
use crate::problem::Problem;

/// Why a request got no answer: `{"status":"error","errorType":…,"error":…}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// One of the names of upstream's `errorType`.
    kind: &'static str,
    status: StatusCode,
    pub message: String,
    retry_after: Option<HeaderValue>,
}

impl Failure {
    fn new(kind: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { kind, status, message: message.into(), retry_after: None }
    }

    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self::new("bad_data", StatusCode::BAD_REQUEST, message)
    }

    /// `invalid parameter "query": …`
    pub(super) fn parameter(name: &str, reason: impl Display) -> Self {
        Self::bad_data(format!("invalid parameter {}: {reason}", quoted(name)))
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// A failure of a question that stands in a parameter: what is wrong with its text is wrong
    /// with the parameter.
    pub(super) fn of_query(error: &QueryError, parameter: &str) -> Self {
        match error.promql_kind() {
            PromqlKind::BadData => Self::parameter(parameter, error.message()),
            _ => Self::from(error),
        }
    }

    /// The status alone, for remote read, whose errors are text.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn into_response(self) -> Response {
        let mut body = format!(r#"{{"status":"error","errorType":"{}","error":"#, self.kind).into_bytes();
        write_html(&self.message, &mut body);
        body.push(b'}');
        let mut response = Response::new(body.into());
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, after);
        }
        response
    }
}

impl From<&QueryError> for Failure {
    fn from(error: &QueryError) -> Self {
        let kind = error.promql_kind();
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = error.kind().retry_after().and_then(seconds);
        Self { retry_after, ..Self::new(kind.as_str(), status, error.message()) }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self::from(&error)
    }
}

/// Failures of the front door: a bad tenant, a body that is too large, a server that is busy. They
/// keep the status that they have on other paths.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let kind = match problem.kind {
            ErrorKind::NotFound => "not_found",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Unavailable | ErrorKind::RateLimited => "unavailable",
            ErrorKind::Internal => "internal",
            _ => "bad_data",
        };
        Self {
            retry_after: problem.retry_after.and_then(seconds),
            ..Self::new(kind, problem.status(), problem.message)
        }
    }
}

/// Whole seconds, rounded up: coming back early would be refused again.
fn seconds(after: Duration) -> Option<HeaderValue> {
    HeaderValue::from_str(&after.as_millis().div_ceil(1_000).max(1).to_string()).ok()
}
