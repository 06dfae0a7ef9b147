//! How columns of attributes are written that stand beside those of the table.

use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use ::parquet::schema::types::ColumnPath;
use arrow_schema::{DataType, Field};

use crate::files::Result;
use crate::tables::{AttributeColumn, AttributeValues};

/// A page is 16 KiB of keys of a dictionary, in which a higher level finds nothing more, and
/// each column has a compressor of its own in memory.
const ZSTD_LEVEL_MAX: i32 = 3;

/// The column of an attribute.
pub(in crate::files) fn field(attribute: &AttributeColumn) -> Field {
    let ty = match attribute.values {
        AttributeValues::Text | AttributeValues::Unusable => DataType::Utf8,
        AttributeValues::Number => DataType::Float64,
    };
    Field::new(attribute.name(), ty, true)
}

/// The properties of a file with these columns besides. Both sorts have a dictionary, and go on
/// plain where it grows too large: durations with two decimals are 2.1 B a value so, split into
/// streams of bytes 5.4.
pub(in crate::files) fn with_attributes(
    properties: &WriterProperties,
    zstd_level: i32,
    attributes: &[AttributeColumn],
) -> Result<WriterPropertiesBuilder> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(zstd_level.min(ZSTD_LEVEL_MAX))?);
    let properties = properties.clone().into_builder();
    Ok(attributes.iter().fold(properties, |properties, attribute| {
        let path = ColumnPath::new(vec![attribute.name()]);
        properties
            .set_column_compression(path.clone(), zstd)
            .set_column_statistics_enabled(path, statistics(attribute.values))
    }))
}

/// Any page may have any text, as rows are not sorted by it; the page of a number that is large
/// is one of few.
fn statistics(values: AttributeValues) -> EnabledStatistics {
    match values {
        AttributeValues::Text | AttributeValues::Unusable => EnabledStatistics::Chunk,
        AttributeValues::Number => EnabledStatistics::Page,
    }
}
