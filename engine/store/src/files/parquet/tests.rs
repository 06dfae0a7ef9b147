use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::builder::{BinaryBuilder, FixedSizeBinaryBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_array::{
    BooleanArray, Date32Array, Float64Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use isinglass_model::Kind;
use isinglass_model::batch::STALE_NAN_BITS;
use isinglass_model::tables::{Column, TEXT_MAP_ENTRIES, Table, Type, batch_type};
use proptest::prelude::*;

use super::*;
use crate::tables::{AttributeColumn, SeriesRun, SortedSamples};

pub(in crate::files) fn bytes_of(encoded: &Encoded) -> Bytes {
    Bytes::from(encoded.payload.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>())
}

fn read(encoded: &Encoded, kind: Kind) -> RecordBatch {
    let bytes = bytes_of(encoded);
    assert_eq!(bytes.len() as u64, encoded.size_bytes);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let schema = Arc::new(batches[0].schema().as_ref().clone().with_metadata(Default::default()));
    whole(kind, &concat_batches(&schema, &batches).unwrap())
}

/// The rows of a file with all columns of the table. What a file may leave out are promoted
/// attributes, maps and lists that no row has.
pub(in crate::files) fn whole(kind: Kind, rows: &RecordBatch) -> RecordBatch {
    let schema = Table::of(kind).file_schema();
    let beside = |at: &usize| AttributeColumn::is_name(rows.schema().field(*at).name());
    let of_table: Vec<usize> = (0..rows.num_columns()).filter(|at| !beside(at)).collect();
    let rows = &rows.project(&of_table).unwrap();
    let there: Vec<_> = schema.fields().iter().filter(|f| rows.column_by_name(f.name()).is_some()).collect();
    assert_eq!(there, rows.schema().fields().iter().collect::<Vec<_>>(), "{kind}");
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let absent = || {
            assert!(layout::may_be_left_out(&Table::of(kind).columns[at]), "{kind}.{}", field.name());
            arrow_array::new_null_array(field.data_type(), rows.num_rows())
        };
        rows.column_by_name(field.name()).cloned().unwrap_or_else(absent)
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

/// A few bytes of randomness drawn one after the other: shrinks well enough,
/// and makes arrays of any type.
pub(in crate::files) struct Source(pub(in crate::files) u64);

impl Source {
    pub(in crate::files) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    pub(in crate::files) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(in crate::files) fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn text(&mut self) -> String {
        let words =
            ["", "a", "redis GET", "ünï\u{1F980}", "{\"k\":1}", "0", "long ".repeat(9).as_str().trim()]
                .map(str::to_owned);
        words[self.below(words.len() as u64) as usize].clone()
    }

    fn long(&mut self) -> i64 {
        match self.below(4) {
            0 => self.below(3) as i64 - 1,
            1 => self.next() as i64 - (1 << 40),
            2 => [i64::MIN, i64::MAX][self.below(2) as usize],
            _ => 1_700_000_000_000_000_000 + self.below(1_000) as i64,
        }
    }

    fn nulls(&mut self, rows: usize, nullable: bool) -> Option<NullBuffer> {
        (nullable && self.chance(2)).then(|| (0..rows).map(|_| !self.chance(3)).collect())
    }

    fn longs(&mut self, rows: usize) -> Vec<i64> {
        (0..rows).map(|_| self.long()).collect()
    }

    /// An array of a batch type.
    pub(in crate::files) fn array(&mut self, ty: &Type, rows: usize, nullable: bool) -> ArrayRef {
        let nulls = self.nulls(rows, nullable);
        let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        match ty {
            Type::Boolean => {
                let values: Vec<bool> = (0..rows).map(|_| self.chance(2)).collect();
                Arc::new(BooleanArray::new(values.into(), nulls))
            }
            Type::Smallint => {
                Arc::new(Int16Array::new(self.longs(rows).iter().map(|v| *v as i16).collect(), nulls))
            }
            Type::Integer => {
                Arc::new(Int32Array::new(self.longs(rows).iter().map(|v| *v as i32).collect(), nulls))
            }
            Type::Date => Arc::new(Date32Array::new(
                self.longs(rows).iter().map(|v| *v as i32 % 99_999).collect(),
                nulls,
            )),
            Type::Bigint => Arc::new(Int64Array::new(self.longs(rows).into(), nulls)),
            Type::Double => {
                Arc::new(Float64Array::new(self.longs(rows).iter().map(|v| *v as f64 / 7.0).collect(), nulls))
            }
            Type::Timestamp => {
                let times = self.longs(rows).iter().map(|v| v.rem_euclid(4_000_000_000_000_000)).collect();
                Arc::new(TimestampMicrosecondArray::new(times, nulls).with_timezone("UTC"))
            }
            Type::Text => {
                let mut values = StringBuilder::new();
                (0..rows).for_each(|row| values.append_option(valid(row).then(|| self.text())));
                Arc::new(values.finish())
            }
            Type::Dictionary => {
                let mut values = StringDictionaryBuilder::<Int32Type>::new();
                (0..rows).for_each(|row| values.append_option(valid(row).then(|| self.text())));
                Arc::new(values.finish())
            }
            Type::Id(width) => {
                let mut values = FixedSizeBinaryBuilder::new(*width);
                for row in 0..rows {
                    let id: Vec<u8> = (0..*width).map(|_| self.below(3) as u8 * 127).collect();
                    if valid(row) { values.append_value(id).unwrap() } else { values.append_null() }
                }
                Arc::new(values.finish())
            }
            Type::TextMap => {
                let offsets = self.offsets(rows, &nulls);
                let entries = *offsets.last().unwrap() as usize;
                let keys = self.array(&Type::Text, entries, false);
                let values = self.array(&Type::Text, entries, true);
                let DataType::Struct(fields) = TEXT_MAP_ENTRIES.data_type() else { unreachable!() };
                let pairs = StructArray::new(fields.clone(), vec![keys, values], None);
                Arc::new(MapArray::new(Arc::clone(&TEXT_MAP_ENTRIES), offsets, pairs, nulls, false))
            }
            Type::List(element) => {
                let offsets = self.offsets(rows, &nulls);
                let values = self.array(element, *offsets.last().unwrap() as usize, false);
                let field = Field::new("element", batch_type(element), false);
                Arc::new(ListArray::new(Arc::new(field), offsets, values, nulls))
            }
            Type::Struct(columns) => {
                let DataType::Struct(fields) = batch_type(ty) else { unreachable!() };
                let children =
                    columns.iter().map(|column| self.array(&column.ty, rows, column.nullable)).collect();
                Arc::new(StructArray::new(fields, children, nulls))
            }
        }
    }

    fn offsets(&mut self, rows: usize, nulls: &Option<NullBuffer>) -> OffsetBuffer<i32> {
        // What a null row holds is skipped, whatever it is.
        let _ = nulls;
        OffsetBuffer::from_lengths((0..rows).map(|_| self.below(3) as usize))
    }

    fn batch(&mut self, table: &Table) -> RecordBatch {
        let rows = self.below(40) as usize;
        let absent = |source: &mut Self, column: &Column| column.nullable && source.chance(2);
        let columns: Vec<(Field, ArrayRef)> = table
            .columns
            .iter()
            .filter(|column| !absent(self, column))
            .map(|column| column.to_owned())
            .collect::<Vec<_>>()
            .into_iter()
            .map(|column| {
                let array = self.array(&column.ty, rows, column.nullable);
                (Field::new(column.name, array.data_type().clone(), column.nullable), array)
            })
            .collect();
        let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        // Slices have offsets of their own.
        let from = self.below(3).min(rows as u64) as usize;
        batch.slice(from, rows - from)
    }
}

/// Each row as text, every column of the table in it.
pub(in crate::files) fn texts(table: &Table, batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let columns: Vec<Option<ArrayFormatter<'_>>> = table
        .columns
        .iter()
        .map(|column| {
            batch.column_by_name(column.name).map(|array| ArrayFormatter::try_new(array, &options).unwrap())
        })
        .collect();
    let cell = |column: &Option<ArrayFormatter<'_>>, row| {
        column.as_ref().map_or("null".to_owned(), |c| c.value(row).to_string())
    };
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|c| cell(c, row)).collect::<Vec<_>>().join("|"))
        .collect()
}

fn assert_sorted(table: &Table, batch: &RecordBatch) {
    let mut names = table.sorted_by.to_vec();
    if !names.contains(&table.time) {
        names.push(table.time);
    }
    let columns: Vec<ArrayRef> =
        names.iter().map(|name| Arc::clone(batch.column_by_name(name).unwrap())).collect();
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields).unwrap().convert_columns(&columns).unwrap();
    assert!(
        (1..batch.num_rows()).all(|row| rows.row(row - 1) <= rows.row(row)),
        "{} is not sorted",
        table.kind
    );
}

/// What is written is what was handed in, sorted, in the types of the file.
fn check(kind: Kind, seed: u64) {
    let table = Table::of(kind);
    let mut source = Source(seed | 1);
    let batches: Vec<RecordBatch> = (0..source.below(5) + 1).map(|_| source.batch(table)).collect();
    let mut expected: Vec<String> = batches.iter().flat_map(|batch| texts(table, batch)).collect();
    if expected.is_empty() {
        return;
    }
    let encoded = encode(kind, SortedRows::Batches(batches)).unwrap();
    let back = read(&encoded, kind);
    assert_sorted(table, &back);
    let mut found = texts(table, &back);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(encoded.extent.rows, back.num_rows() as u64);
    assert_eq!(encoded.crc32c.len(), 1);
    assert_eq!(encoded.crc32c[0], crc32c::crc32c(&bytes_of(&encoded)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn rows_come_back_sorted(seed in any::<u64>()) {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Samples) {
            check(kind, seed);
        }
    }

    #[test]
    fn samples_come_back_bit_for_bit(series in prop::collection::vec(run(), 0..12), starts in any::<bool>()) {
        check_samples(series, starts);
    }
}

type Run = (i64, i64, Vec<(i64, u64)>);

fn run() -> impl Strategy<Value = Run> {
    let value = prop_oneof![
        any::<u64>(),
        (0u32..100_000).prop_map(|v| f64::from(v).to_bits()),
        (0u32..100_000, 0i32..4).prop_map(|(v, scale)| (f64::from(v) / 10f64.powi(scale)).to_bits()),
        Just(STALE_NAN_BITS),
        Just(f64::NAN.to_bits()),
        Just((-0.0f64).to_bits()),
    ];
    let sample = (-4_000_000_000_000i64..4_000_000_000_000, value);
    (-3i64..3, any::<i8>().prop_map(i64::from), prop::collection::vec(sample, 1..40))
}

fn samples(mut series: Vec<Run>, starts: bool) -> SortedSamples {
    series.sort_by_key(|run| (run.0, run.1));
    series.dedup_by_key(|run| (run.0, run.1));
    let mut samples = SortedSamples::default();
    for (metric_id, series_id, mut rows) in series {
        rows.sort_by_key(|row| row.0);
        samples.runs.push(SeriesRun { metric_id, series_id, rows: rows.len() as u32 });
        for (time, bits) in rows {
            samples.time_ms.push(time);
            samples.value.push(f64::from_bits(bits));
            if starts {
                samples.start_ms.push(if time % 3 == 0 { 0 } else { time - 1 });
            }
        }
    }
    samples
}

/// The value as an outside reader computes it, or the marker.
pub(in crate::files) fn value_at(batch: &RecordBatch, row: usize) -> u64 {
    let int = batch.column_by_name("value_int").unwrap().as_primitive::<Int64Type>();
    let scale = batch.column_by_name("value_scale").unwrap().as_primitive::<Int16Type>();
    let double = batch.column_by_name("value").unwrap().as_primitive::<Float64Type>();
    assert_eq!(int.is_null(row), scale.is_null(row));
    assert!(int.is_null(row) || double.is_null(row));
    match (int.is_valid(row), double.is_valid(row)) {
        (true, _) => (int.value(row) as f64 / 10f64.powf(f64::from(scale.value(row)))).to_bits(),
        (false, true) => double.value(row).to_bits(),
        (false, false) => STALE_NAN_BITS,
    }
}

fn check_samples(series: Vec<Run>, starts: bool) {
    let samples = samples(series, starts);
    if samples.value.is_empty() {
        return;
    }
    let encoded = encode(Kind::Samples, SortedRows::Samples(samples.clone())).unwrap();
    let back = read(&encoded, Kind::Samples);
    assert_sorted(Table::of(Kind::Samples), &back);
    assert_eq!(back.num_rows(), samples.value.len());
    let time = back.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>();
    let start = back.column_by_name("start_time").unwrap().as_primitive::<TimestampMicrosecondType>();
    let ids = samples
        .runs
        .iter()
        .flat_map(|run| std::iter::repeat_n((run.metric_id, run.series_id), run.rows as usize));
    let metric_id = back.column_by_name("metric_id").unwrap().as_primitive::<Int64Type>();
    let series_id = back.column_by_name("series_id").unwrap().as_primitive::<Int64Type>();
    for (row, id) in ids.enumerate() {
        assert_eq!((metric_id.value(row), series_id.value(row)), id);
        assert_eq!(value_at(&back, row), samples.value[row].to_bits(), "row {row}");
        assert_eq!(time.value(row), samples.time_ms[row] * 1_000);
        let started = samples.start_ms.get(row).copied().unwrap_or(0);
        assert_eq!(start.is_valid(row).then(|| start.value(row)), (started != 0).then_some(started * 1_000));
    }
    let range = |values: &mut dyn Iterator<Item = i64>| {
        let values: Vec<i64> = values.collect();
        values.iter().copied().min().zip(values.iter().copied().max())
    };
    assert_eq!(encoded.extent.time, range(&mut time.values().iter().copied()));
    assert_eq!(encoded.extent.metric_id, range(&mut metric_id.values().iter().copied()));
    assert_eq!(encoded.extent.series_id, range(&mut series_id.values().iter().copied()));
}

#[test]
fn chunks_and_row_groups_do_not_show() {
    let rows = 3 * CHUNK_ROWS + 7;
    let half = rows as u32 / 2;
    let samples = SortedSamples {
        runs: vec![
            SeriesRun { metric_id: 1, series_id: 1, rows: half },
            SeriesRun { metric_id: 1, series_id: 2, rows: rows as u32 - half },
        ],
        time_ms: (0..half).chain(0..rows as u32 - half).map(i64::from).collect(),
        value: (0..rows).map(|v| v as f64 / 4.0).collect(),
        start_ms: Vec::new(),
    };
    let back = read(&encode(Kind::Samples, SortedRows::Samples(samples)).unwrap(), Kind::Samples);
    assert_eq!(back.num_rows(), rows);
    assert!((0..rows).all(|row| f64::from_bits(value_at(&back, row)) == row as f64 / 4.0));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let problem = |kind, rows| match encode(kind, rows) {
        Err(FilesError::Rows { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    let unsorted = SortedSamples {
        runs: vec![
            SeriesRun { metric_id: 2, series_id: 1, rows: 1 },
            SeriesRun { metric_id: 1, series_id: 1, rows: 1 },
        ],
        time_ms: vec![1, 2],
        value: vec![1.0, 2.0],
        start_ms: vec![],
    };
    let ragged = SortedSamples { time_ms: vec![1], ..unsorted.clone() };
    assert_eq!(
        problem(Kind::Samples, SortedRows::Samples(unsorted.clone())),
        "they are not sorted by metric, series and time"
    );
    assert_eq!(problem(Kind::Samples, SortedRows::Samples(ragged)), "columns of different lengths");
    assert_eq!(problem(Kind::Logs, SortedRows::Samples(unsorted)), "they are of another table");

    let mut ids = BinaryBuilder::new();
    ids.append_value([1; 16]);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("time", Arc::new(Int64Array::from(vec![1]))), ("trace_id", Arc::new(ids.finish()))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(
        problem(Kind::Spans, SortedRows::Batches(vec![batch])),
        "column trace_id is no binary of 16 bytes"
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(Int64Array::from(vec![1]))),
        ("nonsense", Arc::new(Int64Array::from(vec![1]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(problem(Kind::Rejected, SortedRows::Batches(vec![batch])), "there is no column nonsense");
}
