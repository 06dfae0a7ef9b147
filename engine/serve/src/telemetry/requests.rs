//! Requests by path and code, and how long they took.

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::app::App;

/// Upper bounds in seconds: an answer after a sync takes milliseconds, a query
/// may take half a minute.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PathAndCode {
    path: String,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    path: String,
}

/// Counters of the front door.
#[derive(Debug)]
pub(crate) struct Requests {
    http: Family<PathAndCode, Counter>,
    grpc: Family<PathAndCode, Counter>,
    seconds: Family<Path, Histogram>,
}

impl Requests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let new = Self {
            http: Family::default(),
            grpc: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        };
        registry.register("isinglass_http_requests", "HTTP requests by route and status", new.http.clone());
        registry.register("isinglass_grpc_requests", "gRPC requests by method and status", new.grpc.clone());
        registry.register(
            "isinglass_request_duration_seconds",
            "Time from the last header of a request to the first byte of its answer",
            new.seconds.clone(),
        );
        new
    }

    fn record(&self, path: &str, response: &Response, seconds: f64) {
        let path = path.to_owned();
        match grpc_status(response.headers()) {
            Some(code) => self.grpc.get_or_create(&PathAndCode { path: path.clone(), code }).inc(),
            None => {
                let code = response.status().as_u16();
                self.http.get_or_create(&PathAndCode { path: path.clone(), code }).inc()
            }
        };
        self.seconds.get_or_create(&Path { path }).observe(seconds);
    }
}

/// The status of a gRPC answer; `None` for plain HTTP. Only a failed answer has
/// its status in the headers, a good one has it in the trailers.
fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    let grpc = headers.get("content-type").is_some_and(|value| value == "application/grpc");
    let status = || headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    grpc.then(|| status().unwrap_or(0))
}

/// Around every route of every listener.
pub(crate) async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("other", MatchedPath::as_str);
    let begun = app.clock.monotonic();
    let response = next.run(request).await;
    let seconds = app.clock.monotonic().saturating_sub(begun).as_secs_f64();
    app.telemetry.requests.record(path, &response, seconds);
    tracing::debug!(path, status = response.status().as_u16(), seconds, "request");
    response
}
