//! From rows to the bytes of one Parquet file.
//!
//! ```text
//! samples ──▶ split: value or (value_int, value_scale) per run ─┐
//! batches ──▶ order: permutation of (batch, row)                ├─▶ parquet-rs ──▶ sink: 1 MiB
//!             columns: one after the other, gathered in order ──┘   by layout      pieces + CRC-32C
//!                └ `body` of logs ──▶ index of its tokens
//! ```
//!
//! Encoding is work for a blocking thread. The rows are not copied whole: what
//! is alive beside them is one column and the encoded file.

mod attributes;
mod columns;
mod dictionary;
mod flat;
mod gather;
mod layout;
mod order;
mod samples;
mod sink;
mod split;

use bytes::Bytes;
use isinglass_model::Kind;
use object_store::PutPayload;

use super::delta::Extent;
use super::tokens::{Builder, ROWS_MIN};
use super::{FilesError, Result};
use crate::tables::SortedRows;

pub(super) use attributes::{field as attribute_field, with_attributes};
pub(super) use layout::{FLUSH_ZSTD_LEVEL, Sizes, Values, is_of_items, of as layout_of, of_samples, sizes};
pub(super) use samples::ids_and_values;
pub(super) use sink::Sink;
pub(super) use split::unscaled;

/// Rows that are handed to the writer at a time.
pub(super) const CHUNK_ROWS: usize = 16_384;

/// A Parquet file in memory.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) payload: PutPayload,
    pub(super) size_bytes: u64,
    pub(super) extent: Extent,
    /// CRC-32C of each MiB.
    pub(super) crc32c: Vec<u32>,
    /// The index of its tokens, if it has one.
    pub(super) token_index: Option<Bytes>,
}

/// Encodes rows of a kind, of which there must be one at least.
pub(super) fn encode(kind: Kind, rows: SortedRows) -> Result<Encoded> {
    let (sink, extent, tokens) = match rows {
        SortedRows::Samples(samples) if kind == Kind::Samples => {
            let (sink, extent) = samples::write(&samples)?;
            (sink, extent, None)
        }
        SortedRows::Batches(batches) if kind != Kind::Samples => columns::write(kind, &batches)?,
        _ => return Err(FilesError::Rows { kind, problem: "they are of another table".to_owned() }),
    };
    let (pieces, size_bytes, crc32c) = sink.finish();
    let token_index = tokens.filter(|_| extent.rows >= ROWS_MIN).map(Builder::finish);
    Ok(Encoded { payload: PutPayload::from_iter(pieces), size_bytes, extent, crc32c, token_index })
}

#[cfg(test)]
pub(super) mod tests;
