//! Batches as text.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use isinglass_model::batch::Decoded;

use super::resolver::Series;

/// One value: `-` for null, text without quotes, ids in hex.
pub(super) fn cell(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "-".to_owned();
    }
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::FixedSizeBinary(_) => hex::encode(array.as_fixed_size_binary().value(row)),
        DataType::Dictionary(_, _) => {
            let array = array.as_dictionary::<Int32Type>();
            let key = array.keys().value(row) as usize;
            array.values().as_string::<i32>().value(key).to_owned()
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let cells = |column: usize| (0..entries.len()).map(move |at| (column, at));
            let text = |(column, at): (usize, usize)| cell(entries.column(column), at);
            let pairs: Vec<_> =
                cells(0).zip(cells(1)).map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let elements: Vec<_> = (0..list.len()).map(|at| cell(&list, at)).collect();
            format!("[{}]", elements.join("; "))
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            let cells: Vec<_> = columns.iter().map(|column| cell(column, row)).collect();
            format!("({})", cells.join(", "))
        }
        other => format!("{other}"),
    }
}

/// A column as text; an absent one is all null.
pub(super) fn column(table: &RecordBatch, name: &str) -> Vec<String> {
    match table.column_by_name(name) {
        Some(array) => (0..array.len()).map(|row| cell(array, row)).collect(),
        None => vec!["-".to_owned(); table.num_rows()],
    }
}

/// Every column that is there, `name: values`.
pub(super) fn columns(table: &RecordBatch) -> Vec<String> {
    let names = table.schema();
    names
        .fields()
        .iter()
        .map(|field| format!("{}: {}", field.name(), column(table, field.name()).join(" | ")))
        .collect()
}

/// Samples as `series value @time start`.
pub(super) fn samples(decoded: &Decoded, series: &Series) -> Vec<String> {
    let samples = &decoded.samples;
    (0..samples.len())
        .map(|row| {
            let text = series.text(samples.series[row]);
            let value = match samples.value[row].to_bits() {
                isinglass_model::batch::STALE_NAN_BITS => "stale".to_owned(),
                _ => samples.value[row].to_string(),
            };
            let start = match samples.start_ms_at(row) {
                0 => String::new(),
                start => format!(" from {start}"),
            };
            format!("{text} {value} @{}{start}", samples.time_ms[row])
        })
        .collect()
}
