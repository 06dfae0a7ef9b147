//! A batch before and after a transformer, field by field.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use serde_json::Value;

use crate::refused::row_text;

/// What became of one field of one row.
pub(super) struct Change<'a> {
    pub(super) row: usize,
    /// A column, or an entry of one that is a map: `attributes['user']`.
    pub(super) field: &'a str,
    /// Before and after, as text; `None` = there was none. Made when it is asked for.
    pub(super) texts: &'a dyn Fn() -> (Option<String>, Option<String>),
}

/// Calls `each` for every field that differs, column by column.
pub(super) fn changes(before: &RecordBatch, after: &RecordBatch, mut each: impl FnMut(&Change<'_>)) {
    let (old_schema, new_schema) = (before.schema(), after.schema());
    let new_only =
        new_schema.fields().iter().filter(|field| old_schema.field_with_name(field.name()).is_err());
    for field in old_schema.fields().iter().chain(new_only) {
        let name = field.name().as_str();
        let pair = (before.column_by_name(name), after.column_by_name(name));
        of_column(name, field.data_type(), pair, before.num_rows(), &mut each);
    }
}

fn of_column(
    name: &str,
    ty: &DataType,
    (old, new): (Option<&ArrayRef>, Option<&ArrayRef>),
    rows: usize,
    each: &mut impl FnMut(&Change<'_>),
) {
    if let (Some(old), Some(new)) = (old, new)
        && Arc::ptr_eq(old, new)
    {
        return;
    }
    for row in (0..rows).filter(|row| differs(old, new, *row)) {
        if matches!(ty, DataType::Map(..)) {
            of_map(name, row, (cell(old, row), cell(new, row)), each);
        } else {
            let texts = || (cell(old, row).map(text), cell(new, row).map(text));
            each(&Change { row, field: name, texts: &texts });
        }
    }
}

fn differs(old: Option<&ArrayRef>, new: Option<&ArrayRef>, row: usize) -> bool {
    let null = |column: Option<&ArrayRef>| column.is_none_or(|column| column.is_null(row));
    match (old, new) {
        (Some(old), Some(new)) if !null(Some(old)) && !null(Some(new)) => {
            old.slice(row, 1).to_data() != new.slice(row, 1).to_data()
        }
        _ => null(old) != null(new),
    }
}

/// Entries of a map that are not the same before and after.
fn of_map(
    name: &str,
    row: usize,
    (old, new): (Option<Value>, Option<Value>),
    each: &mut impl FnMut(&Change<'_>),
) {
    let entries = |value: Option<Value>| match value {
        Some(Value::Object(entries)) => entries,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (entries(old), entries(new));
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added).filter(|key| old.get(*key) != new.get(*key)) {
        let texts = || (old.get(key).cloned().map(text), new.get(key).cloned().map(text));
        each(&Change { row, field: &format!("{name}['{key}']"), texts: &texts });
    }
}

/// One cell as JSON; `None` = null.
fn cell(column: Option<&ArrayRef>, row: usize) -> Option<Value> {
    let column = column?.slice(row, 1);
    let schema = Schema::new(vec![Field::new("cell", column.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).ok()?;
    let shown: Value = serde_json::from_str(&row_text(&batch, 0)).ok()?;
    shown.get("cell").filter(|cell| !cell.is_null()).cloned()
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
