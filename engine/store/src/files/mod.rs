//! Parquet files, the Delta tables that name them, and the folder that holds
//! both.
//!
//! ```text
//! SortedRows ──▶ days ──▶ parquet: sort, split values, encode ──▶ bytes, statistics, checksums
//!                                                            │
//!                    local: put, sync, link, sync the folder ◀┤
//!                                                            ▼
//!                    delta: add action + transaction `isinglass/flush` = up_to
//! ```
//!
//! A row is in a table from the moment its commit is there, and never twice: a
//! commit carries the WAL position up to which the table is flushed, and a
//! flush up to a position that a commit already carries is not done again. A
//! flush that dies between put and commit leaves a file that no commit names.
//!
//! | module | holds |
//! |---|---|
//! | [`local`] | an object store on a local folder whose writes survive a power cut |
//! | [`objects`] | the object store by its URL: counted, probed, read with checksums compared |
//! | [`days`] | a flush cut at the borders of days |
//! | [`parquet`] | how rows of each kind are laid out in a file |
//! | [`tokens`] | which rows of a file of logs can have an identifier |
//! | [`marks`] | which rows of a merged file of samples can be of a series and a time |
//! | [`merge`] | sorted files into fewer sorted files |
//! | [`replace`] | rows of metrics replaced by others that were derived again, in one commit |
//! | [`rewrite`] | files replaced by merged ones, in one commit |
//! | [`delta`] | schemas, statistics, commits, checkpoints of one table |
//! | [`epoch`] | which writer may commit: the one that started last |
//! | [`tables`] | all tables: which are open, one commit at a time for each |

mod days;
mod delta;
mod epoch;
mod error;
pub(crate) mod local;
mod marks;
mod merge;
mod objects;
mod parquet;
mod replace;
mod rewrite;
mod series;
mod tables;
pub(crate) mod tokens;

pub(crate) use delta::NewFile;
pub(crate) use epoch::{OWN_FOLDER, leave_off_at};
pub(crate) use error::FilesError;
pub use marks::{Marks, MarksWanted};
pub(crate) use merge::{
    DropRows, Gone, Group, HaDedup, NULL, Replica, Scanned, ScannedSeries, encode, scan, scan_metrics,
    scan_samples,
};
pub use objects::{CacheConfig, CacheStats, DiskStats, ObjectStats, ObjectsConfig, TierStats};
pub(crate) use objects::{Checker, PIECE_BYTES as CHECKED_BYTES, open, reach, to_read};
pub(crate) use tables::Tables;
pub use tokens::{TokenIndex, UnusableIndex};

pub(crate) type Result<T, E = FilesError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod turned_bits;
