//! What a merge leaves in the store, whatever the store does.

use std::sync::Arc;

use futures::TryStreamExt as _;
use isinglass_model::Kind;
use isinglass_testkit::faulty::{Call, FaultyStore, Moment};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::files::{Row, data_file, merge_all, options, outputs, put, samples_file};
use crate::files::FilesError;
use crate::files::local::LocalFolder;
use crate::files::merge::MergeOptions;
use crate::files::parquet::tests::Source;

async fn names(objects: &Arc<dyn ObjectStore>) -> Vec<String> {
    let all: Vec<_> = objects.list(None).try_collect().await.unwrap();
    let mut names: Vec<String> =
        all.iter().map(|meta| meta.location.filename().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Noise, so that the file is as large as it looks.
fn noise(rows: i64) -> Vec<Row> {
    let mut source = Source(3);
    (0..rows).map(|at| (1, at / 10_000, at % 10_000, source.next(), 0)).collect()
}

/// Fails the n-th call of a sort, for every n: the merge fails, or it is done;
/// nothing of it is left if it failed.
#[tokio::test]
async fn a_failed_merge_leaves_nothing_behind() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut inputs = Vec::new();
    for file in 0..5 {
        let rows = (0..2_000).map(|at| (1, at / 100, at % 100 * 5 + file, 1, 0)).collect();
        inputs.push(put(&inner, Kind::Samples, file as usize, samples_file(rows)).await);
    }
    // Small enough for several passes and several files.
    let options = MergeOptions { memory_bytes: 1 << 20, file_bytes: 1, ..options() };
    for (call, path) in [(Call::Get, "in-"), (Call::Get, "out-"), (Call::Put, "out-")] {
        for moment in [Moment::Before, Moment::After] {
            let mut failed = 0;
            for skip in 0.. {
                let faulty = FaultyStore::new(Arc::clone(&inner));
                faulty.fail(call, moment, path, skip, 1);
                let objects: Arc<dyn ObjectStore> = Arc::new(faulty);
                let merged = merge_all(&objects, Kind::Samples, &inputs, &options).await;
                let left = names(&inner).await.len() - inputs.len();
                match merged {
                    Err(_) => assert_eq!(left, 0, "{call:?} {moment:?} {skip}: {:?}", names(&inner).await),
                    Ok(merged) => {
                        assert_eq!((left, merged.rows_out), (merged.files.len(), 10_000));
                        for file in &merged.files {
                            let path = format!("{}/samples/{}", super::files::tenant(), file.name);
                            inner.delete(&object_store::path::Path::parse(path).unwrap()).await.unwrap();
                        }
                        break;
                    }
                }
                failed += 1;
            }
            assert!(failed > 0, "{call:?} {path}");
        }
    }
}

/// An output larger than a part goes up in parts, to a folder and to a store.
#[tokio::test]
async fn large_files_are_uploaded_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] =
        [Arc::new(InMemory::new()), Arc::new(LocalFolder::open(&folder.path().join("tables")).unwrap())];
    for (objects, half) in stores.into_iter().zip([false, true]) {
        let faulty = FaultyStore::new(Arc::clone(&objects));
        let inputs = [put(&objects, Kind::Samples, 0, samples_file(noise(1_000_000))).await];
        assert!(inputs[0].size_bytes > 6 << 20);
        let watched: Arc<dyn ObjectStore> = Arc::new(faulty.clone());
        let options = MergeOptions { file_bytes: 1 << 30, ..options() };
        faulty.fail(Call::Multipart, Moment::Before, "out-", 0, 1);
        merge_all(&watched, Kind::Samples, &inputs, &options).await.unwrap_err();
        assert_eq!(names(&objects).await, ["in-0.parquet"]);
        if half {
            // Half of an upload is no object, also where nobody is told of its end.
            faulty.fail(Call::Part, Moment::Before, "out-", 1, 1_000);
            faulty.fail(Call::Abort, Moment::Before, "out-", 0, 1);
            merge_all(&watched, Kind::Samples, &inputs, &options).await.unwrap_err();
            assert_eq!(names(&objects).await, ["in-0.parquet"]);
            faulty.heal();
        }
        let merged = merge_all(&watched, Kind::Samples, &inputs, &options).await.unwrap();
        assert_eq!(merged.files.len(), 1);
        assert_eq!(outputs(&objects, Kind::Samples, &merged).await[0].num_rows(), 1_000_000);
        assert_eq!(names(&objects).await, ["in-0.parquet", "out-001.parquet"]);
    }
}

#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_named() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let problem = async |bytes: bytes::Bytes, kind: Kind| {
        let input = put(&objects, kind, 0, bytes).await;
        match merge_all(&objects, kind, &[input], &options()).await {
            Err(FilesError::Damaged { path, problem }) => {
                assert!(path.ends_with("in-0.parquet"), "{path}");
                problem
            }
            other => panic!("{other:?}"),
        }
    };
    let rows = samples_file(noise(1_000));
    let backwards = {
        use arrow_array::UInt32Array;
        let rows = super::files::rows_of(rows.clone());
        let order = UInt32Array::from_iter_values((0..rows.num_rows() as u32).rev());
        let rows = arrow_select::take::take_record_batch(&rows, &order).unwrap();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        bytes::Bytes::from(writer.into_inner().unwrap())
    };
    assert_eq!(problem(backwards, Kind::Samples).await, "the rows are not in the order of the table");
    assert_eq!(problem(rows.clone(), Kind::Logs).await, "this release knows no column metric_id");
    problem(rows.slice(..rows.len() / 2), Kind::Samples).await;
    problem(bytes::Bytes::from_static(b"nothing of the kind"), Kind::Samples).await;

    let gone = data_file("t/samples/gone.parquet".into(), 100);
    assert!(merge_all(&objects, Kind::Samples, &[gone], &options()).await.is_err());
}
