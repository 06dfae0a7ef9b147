//! The sandbox: plugins run here, and nowhere else.
//!
//! A plugin is a WebAssembly component and a pure function over a batch of
//! columns (`wit/plugin-0.1`). This crate loads components, shows them batches
//! within budgets, checks what they answer and keeps all state for them.
//!
//! ```text
//!               admit(bytes) ──▶ limiters ─┐
//!                                          ├─▶ token buckets ──▶ Decision
//! batch ─▶ columns ─▶ cuts ─▶ limiters ────┘
//!                          ─▶ transformers ▶ checked, made ─────▶ the batch, other than it was
//!                          ─▶ validators ─▶ checked, merged ───▶ Verdicts
//!                          ─▶ derivers ───▶ checked, resolved ─▶ Deltas
//!                          ─▶ those that are tried out ────────▶ what they would have said
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`config`], [`error`], `rates` | which plugins run, with which bounds; what can be wrong with that |
//! | `chain`, `live` | [`Chain`]: the order of plugins, failure policies; [`LiveChain`]: how another takes its place |
//! | `installed` | plugins that were installed while the server ran |
//! | `schema` | configurations against what plugins declare |
//! | `plugin`, `variant`, `pool`, `instance` | a loaded binding, its configurations, its warm instances, one call under its budget |
//! | `engine`, `ticker`, `host`, `component`, `builtin` | wasmtime: limits, epochs, imports, loading |
//! | [`compile`], `code_cache` | machine code: made within bounds, kept on disk |
//! | [`inspect`], [`rehearsal`] | what a component is and answers, found out without a server |
//! | `abi` | the types of the WIT package, in and out |
//! | `when`, `shown` | conditions of bindings, and the rows for which they hold |
//! | `columns`, `cuts`, `showing` | what a guest is shown of a batch |
//! | `shadow` | plugins that are tried out: what they would say |
//! | `replay` | a deriver by itself, to derive again from what is stored |
//! | `limiters` | the limiters of a chain: what is taken from the buckets |
//! | `transform` | the transformers of a chain, and what becomes of a request when one fails |
//! | `edits`, `spread`, `verdicts`, `plan`, `deltas`, `halves`, `declaration` | what guests answer, checked: it is not trusted |
//! | `functions` | functions of plugins, called by queries |
//! | `buckets` | GCRA |
//! | `breaker` | who fails again and again is left alone for a while |
//! | `stats`, `costs`, `lines`, `failure` | what is counted, and what plugins logged last |
//!
//! Calls block. No plugin result depends on the number of instances, on how a
//! batch is cut, or on which calls an instance served before.

mod abi;
mod breaker;
mod buckets;
mod builtin;
mod chain;
mod code_cache;
mod columns;
pub mod compile;
mod component;
pub mod config;
mod costs;
mod cuts;
mod declaration;
mod deltas;
mod edits;
mod engine;
pub mod error;
mod failure;
mod functions;
mod halves;
mod host;
pub mod inspect;
mod installed;
mod instance;
mod limiters;
mod lines;
mod live;
mod plan;
mod plugin;
mod pool;
mod rates;
pub mod rehearsal;
mod replay;
mod schema;
mod shadow;
mod showing;
mod shown;
mod signed;
mod spread;
mod stats;
mod ticker;
mod transform;
mod variant;
mod verdicts;
mod when;

pub use chain::{Bound, Chain, Deriver, PluginCost};
pub use code_cache::CODE_FOLDER;
pub use compile::{Compilation, Compiler};
pub use config::{Binding, Budget, ChainConfig, Isolation, OnError, Source, World};
pub use error::ChainError;
pub use failure::FailureKind;
pub use installed::{Installed, InstalledFolder, InstalledList, Version};
pub use lines::LogLine;
pub use live::LiveChain;
pub use rates::{Rates, SignalRates, Strategy};
pub use replay::{Again, Instead};
pub use shadow::{Shadow, Unknown};
pub use stats::BindingStats;
pub use transform::Untransformed;
pub use when::When;
