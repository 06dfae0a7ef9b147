//! From a request on a socket to [`Ingest::push`] and back.
//!
//! | file | path |
//! |---|---|
//! | `grpc.rs` | `…/TraceService/Export` and its two siblings on 4317 |
//! | `otlp_http.rs` | `/v1/traces`, `/v1/logs`, `/v1/metrics` on 4318 |
//! | `prometheus.rs`, `loki.rs` | `/api/v1/write`, `/loki/api/v1/push` on 4319 |
//! | `written.rs` | the headers with which remote write 2.0 tells what is stored |
//! | `answer.rs` | an [`Outcome`] in the words of each protocol |
//!
//! [`Ingest::push`]: isinglass_ingest::Ingest::push

mod answer;
pub(crate) mod grpc;
pub(crate) mod loki;
pub(crate) mod otlp_http;
pub(crate) mod prometheus;
mod written;

use std::time::Duration;

use axum::http::HeaderMap;
use isinglass_decode::{Compression, Format, Protocol};
use isinglass_ingest::{Outcome, Request};

use crate::app::App;
use crate::body::Received;
use crate::problem::Problem;
use crate::sender;

/// How to read a body.
#[derive(Debug, Clone, Copy)]
struct Wire {
    protocol: Protocol,
    format: Format,
    compression: Compression,
}

/// Hands a body to ingest and waits for its outcome.
///
/// The work runs in a task of its own: a client that hangs up, or a deadline
/// that passes, must not stop a batch between log and head. Its sender finds it
/// under the same batch key when it tries again.
async fn push(
    app: &App,
    headers: &HeaderMap,
    wire: Wire,
    body: Received,
    deadline: Duration,
) -> Result<Outcome, Problem> {
    let request = Request {
        tenant: sender::tenant(headers)?,
        protocol: wire.protocol,
        format: wire.format,
        compression: wire.compression,
        body: body.bytes,
        batch_key: sender::batch_key(headers)?,
    };
    let turn = app.writes.enter().await?;
    let ingest = app.ingest.clone();
    let work = tokio::spawn(async move {
        let outcome = ingest.push(request).await;
        drop((turn, body.hold));
        outcome
    });
    match tokio::time::timeout(deadline, work).await {
        Ok(Ok(outcome)) => outcome.map_err(Problem::from),
        Ok(Err(panicked)) => {
            tracing::error!(error = %panicked, "a write did not come to its end");
            Err(Problem::internal("a fault of the server stopped this request; it may or may not be stored"))
        }
        Err(_elapsed) => Err(Problem::timeout(format!(
            "the write did not end within {} s; it may still be stored, send it again unchanged",
            deadline.as_secs_f32()
        ))),
    }
}
