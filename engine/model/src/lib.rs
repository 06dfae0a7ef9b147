//! What telemetry looks like as columns.
//!
//! This crate is the vocabulary of the engine. Every other crate hands its
//! neighbour one of the types defined here, and none of them needs to know how
//! its neighbour works:
//!
//! ```text
//! decode ──▶ Decoded { samples, histograms, exemplars, logs, spans, rejections }
//!                  │  chain reads them as `Columns`, answers `Verdicts`, `Plan`, `Deltas`
//!                  ▼
//! ingest ──▶ the same batches, filtered ──▶ store ──▶ query
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`tenant`], [`reason`], [`error`], [`limits`] | names, reject reasons, error kinds with their HTTP and gRPC codes, limits |
//! | [`kind`], [`counts`] | the kinds of row, and the bookkeeping `received = stored + rejected` |
//! | [`labels`], [`series`], [`ids`] | label sets, the resolver that turns raw label bytes into a series ref, the stable ids |
//! | [`batch`] | batches between decode and store |
//! | [`tables`] | the schema of each table, in memory and in its files |
//! | [`columns`], [`verdict`], [`edits`], [`deltas`] | what a plugin is given and what it gives back |
//! | [`functions`] | functions over columns that plugins bring to queries |
//! | [`clock`], [`memory`] | time, and the memory of the process, as values |
//! | [`system`] | tables about the engine itself, answered by whoever knows |
//! | [`tokens`] | words of a text, and which of them are worth an index |
//!
//! It knows nothing of tokio, DataFusion or HTTP.

pub mod batch;
pub mod clock;
pub mod columns;
pub mod counts;
pub mod deltas;
pub mod edits;
pub mod error;
pub mod functions;
pub mod ids;
pub mod kind;
pub mod labels;
pub mod limits;
pub mod memory;
pub mod reason;
pub mod series;
pub mod system;
pub mod tables;
pub mod tenant;
pub mod texts;
pub mod tokens;
pub mod verdict;

pub use clock::Clock;
pub use counts::Counts;
pub use error::ErrorKind;
pub use kind::Kind;
pub use memory::{MemoryGauge, MemoryLimit};
pub use reason::Reason;
pub use system::SystemTable;
pub use tenant::Tenant;
