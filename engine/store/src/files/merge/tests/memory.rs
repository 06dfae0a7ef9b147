//! What a merge holds does not grow with its inputs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use isinglass_model::Kind;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::files::{merge_all, options, outputs, put, rewritten, samples_file};
use crate::files::merge::MergeOptions;
use crate::files::parquet::tests::Source;

/// Counts the bytes that were read and are still held.
#[derive(Debug, Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
    reads: AtomicUsize,
}

/// Bytes that are counted as long as anybody refers to a part of them.
struct Counted {
    bytes: Bytes,
    held: Arc<Held>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.now.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl Held {
    fn hold(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        let now = self.now.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        self.most.fetch_max(now, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Counted { bytes, held: Arc::clone(self) })
    }
}

/// A store in memory whose answers are counted.
#[derive(Debug, Default)]
struct CountingStore {
    inner: InMemory,
    held: Arc<Held>,
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counting")
    }
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let read = self.inner.get_opts(path, options).await?;
        let (meta, range, attributes) = (read.meta.clone(), read.range.clone(), read.attributes.clone());
        // A copy: slices of the object itself would be alive for as long as it is.
        let bytes = self.held.hold(Bytes::from(read.bytes().await?.to_vec()));
        let payload = GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Merges `files` files of `rows` samples each, in row groups of so many rows,
/// and says how many bytes were held at most, were read at a time on average, and
/// were there.
async fn held(files: i64, rows: i64, row_group: usize, memory_bytes: usize) -> (usize, usize, usize) {
    let store = CountingStore::default();
    let held = Arc::clone(&store.held);
    let objects: Arc<dyn ObjectStore> = Arc::new(store);
    let mut source = Source(5);
    let mut inputs = Vec::new();
    for file in 0..files {
        // Each file has all series; a series' times interleave over the files.
        let row = |at: i64, source: &mut Source| {
            let (series, time) = (at / 1_000, at % 1_000 * files + file);
            (1, series, time, source.next(), 0)
        };
        let bytes = samples_file((0..rows).map(|at| row(at, &mut source)).collect());
        inputs.push(
            put(&objects, Kind::Samples, file as usize, rewritten(Kind::Samples, bytes, 7, row_group)).await,
        );
    }
    let size: u64 = inputs.iter().map(|input| input.size_bytes).sum();
    let options = MergeOptions { memory_bytes, ..options() };
    let merged = merge_all(&objects, Kind::Samples, &inputs, &options).await.unwrap();
    let (most, reads) = (held.most.load(Ordering::Relaxed), held.reads.load(Ordering::Relaxed));
    assert_eq!(held.now.load(Ordering::Relaxed), 0, "something is held after the merge");
    assert_eq!((merged.rows_out, merged.duplicates), ((files * rows) as u64, 0));
    assert_eq!(
        outputs(&objects, Kind::Samples, &merged).await.iter().map(|rows| rows.num_rows()).sum::<usize>(),
        (files * rows) as usize
    );
    (most, reads, size as usize)
}

#[tokio::test]
async fn row_groups_that_fit_are_read_one_at_a_time() {
    let (most, reads, size) = held(4, 64_000, 1_000, 32 << 20).await;
    assert!(most < size / 8, "{most} of {size} bytes held");
    assert!(reads >= 4 * 64, "{reads} reads");
}

#[tokio::test]
async fn large_row_groups_are_read_in_windows() {
    let (most, _, size) = held(4, 200_000, 1_000_000, 10 << 20).await;
    assert!(size > 5 << 20, "{size} bytes are too few to tell");
    assert!(most < 3 << 20, "{most} of {size} bytes held");
}

#[tokio::test]
async fn more_inputs_than_fit_are_merged_in_passes() {
    let (most, _, size) = held(40, 10_000, 2_000, 8 << 20).await;
    assert!(most < 1 << 20, "{most} of {size} bytes held");
}
