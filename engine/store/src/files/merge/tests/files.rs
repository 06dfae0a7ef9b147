//! Files to be merged: as flush makes them, and as others might.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use arrow_array::builder::{FixedSizeBinaryBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use isinglass_model::batch::STALE_NAN_BITS;
use isinglass_model::tables::Table;
use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::files::merge::{MergeOptions, Merged, merge};
use crate::files::parquet::tests::{Source, bytes_of, whole};
use crate::files::{Result, parquet, tokens};
use crate::tables::{DataFile, SeriesRun, SortedRows, SortedSamples};

pub(super) fn tenant() -> Tenant {
    Tenant::new("t*1").unwrap()
}

pub(super) fn options() -> MergeOptions {
    MergeOptions {
        zstd_level: 1,
        file_bytes: 64 << 20,
        memory_bytes: 64 << 20,
        attribute_columns_max: 16,
        keep_from: None,
        drop_rows: None,
        ha: None,
        gone: None,
    }
}

/// Puts a file; its name begins with `in-`.
pub(super) async fn put(objects: &Arc<dyn ObjectStore>, kind: Kind, number: usize, bytes: Bytes) -> DataFile {
    let path = Path::parse(format!("{}/{kind}/in-{number}.parquet", tenant())).unwrap();
    let size_bytes = bytes.len() as u64;
    objects.put(&path, bytes.into()).await.unwrap();
    data_file(path, size_bytes)
}

/// What of a file matters to a merge.
pub(super) fn data_file(path: Path, size_bytes: u64) -> DataFile {
    DataFile {
        path,
        size_bytes,
        rows: 0,
        time: None,
        metric_id: None,
        level: 0,
        accepted: 0,
        kept: None,
        crc32c: None,
        token_index_bytes: None,
        attribute_columns: Arc::default(),
    }
}

/// Merges; the outputs' names begin with `out-`.
pub(super) async fn merge_all(
    objects: &Arc<dyn ObjectStore>,
    kind: Kind,
    inputs: &[DataFile],
    options: &MergeOptions,
) -> Result<Merged> {
    let mut next = 0;
    let mut names = || {
        next += 1;
        format!("out-{next:03}.parquet")
    };
    merge(objects, &tenant(), kind, inputs, options, &mut names).await
}

/// The rows of a file.
pub(super) fn rows_of(bytes: Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let schema = Arc::new(reader.schema().as_ref().clone().with_metadata(Default::default()));
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(std::result::Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// The rows of each output.
pub(super) async fn outputs(objects: &Arc<dyn ObjectStore>, kind: Kind, merged: &Merged) -> Vec<RecordBatch> {
    let mut outputs = Vec::new();
    for file in &merged.files {
        let path = Path::parse(format!("{}/{kind}/{}", tenant(), file.name)).unwrap();
        let bytes = objects.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, file.size_bytes);
        assert_eq!(file.crc32c, bytes.chunks(1 << 20).map(crc32c::crc32c).collect::<Vec<_>>());
        let rows = rows_of(bytes);
        super::attributes::check_columns(&rows, &file.attribute_columns);
        let rows = whole(kind, &rows);
        assert_eq!(rows.num_rows() as u64, file.extent.rows);
        assert_eq!(file.token_index_bytes.is_some(), kind == Kind::Logs);
        if let Some(index) = tokens::path_of(&path) {
            let index = objects.get(&index).await.unwrap().bytes().await.unwrap();
            assert_eq!(Some(index.len() as u64), file.token_index_bytes);
            tokens::tests::check(&index, rows["body"].as_string());
        }
        outputs.push(rows);
    }
    outputs
}

/// The file as a release would have written it that knew only the first columns,
/// with row groups of so many rows.
pub(super) fn rewritten(kind: Kind, bytes: Bytes, columns: usize, row_group: usize) -> Bytes {
    let rows = whole(kind, &rows_of(bytes));
    let rows = rows.project(&(0..columns.min(rows.num_columns())).collect::<Vec<_>>()).unwrap();
    let properties = ::parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .set_data_page_row_count_limit(1_000)
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap().into()
}

/// Columns that a file of an older release had at least.
pub(super) fn columns_min(kind: Kind) -> usize {
    let columns = &Table::of(kind).columns;
    columns.iter().rposition(|column| !column.nullable).unwrap() + 1
}

/// Rows of which many have one key, as batches hold them.
pub(super) fn pool(source: &mut Source, kind: Kind, rows: usize) -> RecordBatch {
    let table = Table::of(kind);
    let columns = table.columns.iter().map(|column| {
        let array: ArrayRef = match column.name {
            "time" if kind == Kind::Histograms || kind == Kind::Exemplars => {
                let times = (0..rows).map(|_| 1_000 * source.below(6) as i64);
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            "time" => Arc::new(Int64Array::from_iter_values((0..rows).map(|_| source.below(6) as i64))),
            "day" => Arc::new(Date32Array::from_iter_values((0..rows).map(|_| source.below(3) as i32))),
            "metric_id" | "series_id" => {
                Arc::new(Int64Array::from_iter_values((0..rows).map(|_| source.below(3) as i64 - 1)))
            }
            "service" | "stream" => {
                let mut texts = StringDictionaryBuilder::<Int32Type>::new();
                (0..rows).for_each(|_| texts.append_value(["", "b", "ä"][source.below(3) as usize]));
                Arc::new(texts.finish())
            }
            "trace_id" if kind == Kind::Spans => {
                let mut ids = FixedSizeBinaryBuilder::new(16);
                (0..rows).for_each(|_| ids.append_value([source.below(4) as u8 * 80; 16]).unwrap());
                Arc::new(ids.finish())
            }
            _ => source.array(&column.ty, rows, column.nullable),
        };
        (Field::new(column.name, array.data_type().clone(), column.nullable), array)
    });
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// A file with some rows of the pool, some of them twice.
pub(super) fn some_of(source: &mut Source, kind: Kind, pool: &RecordBatch) -> Bytes {
    let rows = source.below(40) + 1;
    let picked: UInt32Array = (0..rows).map(|_| Some(source.below(pool.num_rows() as u64) as u32)).collect();
    let rows = take_record_batch(pool, &picked).unwrap();
    bytes_of(&parquet::encode(kind, SortedRows::Batches(vec![rows])).unwrap())
}

/// Sorts and encodes samples: metric, series, milliseconds, bits, start (0: none).
pub(super) type Row = (i64, i64, i64, u64, i64);

pub(super) fn samples_file(mut rows: Vec<Row>) -> Bytes {
    rows.sort_by_key(|row| (row.0, row.1, row.2));
    let runs = rows.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
    let samples = SortedSamples {
        runs: runs
            .map(|run| SeriesRun { metric_id: run[0].0, series_id: run[0].1, rows: run.len() as u32 })
            .collect(),
        time_ms: rows.iter().map(|row| row.2).collect(),
        value: rows.iter().map(|row| f64::from_bits(row.3)).collect(),
        start_ms: rows.iter().map(|row| row.4).collect(),
    };
    bytes_of(&parquet::encode(Kind::Samples, SortedRows::Samples(samples)).unwrap())
}

/// Bits of values of all sorts.
pub(super) fn value(source: &mut Source) -> u64 {
    match source.below(8) {
        0 => STALE_NAN_BITS,
        1 => f64::NAN.to_bits(),
        2 => f64::NAN.to_bits() | 5,
        3 => (-0.0f64).to_bits(),
        4 => source.next(),
        5 => (source.below(100_000) as f64 / 100.0).to_bits(),
        _ => (source.below(3) as f64).to_bits(),
    }
}
