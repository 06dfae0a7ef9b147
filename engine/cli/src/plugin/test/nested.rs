//! Events and links of spans: lists of tables.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};
use isinglass_model::tables::{Column, Type, batch_type};
use toml::Value;

use super::rows::array;

/// Columns of a span that are lists.
pub(super) const LISTS: [&str; 2] = ["events", "links"];

/// Lists of tables as a column; what a table leaves out and must have is 0, empty, or `time`.
pub(super) fn lists(element: &Type, cells: &[Option<Value>], time: i64) -> anyhow::Result<ArrayRef> {
    let (Type::Struct(columns), DataType::Struct(fields)) = (element, batch_type(element)) else {
        bail!("it is not offered to plugins")
    };
    let (mut lengths, mut tables) = (Vec::new(), Vec::new());
    for cell in cells {
        let given = match cell {
            None => &[][..],
            Some(Value::Array(given)) => given,
            Some(other) => bail!("{other} is no list of tables"),
        };
        lengths.push(given.len());
        for (at, table) in given.iter().enumerate() {
            let table = table.as_table().context("it must be a list of tables")?;
            let unknown = table.keys().find(|key| columns.iter().all(|column| column.name != *key));
            ensure!(
                unknown.is_none(),
                "number {}: {} is not known",
                at + 1,
                unknown.map_or("", String::as_str)
            );
            tables.push(table);
        }
    }
    let of_column = |column: &Column| {
        let cells: Vec<_> = tables.iter().map(|table| value(column, table, time)).collect();
        array(&column.ty, &cells, time).with_context(|| column.name.to_owned())
    };
    let arrays = columns.iter().map(of_column).collect::<anyhow::Result<Vec<_>>>()?;
    let elements = StructArray::try_new(fields, arrays, None)?;
    let field = Arc::new(Field::new("element", batch_type(element), false));
    let valid = NullBuffer::from_iter(cells.iter().map(Option::is_some));
    Ok(Arc::new(ListArray::try_new(
        field,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(elements),
        Some(valid),
    )?))
}

fn value(column: &Column, table: &toml::Table, time: i64) -> Option<Value> {
    table.get(column.name).cloned().or_else(|| {
        Some(match (column.name, column.nullable, column.ty) {
            (_, true, _) => return None,
            ("time", ..) => Value::Integer(time),
            (.., Type::Id(width)) => Value::String("0".repeat(2 * width as usize)),
            (.., Type::Text) => Value::String(String::new()),
            _ => Value::Integer(0),
        })
    })
}
