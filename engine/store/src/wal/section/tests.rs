//! Rows of every table survive the log.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, FixedSizeBinaryArray, Float64Array, Int16Array,
    Int32Array, Int64Array, MapArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use isinglass_model::Kind;
use isinglass_model::tables::Table;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{put_table, read_table};
use crate::head::Rows;

/// A column of `rows` values, every third one null where nulls are allowed.
fn column(field: &FieldRef, rows: usize, seed: u64) -> ArrayRef {
    let null = |row: usize| field.is_nullable() && (row as u64 + seed).is_multiple_of(3);
    let number = |row: usize| (row as u64).wrapping_mul(seed | 1).wrapping_mul(0x9E37_79B9).cast_signed();
    let text = |row: usize| format!("v{}é", number(row) % 5);
    let values = 0..rows;
    match field.data_type() {
        DataType::Boolean => {
            Arc::new(values.map(|r| (!null(r)).then(|| number(r) % 2 == 0)).collect::<BooleanArray>())
        }
        DataType::Int16 => {
            Arc::new(values.map(|r| (!null(r)).then(|| (number(r) % 100) as i16)).collect::<Int16Array>())
        }
        DataType::Int32 => {
            Arc::new(values.map(|r| (!null(r)).then(|| (number(r) % 1_000) as i32)).collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(values.map(|r| (!null(r)).then(|| number(r))).collect::<Int64Array>()),
        DataType::Float64 => Arc::new(
            values.map(|r| (!null(r)).then(|| f64::from_bits(number(r) as u64))).collect::<Float64Array>(),
        ),
        DataType::Date32 => {
            Arc::new(values.map(|r| (!null(r)).then(|| (number(r) % 9_999) as i32)).collect::<Date32Array>())
        }
        DataType::Timestamp(..) => {
            let times = values.map(|r| (!null(r)).then(|| number(r))).collect::<TimestampMicrosecondArray>();
            Arc::new(times.with_timezone("UTC"))
        }
        DataType::Utf8 => Arc::new(values.map(|r| (!null(r)).then(|| text(r))).collect::<StringArray>()),
        DataType::Dictionary(..) => {
            let texts: Vec<Option<String>> = values.map(|r| (!null(r)).then(|| text(r))).collect();
            Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
        }
        DataType::FixedSizeBinary(width) => {
            let id = |r: usize| (!null(r)).then(|| vec![number(r) as u8; *width as usize]);
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.map(id), *width).unwrap())
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| column(field, rows, seed)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, None))
        }
        DataType::List(element) => {
            let (offsets, validity) = lists(rows, null);
            let inner = column(element, *offsets.last().unwrap() as usize, seed);
            Arc::new(arrow_array::ListArray::new(Arc::clone(element), offsets, inner, validity))
        }
        DataType::Map(entries, _) => {
            let (offsets, validity) = lists(rows, null);
            let inner = column(entries, *offsets.last().unwrap() as usize, seed);
            let inner = inner.as_any().downcast_ref::<StructArray>().unwrap().clone();
            Arc::new(MapArray::new(Arc::clone(entries), offsets, inner, validity, false))
        }
        other => panic!("no table has a column of type {other}"),
    }
}

fn lists(rows: usize, null: impl Fn(usize) -> bool) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
    let offsets = OffsetBuffer::from_lengths((0..rows).map(|row| if null(row) { 0 } else { row % 3 }));
    (offsets, Some((0..rows).map(|row| !null(row)).collect()))
}

fn batch(kind: Kind, rows: usize, seed: u64, present: &[bool]) -> RecordBatch {
    let table = Table::of(kind);
    let positions = (0..table.columns.len())
        .filter(|at| !table.columns[*at].nullable || present.get(*at % present.len().max(1)) == Some(&true));
    let fields: Vec<FieldRef> = positions.map(|at| Arc::clone(table.batch_field(at))).collect();
    let columns = fields.iter().map(|field| column(field, rows, seed)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn check(kind: Kind, batch: &RecordBatch) {
    let mut bytes = Vec::new();
    put_table(&mut bytes, kind, batch).unwrap();
    assert_eq!(&read_table(&bytes, kind).unwrap(), batch, "{kind}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_columns_of_any_table(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        rows in 0..40_usize,
        seed in any::<u64>(),
        present in vec(any::<bool>(), 1..70),
        cut in 0..10_usize,
    ) {
        let whole = batch(kind, rows, seed, &present);
        check(kind, &whole);
        // A slice has offsets into the buffers of the whole.
        check(kind, &whole.slice(cut.min(rows), rows - cut.min(rows)));
    }

    #[test]
    fn merged_batches_hold_the_rows_of_all(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        parts in vec((1..20_usize, any::<u64>(), vec(any::<bool>(), 1..70)), 1..6),
    ) {
        let runs: Vec<Rows> = parts
            .iter()
            .map(|(rows, seed, present)| Rows::new(kind, batch(kind, *rows, *seed, present)).unwrap())
            .collect();
        let merged = Rows::concat(kind, &runs.iter().collect::<Vec<_>>()).unwrap();
        let mut from = 0;
        for run in &runs {
            let part = merged.batch.slice(from, run.batch.num_rows());
            from += run.batch.num_rows();
            for field in merged.batch.schema_ref().fields() {
                let got = arrow_cast::cast(&part[field.name()], &plain(field.data_type())).unwrap();
                let expected = run.batch.column_by_name(field.name()).map_or_else(
                    || new_null_array(&plain(field.data_type()), part.num_rows()),
                    |column| arrow_cast::cast(column, &plain(field.data_type())).unwrap(),
                );
                prop_assert_eq!(&got, &expected, "{}.{}", kind, field.name());
            }
        }
        prop_assert_eq!(from, merged.batch.num_rows());
    }
}

fn plain(ty: &DataType) -> DataType {
    match ty {
        DataType::Dictionary(_, values) => (**values).clone(),
        other => other.clone(),
    }
}

#[test]
fn damaged_sections_are_errors() {
    let spans = batch(Kind::Spans, 5, 3, &[true]);
    let mut bytes = Vec::new();
    put_table(&mut bytes, Kind::Spans, &spans).unwrap();
    for cut in (0..bytes.len()).step_by(7) {
        assert!(read_table(&bytes[..cut], Kind::Spans).is_err(), "cut at {cut}");
    }
}

#[test]
fn columns_of_a_newer_release_are_refused() {
    let logs = batch(Kind::Logs, 1, 1, &[false]);
    let mut bytes = Vec::new();
    put_table(&mut bytes, Kind::Logs, &logs).unwrap();
    let length = bytes[0] as usize;
    bytes[4 + length - 1] |= 0x80;
    let columns = Table::of(Kind::Logs).columns.len();
    assert!(columns % 8 != 0, "take another bit");
    assert!(read_table(&bytes, Kind::Logs).unwrap_err().to_string().contains("newer release"));
}

#[test]
fn columns_of_the_wrong_type_are_refused() {
    let schema = Arc::new(Schema::new(vec![Field::new("body", DataType::Int64, false)]));
    let wrong = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
    assert_eq!(
        Rows::new(Kind::Logs, wrong).unwrap_err().to_string(),
        "internal error in store: logs.body is Int64, not Utf8"
    );
}
