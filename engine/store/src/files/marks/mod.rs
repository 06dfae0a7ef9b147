//! The marks of a file of `samples`: which of its rows can be of a series and a time.
//!
//! Rows are sorted by metric, series and time. A file of a whole day has thousands of rows of each
//! series, and a page has all the day of some: minima and maxima of pages say nothing of an hour.
//! So the key of every 512th row stands in the footer, and between two of them lies what is wanted
//! or not.
//!
//! ```text
//! rows in file order ─▶ build: every 512th key ─▶ footer, `isinglass.marks`
//!                                                     │
//! a query with a metric and a time ─▶ read: ranges of rows
//! ```
//!
//! The format stands in `docs/formats/parquet.md`. Marks are never needed: where they are missing,
//! damaged or of a later release, the file is read by its pages.

mod build;
mod read;
#[cfg(test)]
mod tests;

pub(super) use build::Builder;
pub use read::{Marks, MarksWanted};

/// The key of the footer's entry.
pub(super) const KEY: &str = "isinglass.marks";

/// The first byte of what it holds.
const VERSION: u8 = 1;

/// Rows from one mark to the next.
const BLOCK_ROWS: usize = 512;

/// Marks that a series has on average, at least. With fewer, pages do about as well, and an id
/// of a series takes more than its marks do.
const MARKS_A_SERIES_MIN: usize = 4;

/// A key of rows: metric, series, time in microseconds.
type Key = (i64, i64, i64);

/// What a run of marks of one series begins with.
mod flags {
    /// The metric is another than that of the run before, and stands here.
    pub(super) const METRIC: u8 = 1;
    /// Rows of this series follow those of the run before at once: there is no other series
    /// between.
    pub(super) const NEXT: u8 = 2;
}

/// Differences as numbers that are small where they are near zero.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
