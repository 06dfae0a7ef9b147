//! Readiness, flush, status, the front page.

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::VERSION;
use crate::app::App;
use crate::problem::Problem;

/// `GET /-/ready`: whether this server takes writes and answers queries. While it reads its
/// log it does both, and says so in a second line.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    if app.stopping.is_cancelled() {
        return Problem::unavailable("stopping").into_text();
    }
    let store = app.ingest.store();
    match store.takes_writes() {
        Err(error) => Problem::from(isinglass_ingest::IngestError::from(error)).into_text(),
        Ok(()) if store.is_replaying() => "ready\nreplaying\n".into_response(),
        Ok(()) => "ready\n".into_response(),
    }
}

/// `GET /-/healthy`: whether this process can do its work, now or later. One that a newer
/// writer has fenced never can.
pub(crate) async fn healthy(State(app): State<App>) -> Response {
    match app.ingest.store().is_healthy() {
        Ok(()) => "healthy\n".into_response(),
        Err(error) => Problem::from(isinglass_ingest::IngestError::from(error)).into_text(),
    }
}

/// `POST /-/reload`: reads the rule files and the configuration of plugins again. What is bad stays
/// as it was, and the answer says why.
pub(crate) async fn reload(State(app): State<App>) -> Response {
    match app.reloads.run().await {
        Ok(()) => "reloaded\n".into_response(),
        // A line for each mistake.
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload: {error}\n")).into_response()
        }
    }
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

/// `POST /api/admin/compact`: flushes, and merges the files of every table as if all its
/// days were over.
pub(crate) async fn compact(State(app): State<App>) -> Response {
    let ingest = app.ingest.clone();
    let begun = app.clock.monotonic();
    let work = tokio::spawn(async move {
        ingest.flush().await?;
        ingest.store().compact().await.map_err(isinglass_ingest::IngestError::from)
    });
    match work.await {
        Ok(Ok(())) => {
            let seconds = app.clock.monotonic().saturating_sub(begun).as_secs_f64();
            Json(json!({ "compacted": true, "seconds": seconds })).into_response()
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "compaction failed");
            Problem::from(error).into_json()
        }
        Err(error) => {
            tracing::error!(%error, "compaction did not come to its end");
            Problem::internal("a fault of the server stopped the compaction").into_json()
        }
    }
}

/// `GET /api/status`
pub(crate) async fn status(State(app): State<App>) -> Json<serde_json::Value> {
    let addresses = app.addresses;
    let stats = app.ingest.store().stats();
    let lost: Vec<_> = stats.lost.iter().map(lost_range).collect();
    let apart = stats.tenants_apart.iter().map(
        |apart| json!({ "tenant": apart.tenant.as_str(), "first_record": apart.first, "reason": apart.reason }),
    );
    Json(json!({
        "version": VERSION,
        "durability": app.ingest.store().config().durability.to_string(),
        "epoch": stats.epoch,
        "replaying": stats.replaying,
        "lost": lost,
        "tenants_apart": apart.collect::<Vec<_>>(),
        "uptime_seconds": app.clock.monotonic().saturating_sub(app.started).as_secs(),
        "addresses": {
            "http": addresses.listen, "otlp_grpc": addresses.otlp_grpc, "otlp_http": addresses.otlp_http,
        },
    }))
}

/// Records of the log that were set aside because they could not be read.
fn lost_range(range: &isinglass_store::LostRange) -> serde_json::Value {
    json!({
        "segment": range.segment,
        "offset": range.offset,
        "bytes": range.bytes,
        "first_record": range.records.0,
        "last_record": range.records.1,
        "written_after_unix_ms": range.time_unix_ms.0,
        "written_before_unix_ms": range.time_unix_ms.1,
    })
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
         \x20 PromQL   http://{main}/api/v1/query?query=up  (Grafana: http://{main} as Prometheus)\n\
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
