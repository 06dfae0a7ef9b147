//! Edits of the attributes of events and links.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, StructArray};

use super::pairs::{Maps, Plan};
use super::space::{At, Listed, Value, attributes_of};

/// The new column of these pairs.
pub(super) fn edited(
    listed: &Listed<'_>,
    batch: &RecordBatch,
    plan: &Plan<'_>,
) -> Result<Vec<(&'static str, ArrayRef)>, String> {
    if !plan.added.is_empty() {
        return Err(format!("nothing can be added to {}", listed.space.column));
    }
    let Some(column) = batch.column_by_name(listed.space.column) else { return Ok(Vec::new()) };
    let list = column.as_list::<i32>();
    let elements = list.values().as_struct();
    let Some(map) = attributes_of(elements) else { return Ok(Vec::new()) };
    // By entry of the map, in the order of entries, which is that of the map.
    let fates = plan.fates.iter().filter_map(|(entry, fate)| match listed.entries.at.get(*entry) {
        Some(At::Map(at)) => Some((*at as usize, *fate)),
        _ => None,
    });
    let mut fates = fates.peekable();
    let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
    let mut out = Maps::new();
    for element in 0..map.len() {
        for at in map.value_offsets()[element] as usize..map.value_offsets()[element + 1] as usize {
            let fate = fates.next_if(|(of, _)| *of == at).map(|(_, fate)| fate).unwrap_or_default();
            if !fate.removed {
                let old = if values.is_valid(at) { values.value(at) } else { "null" };
                out.push(fate.key.unwrap_or(keys.value(at)), Value::Json(fate.value.unwrap_or(old)));
            }
        }
        out.close();
    }
    let attributes = out.finish()?;
    let columns = elements.fields().iter().zip(elements.columns()).map(|(field, array)| {
        if field.name() == "attributes" { Arc::clone(&attributes) } else { Arc::clone(array) }
    });
    let wrong = |error: arrow_schema::ArrowError| error.to_string();
    let elements =
        StructArray::try_new(elements.fields().clone(), columns.collect(), elements.nulls().cloned())
            .map_err(wrong)?;
    let arrow_schema::DataType::List(field) = list.data_type() else { return Err("no list".to_owned()) };
    let list = ListArray::try_new(
        Arc::clone(field),
        list.offsets().clone(),
        Arc::new(elements),
        list.nulls().cloned(),
    )
    .map_err(wrong)?;
    Ok(vec![(listed.space.column, Arc::new(list))])
}
