//! A refusal, and how each protocol hears of it.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use isinglass_ingest::IngestError;
use isinglass_model::ErrorKind;
use isinglass_query::QueryError;
use serde_json::json;

use crate::content::OtlpEncoding;
use crate::rpc;

/// A place in a query, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub line: u32,
    pub column: u32,
}

/// Why a request got no answer of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub kind: ErrorKind,
    /// The HTTP status, where it is not that of the kind.
    pub http_status: Option<u16>,
    pub message: Cow<'static, str>,
    pub retry_after: Option<Duration>,
    /// Where in a query.
    pub place: Option<Place>,
    /// What to try instead.
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            http_status: None,
            message: message.into(),
            retry_after: kind.retry_after(),
            place: None,
            help: None,
        }
    }

    pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    pub(crate) fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    pub(crate) fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    pub(crate) fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub(crate) fn timeout(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    pub(crate) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.http_status.unwrap_or(self.kind.http_status()))
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// As plain text: remote write and Loki senders log the first line of it.
    pub(crate) fn into_text(self) -> Response {
        let text = format!("{}\n", one_line(&self.message));
        self.respond("text/plain; charset=utf-8", text.into())
    }

    /// As `{"error": {…}}`.
    pub(crate) fn into_json(self) -> Response {
        let text = format!("{}\n", self.as_json());
        self.respond("application/json", text.into())
    }

    /// The object inside `into_json`, also the last line of an NDJSON stream
    /// that could not be finished.
    pub(crate) fn as_json(&self) -> serde_json::Value {
        let mut error = json!({ "kind": self.kind.as_str(), "message": self.message });
        if let Some(help) = &self.help {
            error["help"] = json!(help);
        }
        if let Some(Place { line, column }) = self.place {
            error["position"] = json!({ "line": line, "column": column });
        }
        json!({ "error": error })
    }

    /// As `google.rpc.Status` in the encoding of the request.
    pub(crate) fn into_otlp_http(self, encoding: OtlpEncoding) -> Response {
        let status = rpc::Status::of(&self);
        let body = match encoding {
            OtlpEncoding::Protobuf => status.encode_to_bytes().into(),
            OtlpEncoding::Json => status.as_json().to_string().into(),
        };
        self.respond(encoding.content_type(), body)
    }

    /// As a gRPC answer that consists of trailers only.
    pub(crate) fn into_grpc(self) -> Response {
        let details = rpc::Status::of(&self).encode_to_bytes();
        let code = tonic::Code::from_i32(self.kind.grpc_code());
        tonic::Status::with_details(code, one_line(&self.message), details).into_http()
    }

    fn respond(&self, content_type: &'static str, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.add_retry_after(response.headers_mut());
        response
    }

    fn add_retry_after(&self, headers: &mut HeaderMap) {
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: coming back early would be refused again.
            let seconds = after.as_millis().div_ceil(1_000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                headers.insert(RETRY_AFTER, value);
            }
        }
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        Self {
            retry_after: error.retry_after(),
            http_status: error.http_status(),
            ..Self::new(error.kind(), error.to_string())
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let place = error.position().map(|at| Place { line: at.line, column: at.column });
        let help = error.help().map(str::to_owned);
        Self { place, help, ..Self::new(error.kind(), error.message().to_owned()) }
    }
}

/// Senders log one line; control characters would break their logs.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
