//! Every socket.
//!
//! Three listeners, one accept loop, one way in:
//!
//! ```text
//! 4317 gRPC  ─┐                      ┌─▶ receive/  ─▶ Ingest::push ─▶ Outcome ─▶ answer in the sender's protocol
//! 4318 HTTP  ─┼─▶ listen ─▶ routes ──┼─▶ sql/      ─▶ QueryEngine::sql ─▶ rows as JSON, NDJSON, CSV, Arrow
//! 4319 HTTP  ─┘   sockets   telemetry├─▶ prometheus/ ─▶ QueryEngine::promql… ─▶ JSON of Prometheus' API
//!                                     └─▶ admin, telemetry/
//! ```
//!
//! | file | is |
//! |---|---|
//! | `config.rs` | `[server]`: addresses and bounds |
//! | `listen.rs` | binding, accepting, per-connection deadlines, graceful close |
//! | `server.rs` | which paths each listener has; start and stop |
//! | `problem.rs` | a refusal, and how each protocol hears of it |
//! | `sender.rs`, `content.rs`, `body.rs` | tenant and batch key, content types, bounded reading |
//! | `receive/` | OTLP over gRPC and HTTP, Prometheus remote write, Loki push |
//! | `rpc.rs` | the few protobuf messages that go back to OTLP senders |
//! | `sql/` | `/api/sql` |
//! | `prometheus/` | the query API of Prometheus, remote read |
//! | `rules/` | recording and alerting rules: configuration, evaluation, writing |
//! | `admin.rs` | readiness, flush, status, the front page |
//! | `backup.rs` | a backup as a stream |
//! | `plugins.rs` | installing plugins and looking at them |
//! | `replays.rs` | deriving again from what is stored |
//! | `telemetry/` | `/metrics` |
//!
//! What a client may rely on stands in `docs/formats/http-api.md` and
//! `docs/formats/prometheus-api.md`, the metrics in `docs/formats/metrics.md`.

mod admin;
mod app;
mod backup;
mod body;
mod condition;
mod config;
mod content;
mod listen;
mod plugin_diff;
mod plugins;
mod problem;
mod prometheus;
mod questions;
mod receive;
mod reingest;
mod replays;
mod rpc;
mod rules;
mod sender;
mod server;
mod sql;
mod telemetry;
mod tenants;

pub use config::ServeConfig;
pub use listen::{Addresses, Listeners, ServeError};
pub use prometheus::{NoRules, RulesFigures, RulesView};
pub use rules::{AlertmanagersConfig, ReadConfig, Rules, RulesConfig, RulesError, TenantRules};
pub use server::{Reloads, Server, start, start_on, start_on_with};

/// The version in `/metrics`, `/api/status` and on the front page.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
