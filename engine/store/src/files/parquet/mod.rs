//! From rows to the bytes of one Parquet file.
//!
//! ```text
//! samples ──▶ split: value or (value_int, value_scale) per run ─┐
//! batches ──▶ order: permutation of (batch, row)                ├─▶ ArrowWriter ──▶ sink: 1 MiB
//!             gather: a chunk of rows of each column ───────────┘   by layout       pieces + CRC-32C
//! ```
//!
//! Encoding is work for a blocking thread. The rows are not copied whole: what
//! is alive beside them is one chunk of rows and the encoded file.

mod dictionary;
mod gather;
mod layout;
mod order;
mod samples;
mod sink;
mod split;

use ::parquet::arrow::ArrowWriter;
use arrow_array::RecordBatch;
use isinglass_model::Kind;
use isinglass_model::tables::Table;
use object_store::PutPayload;

use self::gather::Gather;
use self::order::Order;
use self::sink::Sink;
use super::delta::Extent;
use super::{FilesError, Result};
use crate::tables::SortedRows;

/// Rows that are handed to the writer at a time.
const CHUNK_ROWS: usize = 16_384;

/// A Parquet file in memory.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) payload: PutPayload,
    pub(super) size_bytes: u64,
    pub(super) extent: Extent,
    /// CRC-32C of each MiB.
    pub(super) crc32c: Vec<u32>,
}

/// Encodes rows of a kind, of which there must be one at least.
pub(super) fn encode(kind: Kind, rows: SortedRows) -> Result<Encoded> {
    let mut writer = layout::writer(kind)?;
    let extent = match rows {
        SortedRows::Samples(samples) if kind == Kind::Samples => samples::write(&mut writer, &samples)?,
        SortedRows::Batches(batches) if kind != Kind::Samples => write_batches(kind, &mut writer, &batches)?,
        _ => return Err(FilesError::Rows { kind, problem: "they are of another table".to_owned() }),
    };
    let (pieces, size_bytes, crc32c) = writer.into_inner()?.finish();
    Ok(Encoded { payload: PutPayload::from_iter(pieces), size_bytes, extent, crc32c })
}

fn write_batches(kind: Kind, writer: &mut ArrowWriter<Sink>, batches: &[RecordBatch]) -> Result<Extent> {
    let table = Table::of(kind);
    let order = Order::of(table, batches)?;
    let gather = Gather::new(table, batches)?;
    for chunk in order.rows().chunks(CHUNK_ROWS) {
        writer.write(&gather.rows(chunk)?)?;
    }
    Ok(order.extent())
}

#[cfg(test)]
mod tests;
