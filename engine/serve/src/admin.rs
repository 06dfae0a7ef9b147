//! Readiness, flush, status, the front page.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::VERSION;
use crate::app::App;
use crate::problem::Problem;

/// `GET /-/ready`: whether this server takes and answers requests.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    if app.stopping.is_cancelled() {
        return Problem::unavailable("stopping").into_text();
    }
    "ready\n".into_response()
}

/// `GET /-/healthy`: whether the process is alive.
pub(crate) async fn healthy() -> &'static str {
    "healthy\n"
}

/// `POST /api/admin/flush`: answers when everything received before is in
/// committed tables.
pub(crate) async fn flush(State(app): State<App>) -> Response {
    let ingest = app.ingest.clone();
    let begun = app.clock.monotonic();
    // A client that hangs up must not leave half a flush.
    match tokio::spawn(async move { ingest.flush().await }).await {
        Ok(Ok(())) => {
            let seconds = app.clock.monotonic().saturating_sub(begun).as_secs_f64();
            Json(json!({ "flushed": true, "seconds": seconds })).into_response()
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "flush failed");
            Problem::from(error).into_json()
        }
        Err(error) => {
            tracing::error!(%error, "flush did not come to its end");
            Problem::internal("a fault of the server stopped the flush").into_json()
        }
    }
}

/// `GET /api/status`
pub(crate) async fn status(State(app): State<App>) -> Json<serde_json::Value> {
    let addresses = app.addresses;
    Json(json!({
        "version": VERSION,
        "durability": app.ingest.store().config().durability.to_string(),
        "uptime_seconds": app.clock.monotonic().saturating_sub(app.started).as_secs(),
        "addresses": {
            "http": addresses.listen, "otlp_grpc": addresses.otlp_grpc, "otlp_http": addresses.otlp_http,
        },
    }))
}

/// `GET /`
pub(crate) async fn front_page(State(app): State<App>) -> String {
    let at = app.addresses;
    format!(
        "isinglass {VERSION}\n\n\
         send\n\
         \x20 OTLP gRPC                http://{grpc}\n\
         \x20 OTLP HTTP                http://{http}/v1/{{traces,logs,metrics}}\n\
         \x20 Prometheus remote write  http://{main}/api/v1/write\n\
         \x20 Loki push                http://{main}/loki/api/v1/push\n\n\
         ask\n\
         \x20 SQL      http://{main}/api/sql?query=select+*+from+logs+limit+10\n\
         \x20 metrics  http://{main}/metrics\n\
         \x20 status   http://{main}/api/status\n\n\
         The tenant is the header X-Scope-OrgID, \"default\" without it.\n",
        grpc = at.otlp_grpc,
        http = at.otlp_http,
        main = at.listen,
    )
}

/// Every other path.
pub(crate) async fn not_found(uri: Uri) -> Response {
    let text = format!("no such path here: {}; GET / on the main port lists what there is\n", uri.path());
    (StatusCode::NOT_FOUND, text).into_response()
}
