//! Sections of a record: the rows of one kind.

mod samples;
mod series;
mod table;

pub(crate) use samples::{put_samples, read_samples};
pub(crate) use series::{SeriesEntry, put_series, read_series};
pub(crate) use table::{put_table, read_table};

#[cfg(test)]
mod tests;
