//! PromQL over any source of samples.
//!
//! ```text
//! text ─▶ lang::promql ─▶ plan ─▶ operators over blocks (series × steps) ─▶ value
//!          AST                        ▲
//!                                 source: series and their samples, by matcher and time
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`labels`] | label sets |
//! | [`value`] | samples, series and results |
//! | [`histogram`] | native histograms and all arithmetic on them |
//!
//! It knows nothing of storage, Arrow or HTTP.

pub mod histogram;
pub mod labels;
pub mod value;

pub use histogram::Histogram;
pub use labels::Labels;
pub use value::{Point, Sample, Series, Value};
