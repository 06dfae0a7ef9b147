//! The attributes of rows: keys and the lengths of values as validators see them, and maps as
//! they are stored.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use arrow_array::{ArrayRef, MapArray, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::DataType;
use isinglass_model::batch::AttributeIndex;
use isinglass_model::kind::Kind;
use isinglass_model::tables::promoted::{LOG, Promoted, RESOURCE, SPAN};
use isinglass_model::tables::{TEXT_MAP_ENTRIES, Type};
use toml::Value;

use super::cells::texts;

/// Tables of a row, which promoted columns and a column of maps of the same name are made of.
pub(super) const TABLES: [&str; 3] = ["attributes", "resource", "scope"];

/// Attributes of one of the tables of a row that have columns of their own.
pub(super) fn promoted_of(kind: Kind, key: &str) -> &'static [Promoted] {
    match key {
        "attributes" if kind == Kind::Logs => LOG,
        "attributes" => SPAN,
        "resource" => RESOURCE,
        _ => &[],
    }
}

/// Those that have none, or are of another type than it.
pub(super) fn unpromoted(row: &toml::Table, kind: Kind, key: &str) -> toml::Table {
    let given = row.get(key).and_then(Value::as_table).into_iter().flatten();
    let promoted = promoted_of(kind, key);
    let in_map = |key: &str, value: &Value| {
        promoted.iter().find(|promoted| promoted.key == key).is_none_or(|promoted| !fits(promoted, value))
    };
    let rest = given.filter(|(key, value)| in_map(key, value));
    rest.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether an attribute is of the type of its column.
fn fits(promoted: &Promoted, value: &Value) -> bool {
    match promoted.ty {
        Type::Bigint => value.is_integer(),
        _ => value.is_str(),
    }
}

/// The attribute that is promoted to a column, if it is of the column's type.
pub(super) fn promoted(row: &toml::Table, kind: Kind, column: &str) -> Option<Value> {
    TABLES.into_iter().find_map(|key| {
        let promoted = promoted_of(kind, key).iter().find(|promoted| promoted.column == column)?;
        let value = row.get(key)?.as_table()?.get(promoted.key)?;
        fits(promoted, value).then(|| value.clone())
    })
}

pub(super) fn index(rows: &[(usize, &toml::Table)]) -> anyhow::Result<AttributeIndex> {
    let (mut offsets, mut keys, mut lengths) = (vec![0_i32], Vec::new(), Vec::new());
    let mut distinct: Vec<&str> = Vec::new();
    for (at, row) in rows {
        let given = match row.get("attributes") {
            None => None,
            Some(given) => Some(
                given.as_table().with_context(|| format!("row {}: attributes must be a table", at + 1))?,
            ),
        };
        for (key, value) in given.into_iter().flatten() {
            let known = distinct.iter().position(|known| known == key).unwrap_or_else(|| {
                distinct.push(key);
                distinct.len() - 1
            });
            keys.push(i32::try_from(known)?);
            lengths.push(u32::try_from(bytes(value))?);
        }
        offsets.push(i32::try_from(keys.len())?);
    }
    Ok(AttributeIndex {
        offsets: offsets.into(),
        keys: keys.into(),
        key_values: texts(&distinct)?,
        value_lengths: lengths.into(),
    })
}

/// Bytes of a value: of text itself, of anything else as JSON.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        other => serde_json::to_string(other).map_or(0, |text| text.len()),
    }
}

/// Tables as a column of maps, whose values are JSON text.
pub(super) fn maps(tables: &[Option<Value>]) -> anyhow::Result<ArrayRef> {
    let (mut offsets, mut keys, mut values) = (vec![0_i32], Vec::new(), Vec::new());
    for table in tables {
        for (key, value) in table.as_ref().and_then(Value::as_table).into_iter().flatten() {
            keys.push(key.as_str());
            values.push(serde_json::to_string(value)?);
        }
        offsets.push(i32::try_from(keys.len())?);
    }
    let DataType::Struct(fields) = TEXT_MAP_ENTRIES.data_type() else {
        bail!("entries of a map are no struct")
    };
    let arrays: Vec<ArrayRef> = vec![Arc::new(StringArray::from(keys)), Arc::new(StringArray::from(values))];
    let entries = StructArray::try_new(fields.clone(), arrays, None)?;
    let filled: NullBuffer = offsets.windows(2).map(|ends| ends[0] < ends[1]).collect();
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(MapArray::try_new(Arc::clone(&TEXT_MAP_ENTRIES), offsets, entries, Some(filled), false)?))
}
