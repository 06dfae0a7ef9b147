//! Attributes by key, whether they have a column of the table or not.
//!
//! | column | is |
//! |---|---|
//! | `own:KEY` | the attribute of the span or log record itself |
//! | `resource:KEY` | that of its resource |
//! | `resource:*` | all of it, see `resource` |
//! | `any:KEY` | that of its resource, or where that has none the item's own |
//!
//! What is promoted comes from its column; of another type than that it is not found. All else is
//! looked for in the maps: text as it is, other values as JSON text.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::{Array, MapArray, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;

use super::metrics::text_column;
use super::resource::resource_column;
use super::table::table_column;
use crate::columns::{Column, ColumnData, Encoding, TextBuffers};
use crate::tables::promoted::{LOG, Promoted, RESOURCE, SPAN};

/// The column of a name with a colon. `promoted`: attributes of the item with a column.
pub(crate) fn attribute_column(
    table: &RecordBatch,
    name: &str,
    encoding: Encoding,
    promoted: &[Promoted],
) -> Option<Column> {
    let (scope, key) = name.split_once(':')?;
    let own = || one(table, key, encoding, ("attributes", promoted));
    let resource = || match key {
        "*" => resource_column(table),
        "service.name" => table_column(table, "service", encoding),
        _ => one(table, key, encoding, ("resource", RESOURCE)),
    };
    match scope {
        "own" => own(),
        "resource" => resource(),
        "any" => match (resource(), own()) {
            (Some(first), Some(second)) => Some(either(&first, &second, table.num_rows(), encoding)),
            (one, other) => one.or(other),
        },
        _ => None,
    }
}

/// Columns of the table, besides the maps, that a name with a colon is made of.
pub fn columns_behind(name: &str) -> Vec<&'static str> {
    let Some((scope, key)) = name.split_once(':') else { return Vec::new() };
    let of = |all: &[Promoted]| {
        let asked = all.iter().filter(|promoted| key == "*" || promoted.key == key);
        asked.map(|promoted| promoted.column).collect::<Vec<_>>()
    };
    let own = || [of(SPAN), of(LOG)].concat();
    let resource = || [of(RESOURCE), vec!["service"]].concat();
    match scope {
        "own" => own(),
        "resource" => resource(),
        "any" => [resource(), own()].concat(),
        _ => Vec::new(),
    }
}

fn one(
    table: &RecordBatch,
    key: &str,
    encoding: Encoding,
    (map, promoted): (&str, &[Promoted]),
) -> Option<Column> {
    match promoted.iter().find(|promoted| promoted.key == key) {
        Some(promoted) => table_column(table, promoted.column, encoding),
        None => in_map(table.column_by_name(map)?.as_map_opt()?, key, encoding),
    }
}

/// The values of a key of maps; `None` if no row has it.
fn in_map(maps: &MapArray, key: &str, encoding: Encoding) -> Option<Column> {
    let (keys, values) = (maps.keys().as_string_opt::<i32>()?, maps.values().as_string_opt::<i32>()?);
    let mut found: Vec<Option<usize>> = Vec::new();
    let offsets = maps.offsets();
    let mut row = 0;
    for at in entries_of(keys, key) {
        // Entries before the first row's and behind the last one's belong to none.
        while row < maps.len() && at >= offsets[row + 1] as usize {
            row += 1;
        }
        if row < maps.len() && at >= offsets[row] as usize && maps.is_valid(row) && values.is_valid(at) {
            found.resize(row, None);
            found.push(Some(at));
            row += 1;
        }
    }
    if found.is_empty() {
        return None;
    }
    found.resize(maps.len(), None);
    let texts: Vec<Option<Cow<'_, str>>> =
        found.into_iter().map(|at| at.map(|at| plain(values.value(at)))).collect();
    Some(column(&texts, encoding))
}

/// Where a key is, ascending. Most keys have another length, which is seen without their text.
fn entries_of<'a>(keys: &'a StringArray, key: &'a str) -> impl Iterator<Item = usize> + 'a {
    let lengths = keys.offsets().inner().array_windows().map(|[from, to]| (to - from) as usize);
    let alike = lengths.enumerate().filter(|(_, length)| *length == key.len()).map(|(at, _)| at);
    alike.filter(move |at| keys.value(*at) == key)
}

/// Of JSON text: what a text says, all else as it is.
pub(super) fn plain(json: &str) -> Cow<'_, str> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => Cow::Borrowed(json),
        Some(inside) if !inside.contains('\\') => Cow::Borrowed(inside),
        Some(_) => serde_json::from_str(json).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}

fn column(texts: &[Option<Cow<'_, str>>], encoding: Encoding) -> Column {
    let values = texts.iter().map(|text| text.as_deref().unwrap_or_default());
    let validity: NullBuffer = texts.iter().map(Option::is_some).collect();
    let validity = (validity.null_count() > 0).then_some(validity);
    Column { data: text_column(values, encoding), validity }
}

/// The first where it has a value, else the second, as text.
fn either(first: &Column, second: &Column, rows: usize, encoding: Encoding) -> Column {
    let text = |row| text_of(first, row).or_else(|| text_of(second, row));
    column(&(0..rows).map(text).collect::<Vec<_>>(), encoding)
}

fn text_of(column: &Column, row: usize) -> Option<Cow<'_, str>> {
    if column.validity.as_ref().is_some_and(|validity| validity.is_null(row)) {
        return None;
    }
    let text = |text: &'_ TextBuffers, at: usize| {
        let bytes = &text.data[text.offsets[at] as usize..text.offsets[at + 1] as usize];
        Some(Cow::Owned(String::from_utf8_lossy(bytes).into_owned()))
    };
    match &column.data {
        ColumnData::I64(values) => Some(Cow::Owned(values[row].to_string())),
        ColumnData::Text(values) => text(values, row),
        ColumnData::Dictionary { keys, values } => text(values, usize::try_from(keys[row]).ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, Int64Array};

    use super::*;
    use crate::tables::promoted::SPAN;

    fn maps(rows: &[&[(&str, &str)]]) -> ArrayRef {
        let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
        let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        for row in rows {
            for (key, value) in *row {
                builder.keys().append_value(key);
                builder.values().append_value(value);
            }
            builder.append(!row.is_empty()).unwrap();
        }
        Arc::new(builder.finish())
    }

    fn table() -> RecordBatch {
        let method: DictionaryArray<Int32Type> = [Some("GET"), None, Some("PUT"), None].into_iter().collect();
        RecordBatch::try_from_iter_with_nullable([
            ("http_request_method", Arc::new(method) as ArrayRef, true),
            ("server_port", Arc::new(Int64Array::from(vec![Some(80), None, None, None])), true),
            (
                "attributes",
                maps(&[
                    &[("team", "\"red\""), ("ratio", "0.5")],
                    &[],
                    &[("ratio", "1"), ("quoted", r#""a\"b""#)],
                    &[("xatio", "1"), ("server.port", "\"x\"")],
                ]),
                true,
            ),
            (
                "resource",
                maps(&[&[("team", "\"blue\"")], &[], &[("zone", "7")], &[("team", "\"blue\"")]]),
                true,
            ),
        ])
        .unwrap()
    }

    fn check(table: &RecordBatch, name: &str, wanted: &[&str]) {
        let column = attribute_column(table, name, Encoding::Dictionary, SPAN);
        let texts = column.map_or_else(Vec::new, |column| {
            let text = |row| text_of(&column, row).map_or("-".to_owned(), Cow::into_owned);
            (0..table.num_rows()).map(text).collect()
        });
        assert_eq!(texts, wanted, "{name}");
    }

    #[test]
    fn a_resource_is_an_object_of_texts() {
        let nodes: DictionaryArray<Int32Type> = [Some("n"), Some("n"), None, None].into_iter().collect();
        let services: DictionaryArray<Int32Type> = ["shop", "shop", "cart", "shop"].into_iter().collect();
        let pids = Int64Array::from(vec![Some(7), Some(7), None, None]);
        let blue: &[(&str, &str)] = &[("team", "\"blue\""), ("tags", "[1,2]")];
        let table = RecordBatch::try_from_iter_with_nullable([
            ("service", Arc::new(services) as ArrayRef, true),
            ("k8s_node_name", Arc::new(nodes) as ArrayRef, true),
            ("process_pid", Arc::new(pids), true),
            ("resource", maps(&[blue, blue, &[], &[]]), true),
        ])
        .unwrap();
        let shop =
            r#"{"k8s.node.name":"n","process.pid":"7","service.name":"shop","tags":"[1,2]","team":"blue"}"#;
        let (cart, bare) = (r#"{"service.name":"cart"}"#, r#"{"service.name":"shop"}"#);
        check(&table, "resource:*", &[shop, shop, cart, bare]);
        check(&table.slice(1, 3), "resource:*", &[shop, cart, bare]);
    }

    #[test]
    fn attributes_are_found_by_key() {
        let table = table();
        check(&table, "own:http.request.method", &["GET", "-", "PUT", "-"]);
        check(&table, "own:server.port", &["80", "-", "-", "-"]);
        check(&table, "own:ratio", &["0.5", "-", "1", "-"]);
        check(&table, "own:quoted", &["-", "-", "a\"b", "-"]);
        check(&table, "own:absent", &[]);
        check(&table, "resource:team", &["blue", "-", "-", "blue"]);
        check(&table, "any:team", &["blue", "-", "-", "blue"]);
        check(&table, "any:zone", &["-", "-", "7", "-"]);
        check(&table, "any:ratio", &["0.5", "-", "1", "-"]);
        check(&table, "what:ratio", &[]);
        let cut = table.slice(2, 2);
        check(&cut, "own:ratio", &["1", "-"]);
        check(&cut, "any:team", &["-", "blue"]);
    }
}
