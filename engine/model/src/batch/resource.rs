//! The column `resource:*`: everything that is known of a row's resource, as a JSON object whose
//! values are texts, keys in their order.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, MapArray, RecordBatch};
use hashbrown::HashMap;

use super::lookup::plain;
use super::metrics::text_column;
use crate::columns::{Column, ColumnData, Encoding};
use crate::tables::promoted::RESOURCE;

/// Resources come in runs of rows, so only the first row of each is read.
pub(super) fn resource_column(table: &RecordBatch) -> Option<Column> {
    let parts = Parts::of(table);
    let mut texts: Vec<String> = Vec::new();
    let mut known: HashMap<String, i32, ahash::RandomState> = HashMap::default();
    let mut keys: Vec<i32> = Vec::with_capacity(table.num_rows());
    for row in 0..table.num_rows() {
        if let Some(last) = keys.last().copied().filter(|_| parts.same(row - 1, row)) {
            keys.push(last);
            continue;
        }
        let text = serde_json::to_string(&parts.read(row)).ok()?;
        let key = *known.entry(text).or_insert_with_key(|text| {
            texts.push(text.clone());
            i32::try_from(texts.len() - 1).unwrap_or(i32::MAX)
        });
        keys.push(key);
    }
    let ColumnData::Dictionary { values, .. } =
        text_column(texts.iter().map(String::as_str), Encoding::Dictionary)
    else {
        return None;
    };
    Some(Column::new(ColumnData::Dictionary { keys: keys.into(), values }))
}

/// The columns that say something of a resource.
struct Parts<'a> {
    columns: Vec<(&'static str, &'a ArrayRef)>,
    rest: Option<&'a MapArray>,
}

impl<'a> Parts<'a> {
    fn of(table: &'a RecordBatch) -> Self {
        let promoted = RESOURCE.iter().map(|promoted| (promoted.key, promoted.column));
        let columns = promoted.chain([("service.name", "service")]);
        Self {
            columns: columns.filter_map(|(key, column)| Some((key, table.column_by_name(column)?))).collect(),
            rest: table.column_by_name("resource").and_then(|rest| rest.as_map_opt()),
        }
    }

    fn read(&self, row: usize) -> BTreeMap<&str, String> {
        let promoted = self.columns.iter().filter_map(|(key, column)| Some((*key, value(column, row)?)));
        let mut all: BTreeMap<&str, String> = promoted.collect();
        if let Some(rest) = self.rest.filter(|rest| rest.is_valid(row))
            && let (Some(keys), Some(values)) =
                (rest.keys().as_string_opt::<i32>(), rest.values().as_string_opt::<i32>())
        {
            for at in entries(rest, row).filter(|at| values.is_valid(*at)) {
                all.entry(keys.value(at)).or_insert_with(|| plain(values.value(at)).into_owned());
            }
        }
        all
    }

    /// Whether two rows have the same resource. What is not sure is not the same.
    fn same(&self, one: usize, other: usize) -> bool {
        let columns = self.columns.iter().all(|(_, column)| same(column, one, other));
        columns && self.rest.is_none_or(|rest| same_entries(rest, one, other))
    }
}

fn value(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Some(numbers.value(row).to_string());
    }
    let texts = column.as_dictionary_opt::<Int32Type>()?;
    let key = usize::try_from(texts.keys().value(row)).ok()?;
    Some(texts.values().as_string_opt::<i32>()?.value(key).to_owned())
}

fn same(column: &ArrayRef, one: usize, other: usize) -> bool {
    if column.is_null(one) || column.is_null(other) {
        return column.is_null(one) && column.is_null(other);
    }
    match (column.as_dictionary_opt::<Int32Type>(), column.as_primitive_opt::<Int64Type>()) {
        (Some(texts), _) => texts.keys().value(one) == texts.keys().value(other),
        (_, Some(numbers)) => numbers.value(one) == numbers.value(other),
        _ => false,
    }
}

fn same_entries(maps: &MapArray, one: usize, other: usize) -> bool {
    let (one_at, other_at) = (entries(maps, one), entries(maps, other));
    let (Some(keys), Some(values)) =
        (maps.keys().as_string_opt::<i32>(), maps.values().as_string_opt::<i32>())
    else {
        return false;
    };
    one_at.len() == other_at.len()
        && one_at.zip(other_at).all(|(one, other)| {
            keys.value(one) == keys.value(other) && values.value(one) == values.value(other)
        })
}

fn entries(maps: &MapArray, row: usize) -> std::ops::Range<usize> {
    let offsets = maps.offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}
