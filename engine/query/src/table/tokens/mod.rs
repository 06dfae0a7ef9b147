//! Identifiers in `logs.body`, found by the token indexes beside the files.
//!
//! ```text
//! filters ─▶ wanted: identifiers that a row must have
//!                 │
//! files  ─▶ rows: which of their rows may, by their indexes ◀─ cache ◀─ object store
//!                 │
//!                 ├─▶ files with no such row are left out
//!                 └─▶ of the others, only those rows are read
//! ```
//!
//! The filters are asked of every row all the same. An index that is missing, damaged or of
//! another release costs time and nothing else.

mod cache;
mod reader;
mod rows;
mod wanted;

pub(crate) use cache::TokenCache;
pub use cache::TokenStats;
pub(crate) use reader::WithPageIndex;
pub(crate) use rows::RowsWanted;
