//! PromQL over the tables of a tenant.
//!
//! ```text
//! text ─▶ isinglass-promql, on a thread of its own
//!            │ Source::select(matchers, span of time, parts)
//!            ▼
//!         index of the view ─▶ series, sorted as files are
//!            ├ samples     files: log, footer, page index ─▶ pages ─▶ runs of rows ─┐
//!            │             unflushed rows, sorted                                    ├─▶ one series
//!            └ histograms  likewise, if there are any                              ─┘   after the other
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `request`, `kind` | what is asked and answered; kinds of failure |
//! | `engine`, `ending` | the way of a query: turn, thread, deadline; how it is told to end |
//! | `source`, `series` | the [`Source`](isinglass_promql::Source): matchers to series, series to parts |
//! | `part` | one series after the other of a part, from all inputs |
//! | `scan` | pages of files and unflushed rows with wanted series and times |
//! | `kept` | the cache of decoded samples |
//! | `floats`, `histograms` | runs of rows as samples |
//! | `metadata`, `cardinality` | what the index alone answers |
//! | `exemplars`, `samples` | exemplars; samples as they are stored |
//! | `facts` | what was read, and what could be left out |
//! | `function` | the table function `promql` of SQL |
//! | `views` | statements of SQL whose rows are samples |
//!
//! Rows of files lie by (metric, series, time), so the pages that can have a wanted series are
//! known from the page index, and a series is a run of rows that two searches find. Evaluation is
//! not asynchronous and has a thread of its own, and so has each part that it reads at once;
//! these threads wait for bytes, and decode them. The runtime's own threads, which fetch the
//! bytes, are never blocked by one that waits.

mod brought;
mod cardinality;
mod ending;
mod engine;
mod exemplars;
mod facts;
mod floats;
mod function;
mod histograms;
mod kept;
mod kind;
mod metadata;
mod part;
mod request;
mod samples;
mod scan;
mod series;
mod source;
mod views;

pub(crate) use brought::Brought;
pub use engine::too_many_points;
pub use facts::ScanFacts;
pub(crate) use function::{PromqlExec, PromqlFunction, Statement};
pub(crate) use kept::SampleCache;
pub use kind::PromqlKind;
pub use request::{
    Cardinality, Exemplar, ExemplarRequest, Found, MetadataSelection, MetricMetadata, PromqlAnswer,
    PromqlRequest, PromqlTime, RawSeries, SeriesExemplars,
};
pub(crate) use views::Views;
