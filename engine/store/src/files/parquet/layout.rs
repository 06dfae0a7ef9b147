//! How the columns of each table are laid out: encodings, pages, row groups.
//!
//! The figures behind each choice stand in `docs/formats/parquet.md`.

use std::sync::Arc;

use ::parquet::arrow::ArrowSchemaConverter;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::metadata::SortingColumn;
use ::parquet::file::properties::{
    BloomFilterPosition, EnabledStatistics, WriterProperties, WriterPropertiesPtr,
};
use ::parquet::schema::types::{SchemaDescriptor, TypePtr};
use arrow_schema::{Schema, SchemaRef};
use isinglass_model::Kind;
use isinglass_model::tables::promoted::{LOG, RESOURCE, SPAN};
use isinglass_model::tables::{Column, Table, Type};

use crate::files::Result;

/// zstd on flush. On metrics level 3 saves 1 to 2 % and costs more than that in time.
pub(in crate::files) const FLUSH_ZSTD_LEVEL: i32 = 1;

/// A dictionary larger than this is given up and the column goes on plain.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;

/// A page of log lines. zstd does better on half a MiB than on a whole one.
const BODY_PAGE_BYTES: usize = 512 << 10;

/// A page of values of attributes of log lines, of which there are many in a row. A line that an
/// index found takes a page of them to read.
const ATTRIBUTES_PAGE_BYTES: usize = 128 << 10;

/// A page of text that is another in most log lines, such as the id of a user, for the same reason.
const DISTINCT_PAGE_BYTES: usize = 16 << 10;

/// A dictionary of values of attributes of log lines: who reads one line reads it whole. Values that
/// come again and again are in it long before it is full.
const ATTRIBUTES_DICTIONARY_BYTES: usize = 64 << 10;

/// How often the filter of a row group of spans lets a trace pass that is not in it.
const TRACE_FPP: f64 = 0.01;

/// The same of logs, where every line may have a trace of its own: a byte a line and not two.
const LOGS_TRACE_FPP: f64 = 0.05;

/// Rows of a row group, at most, and of a page.
#[derive(Debug, Clone, Copy)]
pub(in crate::files) struct Sizes {
    pub(in crate::files) row_group: usize,
    pub(in crate::files) page: usize,
}

impl Sizes {
    /// Pages of a row group, at most.
    pub(in crate::files) fn pages(self) -> usize {
        (self.row_group / self.page).max(1)
    }
}

/// Rows of the row groups and pages of a table.
pub(in crate::files) fn sizes(kind: Kind) -> Sizes {
    match kind {
        Kind::Samples | Kind::Histograms | Kind::Exemplars | Kind::Series => {
            Sizes { row_group: 1 << 20, page: 20_000 }
        }
        Kind::Logs => Sizes { row_group: 128 << 10, page: 8_192 },
        // A trace is a few rows: a page of all its columns is decoded to find them.
        Kind::Spans => Sizes { row_group: 128 << 10, page: 2_048 },
        Kind::Rejected | Kind::Shadow | Kind::Reingested => Sizes { row_group: 128 << 10, page: 20_000 },
    }
}

/// Rows of a row group.
pub(super) fn row_group_rows(kind: Kind) -> usize {
    sizes(kind).row_group
}

/// The Parquet schema of Arrow columns.
pub(super) fn parquet_schema(schema: &Schema) -> Result<TypePtr> {
    Ok(ArrowSchemaConverter::new().convert(schema)?.root_schema_ptr())
}

/// What a file has in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::files) enum Values {
    /// Nothing but nulls.
    None,
    /// Values that come again and again, as far as is known.
    Repeated,
    /// Text that is another in most rows: a dictionary of it would be about as
    /// large as the column, and the keys come on top.
    Distinct,
}

/// The columns of a file of a table and how they are written, with such values in those of the
/// table. Promoted attributes, maps and lists that no row has are left out: a reader of the table
/// takes them for null, and need not open a page to find that they are. Of 85 columns of `spans`
/// that is most.
pub(in crate::files) fn of(
    table: &Table,
    zstd_level: i32,
    values: &[Values],
) -> Result<(SchemaRef, WriterPropertiesPtr)> {
    let there = table.columns.iter().zip(values).zip(table.file_schema().fields());
    let there = there.filter(|((column, values), _)| **values != Values::None || !may_be_left_out(column));
    let schema = Arc::new(Schema::new(there.map(|(_, field)| Arc::clone(field)).collect::<Vec<_>>()));
    let properties = properties(table, &schema, zstd_level, values)?;
    Ok((schema, properties))
}

/// How a file of `samples` is written.
pub(in crate::files) fn of_samples(zstd_level: i32) -> Result<WriterPropertiesPtr> {
    let table = Table::of(Kind::Samples);
    Ok(of(table, zstd_level, &vec![Values::Repeated; table.columns.len()])?.1)
}

fn properties(
    table: &Table,
    schema: &Schema,
    zstd_level: i32,
    values: &[Values],
) -> Result<WriterPropertiesPtr> {
    let schema = SchemaDescriptor::new(parquet_schema(schema)?);
    let sizes = sizes(table.kind);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_max_row_group_row_count(Some(sizes.row_group))
        .set_data_page_row_count_limit(sizes.page)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_bloom_filter_position(BloomFilterPosition::End)
        .set_sorting_columns(Some(sorting(table, &schema)));
    for leaf in schema.columns() {
        let path = leaf.path().clone();
        let top = path.parts().first().and_then(|name| table.position(name));
        let Some((column, values)) = top.map(|at| (&table.columns[at], values[at])) else { continue };
        let nested = path.parts().len() > 1;
        let values = if nested { Values::Repeated } else { values };
        let statistics = if nested { EnabledStatistics::None } else { statistics(table, column) };
        properties = properties.set_column_statistics_enabled(path.clone(), statistics);
        if column.name == "trace_id"
            && matches!(table.kind, Kind::Spans | Kind::Logs)
            && values != Values::None
        {
            // Says of a row group that a trace is not in it without its dictionary of all traces,
            // or without the ids of all lines; as small as that many ids let it be.
            let fpp = if table.kind == Kind::Logs { LOGS_TRACE_FPP } else { TRACE_FPP };
            properties = properties.set_column_bloom_filter_fpp(path.clone(), fpp);
        }
        if table.kind == Kind::Logs && column.name == "attributes" && leaf.name() == "value" {
            properties = properties
                .set_column_data_page_size_limit(path.clone(), ATTRIBUTES_PAGE_BYTES)
                .set_column_dictionary_page_size_limit(path.clone(), ATTRIBUTES_DICTIONARY_BYTES);
        }
        if table.kind == Kind::Logs && values == Values::Distinct && column.ty == Type::Dictionary {
            properties = properties.set_column_data_page_size_limit(path.clone(), DISTINCT_PAGE_BYTES);
        }
        if (table.kind, column.name) == (Kind::Logs, "body") {
            properties = properties.set_column_data_page_size_limit(path.clone(), BODY_PAGE_BYTES);
        }
        if let Some(encoding) = encoding(table.kind, column, values).filter(|_| !nested) {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, encoding);
        }
    }
    Ok(Arc::new(properties.build()))
}

fn sorting(table: &Table, schema: &SchemaDescriptor) -> Vec<SortingColumn> {
    let leaf = |name: &&str| schema.columns().iter().position(|leaf| leaf.path().parts() == [*name]);
    let leaves = table.sorted_by.iter().filter_map(leaf);
    let sorting = |leaf| SortingColumn { column_idx: leaf as i32, descending: false, nulls_first: true };
    leaves.map(sorting).collect()
}

/// How fine the statistics of a column at the top are. There are none inside
/// maps and lists, by which nobody prunes.
fn statistics(table: &Table, column: &Column) -> EnabledStatistics {
    match column.ty {
        Type::Text => EnabledStatistics::None,
        _ if table.sorted_by.contains(&column.name) => EnabledStatistics::Page,
        // Any page may have any value of a column that rows are not sorted by.
        // Values of one item say little of the next, and comparing all of them
        // was a tenth of a flush.
        Type::Dictionary if is_of_items(column) => EnabledStatistics::None,
        Type::Dictionary => EnabledStatistics::Chunk,
        _ => EnabledStatistics::Page,
    }
}

/// Whether a file without a value of this column need not have it. Nulls of a column at the top
/// are counted in the footer; inside of maps and lists nothing is, and a list of links has seven
/// leaves, each with pages that say that there are none.
pub(in crate::files) fn may_be_left_out(column: &Column) -> bool {
    is_promoted(column) || matches!(column.ty, Type::TextMap | Type::List(_) | Type::Struct(_))
}

/// Whether it is promoted from an attribute, of an item or of its resource.
fn is_promoted(column: &Column) -> bool {
    is_of_items(column) || RESOURCE.iter().any(|promoted| promoted.column == column.name)
}

/// Whether it is promoted from the attributes of spans or log records.
pub(in crate::files) fn is_of_items(column: &Column) -> bool {
    SPAN.iter().chain(LOG).any(|promoted| promoted.column == column.name)
}

/// The encoding of a column at the top; `None` is a dictionary, and plain once
/// that grows too large.
fn encoding(kind: Kind, column: &Column, values: Values) -> Option<Encoding> {
    match (kind, column.name, column.ty) {
        // A user's id in a log line: 3.3 instead of 4.3 B.
        (_, _, Type::Dictionary) if values == Values::Distinct => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        // Where one series ends and the next begins, differences are large, and
        // delta encoding spends their width on the whole block.
        (Kind::Samples, "value_int", _) => Some(Encoding::BYTE_STREAM_SPLIT),
        (_, _, Type::Double) => Some(Encoding::BYTE_STREAM_SPLIT),
        (_, _, Type::Timestamp | Type::Date) => Some(Encoding::DELTA_BINARY_PACKED),
        (_, "time" | "observed_time", _) => Some(Encoding::DELTA_BINARY_PACKED),
        // Noise of about one magnitude: packed it is no larger than what zstd makes of it, and
        // need not be decompressed, which takes six times as long as to unpack it.
        (_, "duration", _) => Some(Encoding::DELTA_BINARY_PACKED),
        // High bytes alike, low bytes noise.
        (_, "size_bytes", _) => Some(Encoding::BYTE_STREAM_SPLIT),
        // Lengths apart from the bytes: 3 % less than with lengths between them.
        (Kind::Logs, "body", _) => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        (_, _, Type::Text) => Some(Encoding::PLAIN),
        // A dictionary would be 0.01 to 0.05 B a sample smaller, and takes a
        // quarter of the time of a flush to look values up.
        (_, "metric_id" | "series_id" | "value_scale", _) => Some(Encoding::DELTA_BINARY_PACKED),
        // Sorted by trace: one entry for all spans of one.
        (Kind::Spans, "trace_id", _) => None,
        (_, _, Type::Id(_)) => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        _ => None,
    }
}
