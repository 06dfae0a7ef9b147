//! The HTTP interface of Prometheus, under `/api/v1` and `/prometheus/api/v1`.
//!
//! ```text
//! request ─▶ call.rs ─▶ a handler ─▶ QueryEngine::promql… ─▶ envelope, value ─▶ stream.rs ─▶ body
//!            tenant,    query, labels,                       JSON, byte for      bounded
//!            parameters metadata, …                          byte as upstream
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `call`, `params`, `time`, `names` | what a request says: tenant, parameters, times, escaped names |
//! | `query` | `query`, `query_range` |
//! | `labels` | `labels`, `label/{name}/values`, `series` |
//! | `metadata` | `metadata`, `query_exemplars` |
//! | `tree` | `format_query`, `parse_query` |
//! | `rules` | `rules`, `alerts`, and [`RulesView`], behind which rules are evaluated |
//! | `status` | `status/…`, `targets`, `alertmanagers` |
//! | `read` | remote read |
//! | `envelope`, `failure`, `value`, `number`, `text` | JSON |
//! | `stream` | long answers |
//!
//! What a client may rely on stands in `docs/formats/prometheus-api.md`.

mod call;
mod envelope;
mod failure;
mod labels;
mod metadata;
mod names;
mod number;
mod params;
mod query;
mod read;
mod rules;
mod status;
mod stream;
mod text;
mod time;
mod tree;
mod value;

use axum::Router;
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;

use crate::app::App;

pub use rules::{NoRules, RulesFigures, RulesView};

/// Mimir's prefix, which some clients have in their configuration.
const PREFIXES: [&str; 2] = ["/api/v1", "/prometheus/api/v1"];

/// All paths, answered as JSON, compressed if the client asks; remote read brings its own.
pub(crate) fn routes() -> Router<App> {
    PREFIXES.into_iter().fold(Router::new(), |all, prefix| {
        let answers = api().layer(CompressionLayer::new().gzip(true));
        all.nest(prefix, answers.route("/read", post(read::read)))
    })
}

fn api() -> Router<App> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(metadata::exemplars).post(metadata::exemplars))
        .route("/labels", get(labels::names).post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/series", get(labels::series).post(labels::series))
        .route("/metadata", get(metadata::metrics))
        .route("/format_query", get(tree::format).post(tree::format))
        .route("/parse_query", get(tree::tree).post(tree::tree))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/targets", get(status::targets))
        .route("/targets/metadata", get(status::target_metadata))
        .route("/scrape_pools", get(status::scrape_pools))
        .route("/alertmanagers", get(status::alertmanagers))
        .route("/status/buildinfo", get(status::build))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtime))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/walreplay", get(status::replay))
}
