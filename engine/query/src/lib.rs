//! SQL and PromQL over the tables of a store.
//!
//! ```text
//! text ─▶ gate ─▶ parse ─▶ statement that only reads ─▶ plan ─▶ run ─▶ stream
//!         lang    sqlparser    statement.rs              │       │
//!                                                  session per   threads of
//!                                                  query: own    their own,
//!                                                  catalog       deadline, memory
//! ```
//!
//! | you want to change | look in |
//! |---|---|
//! | limits, threads, deadlines | [`QueryConfig`], `engine`, `turns`, `planning`, `planners`, `stream`, `memory`, `pressure`, `workers`, `priority`, `alarms`, `interrupt` |
//! | which statements are allowed, and which types, regular expressions and wide plans | `statement`, `types`, `patterns`, `width` |
//! | groups by texts, times and integers, before they are merged | `groups`, `rules::own_groups` |
//! | what windows are charged for | `windows`, `rules::own_windows` |
//! | what a tenant can name | `session` |
//! | how a table of record is read and pruned | `table` |
//! | what footers say: columns that are the same in all rows, dictionaries | `table::footers`, `table::compared` |
//! | columns that a file lacks | `lacking` |
//! | which thread reads which row groups, which filter is asked first | `table::shares`, `table::cheap` |
//! | identifiers in log lines, found by an index | `table::tokens`, `functions::has_token` |
//! | an hour out of a file of a day, found by marks in its footer | `table::marks` |
//! | attributes that files have in columns of their own | `attributes`, `rules::attribute_columns` |
//! | ids as hex, times, values; filters turned into what files hold | `shown` |
//! | `metrics.<name>` and its label columns | `metric` |
//! | PromQL: series and samples for the engine of `isinglass-promql`, questions about labels | `promql` |
//! | plans that DataFusion makes worse than it could, or takes long to make | `rules`, `wildcard` |
//! | what queries read through | `caches` |
//! | tables about the engine itself, which queries run | `system`, `queries`, `read` |
//! | types of an answer | `plain` |
//! | functions, their caps, `trace_tree`, `stream_label`, `json_text`, `has_token` | `functions` |
//! | views and example questions | [`library`], `../../sql` |
//! | messages, positions, suggestions | [`QueryError`], `hints` |
//!
//! Invariants:
//! - a query takes one [`isinglass_store::View`] and uses it for all its tables;
//! - a session reaches nothing but that view: its object store, its catalog and
//!   its functions have no way to a file, another tenant or the network; tables of
//!   the schema `system` show the tenant's own, or figures that name nobody;
//! - nothing recurses over a text that the gate has not measured.
//!
//! It knows nothing of HTTP, protocols or plugins.

mod alarms;
mod attributes;
mod caches;
mod config;
mod engine;
mod error;
mod functions;
mod grouping;
mod groups;
mod hints;
mod interrupt;
mod lacking;
mod library;
mod memory;
mod metric;
mod objects;
mod patterns;
mod plain;
mod planners;
mod planning;
mod pressure;
mod priority;
mod promql;
mod queries;
mod read;
mod rules;
mod session;
mod shown;
mod statement;
mod stream;
mod system;
mod table;
mod turns;
mod types;
mod warnings;
mod width;
mod wildcard;
mod windows;
mod workers;

pub use caches::CacheFigures;
pub use config::{PromqlConfig, PromqlView, QueryConfig, SqlOptions, TenantLimits};
pub use engine::{QueryEngine, SqlResult};
pub use error::QueryError;
pub use library::{Library, Question, View, library};
pub use promql::{
    Cardinality, Exemplar, ExemplarRequest, Found, MetadataSelection, MetricMetadata, PromqlAnswer,
    PromqlKind, PromqlRequest, PromqlTime, RawSeries, ScanFacts, SeriesExemplars, too_many_points,
};
pub use stream::ResultStream;
pub use table::TokenStats;
pub use turns::{NoTurn, TenantTurns, Turn, Turns};
pub use warnings::Warnings;
