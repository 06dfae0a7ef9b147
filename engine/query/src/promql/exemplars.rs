//! Exemplars of the series that an expression selects.

use std::collections::BTreeSet;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use isinglass_model::Kind;
use isinglass_promql::{ErrorKind, EvalError, Labels, Limits, selectors};

use super::floats::{millis, other};
use super::request::{Exemplar, ExemplarRequest, SeriesExemplars};
use super::scan::{Span, TableScan, known};
use super::series::{LabelsOf, Wanted};
use super::source::StoreSource;

const COLUMNS: [&str; 4] = ["value", "trace_id", "span_id", "attributes"];

/// Bytes that an exemplar takes, roughly.
const EXEMPLAR_BYTES: usize = 256;

/// Exemplars by series, from the first to the last time, both included.
pub(super) fn read(
    request: &ExemplarRequest,
    source: &StoreSource,
    limits: &Limits,
) -> Result<Vec<SeriesExemplars>, EvalError> {
    let mut wanted: BTreeSet<Wanted> = BTreeSet::new();
    for matchers in selectors(&request.text)? {
        wanted.extend(source.wanted(&matchers, (request.start_ms, request.end_ms))?.iter());
    }
    let wanted: Vec<Wanted> = wanted.into_iter().collect();
    let span = Span::new(request.start_ms.saturating_sub(1), request.end_ms);
    let scan = TableScan::open(source.view(), Kind::Exemplars, &wanted, span, &COLUMNS, source.reads())?;
    let mut cursors = scan.cursors(&wanted)?;
    let mut labels = LabelsOf::new(source.view(), None);
    let (mut all, mut left) = (Vec::new(), limits.memory_bytes_max / EXEMPLAR_BYTES);
    while let Some(key) = cursors.iter().filter_map(|cursor| cursor.key()).min() {
        source.ended().map_or(Ok(()), Err)?;
        let mut exemplars = Vec::new();
        for cursor in &mut cursors {
            cursor.take(key, |batch, rows| push(&mut exemplars, batch, rows))?;
        }
        cursors.retain(|cursor| cursor.key().is_some());
        let Ok(place) = wanted.binary_search_by_key(&key, Wanted::key) else { continue };
        let Some(labels) = labels.at(&wanted, place).filter(|_| !exemplars.is_empty()) else { continue };
        left = left.checked_sub(exemplars.len()).ok_or_else(too_many)?;
        exemplars.sort_by_key(|exemplar: &Exemplar| exemplar.time_ms);
        all.push(SeriesExemplars { labels: labels.clone(), exemplars });
    }
    all.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
    Ok(all)
}

fn too_many() -> EvalError {
    EvalError::of(ErrorKind::Limit, "there are more exemplars than the memory of a query takes")
}

fn push(all: &mut Vec<Exemplar>, batch: &RecordBatch, rows: Range<usize>) -> Result<(), EvalError> {
    let values = batch.column_by_name("value").and_then(|column| column.as_primitive_opt::<Float64Type>());
    let values = values.ok_or_else(|| other("value"))?;
    let ids = ["trace_id", "span_id"].map(|name| (name, known(batch, name)));
    let attributes = known(batch, "attributes");
    for (row, time_ms) in rows.clone().zip(millis(batch, "time", rows)?) {
        let mut builder = Labels::empty().builder();
        for (name, text) in attributes_of(attributes.as_ref(), row) {
            builder.set(&name, &text);
        }
        for (name, column) in &ids {
            if let Some(id) = column.as_ref().and_then(|column| id(column, row)) {
                builder.set(name, &hex::encode(id));
            }
        }
        all.push(Exemplar { labels: builder.build(), value: values.value(row), time_ms });
    }
    Ok(())
}

/// Ids are binary in files, of a fixed size before.
fn id(column: &ArrayRef, row: usize) -> Option<&[u8]> {
    if column.is_null(row) {
        return None;
    }
    let fixed = || column.as_fixed_size_binary_opt().map(|ids| ids.value(row));
    column.as_binary_opt::<i32>().map(|ids| ids.value(row)).or_else(fixed)
}

/// Attributes are JSON texts; a label is what a text says, or another value as it is written.
fn attributes_of(column: Option<&ArrayRef>, row: usize) -> Vec<(String, String)> {
    let map = column.filter(|column| column.is_valid(row)).and_then(|column| column.as_map_opt());
    let Some(entries) = map.map(|map| map.value(row)) else { return Vec::new() };
    let (Some(keys), Some(values)) =
        (entries.column(0).as_string_opt::<i32>(), entries.column(1).as_string_opt::<i32>())
    else {
        return Vec::new();
    };
    let pairs = keys.iter().zip(values.iter());
    pairs.filter_map(|(key, value)| Some((key?.to_owned(), plain(value?)))).collect()
}

fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_their_quotes() {
        assert_eq!([plain("\"a\\\"b\""), plain("7"), plain("{}")], ["a\"b", "7", "{}"]);
    }
}
