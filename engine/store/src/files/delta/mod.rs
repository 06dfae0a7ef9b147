//! One Delta table: its schema, its snapshot, its commits.
//!
//! deltalake-core keeps the log, and leaves these to us (each was tested):
//! - it records an application transaction and does **not** refuse a repeat, so
//!   the version is read from the very snapshot that the commit builds on;
//! - a commit may err after it landed, so after any error the table is read
//!   anew and compared before anything is tried again;
//! - its hooks after a commit may err too, so checkpoints and log cleanup are
//!   steps of their own ([`maintenance`]);
//! - its files have no checksums, so they are sealed on their way ([`sealed`]);
//! - its kernel maps Arrow types silently, so the schema is stated here
//!   ([`schema`]).

mod commit;
mod erase;
mod exchange;
mod log_files;
mod maintenance;
mod objects;
mod replay;
mod rewrite;
mod schema;
mod sealed;
mod stats;
mod table;

pub(crate) use commit::NewFile;
pub(super) use exchange::Output;
pub(super) use log_files::{log_files, read_log_file};
pub(super) use replay::Replayed;
pub(super) use rewrite::Replacement;
pub(super) use stats::Extent;
pub(super) use table::Table;

/// The application transaction of flushes: its version is the WAL position up to which the
/// table is flushed, by whichever log is furthest. Each log has one of its own besides,
/// `isinglass/flush/<log>`, but for logs without an identity: this one is theirs.
const FLUSH_APP_ID: &str = "isinglass/flush";

/// The application transaction of every commit that removes files: its version counts
/// them, so that any two of them conflict.
const REWRITE_APP_ID: &str = "isinglass/rewrite";
