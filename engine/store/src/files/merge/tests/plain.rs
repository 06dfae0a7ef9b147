//! Columns that zstd makes no smaller are not compressed, merge after merge.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::Compression;
use arrow_array::{ArrayRef, FixedSizeBinaryArray, RecordBatch};
use bytes::Bytes;
use isinglass_model::Kind;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::files::{data_file, merge_all, options, outputs, pool, put, tenant};
use crate::files::parquet;
use crate::files::parquet::tests::{Source, bytes_of};
use crate::tables::SortedRows;

const ROWS: usize = 9_000;

/// Spans of few traces with ids of their own, which are noise.
fn spans(source: &mut Source) -> Bytes {
    let rows = pool(source, Kind::Spans, ROWS);
    let ids: Vec<[u8; 8]> = (0..ROWS).map(|_| std::array::from_fn(|_| source.below(256) as u8)).collect();
    let ids: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter(ids.iter()).unwrap());
    let schema = rows.schema();
    let columns =
        schema.fields().iter().zip(rows.columns()).map(|(field, column)| {
            if field.name() == "span_id" { Arc::clone(&ids) } else { Arc::clone(column) }
        });
    let rows = RecordBatch::try_new(rows.schema(), columns.collect()).unwrap();
    bytes_of(&parquet::encode(Kind::Spans, SortedRows::Batches(vec![rows])).unwrap())
}

/// Whether a column is compressed, and the bytes of its first row group.
fn column(file: &Bytes, name: &str) -> (bool, u64) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    let chunk = columns.iter().find(|chunk| chunk.column_path().parts() == [name]).unwrap();
    (chunk.compression() != Compression::UNCOMPRESSED, chunk.compressed_size() as u64)
}

#[tokio::test]
async fn noise_is_written_as_it_is() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut source = Source(7);
    let flushed = [spans(&mut source), spans(&mut source)];
    for file in &flushed {
        assert!(column(file, "span_id").0 && column(file, "duration").0, "what is flushed is compressed");
    }
    let mut inputs = Vec::new();
    for (number, file) in flushed.iter().enumerate() {
        inputs.push(put(&objects, Kind::Spans, number, file.clone()).await);
    }
    for _ in 0..2 {
        let merged = merge_all(&objects, Kind::Spans, &inputs, &options()).await.unwrap();
        assert_eq!(outputs(&objects, Kind::Spans, &merged).await.len(), 1);
        let path = Path::parse(format!("{}/{}/{}", tenant(), Kind::Spans, merged.files[0].name)).unwrap();
        let file = objects.get(&path).await.unwrap().bytes().await.unwrap();
        let (is_compressed, bytes) = column(&file, "span_id");
        let before: u64 = flushed.iter().map(|file| column(file, "span_id").1).sum();
        assert!(!is_compressed && bytes <= before, "{bytes} bytes, {before} before");
        assert!(column(&file, "duration").0);
        let again = Path::parse(format!("{}/{}/again.parquet", tenant(), Kind::Spans)).unwrap();
        objects.put(&again, file.clone().into()).await.unwrap();
        inputs = vec![data_file(again, file.len() as u64)];
    }
}
