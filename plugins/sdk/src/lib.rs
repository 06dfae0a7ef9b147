//! Plugins for Isinglass, as a page of plain Rust.
//!
//! A plugin is a pure function over a batch of columns. It declares which
//! columns it reads, is made from its configuration, and answers:
//!
//! | trait | is given | answers |
//! |---|---|---|
//! | [`Transformer`] | batch | what changes, which rows go ([`Edits`]) |
//! | [`Validator`] | batch | which rows to refuse, and why ([`Verdicts`]) |
//! | [`Limiter`] | wire size, batch | what to take from which token bucket ([`Plan`]) |
//! | [`Deriver`] | batch of kept rows | increments of metrics, as columns ([`Deltas`]) |
//! | [`PairingDeriver`] | the same | more kinds of metrics, and rows that wait for another ([`Derived`]) |
//! | [`FunctionLibrary`] | columns | a column: functions of SQL and PromQL ([`Values`]) |
//!
//! ```
//! use isinglass_plugin::{
//!     Batch, Config, Dictionary, Plugin, Request, Shape, Validator, Verdicts, columns, export_validator,
//! };
//!
//! columns! {
//!     struct Spans<'a> of Shape::Spans {
//!         service: Dictionary<'a> = "service",
//!     }
//! }
//!
//! struct DenyService {
//!     service: String,
//! }
//!
//! impl Plugin for DenyService {
//!     const NAME: &'static str = "deny-service";
//!     const VERSION: &'static str = env!("CARGO_PKG_VERSION");
//!     const CONFIG_SCHEMA: &'static str = r#"{"type": "object", "properties": {"service": {"type": "string"}}}"#;
//!     const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS];
//!
//!     fn configure(mut config: Config) -> Result<Self, String> {
//!         let service = config.text("service")?.ok_or("service is missing")?;
//!         config.finish()?;
//!         Ok(Self { service })
//!     }
//! }
//!
//! impl Validator for DenyService {
//!     fn validate(&self, batch: &Batch, verdicts: &mut Verdicts) {
//!         let spans = Spans::of(batch);
//!         spans.service.rows_where(
//!             |service| service == self.service,
//!             |row, service| verdicts.refuse(row, "denied", || format!("spans of {service} are not wanted")),
//!         );
//!     }
//! }
//!
//! export_validator!(DenyService);
//! ```
//!
//! Built for `wasm32-unknown-unknown` it is a component; built natively it is
//! the same code without a sandbox, for unit tests ([`testing`]) and benches.
//!
//! What makes a plugin fast: ask for text as [`Dictionary`] or [`Lengths`],
//! decide once per distinct value ([`Dictionary::rows_where`],
//! [`Dictionary::per_distinct`]), group by keys ([`Groups`]), walk numbers in
//! [`blocks`].

pub mod blocks;
mod columns;
mod config;
mod deltas;
mod edits;
mod functions;
mod group;
pub mod host;
mod json;
mod pairs;
mod plan;
mod plugin;
mod projection;
pub mod testing;
mod verdicts;
mod views;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;

pub use columns::{Batch, Column, Data, Encoding, Request, Shape, TextData};
pub use config::{Config, text_members};
pub use deltas::{Deltas, Exemplars, Increments, Label, LabelValues, Metric, MetricKind};
pub use edits::{Added, Edits, NumberEdits, PairEdits, Pairs, TextEdits, json_text};
pub use functions::{
    Arguments, Fault, Function, Grouping, State, States, ValueType, Values, Volatility, accumulate, merge,
    read_floats, write_floats,
};
pub use group::{Groups, Keys};
pub use pairs::{
    Declaration, DeclaredKind, DeclaredMetric, Derived, Exponential, Halves, HistogramIncrements, Pairing,
    Rule, Table,
};
pub use plan::{Bucket, Plan, Signal};
pub use plugin::{Deriver, FunctionLibrary, Limiter, PairingDeriver, Plugin, Transformer, Validator};
pub use verdicts::{Reason, Verdicts};
pub use views::{
    Bytes, Counts, Dictionary, Fixed, Floats, Integers, Lengths, Offsets, Text, Texts, Validity, View,
};
