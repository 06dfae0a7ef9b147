//! Prometheus' own PromQL tests against any back end.
//!
//! ```text
//! script ─▶ commands ─▶ load, clear ──────────────▶ back end
//!                  └──▶ eval ─▶ its variants ─▶ query ─▶ answer ─▶ compared with what the script expects
//! ```
//!
//! The scripts are those of `promql/promqltest` of Prometheus 3.14 (`tests/promql` here, with the
//! language in short); what is run and what counts as equal follows upstream's own runner. So one
//! instant eval is up to twelve executions, see [`variants`].
//!
//! | module | holds |
//! |---|---|
//! | [`script`] | scripts and their commands |
//! | [`points`], [`starts`] | the notations of samples and of their start timestamps |
//! | [`nhcb`] | classic histograms once more as native ones |
//! | [`backend`] | what is tested, and its answers |
//! | [`variants`] | the queries that an instant eval stands for |
//! | [`compare`] | what counts as equal |
//! | [`run`], [`report`] | files, folders, and what became of them |
//! | [`memory`], [`http`] | the engine itself, and servers, as back ends |
//! | [`compliance`] | the queries of Prometheus' compliance suite |
//!
//! ```no_run
//! use isinglass_promqltest::report::Summary;
//! use isinglass_promqltest::{Backend, run_folder};
//!
//! fn passes(new_store: impl FnMut() -> Box<dyn Backend>) {
//!     let reports = run_folder("tests/promql".as_ref(), new_store);
//!     assert!(reports.iter().all(|report| report.failed == 0), "{}", Summary(&reports));
//! }
//! ```

pub mod backend;
pub mod compare;
pub mod compliance;
pub mod fuzz;
pub mod http;
pub mod memory;
pub mod nhcb;
pub mod points;
pub mod report;
pub mod run;
pub mod script;
pub mod starts;
mod text;
pub mod variants;

pub use backend::{Answer, Backend, LoadedPoint, LoadedSeries, Outcome};
pub use report::FileReport;
pub use run::{run_file, run_folder};
