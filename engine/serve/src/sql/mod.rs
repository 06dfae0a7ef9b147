//! `/api/sql`: a query in, rows out.
//!
//! ```text
//! request.rs ─▶ QueryEngine::sql ─▶ batches ─▶ rows.rs ─▶ stream.rs ─▶ body
//! text, format                                 bytes      bounded
//! ```

mod csv;
mod format;
mod json;
mod request;
mod rows;
mod stream;
mod times;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use isinglass_query::SqlOptions;

use crate::app::App;
use crate::problem::Problem;
use crate::sender;
use request::Ask;

/// Bytes of a request; the text in it has a limit of its own.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// `GET /api/sql?query=…&format=…`
pub(crate) async fn get(State(app): State<App>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let ask = Ask::from_parameters(query.unwrap_or_default().as_bytes(), &headers);
    match answer(&app, &headers, ask).await {
        Ok(response) => response,
        Err(problem) => problem.into_json(),
    }
}

/// `POST /api/sql`
pub(crate) async fn post(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    let ask = match app.bodies.at_most(REQUEST_BYTES_MAX).read(body, 0).await {
        Ok(body) => Ask::from_body(&body.bytes, &headers),
        Err(problem) => Err(problem),
    };
    match answer(&app, &headers, ask).await {
        Ok(response) => response,
        Err(problem) => problem.into_json(),
    }
}

async fn answer(app: &App, headers: &HeaderMap, ask: Result<Ask, Problem>) -> Result<Response, Problem> {
    let tenant = sender::tenant(headers)?;
    let ask = ask?;
    let turn = app.queries.enter(&tenant).await?;
    let options = SqlOptions { strong: ask.strong, ..SqlOptions::default() };
    let result = app.query.sql(&tenant, &ask.query, options).await?;
    stream::respond(result, ask.format, turn).await
}
