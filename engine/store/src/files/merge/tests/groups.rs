//! Row groups of merged files come out even.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use isinglass_model::Kind;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::files::{merge_all, options, pool, put, tenant};
use crate::files::parquet;
use crate::files::parquet::tests::{Source, bytes_of};
use crate::tables::SortedRows;

/// Rows of the row groups of what some files are merged to.
async fn merged(kind: Kind, files: &[usize]) -> Vec<i64> {
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
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect()
}

#[tokio::test]
async fn row_groups_are_of_one_size_and_even_in_number() {
    // Rows that are there twice are dropped, so that the last group may have fewer.
    let groups = merged(Kind::Rejected, &[65_000, 65_000]).await;
    assert_eq!((groups.len(), groups[0]), (2, 3 * 20_000), "{groups:?}");
    assert!(groups[1] <= 130_000 - 3 * 20_000 && groups[1] > 2 * 20_000, "{groups:?}");
}

#[tokio::test]
async fn what_fits_is_one_row_group() {
    assert_eq!(merged(Kind::Logs, &[1_000, 2_000]).await.len(), 1);
}
