//! The one write path.
//!
//! ```text
//! Request ─▶ admit ─▶ seen before? ─▶ decode ─▶ transform ─▶ judge series ─▶ validate ─▶ limit ─▶ derive ─▶ append ─▶ Outcome
//!            bytes    batch key                 rows, labels  new label sets  rows        rows     spans     WAL, head
//! ```
//!
//! Every request of every protocol takes this way, and so do derived samples,
//! which enter at "judge series". For each request and tenant
//! `received = stored + rejected` holds, and the sender is told.
//!
//! | file | is |
//! |---|---|
//! | `push.rs` | the way of one request, top to bottom |
//! | `transform.rs` | what transformers change, drop and make of label sets |
//! | `judge.rs` | a label set is judged once |
//! | `filter.rs` | takes refused rows out of batches |
//! | `refused.rs` | refused items as rows of the table `rejected` |
//! | `derived/` | the counters behind derived metrics, the tick, their recovery |
//! | `replay/` | deriving again from what is stored |
//! | `stats.rs` | what `/metrics` shows |
//! | `plugins.rs`, `plugin_costs.rs` | what `system.plugins` and `system.plugin_costs` show |

mod config;
mod derived;
mod error;
mod filter;
mod judge;
mod plugin_costs;
mod plugins;
mod push;
mod refused;
pub mod replay;
mod request;
mod stats;
mod transform;

pub use config::IngestConfig;
pub use error::IngestError;
pub use isinglass_decode::LogsConfig;
pub use push::Ingest;
pub use request::{Fault, Outcome, Request};
pub use stats::{IngestStats, OTHER_TENANTS, SignalStats, TenantStats};

#[cfg(test)]
mod tests;
