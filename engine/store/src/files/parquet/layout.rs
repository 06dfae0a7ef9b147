//! How the columns of each table are laid out: encodings, pages, row groups.
//!
//! The figures behind each choice stand in `docs/formats/parquet.md`.

use std::sync::Arc;

use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use ::parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::metadata::SortingColumn;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use ::parquet::schema::types::{ColumnPath, SchemaDescriptor};
use isinglass_model::Kind;
use isinglass_model::tables::{Table, Type};

use super::sink::Sink;
use crate::files::Result;

/// zstd on flush. Level 3 made spans and logs no smaller worth its time.
const ZSTD_LEVEL: i32 = 1;

/// A dictionary larger than this is given up and the column goes on plain.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;

/// Rows of a row group and of a page.
struct Sizes {
    row_group: usize,
    page: usize,
}

fn sizes(kind: Kind) -> Sizes {
    match kind {
        Kind::Samples | Kind::Histograms | Kind::Exemplars | Kind::Series => {
            Sizes { row_group: 1 << 20, page: 20_000 }
        }
        Kind::Logs => Sizes { row_group: 128 << 10, page: 8_192 },
        Kind::Spans | Kind::Rejected => Sizes { row_group: 128 << 10, page: 20_000 },
    }
}

/// A writer of files of a table.
pub(super) fn writer(kind: Kind) -> Result<ArrowWriter<Sink>> {
    let table = Table::of(kind);
    let schema = ArrowSchemaConverter::new().convert(table.file_schema())?;
    let options = ArrowWriterOptions::new()
        .with_properties(properties(table, &schema)?)
        // The types in a file are those that Parquet itself has, for us as for others.
        .with_skip_arrow_metadata(true);
    Ok(ArrowWriter::try_new_with_options(Sink::default(), Arc::clone(table.file_schema()), options)?)
}

fn properties(table: &Table, schema: &SchemaDescriptor) -> Result<WriterProperties> {
    let sizes = sizes(table.kind);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(sizes.row_group))
        .set_data_page_row_count_limit(sizes.page)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(Some(sorting(table, schema)));
    for leaf in schema.columns() {
        let top = leaf.path().parts().first().and_then(|name| table.position(name));
        let Some(column) = top.map(|position| &table.columns[position]) else { continue };
        let nested = leaf.path().parts().len() > 1;
        properties = column_layout(properties, leaf.path().clone(), table, column.name, &column.ty, nested);
    }
    Ok(properties.build())
}

fn sorting(table: &Table, schema: &SchemaDescriptor) -> Vec<SortingColumn> {
    let leaf = |name: &&str| schema.columns().iter().position(|leaf| leaf.path().parts() == [*name]);
    let leaves = table.sorted_by.iter().filter_map(leaf);
    let sorting = |leaf| SortingColumn { column_idx: leaf as i32, descending: false, nulls_first: true };
    leaves.map(sorting).collect()
}

fn column_layout(
    properties: WriterPropertiesBuilder,
    path: ColumnPath,
    table: &Table,
    name: &str,
    ty: &Type,
    nested: bool,
) -> WriterPropertiesBuilder {
    let plain = |properties: WriterPropertiesBuilder, encoding| {
        properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path.clone(), encoding)
    };
    if nested {
        // Nobody prunes by a value inside a map or a list.
        return properties.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    match (table.kind, name, ty) {
        (Kind::Samples, "value", _) => plain(properties, Encoding::BYTE_STREAM_SPLIT),
        (_, "value_int", _) => plain(properties, Encoding::DELTA_BINARY_PACKED),
        (_, "metric_id" | "series_id", _) => properties,
        (_, "trace_id", Type::Id(_)) if table.kind == Kind::Spans => properties,
        (_, _, Type::Id(_)) => plain(properties, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        (_, "body" | "item" | "message", Type::Text) => {
            plain(properties, Encoding::PLAIN).set_column_statistics_enabled(path, EnabledStatistics::None)
        }
        (_, "time" | "start_time" | "observed_time" | "day", _) => {
            plain(properties, Encoding::DELTA_BINARY_PACKED)
        }
        (_, "duration" | "size_bytes", _) => plain(properties, Encoding::PLAIN),
        (_, _, Type::Double) => plain(properties, Encoding::BYTE_STREAM_SPLIT),
        _ => properties,
    }
}
