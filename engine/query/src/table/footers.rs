//! What the footer of a file says before the file is opened.
//!
//! A table has a column for whatever some sender has; in one file many of them have one value or
//! none in all rows. Read like others, each of them costs a reader and two contexts of zstd in every
//! row group. DataFusion puts a constant in their place if the statistics of the file say so
//! ([`add_constants`]).
//!
//! Text that filters compare with constants is read as a dictionary, where it is one in the file:
//! then a comparison is made once a value, not once a row ([`with_dictionaries`]).
//!
//! Only footers in memory are asked: the first reader of a file does without.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::CachedParquetMetaData;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::basic::{Encoding, PageType};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// The footer of a file, if it is in memory.
pub(super) fn cached(cache: &FileMetadataCache, part: &PartitionedFile) -> Option<Arc<ParquetMetaData>> {
    let path = &part.object_meta.location;
    // A file that is not there yet is missed by its reader, and counted then.
    let found = cache.contains_key(path).then(|| cache.get(path))??;
    let footer = found.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>();
    footer
        .filter(|_| found.is_valid_for(&part.object_meta))
        .map(|footer| Arc::clone(footer.parquet_metadata()))
}

/// Adds to the statistics of a file which of the columns `wanted` of `read` are the same in all of
/// its rows.
pub(super) fn add_constants(
    known: &mut Statistics,
    footer: &ParquetMetaData,
    read: &Schema,
    wanted: impl Iterator<Item = usize>,
) {
    let Some(&rows) = known.num_rows.get_value() else { return };
    let leaves = flat_leaves(footer);
    for at in wanted {
        let field = read.field(at);
        let Some(constant) =
            leaves.get(field.name().as_str()).and_then(|leaf| constant(footer, *leaf, field))
        else {
            continue;
        };
        let column = &mut known.column_statistics[at];
        match constant {
            Constant::Null => {
                // Of the rows that are read, which a selection may have made fewer.
                known.num_rows = Precision::Exact(rows);
                column.null_count = Precision::Exact(rows);
            }
            Constant::Text(text) => {
                let value = Precision::Exact(ScalarValue::Utf8View(Some(text)));
                (column.min_value, column.max_value) = (value.clone(), value);
                column.null_count = Precision::Exact(0);
            }
        }
    }
}

enum Constant {
    Null,
    Text(String),
}

/// Columns that are neither lists nor maps nor structs.
fn flat_leaves(footer: &ParquetMetaData) -> HashMap<&str, usize> {
    let schema = footer.file_metadata().schema_descr();
    let leaves = (0..schema.num_columns()).map(|leaf| (schema.get_column_root(leaf), leaf));
    leaves.filter(|(root, _)| root.is_primitive()).map(|(root, leaf)| (root.name(), leaf)).collect()
}

fn constant(footer: &ParquetMetaData, leaf: usize, field: &Field) -> Option<Constant> {
    let (mut nulls, mut texts) = (0_u64, HashSet::new());
    for group in footer.row_groups() {
        let statistics = group.column(leaf).statistics()?;
        nulls = nulls.checked_add(statistics.null_count_opt()?)?;
        // A long text is cut there.
        let exact = statistics.min_is_exact() && statistics.max_is_exact();
        texts.insert(statistics.min_bytes_opt().filter(|_| exact));
        texts.insert(statistics.max_bytes_opt().filter(|_| exact));
    }
    let rows = u64::try_from(footer.file_metadata().num_rows()).ok().filter(|rows| *rows > 0)?;
    if nulls == rows {
        return field.is_nullable().then_some(Constant::Null);
    }
    let mut texts = texts.into_iter();
    match (texts.next(), texts.next()) {
        (Some(Some(text)), None) if nulls == 0 && field.data_type() == &DataType::Utf8View => {
            Some(Constant::Text(std::str::from_utf8(text).ok()?.to_owned()))
        }
        _ => None,
    }
}

/// The schema to read a file with, if it has dictionaries of some of the texts in `compared`.
pub(super) fn with_dictionaries(footer: &ParquetMetaData, compared: &HashSet<&str>) -> Option<SchemaRef> {
    if compared.is_empty() {
        return None;
    }
    let leaves = flat_leaves(footer);
    let is_one = |name: &str| {
        let leaf = leaves.get(name).filter(|_| compared.contains(name));
        leaf.is_some_and(|leaf| footer.row_groups().iter().all(|group| is_dictionary(group.column(*leaf))))
    };
    let file = footer.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()?;
    let mut found = false;
    let fields = schema.fields().iter().map(|field| {
        if field.data_type() != &DataType::Utf8 || !is_one(field.name()) {
            return Arc::clone(field);
        }
        found = true;
        Arc::new(field.as_ref().clone().with_data_type(dictionary_type()))
    });
    let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
    found.then(|| Arc::new(schema))
}

/// Text as keys.
pub(crate) fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Whether all pages of a column have keys: where the dictionary had become too large the rest is
/// plain.
fn is_dictionary(column: &ColumnChunkMetaData) -> bool {
    let keys = |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    if let Some(pages) = column.page_encoding_stats() {
        let data = |ty| matches!(ty, PageType::DATA_PAGE | PageType::DATA_PAGE_V2);
        return pages.iter().all(|page| !data(page.page_type) || keys(page.encoding));
    }
    let only = |encoding| column.page_encoding_stats_mask().is_some_and(|mask| mask.is_only(encoding));
    only(Encoding::RLE_DICTIONARY) || only(Encoding::PLAIN_DICTIONARY)
}

#[cfg(test)]
mod tests;
