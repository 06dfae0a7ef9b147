//! Which paths each listener has; start and stop.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post, put};
use isinglass_ingest::Ingest;
use isinglass_model::Clock;
use isinglass_query::QueryEngine;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::{App, Shared};
use crate::config::ServeConfig;
use crate::listen::{Addresses, Connections, Listeners, ServeError, accept};
use crate::problem::Problem;
use crate::prometheus::{NoRules, RulesView};
use crate::receive::{self, grpc, loki, otlp_http};
use crate::{admin, backup, plugin_diff, plugins, prometheus, reingest, replays, sql, telemetry, tenants};

/// A running server.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    stopping: CancellationToken,
    cut_off: CancellationToken,
    tasks: TaskTracker,
    drain_timeout: Duration,
}

/// Binds and serves.
pub async fn start(
    config: ServeConfig,
    ingest: Ingest,
    query: QueryEngine,
    clock: Arc<dyn Clock>,
) -> Result<Server, ServeError> {
    let listeners = Listeners::bind(&config).await?;
    Ok(start_on(listeners, &config, ingest, query, clock))
}

/// Serves on sockets that are bound already. Must be called inside a tokio runtime.
pub fn start_on(
    listeners: Listeners,
    config: &ServeConfig,
    ingest: Ingest,
    query: QueryEngine,
    clock: Arc<dyn Clock>,
) -> Server {
    start_on_with(listeners, config, ingest, query, clock, Reloads::none())
}

/// What is read again while the server runs.
#[derive(Clone)]
pub struct Reloads {
    /// The rules that somebody evaluates.
    pub rules: Arc<dyn RulesView>,
    /// The configuration of plugins. Blocks while they are compiled; the error is for the operator,
    /// and all is as it was then.
    pub plugins: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Reloads {
    /// Nothing is.
    pub fn none() -> Self {
        Self { rules: Arc::new(NoRules), plugins: Arc::new(|| Ok(())) }
    }

    /// Reads all of it again. What is bad stays as it was; the other goes on with what was read.
    pub async fn run(&self) -> Result<(), String> {
        let plugins = Arc::clone(&self.plugins);
        let plugins = tokio::task::spawn_blocking(move || plugins());
        let rules = self.rules.reload().await.map_err(|error| error.to_string());
        let plugins = plugins.await.unwrap_or_else(|_| Err("a fault of the server".to_owned()));
        let plugins = plugins.map_err(|error| format!("plugins: {error}"));
        match (rules, plugins) {
            (Err(rules), Err(plugins)) => Err(format!("{rules}\n{plugins}")),
            (rules, plugins) => rules.and(plugins),
        }
    }
}

/// As [`start_on`], and reads things again when it is told to.
pub fn start_on_with(
    listeners: Listeners,
    config: &ServeConfig,
    ingest: Ingest,
    query: QueryEngine,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
) -> Server {
    let addresses = listeners.addresses();
    let (stopping, cut_off, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let connections = Connections {
        max: config.connections_max.clamp(1, tokio::sync::Semaphore::MAX_PERMITS),
        header_timeout: config.header_timeout(),
        stopping: stopping.clone(),
        cut_off: cut_off.clone(),
        tasks: tasks.clone(),
    };
    let app: App = Arc::new(Shared::new(config, addresses, ingest, query, reloads, clock, stopping.clone()));
    tasks.spawn(accept(listeners.listen, main_routes(&app), connections.clone()));
    tasks.spawn(accept(listeners.otlp_http, otlp_http_routes(&app), connections.clone()));
    tasks.spawn(accept(listeners.otlp_grpc, otlp_grpc_routes(&app), connections));
    Server { addresses, stopping, cut_off, tasks, drain_timeout: config.drain_timeout() }
}

impl Server {
    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops accepting, lets open requests finish, and after the drain deadline
    /// cuts off what is left. What was acknowledged is in the log either way.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.drain_timeout, self.tasks.wait()).await.is_err() {
            let open = self.tasks.len();
            tracing::warn!(open, "connections did not end within the drain deadline; they are cut off");
            self.cut_off.cancel();
            self.tasks.wait().await;
        }
    }
}

/// 4319: everything but OTLP.
fn main_routes(app: &App) -> Router {
    let answers = Router::new()
        .route("/api/sql", get(sql::get).post(sql::post))
        .route("/metrics", get(telemetry::metrics))
        .layer(CompressionLayer::new().gzip(true));
    let routes = Router::new()
        .route("/", get(admin::front_page))
        .route("/api/v1/write", post(receive::prometheus::write))
        .route("/loki/api/v1/push", post(loki::write))
        .route("/api/admin/backup", post(backup::backup))
        .route("/api/admin/flush", post(admin::flush))
        .route("/api/admin/compact", post(admin::compact))
        .route("/api/admin/tenants/{tenant}", get(tenants::report).delete(tenants::delete))
        .route("/api/plugins", get(plugins::list))
        .route("/api/plugins/{name}", put(plugins::install).delete(plugins::remove))
        .route("/api/plugins/{name}/log", get(plugins::log))
        .route("/api/plugins/{name}/replay", post(replays::begin))
        .route("/api/plugins/{name}/replay/{id}", get(replays::status).delete(replays::cancel))
        .route("/api/plugins/{name}/rollback", post(plugins::roll_back))
        .route("/api/plugins/{name}/promote", post(plugins::promote))
        .route("/api/plugins/{name}/diff", get(plugin_diff::diff))
        .route("/api/rejected/reingest", post(reingest::reingest))
        .route("/api/status", get(admin::status))
        .route("/-/ready", get(admin::ready))
        .route("/-/healthy", get(admin::healthy))
        .route("/-/reload", post(admin::reload).put(admin::reload))
        .merge(answers)
        .merge(prometheus::routes())
        .fallback(admin::not_found);
    finish(routes, app, |_| fault().into_text())
}

/// 4318: OTLP over HTTP.
fn otlp_http_routes(app: &App) -> Router {
    let routes = Router::new()
        .route("/v1/traces", post(otlp_http::traces))
        .route("/v1/logs", post(otlp_http::logs))
        .route("/v1/metrics", post(otlp_http::metrics))
        .fallback(admin::not_found);
    finish(routes, app, |_| fault().into_text())
}

/// 4317: OTLP over gRPC.
fn otlp_grpc_routes(app: &App) -> Router {
    let routes = Router::new()
        .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(grpc::traces))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(grpc::logs))
        .route("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", post(grpc::metrics))
        .fallback(grpc::unknown);
    finish(routes, app, |_| fault().into_grpc())
}

/// What every route has around it: a panic becomes an answer, an answer
/// becomes a number. Body limits are the body reader's.
fn finish(routes: Router<App>, app: &App, on_panic: fn(Box<dyn Any + Send>) -> Response) -> Router {
    routes
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(from_fn_with_state(Arc::clone(app), telemetry::measure))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(app))
}

fn fault() -> Problem {
    tracing::error!("a handler panicked");
    Problem::internal("a fault of the server stopped this request")
}
