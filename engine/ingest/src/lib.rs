//! The one write path.
//!
//! ```text
//! Request ─▶ admit ─▶ seen before? ─▶ decode ─▶ transform ─▶ judge series ─▶ validate ─▶ limit ─▶ active? ─▶ append ─▶ Outcome
//!            bytes    batch key                 rows, labels  new label sets  rows        rows     new ones    WAL, head
//!                                                                                                                └─▶ backlog ─▶ derive ─▶ counters ─▶ tick
//!                                                                                                                    spans, several requests at a time
//! ```
//!
//! Every request of every protocol takes this way, and so do derived samples,
//! which enter at "judge series". For each request and tenant
//! `received = stored + rejected` holds, and the sender is told.
//!
//! | file | is |
//! |---|---|
//! | `ingest.rs` | what the write path is made of, its start and end |
//! | `push.rs` | the way of one request, top to bottom |
//! | `ticks.rs` | what is written from time to time |
//! | `transform.rs` | what transformers change, drop and make of label sets |
//! | `judge.rs` | a label set is judged once |
//! | `labelled.rs` | the labels of series, for conditions of plugins |
//! | `filter.rs` | takes refused rows out of batches |
//! | `limits.rs`, `live/` | limits on what is active: series, streams, traces, order |
//! | `cut.rs` | lines and values that are cut instead of refused |
//! | `faults.rs` | what a sender is told of single items |
//! | `shadow/` | plugins that are tried out: what they would do with the same traffic |
//! | `refused.rs` | refused items as rows of the table `rejected` |
//! | `payload.rs` | samples, histograms and exemplars as they are set aside, and back |
//! | `reingest/` | what was refused, sent through the chain again |
//! | `derived/` | the counters behind derived metrics, the tick, their recovery |
//! | `replay/` | deriving again from what is stored |
//! | `stats.rs` | what `/metrics` shows |
//! | `plugins.rs`, `plugin_costs.rs` | what `system.plugins` and `system.plugin_costs` show |

mod config;
mod cut;
mod derived;
mod error;
mod faults;
mod filter;
mod ingest;
mod judge;
mod labelled;
mod limits;
mod live;
mod payload;
mod plugin_costs;
mod plugins;
mod push;
mod refused;
mod reingest;
pub mod replay;
mod request;
mod shadow;
mod stats;
mod ticks;
mod transform;

pub use config::IngestConfig;
pub use derived::paired;
pub use error::IngestError;
pub use ingest::Ingest;
pub use isinglass_decode::LogsConfig;
pub use limits::{OwnLimits, TenantLimits};
pub use reingest::{REJECTED_AT_ONCE_MAX, ReingestTurn, Reingested, RejectedRow};
pub use request::{Fault, Outcome, Request};
pub use shadow::ShadowStats;
pub use stats::{IngestStats, OTHER_TENANTS, SignalStats, TenantStats};

#[cfg(test)]
mod tests;
