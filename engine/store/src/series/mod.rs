//! The series of one tenant, in memory: label sets, ids, verdicts, days.
//!
//! A series has three names: the fingerprint of its raw label bytes (per process),
//! the dense [`SeriesRef`] (per process) and its `series_id` (for ever). The hot path,
//! one lookup per sample, touches only the lock-free parts.

mod days;
mod fingerprints;
mod grow;
mod index;
mod resolver;
mod rows;
mod table;

pub(crate) use days::DaySet;
pub use index::{Metric, Series, SeriesIndex};
pub use resolver::Resolver;
pub(crate) use rows::{restore_row, series_rows};
pub(crate) use table::SeriesTable;

#[cfg(test)]
mod tests;
