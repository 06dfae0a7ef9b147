//! What a merge must come to: all rows in memory, sorted, and what is there
//! twice struck out.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_row::{OwnedRow, RowConverter, SortField};
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use crate::files::merge::{DropRows, Group};
use crate::files::parquet::tests::{texts, value_at};

/// The rows that stay, as text, and how many went why.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) rows: Vec<String>,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    pub(super) expired: u64,
}

struct Row {
    key: OwnedRow,
    text: String,
    expired: bool,
}

/// Merges the rows of files, oldest first.
pub(super) fn merged(
    kind: Kind,
    files: &[RecordBatch],
    keep_from: Option<i64>,
    rule: Option<&dyn DropRows>,
) -> Expected {
    let mut rows = Vec::new();
    for file in files {
        let keys = keys(kind, file);
        let texts = row_texts(kind, file);
        for (at, (key, text)) in keys.into_iter().zip(texts).enumerate() {
            let from = keep_from.max(rule.and_then(|rule| keep_from_of(rule, kind, file, at)));
            let expired = from.is_some_and(|from| time(kind, file, at) < from);
            rows.push(Row { key, text, expired });
        }
    }
    // Stable: by file, and within a file as it is there.
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    let mut expected = Expected::default();
    for same in rows.chunk_by(|a, b| a.key == b.key) {
        let mut seen: HashSet<&str> = HashSet::new();
        for row in same {
            if row.expired {
                expected.expired += 1;
            } else if seen.contains(row.text.as_str()) {
                expected.duplicates += 1;
            } else if !seen.is_empty() && is_unique(kind) {
                expected.conflicts += 1;
            } else {
                seen.insert(&row.text);
                expected.rows.push(row.text.clone());
            }
        }
    }
    expected
}

/// Whether no two rows may have one key.
fn is_unique(kind: Kind) -> bool {
    matches!(kind, Kind::Samples | Kind::Series | Kind::Histograms | Kind::Exemplars)
}

/// Every row as text, equal if and only if all columns are.
pub(super) fn row_texts(kind: Kind, rows: &RecordBatch) -> Vec<String> {
    if kind != Kind::Samples {
        return texts(Table::of(kind), rows);
    }
    let column = |name: &str| rows.column_by_name(name).cloned();
    let long = |name: &str, row| column(name).unwrap().as_primitive::<Int64Type>().value(row);
    let start = |row| {
        let start = column("start_time")?;
        let start = start.as_primitive::<TimestampMicrosecondType>();
        start.is_valid(row).then(|| start.value(row))
    };
    (0..rows.num_rows())
        .map(|row| {
            let (metric, series, time) =
                (long("metric_id", row), long("series_id", row), time(kind, rows, row));
            format!("{metric} {series} {time} {:016x} {:?}", value_at(rows, row), start(row))
        })
        .collect()
}

fn time(kind: Kind, rows: &RecordBatch, row: usize) -> i64 {
    let time = rows.column_by_name(Table::of(kind).time).unwrap();
    if let Some(days) = time.as_primitive_opt::<Date32Type>() {
        return i64::from(days.value(row));
    }
    match time.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(micros) => micros.value(row),
        None => time.as_primitive::<Int64Type>().value(row),
    }
}

fn keys(kind: Kind, rows: &RecordBatch) -> Vec<OwnedRow> {
    let table = Table::of(kind);
    let mut names = table.sorted_by.to_vec();
    if !names.contains(&table.time) {
        names.push(table.time);
    }
    let columns: Vec<ArrayRef> =
        names.iter().map(|name| rows.column_by_name(name).unwrap().clone()).collect();
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let converted = RowConverter::new(fields).unwrap().convert_columns(&columns).unwrap();
    converted.iter().map(|row| row.owned()).collect()
}

fn keep_from_of(rule: &dyn DropRows, kind: Kind, rows: &RecordBatch, row: usize) -> Option<i64> {
    let column = |name: &str| rows.column_by_name(name).unwrap();
    match kind {
        Kind::Logs => rule.keep_from(Group::Stream {
            service: column("service").as_string::<i32>().value(row),
            stream: column("stream").as_string::<i32>().value(row),
        }),
        Kind::Spans => {
            rule.keep_from(Group::Trace(column("trace_id").as_binary::<i32>().value(row).try_into().unwrap()))
        }
        Kind::Rejected | Kind::Shadow | Kind::Reingested => rule.keep_from(Group::All),
        _ => rule.keep_from(Group::Series {
            metric_id: column("metric_id").as_primitive::<Int64Type>().value(row),
            series_id: column("series_id").as_primitive::<Int64Type>().value(row),
        }),
    }
}
