//! `POST /api/admin/backup`: a backup as a stream.

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures::{StreamExt, stream};
use isinglass_store::backup::{Have, Pieces, encode};

use crate::app::App;
use crate::problem::Problem;

/// What the destination has stands in the body, the pieces it lacks are the answer. They end
/// with the manifest or with an error; a stream that ends without either was cut off. Who
/// hangs up ends the backup.
pub(crate) async fn backup(State(app): State<App>, body: Body) -> Response {
    match begin(&app, body).await {
        Ok(pieces) => streamed(&app, pieces),
        Err(problem) => problem.into_json(),
    }
}

async fn begin(app: &App, body: Body) -> Result<Pieces, Problem> {
    let body = app.bodies.read(body, 0).await?;
    let text = std::str::from_utf8(&body.bytes)
        .map_err(|_| Problem::malformed("the list of objects is not UTF-8"))?;
    let have = Have::decode(text).map_err(|error| Problem::malformed(error.to_string()))?;
    let store = app.ingest.store();
    store.backup(have).await.map_err(|error| isinglass_ingest::IngestError::from(error).into())
}

fn streamed(app: &App, pieces: Pieces) -> Response {
    let stopping = app.stopping.clone();
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.next().await?;
        Some((encode(piece).map_err(io::Error::other), pieces))
    });
    // A stop does not wait for a backup.
    let body = Body::from_stream(pieces.take_until(stopping.cancelled_owned()));
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}
