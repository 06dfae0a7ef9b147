//! The token index of a file of `logs`: which of its rows can have an identifier in `body`.
//!
//! ```text
//! rows in file order ─▶ build: blocks of rows, a Bloom filter each ─▶ <table>/_index/<name>.tokens
//!                                                                              │
//! a query with a token ─▶ index: 32 bytes of each filter, side by side ◀───────┘
//! ```
//!
//! The format stands in `docs/formats/token-index.md`. An index is put before the commit
//! that names its file, whose tag says how large it is. It is never needed: where it is
//! missing or damaged, the file is read.
//!
//! | module | holds |
//! |---|---|
//! | [`filter`] | the Bloom filter of one block of rows |
//! | [`build`] | making an index while a file is written |
//! | [`index`] | reading one |

mod build;
mod filter;
mod index;
#[cfg(test)]
pub(super) mod tests;

use isinglass_model::Kind;
use object_store::path::Path;

pub(super) use build::Builder;
pub use index::{TokenIndex, UnusableIndex};

/// The folder of indexes in the folder of a table. Readers of Delta tables, and their
/// vacuum, leave names alone that begin with an underscore.
pub(super) const FOLDER: &str = "_index";

const EXTENSION: &str = "tokens";

/// Files with fewer rows have no index: to read it takes as long as to read them.
pub(super) const ROWS_MIN: u64 = if cfg!(test) { 1 } else { 1_024 };

/// The column that is indexed in files of a kind.
pub(super) fn column(kind: Kind) -> Option<&'static str> {
    (kind == Kind::Logs).then_some("body")
}

/// Where the index of a data file lies, `<tenant>/<kind>/<name>.parquet`; `None` for files
/// that have none.
pub(crate) fn path_of(file: &Path) -> Option<Path> {
    let (folder, name) = file.as_ref().rsplit_once('/')?;
    let (_, kind) = folder.rsplit_once('/')?;
    column(Kind::from_name(kind)?)?;
    let stem = name.strip_suffix(".parquet")?;
    // Not from its parts: those would be encoded once more.
    Path::parse(format!("{folder}/{FOLDER}/{stem}.{EXTENSION}")).ok()
}

/// The data file of an index, which need not be there.
pub(super) fn file_of(index: &Path) -> Option<Path> {
    let (folder, name) = index.as_ref().rsplit_once('/')?;
    let folder = folder.strip_suffix(FOLDER)?;
    let stem = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let file = Path::parse(format!("{folder}{stem}.parquet")).ok()?;
    (path_of(&file).as_ref() == Some(index)).then_some(file)
}
