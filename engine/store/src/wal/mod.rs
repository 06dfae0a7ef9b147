//! The write-ahead log.
//!
//! ```text
//! record: encode ─▶ queue (bounded) ─▶ writer thread: frames ─▶ segment ─▶ sync ─▶ sink
//!                                                                        └▶ heads file
//! open:   segments, heads files ─▶ parse ─▶ records, damage
//! ```
//!
//! The bytes are described in `docs/formats/wal.md`; a change there is a change here.

mod disk;
mod frame;
pub(crate) mod header;
mod parse;
mod queue;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod scan;
pub(crate) mod section;
mod segments;
mod spares;
mod wire;
mod writer;

#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
mod tests;

pub(crate) use disk::{Disk, Folder, LogFile, Space};
pub(crate) use frame::BODY_BYTES_MAX;
pub(crate) use header::{DATA, Header};
pub(crate) use parse::parse;
pub(crate) use queue::Job;
pub use segments::WalSegment;
#[cfg(test)]
pub(crate) use segments::segments_of;
pub(crate) use segments::{Found, Keep, head_files_of};
pub(crate) use spares::is_spare;
pub(crate) use writer::{Sink, Wal, WalOptions};
