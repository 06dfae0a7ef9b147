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
//! | [`source`], [`memory`] | where samples come from; samples in memory |
//! | [`instant`], [`range`], [`Options`], [`Limits`] | how a query is asked, and what it may use |
//! | [`front`] | range queries through a cache of results |
//! | [`describe()`] | plan and labels of a query that is not evaluated |
//! | `plan` | typed plans: durations and times known, what does not depend on the step found |
//! | `exec` | operators, window kernels, aggregations |
//! | `block`, `grid` | series × steps, and the times of steps |
//!
//! It knows nothing of storage, Arrow or HTTP.

mod annotations;
mod arithmetic;
mod binary;
mod block;
mod calendar;
mod describe;
mod engine;
mod error;
mod exec;
pub mod front;
mod grid;
mod hash;
pub mod histogram;
pub mod labels;
mod matching;
pub mod memory;
mod merge;
mod order;
mod plan;
mod signature;
pub mod source;
pub mod text;
pub mod value;

pub use describe::{Description, NamesOf, Times, describe, selectors};
pub use engine::{Answer, Ended, LimitNames, Limits, Options, Used, instant, range};
pub use error::{ErrorKind, EvalError, Result};
pub use grid::Grid;
pub use histogram::Histogram;
pub use labels::Labels;
pub use matching::Matchers;
pub use memory::MemorySource;
pub use source::Source;
pub use value::{Point, Sample, Series, Value};
