//! Row groups of merged files come out even.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use ::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use isinglass_model::Kind;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::files::{merge_all, options, pool, put, tenant};
use crate::files::parquet;
use crate::files::parquet::tests::{Source, bytes_of};
use crate::tables::SortedRows;

/// What some files are merged to, with indexes of pages.
async fn merged(kind: Kind, files: &[usize]) -> ParquetMetaData {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut source = Source(11);
    let mut inputs = Vec::new();
    for (number, rows) in files.iter().enumerate() {
        let rows = SortedRows::Batches(vec![pool(&mut source, kind, *rows)]);
        let file = bytes_of(&parquet::encode(kind, rows).unwrap());
        inputs.push(put(&objects, kind, number, file).await);
    }
    let merged = merge_all(&objects, kind, &inputs, &options()).await.unwrap();
    let path = Path::parse(format!("{}/{kind}/{}", tenant(), merged.files[0].name)).unwrap();
    let file = objects.get(&path).await.unwrap().bytes().await.unwrap();
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Required);
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).unwrap();
    ParquetMetaData::clone(reader.metadata())
}

/// Rows of the row groups.
async fn groups(kind: Kind, files: &[usize]) -> Vec<i64> {
    merged(kind, files).await.row_groups().iter().map(RowGroupMetaData::num_rows).collect()
}

#[tokio::test]
async fn row_groups_are_of_one_size_and_even_in_number() {
    // Rows that are there twice are dropped, so that the last group may have fewer.
    let groups = groups(Kind::Rejected, &[65_000, 65_000]).await;
    assert_eq!((groups.len(), groups[0]), (2, 3 * 20_000), "{groups:?}");
    assert!(groups[1] <= 130_000 - 3 * 20_000 && groups[1] > 2 * 20_000, "{groups:?}");
}

#[tokio::test]
async fn what_fits_is_one_row_group() {
    assert_eq!(groups(Kind::Logs, &[1_000, 2_000]).await.len(), 1);
}

/// Where a block of the index of tokens ends, a page ends in each column.
#[tokio::test]
async fn pages_end_to_the_row() {
    let footer = merged(Kind::Logs, &[9_001, 8_003, 10_007]).await;
    let columns = footer.row_group(0).columns();
    for (at, column) in columns.iter().enumerate() {
        let pages = footer.offset_index().unwrap()[0][at].page_locations();
        let starts: Vec<i64> = pages.iter().map(|page| page.first_row_index).collect();
        for wanted in [0, 8_192, 16_384] {
            let is_one_page = starts == [0] && column.uncompressed_size() < 1_000;
            assert!(starts.contains(&wanted) || is_one_page, "{} {starts:?}", column.column_path());
        }
    }
}
