//! Prometheus remote write 1.0.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use isinglass_decode::Protocol;
use isinglass_ingest::Outcome;

use super::{Wire, answer, push};
use crate::app::App;
use crate::content;
use crate::problem::Problem;

/// `POST /api/v1/write`
pub(crate) async fn write(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    match receive(&app, &headers, body).await {
        Ok(outcome) => answer::plain(&outcome),
        Err(problem) => problem.into_text(),
    }
}

async fn receive(app: &App, headers: &HeaderMap, body: Body) -> Result<Outcome, Problem> {
    let (format, compression) = content::remote_write(headers)?;
    let body = app.bodies.read(body, 0).await?;
    let wire = Wire { protocol: Protocol::RemoteWrite1, format, compression };
    push(app, headers, wire, body, app.write_timeout).await
}
