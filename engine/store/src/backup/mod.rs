//! Copies of a store that can be started again.
//!
//! ```text
//!  running store ─┐                                               ┌─▶ a folder
//!                 ├─▶ source: pieces ──(HTTP, if it is running)──▶ destination
//!  stopped folder ┘                                               └─▶ a bucket
//!                                                   restore: destination ─▶ folder, tables
//! ```
//!
//! The server reads and the command writes. So the server needs no credentials for where the
//! copy goes, writes to no path that a request names, and holds what it keeps for a backup
//! only as long as somebody reads it: when the command dies, its stream is dropped, and with
//! it every hold. A stopped folder gives the very same pieces without a server in between.
//!
//! **What is copied** is the store as of one record of its log, `up_to`: every row of this
//! and earlier records, none of later ones. In this order:
//!
//! 1. Segments of the log are kept; entries of Delta logs are kept; data files are kept.
//! 2. The newest version of each table is read. Whatever it lacks is in the kept log.
//! 3. `up_to` is the last record that is acknowledged now. No table can have a later one.
//! 4. The log is copied up to `up_to`, then let go: it must not grow for as long as the
//!    tables take. Should it come near its bound before that, the backup fails and writes
//!    go on.
//! 5. Of each Delta log the newest checkpoint up to the version and the commits after it are
//!    copied, and let go.
//!    So are the plugins that are installed.
//! 6. The data files are copied, each compared with the checksums of its commit.
//! 7. The manifest is written: without it there is no backup.
//!
//! What is flushed, merged or removed meanwhile is in later versions, which are not copied.
//!
//! A start on the copy replays, for each table, the records after the one that the table's
//! version names: as after a crash at `up_to`. The copy keeps the identity of its log,
//! because that is what its tables count their flushes by. So that it never meets the
//! original's tables, a restore marks folder and tables as belonging together
//! ([`restored`]).
//!
//! | file | holds |
//! |---|---|
//! | [`manifest`] | `backup.json` |
//! | [`source`] | which pieces there are, of either kind of store |
//! | [`log`] | those of the write-ahead log |
//! | [`tables`] | those of the tables |
//! | [`plugins`] | those of installed plugins |
//! | [`wire`] | pieces as bytes |
//! | [`destination`] | pieces into objects |
//! | [`restore`] | and back |
//! | [`restored`] | which tables a restored folder belongs to |

mod destination;
mod log;
mod manifest;
mod plugins;
mod restore;
pub(crate) mod restored;
mod source;
mod tables;
mod wire;

use bytes::Bytes;

pub use destination::{Destination, Progress};
pub use manifest::{Manifest, Object, TablePart, WalPart};
pub use restore::{Restored, restore};
pub use source::{Have, Pieces, of_folder};
pub use wire::{Decoder, encode};

/// Bytes of a piece at most, and what is put in one go.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;

/// A part of a backup on its way from the store to the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The first: about how many bytes the tables have.
    Plan {
        /// Data files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// An object begins; its bytes follow.
    Object(Object),
    /// The next bytes of the object that began last.
    Bytes(Bytes),
    /// An object that the destination has already.
    Known(Object),
    /// The last: everything was sent.
    Done(Box<Manifest>),
    /// There will be no more, for this reason.
    Failed(String),
}
