//! New texts and numbers for some rows of a column.

use std::sync::Arc;

use arrow_array::builder::{Int16Builder, Int32Builder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::Schema;
use hashbrown::HashMap;

use crate::tables::spans::{KINDS, STATUSES};
use crate::tables::{Column, Table, Type};

/// Values of `severity`.
const SEVERITIES: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];
/// What the order of rows, limits and metrics depend on: a plugin must not move a row in time.
const FIXED: [&str; 3] = ["time", "duration", "size_bytes"];

/// New values of a column: (row, value), ascending.
pub(super) type Sparse<T> = Vec<(usize, Option<T>)>;

/// A column of the table as it may be edited.
pub(super) fn editable(table: &'static Table, name: &str, text: bool) -> Result<&'static Column, String> {
    let wanted = if text { "text" } else { "integers" };
    let position = table.position(name).ok_or_else(|| format!("{name:?} is no column of {}", table.kind))?;
    let column = &table.columns[position];
    let fits = match column.ty {
        Type::Dictionary | Type::Text => text,
        Type::Bigint | Type::Integer | Type::Smallint => !text,
        _ => false,
    };
    if fits && !FIXED.contains(&name) {
        Ok(column)
    } else {
        Err(format!("column {name:?} takes no {wanted}"))
    }
}

/// Whether a text may stand in a column.
pub(super) fn check_text(column: &Column, text: &str) -> Result<(), String> {
    let words: &[&str] = match column.name {
        "severity" => &SEVERITIES,
        "kind" => &KINDS,
        "status" => &STATUSES,
        "service" if text.is_empty() => return Err("service is empty".to_owned()),
        _ => return Ok(()),
    };
    if words.contains(&text) { Ok(()) } else { Err(format!("{:?} is no {}", shorten(text), column.name)) }
}

/// Whether a number may stand in a column.
pub(super) fn check_number(column: &Column, value: i64) -> Result<(), String> {
    let fits = match column.ty {
        Type::Smallint => i16::try_from(value).is_ok(),
        Type::Integer => i32::try_from(value).is_ok(),
        _ => true,
    };
    let fits = fits && (column.name != "severity_number" || (0..=24).contains(&value));
    if fits { Ok(()) } else { Err(format!("{value} is no {}", column.name)) }
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The column with other texts in some rows; `array` `None` = all null so far. Texts that no
/// row has any more are gone from the dictionary.
pub(super) fn with_texts(ty: Type, array: Option<&ArrayRef>, rows: usize, edits: &Sparse<&str>) -> ArrayRef {
    match ty {
        Type::Text => plain(array, rows, edits),
        _ => dictionary(array, rows, edits),
    }
}

fn plain(array: Option<&ArrayRef>, rows: usize, edits: &Sparse<&str>) -> ArrayRef {
    let old = array.map(|array| array.as_string::<i32>());
    let mut out = StringBuilder::with_capacity(rows, old.map_or(0, |old| old.values().len()));
    let mut edits = edits.iter().peekable();
    for row in 0..rows {
        match edits.next_if(|(at, _)| *at == row) {
            Some((_, text)) => out.append_option(*text),
            None => out.append_option(old.filter(|old| old.is_valid(row)).map(|old| old.value(row))),
        }
    }
    Arc::new(out.finish())
}

fn dictionary(array: Option<&ArrayRef>, rows: usize, edits: &Sparse<&str>) -> ArrayRef {
    const NEW: i32 = -1;
    let old = array.and_then(|array| array.as_dictionary_opt::<Int32Type>());
    let old_values = old.map(|old| old.values().as_string::<i32>());
    let mut renumbered = vec![NEW; old_values.map_or(0, |values| values.len())];
    let mut known = HashMap::<&str, i32, ahash::RandomState>::default();
    let mut values: Vec<&str> = Vec::new();
    let mut intern = |text| {
        *known.entry(text).or_insert_with(|| {
            values.push(text);
            // No more values than rows, and keys are 32 bits.
            values.len() as i32 - 1
        })
    };
    let mut edits = edits.iter().peekable();
    let keys: Int32Array = (0..rows)
        .map(|row| {
            if let Some((_, text)) = edits.next_if(|(at, _)| *at == row) {
                return text.map(&mut intern);
            }
            let old = old.filter(|old| old.is_valid(row))?;
            let key = old.keys().value(row) as usize;
            if renumbered[key] == NEW {
                renumbered[key] = intern(old_values?.value(key));
            }
            Some(renumbered[key])
        })
        .collect();
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
    // Keys are positions in `values`.
    Arc::new(DictionaryArray::<Int32Type>::new(keys, values))
}

/// The column with other numbers in some rows.
pub(super) fn with_numbers(ty: Type, array: Option<&ArrayRef>, rows: usize, edits: &Sparse<i64>) -> ArrayRef {
    macro_rules! of {
        ($builder:ty, $arrow:ty) => {{
            let old = array.map(|array| array.as_primitive::<$arrow>());
            let mut out = <$builder>::with_capacity(rows);
            let mut edits = edits.iter().peekable();
            for row in 0..rows {
                match edits.next_if(|(at, _)| *at == row) {
                    // Checked to fit.
                    Some((_, value)) => out.append_option(value.map(|value| value as _)),
                    None => out.append_option(old.filter(|old| old.is_valid(row)).map(|old| old.value(row))),
                }
            }
            Arc::new(out.finish())
        }};
    }
    match ty {
        Type::Smallint => of!(Int16Builder, Int16Type),
        Type::Integer => of!(Int32Builder, Int32Type),
        _ => of!(Int64Builder, Int64Type),
    }
}

/// The batch with other columns, in the order of the table. Columns without a value are left out.
pub(super) fn replace(
    table: &'static Table,
    batch: &RecordBatch,
    columns: Vec<(&'static str, ArrayRef)>,
) -> Result<RecordBatch, String> {
    let mut all: Vec<(usize, ArrayRef)> = Vec::with_capacity(batch.num_columns() + columns.len());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if columns.iter().all(|(name, _)| name != field.name()) {
            let position = table.position(field.name()).ok_or("a column that the table does not have")?;
            all.push((position, Arc::clone(array)));
        }
    }
    for (name, array) in columns {
        let position = table.position(name).ok_or("a column that the table does not have")?;
        if !table.columns[position].nullable || array.null_count() < array.len() {
            all.push((position, array));
        }
    }
    all.sort_by_key(|(position, _)| *position);
    let fields: Vec<_> = all.iter().map(|(position, _)| Arc::clone(table.batch_field(*position))).collect();
    let arrays = all.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| error.to_string())
}
