//! Prometheus remote write 1.0 and 2.0.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use isinglass_decode::{Compression, Format, Protocol};
use isinglass_ingest::Outcome;

use super::{Wire, answer, push, written};
use crate::app::App;
use crate::content;
use crate::problem::Problem;

/// `POST /api/v1/write`
pub(crate) async fn write(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    match content::remote_write(&headers) {
        Ok(Protocol::RemoteWrite2) => write_2(&app, &headers, body).await,
        Ok(protocol) => match receive(&app, protocol, &headers, body).await {
            Ok(outcome) => answer::plain(&outcome),
            Err(problem) => problem.into_text(),
        },
        Err(problem) => problem.into_text(),
    }
}

async fn write_2(app: &App, headers: &HeaderMap, body: Body) -> Response {
    match receive(app, Protocol::RemoteWrite2, headers, body).await {
        Ok(outcome) => {
            let mut response = answer::plain(&outcome);
            written::add(&outcome.counts, response.headers_mut());
            response
        }
        Err(problem) => {
            let mut headers = HeaderMap::new();
            written::add_none(&problem, &mut headers);
            let mut response = problem.into_text();
            response.headers_mut().extend(headers);
            response
        }
    }
}

async fn receive(app: &App, protocol: Protocol, headers: &HeaderMap, body: Body) -> Result<Outcome, Problem> {
    let body = app.bodies.read(body, 0).await?;
    let wire = Wire { protocol, format: Format::Protobuf, compression: Compression::Snappy };
    push(app, headers, wire, body, app.write_timeout).await
}
