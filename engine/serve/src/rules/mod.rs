//! Rules over this server's own engine and write path.
//!
//! ```text
//! [rules] ─▶ files.rs ─▶ RuleFile ─▶ Manager ─┬▶ evaluate.rs ─▶ QueryEngine::promql
//!            globs       checked              ├▶ write.rs    ─▶ Ingest::push, as remote write 2.0
//!                                             └▶ Notifier    ─▶ Alertmanagers
//! ```
//!
//! | file | is |
//! |---|---|
//! | `config.rs` | `[rules]`, and what in it cannot be |
//! | `files.rs` | globs to rule files |
//! | `error.rs` | why there are no rules |
//! | `evaluate.rs` | expressions over the series of a tenant |
//! | `write.rs`, `message.rs` | results into the log, the way that all samples go |
//! | `host.rs` | [`Rules`]: start, reload, stop |
//!
//! What rules do stands in `docs/formats/rules.md`.

mod config;
mod error;
mod evaluate;
mod files;
mod host;
mod message;
mod write;

pub use config::{AlertmanagersConfig, RulesConfig, TenantRules};
pub use error::RulesError;
pub use host::{ReadConfig, Rules};
