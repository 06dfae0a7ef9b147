//! OTLP over HTTP: protobuf or JSON, and the answer in the same.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use isinglass_decode::Protocol;
use isinglass_ingest::Outcome;

use super::{Wire, answer, push};
use crate::app::App;
use crate::content::{self, OtlpEncoding};
use crate::problem::Problem;

/// `POST /v1/traces`
pub(crate) async fn traces(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    export(&app, Protocol::OtlpTraces, &headers, body).await
}

/// `POST /v1/logs`
pub(crate) async fn logs(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    export(&app, Protocol::OtlpLogs, &headers, body).await
}

/// `POST /v1/metrics`
pub(crate) async fn metrics(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    export(&app, Protocol::OtlpMetrics, &headers, body).await
}

async fn export(app: &App, protocol: Protocol, headers: &HeaderMap, body: Body) -> Response {
    let encoding = match content::otlp_encoding(headers) {
        Ok(encoding) => encoding,
        // Protobuf is what every OTLP sender can read.
        Err(problem) => return problem.into_otlp_http(OtlpEncoding::Protobuf),
    };
    match receive(app, protocol, encoding, headers, body).await {
        Ok(outcome) => success(&outcome, protocol, encoding),
        Err(problem) => problem.into_otlp_http(encoding),
    }
}

async fn receive(
    app: &App,
    protocol: Protocol,
    encoding: OtlpEncoding,
    headers: &HeaderMap,
    body: Body,
) -> Result<Outcome, Problem> {
    let compression = content::otlp_compression(headers)?;
    let body = app.bodies.read(body, 0).await?;
    let wire = Wire { protocol, format: encoding.format(), compression };
    push(app, headers, wire, body, app.write_timeout).await
}

fn success(outcome: &Outcome, protocol: Protocol, encoding: OtlpEncoding) -> Response {
    let export = answer::export(outcome);
    let mut response = Response::new(match encoding {
        OtlpEncoding::Protobuf => export.encode_to_bytes().into(),
        OtlpEncoding::Json => export.as_json(protocol).to_string().into(),
    });
    answer::headers(outcome, response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    response
}
