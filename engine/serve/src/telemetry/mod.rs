//! `/metrics`: the server about itself.
//!
//! | file | shows |
//! |---|---|
//! | `requests.rs` | requests by path and code, their latency |
//! | `engine.rs` | collects what ingest (`items.rs`), chain (`plugins.rs`), store (`tables.rs`) and caches (`caches.rs`) count |
//! | `rules.rs` | groups of rules, reloads, what was sent to Alertmanagers |
//! | `process.rs` | CPU, memory, descriptors of the process |
//!
//! All names and labels stand in `docs/formats/metrics.md`. Every label has a
//! bound: paths are routes, not what a client typed, and only so many tenants
//! are named.

mod caches;
mod engine;
mod items;
mod plugins;
mod process;
mod requests;
mod rules;
mod tables;

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use isinglass_ingest::Ingest;
use isinglass_model::Clock;
use isinglass_query::QueryEngine;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::VERSION;
use crate::app::{App, Gate, QueryGate};
use crate::problem::Problem;
use crate::prometheus::RulesView;

pub(crate) use requests::measure;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything `/metrics` shows.
pub(crate) struct Telemetry {
    registry: Registry,
    pub(crate) requests: requests::Requests,
}

impl Telemetry {
    pub(crate) fn new(
        (ingest, query, rules): (Ingest, QueryEngine, Arc<dyn RulesView>),
        clock: &Arc<dyn Clock>,
        tenant_labels_max: usize,
        gates: (Gate, QueryGate),
    ) -> Self {
        let mut registry = Registry::default();
        let build = Info::new(vec![("version", VERSION)]);
        registry.register("isinglass_build", "Version of this server", build);
        let requests = requests::Requests::register(&mut registry);
        registry.register_collector(Box::new(engine::Engine::new(ingest, query, tenant_labels_max, gates)));
        registry.register_collector(Box::new(rules::OfRules(rules)));
        registry.register_collector(Box::new(process::Process::started(clock.now_unix_nanos())));
        Self { registry, requests }
    }

    fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    match app.telemetry.render() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => Problem::internal(format!("cannot write metrics: {error}")).into_text(),
    }
}
