//! The statistics and tags of an add action.
//!
//! Only the columns that files are pruned by: time, `metric_id`, `series_id`.
//! None of them is ever null.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;

use arrow_array::temporal_conversions::as_datetime;
use arrow_array::timezone::Tz;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_cast::parse::{Parser as _, string_to_datetime};
use isinglass_model::Kind;
use isinglass_model::tables::{Table, Type};
use serde_json::{Map, Value, json};

use super::NewFile;
use crate::Seq;
use crate::files::objects::PIECE_BYTES;
use crate::tables::{AttributeColumn, AttributeValues, Kept};

/// What rows a file holds, in raw file units: microseconds of a `timestamp`,
/// nanoseconds of a `bigint` time, days of a `date`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::files) struct Extent {
    pub(in crate::files) rows: u64,
    /// Least and greatest time; `None` if unknown.
    pub(in crate::files) time: Option<(i64, i64)>,
    /// Least and greatest metric id, in tables that have one.
    pub(in crate::files) metric_id: Option<(i64, i64)>,
    /// Least and greatest series id, in tables that have one.
    pub(in crate::files) series_id: Option<(i64, i64)>,
}

/// The table property that limits statistics to the columns we write.
pub(super) fn indexed_columns(kind: Kind) -> String {
    let table = Table::of(kind);
    let ids = ["metric_id", "series_id"].into_iter().filter(|column| table.position(column).is_some());
    std::iter::once(table.time).chain(ids).collect::<Vec<_>>().join(",")
}

/// Statistics as Delta writes them.
pub(super) fn to_json(kind: Kind, extent: &Extent) -> String {
    let table = Table::of(kind);
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    let mut add = |column: &str, range: Option<(Value, Value)>| {
        if let Some((low, high)) = range {
            min.insert(column.to_owned(), low);
            max.insert(column.to_owned(), high);
            nulls.insert(column.to_owned(), json!(0));
        }
    };
    let times =
        extent.time.and_then(|(low, high)| Some((time_to_json(table, low)?, time_to_json(table, high)?)));
    add(table.time, times);
    add("metric_id", extent.metric_id.map(|(low, high)| (json!(low), json!(high))));
    add("series_id", extent.series_id.map(|(low, high)| (json!(low), json!(high))));
    json!({ "numRecords": extent.rows, "minValues": min, "maxValues": max, "nullCount": nulls }).to_string()
}

/// Reads statistics back, also those of other writers. What is missing or
/// cannot be read is unknown; only the number of rows must be there.
pub(super) fn from_json(kind: Kind, text: &str) -> Option<Extent> {
    let table = Table::of(kind);
    let stats: Value = serde_json::from_str(text).ok()?;
    let range = |column: &str, read: &dyn Fn(&Value) -> Option<i64>| {
        Some((read(&stats["minValues"][column])?, read(&stats["maxValues"][column])?))
    };
    Some(Extent {
        rows: stats["numRecords"].as_u64()?,
        time: range(table.time, &|value| time_from_json(table, value)),
        metric_id: range("metric_id", &Value::as_i64),
        series_id: range("series_id", &Value::as_i64),
    })
}

fn time_type(table: &Table) -> Option<Type> {
    table.position(table.time).map(|position| table.columns[position].ty)
}

/// `None` for times that ISO 8601 cannot say in four digits of year: then the
/// file is never pruned by time.
fn time_to_json(table: &Table, raw: i64) -> Option<Value> {
    let text = match time_type(table)? {
        Type::Timestamp => {
            // Whole milliseconds but for rows that others made; cut off, the
            // greatest time would be less than a row's.
            let format = if raw % 1_000 == 0 { "%Y-%m-%dT%H:%M:%S%.3fZ" } else { "%Y-%m-%dT%H:%M:%S%.6fZ" };
            as_datetime::<TimestampMicrosecondType>(raw)?.format(format).to_string()
        }
        Type::Date => as_datetime::<Date32Type>(raw)?.format("%Y-%m-%d").to_string(),
        _ => return Some(json!(raw)),
    };
    text.as_bytes().get(4).is_some_and(|byte| *byte == b'-').then(|| json!(text))
}

fn time_from_json(table: &Table, value: &Value) -> Option<i64> {
    match time_type(table)? {
        Type::Timestamp => {
            let utc = Tz::from_str("+00:00").ok()?;
            Some(string_to_datetime(&utc, value.as_str()?).ok()?.timestamp_micros())
        }
        Type::Date => Date32Type::parse(value.as_str()?).map(i64::from),
        _ => value.as_i64(),
    }
}

/// The tag that holds the checksums.
const CRC32C_TAG: &str = "isinglass.crc32c";

/// The tag that holds how often the rows were merged: 0 = as flushed.
const LEVEL_TAG: &str = "isinglass.level";

/// The tag that holds the WAL position of the oldest flush whose rows are in the file.
const KEPT_TAG: &str = "isinglass.kept";

/// The tag that holds the WAL position of the oldest flush.
const ACCEPTED_TAG: &str = "isinglass.accepted";

/// The tag that holds the size of the token index in bytes.
const TOKEN_INDEX_TAG: &str = "isinglass.tokenIndex";

/// The tag that says which attributes have a column of their own: a JSON object, of each key
/// `"text"`, `"number"` or `"unusable"`.
const ATTRIBUTES_TAG: &str = "isinglass.attributes";

/// Checksums as eight hex digits each, level, order of acceptance, size of the index, columns
/// of attributes.
pub(super) fn to_tags(
    file: &NewFile,
    level: u8,
    accepted: Seq,
    kept: Option<Kept>,
) -> HashMap<String, Option<String>> {
    let text = file.crc32c.iter().map(|crc| format!("{crc:08x}")).collect();
    let kept =
        kept.map(|Kept { digest, keep_ms }| (KEPT_TAG.to_owned(), Some(format!("{digest:016x} {keep_ms}"))));
    let tags = [
        (CRC32C_TAG.to_owned(), Some(text)),
        (LEVEL_TAG.to_owned(), Some(level.to_string())),
        (ACCEPTED_TAG.to_owned(), Some(accepted.to_string())),
    ];
    let index = file.token_index_bytes.map(|bytes| (TOKEN_INDEX_TAG.to_owned(), Some(bytes.to_string())));
    let attributes = (!file.attribute_columns.is_empty())
        .then(|| (ATTRIBUTES_TAG.to_owned(), Some(attributes_to_json(&file.attribute_columns))));
    tags.into_iter().chain(kept).chain(index).chain(attributes).collect()
}

fn attributes_to_json(columns: &[AttributeColumn]) -> String {
    let kind = |values| match values {
        AttributeValues::Text => "text",
        AttributeValues::Number => "number",
        AttributeValues::Unusable => "unusable",
    };
    let object: Map<_, _> =
        columns.iter().map(|column| (column.key.clone(), json!(kind(column.values)))).collect();
    Value::Object(object).to_string()
}

/// Attributes with a column of their own, by key. Columns of which nothing or something of a
/// later release is said are there, and unusable: the map has everything.
pub(super) fn attribute_columns(tags: &HashMap<String, Option<String>>) -> Arc<[AttributeColumn]> {
    let text = tags.get(ATTRIBUTES_TAG).and_then(Option::as_deref).unwrap_or("{}");
    let object: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let mut columns: Vec<AttributeColumn> = object
        .into_iter()
        .map(|(key, kind)| {
            let values = match kind.as_str() {
                Some("text") => AttributeValues::Text,
                Some("number") => AttributeValues::Number,
                _ => AttributeValues::Unusable,
            };
            AttributeColumn { key, values }
        })
        .collect();
    columns.sort_by(|a, b| a.key.cmp(&b.key));
    columns.into()
}

/// Which rules of retention were applied.
pub(super) fn kept(tags: &HashMap<String, Option<String>>) -> Option<Kept> {
    let (digest, keep_ms) = tags.get(KEPT_TAG)?.as_deref()?.split_once(' ')?;
    Some(Kept { digest: u64::from_str_radix(digest, 16).ok()?, keep_ms: keep_ms.parse().ok()? })
}

/// The size of the token index; `None` if there is none.
pub(super) fn token_index_bytes(tags: &HashMap<String, Option<String>>) -> Option<u64> {
    tags.get(TOKEN_INDEX_TAG)?.as_deref()?.parse().ok()
}

/// Level and order of acceptance; files without these tags were flushed first of all.
pub(super) fn from_tags(tags: &HashMap<String, Option<String>>) -> (u8, Seq) {
    let text = |tag: &str| tags.get(tag).and_then(Option::as_deref);
    let level = text(LEVEL_TAG).and_then(|text| text.parse().ok()).unwrap_or(0);
    (level, text(ACCEPTED_TAG).and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// The checksums of a file of this size, one a MiB; `None` if there are none.
pub(super) fn checksums(
    tags: &HashMap<String, Option<String>>,
    size_bytes: u64,
) -> Result<Option<Arc<[u32]>>, String> {
    let Some(text) = tags.get(CRC32C_TAG).and_then(Option::as_deref) else { return Ok(None) };
    let sum = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let sums: Option<Arc<[u32]>> = text.as_bytes().chunks(8).map(sum).collect();
    let sums = sums.ok_or_else(|| format!("tag {CRC32C_TAG} = {text:?} is not hexadecimal"))?;
    let wanted = size_bytes.div_ceil(PIECE_BYTES);
    if sums.len() as u64 != wanted || !text.len().is_multiple_of(8) {
        let got = sums.len();
        return Err(format!("tag {CRC32C_TAG} has {got} checksums, a file of {size_bytes} bytes {wanted}"));
    }
    Ok(Some(sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, extent: Extent, text: &str) {
        assert_eq!(to_json(kind, &extent), text);
        assert_eq!(from_json(kind, text), Some(extent));
    }

    #[test]
    fn statistics_in_the_format_of_delta() {
        check(
            Kind::Samples,
            Extent {
                rows: 3,
                time: Some((1_700_000_000_123_000, 1_700_000_001_000_000)),
                metric_id: Some((i64::MIN, i64::MAX)),
                series_id: Some((-5, 7)),
            },
            concat!(
                r#"{"maxValues":{"metric_id":9223372036854775807,"series_id":7,"time":"2023-11-14T22:13:21.000Z"},"#,
                r#""minValues":{"metric_id":-9223372036854775808,"series_id":-5,"time":"2023-11-14T22:13:20.123Z"},"#,
                r#""nullCount":{"metric_id":0,"series_id":0,"time":0},"numRecords":3}"#
            ),
        );
        check(
            Kind::Spans,
            Extent { rows: 1, time: Some((-1, i64::MAX)), ..Extent::default() },
            concat!(
                r#"{"maxValues":{"time":9223372036854775807},"minValues":{"time":-1},"#,
                r#""nullCount":{"time":0},"numRecords":1}"#
            ),
        );
        check(
            Kind::Series,
            Extent { rows: 1, time: Some((-1, 20_000)), metric_id: Some((1, 2)), series_id: Some((3, 4)) },
            concat!(
                r#"{"maxValues":{"day":"2024-10-04","metric_id":2,"series_id":4},"#,
                r#""minValues":{"day":"1969-12-31","metric_id":1,"series_id":3},"#,
                r#""nullCount":{"day":0,"metric_id":0,"series_id":0},"numRecords":1}"#
            ),
        );
    }

    #[test]
    fn times_beyond_four_digit_years_are_unknown() {
        let extent = Extent { rows: 1, time: Some((i64::MIN, i64::MAX)), ..Extent::default() };
        let text = to_json(Kind::Samples, &extent);
        assert_eq!(text, r#"{"maxValues":{},"minValues":{},"nullCount":{},"numRecords":1}"#);
        assert_eq!(from_json(Kind::Samples, &text), Some(Extent { time: None, ..extent }));
    }

    #[test]
    fn statistics_of_other_writers() {
        let spark = r#"{"numRecords":2,"minValues":{"time":"2023-11-14T22:13:20.123+00:00"},"maxValues":{"time":"2023-11-14T22:13:20.123456Z"}}"#;
        let time = Some((1_700_000_000_123_000, 1_700_000_000_123_456));
        assert_eq!(from_json(Kind::Samples, spark), Some(Extent { rows: 2, time, ..Extent::default() }));
        assert_eq!(from_json(Kind::Samples, "{}"), None);
        assert_eq!(from_json(Kind::Samples, "no json"), None);
    }

    #[test]
    fn checksums_in_tags() {
        let file = NewFile {
            name: "a.parquet".to_owned(),
            size_bytes: 3 << 20,
            extent: Extent::default(),
            crc32c: vec![0, 1, u32::MAX],
            token_index_bytes: Some(345),
            attribute_columns: Vec::new(),
        };
        let tags = to_tags(&file, 2, 77, Some(Kept { digest: 0xab, keep_ms: 9 }));
        assert_eq!((token_index_bytes(&tags), token_index_bytes(&HashMap::new())), (Some(345), None));
        assert_eq!(super::kept(&tags), Some(Kept { digest: 0xab, keep_ms: 9 }));
        assert!(!tags.contains_key(ATTRIBUTES_TAG));
        assert_eq!(tags[CRC32C_TAG].as_deref(), Some("0000000000000001ffffffff"));
        assert_eq!(from_tags(&tags), (2, 77));
        assert_eq!(from_tags(&HashMap::new()), (0, 0));
        assert_eq!(checksums(&tags, 3 << 20), Ok(Some(Arc::from([0, 1, u32::MAX]))));
        assert_eq!(checksums(&HashMap::new(), 3 << 20), Ok(None));
        let error = checksums(&tags, (3 << 20) + 1).unwrap_err();
        assert!(error.ends_with("has 3 checksums, a file of 3145729 bytes 4"), "{error}");
        let tags = HashMap::from([(CRC32C_TAG.to_owned(), Some("0000000g".to_owned()))]);
        assert!(checksums(&tags, 1).unwrap_err().contains("0000000g"));
    }

    fn column(key: &str, values: AttributeValues) -> AttributeColumn {
        AttributeColumn { key: key.to_owned(), values }
    }

    fn check_attributes(text: &str, want: &[AttributeColumn]) {
        let tags = HashMap::from([(ATTRIBUTES_TAG.to_owned(), Some(text.to_owned()))]);
        assert_eq!(*attribute_columns(&tags), *want, "{text}");
    }

    #[test]
    fn columns_of_attributes_in_a_tag() {
        let columns = [
            column("", AttributeValues::Text),
            column("a \"b\" ü", AttributeValues::Number),
            column("z", AttributeValues::Text),
        ];
        let text = r#"{"":"text","a \"b\" ü":"number","z":"text"}"#;
        assert_eq!(attributes_to_json(&columns), text);
        check_attributes(text, &columns);
        // By key, however another writer wrote them.
        check_attributes(
            r#"{"b":"number","a":"text"}"#,
            &[column("a", AttributeValues::Text), column("b", AttributeValues::Number)],
        );
        // What a later release may write, and what nobody should.
        check_attributes(
            r#"{"a":"text","b":"boolean","c":{"of":1},"d":"unusable"}"#,
            &[
                column("a", AttributeValues::Text),
                column("b", AttributeValues::Unusable),
                column("c", AttributeValues::Unusable),
                column("d", AttributeValues::Unusable),
            ],
        );
        for text in ["", "[]", "{", "null", r#"["a"]"#] {
            check_attributes(text, &[]);
        }
        assert!(attribute_columns(&HashMap::new()).is_empty());
    }
}
