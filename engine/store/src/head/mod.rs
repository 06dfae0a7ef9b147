//! Unflushed rows in memory.
//!
//! Per (tenant, kind) a list of immutable runs in WAL order: what one request brought,
//! small ones merged. A view is a copy of the list, a flush takes the list away.
//! Nothing is sorted until a flush or a query needs it; then a counting sort over the
//! dense series refs costs a few nanoseconds a sample.

mod generation;
mod metrics;
mod read;
mod rows;
mod samples;
mod sort;

pub(crate) use generation::{Generation, Run};
pub(crate) use metrics::{exemplar_rows, histogram_rows, map_builder};
pub(crate) use read::{batch_of, read, sorted_rows};
pub(crate) use rows::Rows;
pub(crate) use samples::{Column, SampleRun};

#[cfg(test)]
mod tests;
