//! Reading files of which it is known what must be in them.
//!
//! A commit says the CRC-32C of every MiB of a file. A read takes in the whole pieces
//! around what was asked for, from the block cache ([`super::cache`]) or from the store, and
//! compares; a piece that differs is read once more, because a transfer can err too, and then
//! the read fails and names the object. So a bit that fell over in the store is an error and
//! never a wrong answer. Objects that no commit of ours names pass as they are.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::cache::{BlockCache, CacheStats, Rule, Source, unshared};
use crate::tables::DataFile;

/// The cache of readers that have none of their own to share.
const OWN_CACHE_BYTES: usize = 16 << 20;

/// The target of the lines that say what readers ask of objects, before anything is put together
/// or comes from a cache. Documented in `docs/formats/cache.md`.
const READS: &str = "isinglass_store::reads";

/// Makes checked readers, which share a cache and counters.
#[derive(Debug)]
pub(crate) struct Checker {
    objects: Arc<dyn ObjectStore>,
    cache: Arc<BlockCache>,
}

impl Checker {
    /// With a small cache of its own.
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self::with_cache(objects, Arc::new(BlockCache::new(OWN_CACHE_BYTES, Rule::NEAR)))
    }

    /// Reads through this cache.
    pub(super) fn with_cache(objects: Arc<dyn ObjectStore>, cache: Arc<BlockCache>) -> Self {
        Self { objects, cache }
    }

    /// The object store, with reads of these files checked. Each list is in the order of paths.
    pub(crate) fn reading(self: &Arc<Self>, lists: Vec<Arc<[DataFile]>>) -> Arc<dyn ObjectStore> {
        Arc::new(Checked { checker: Arc::clone(self), lists })
    }

    /// Bytes that were compared with their checksums, and reads that failed for good.
    pub(crate) fn figures(&self) -> (u64, u64) {
        self.cache.figures()
    }

    /// What the cache holds and did.
    pub(crate) fn cache_stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// These files are deleted.
    pub(in crate::files) fn forget(&self, files: &[Path]) {
        self.cache.forget(files);
    }

    /// Waits, but not for long, until the disk cache has what it was given.
    pub(crate) async fn settle(&self) {
        self.cache.settle().await;
    }

    /// An object store on which reads of `files` are checked, for one use.
    pub(in crate::files) fn once(objects: &Arc<dyn ObjectStore>, files: &[DataFile]) -> Arc<dyn ObjectStore> {
        let mut files = files.to_vec();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Arc::new(Self::new(Arc::clone(objects))).reading(vec![files.into()])
    }
}

/// What a read of a damaged object answers.
#[derive(Debug, thiserror::Error)]
#[error("object {path} is damaged: {problem}")]
pub(crate) struct DamagedObject {
    path: Path,
    problem: String,
}

/// The error of a read of a damaged object.
pub(in crate::files) fn damaged_object(path: &Path, problem: &str) -> Error {
    tracing::error!(%path, problem, "an object is damaged");
    let problem = problem.to_owned();
    Error::Generic { store: "tables", source: Box::new(DamagedObject { path: path.clone(), problem }) }
}

/// What is wrong with an object, if a read failed because of that.
pub(in crate::files) fn damage_of(error: &Error) -> Option<&str> {
    let Error::Generic { source, .. } = unshared(error) else { return None };
    source.downcast_ref::<DamagedObject>().map(|damaged| damaged.problem.as_str())
}

fn asked(path: &Path, ranges: &[Range<u64>]) {
    tracing::trace!(target: READS, %path, ?ranges, "asked for");
}

/// The object store with checked reads.
#[derive(Debug)]
struct Checked {
    checker: Arc<Checker>,
    lists: Vec<Arc<[DataFile]>>,
}

impl Checked {
    fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.checker.objects
    }

    /// The file, if it has checksums.
    fn file(&self, path: &Path) -> Option<&DataFile> {
        let found = self.lists.iter().find_map(|files| {
            let at = files.binary_search_by(|file| file.path.cmp(path)).ok()?;
            files.get(at)
        });
        found.filter(|file| file.crc32c.is_some())
    }

    /// Ranges of a file, each not empty and within its size.
    async fn read(&self, file: &DataFile, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        asked(&file.path, ranges);
        match Source::new(file) {
            Some(source) => self.checker.cache.read(self.inner(), source, ranges).await,
            None => self.inner().get_ranges(&file.path, ranges).await,
        }
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner().fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Checked {
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(file) = self.file(path).filter(|_| !options.head) else {
            let head = options.head;
            let found = self.inner().get_opts(path, options).await?;
            if !head {
                asked(path, std::slice::from_ref(&found.range));
            }
            return Ok(found);
        };
        let size = file.size_bytes;
        let range = match &options.range {
            None => 0..size,
            Some(range) => range
                .as_range(size)
                .map_err(|error| Error::Generic { store: "tables", source: Box::new(error) })?,
        };
        let conditional = options.if_match.is_some()
            || options.if_none_match.is_some()
            || options.if_modified_since.is_some()
            || options.if_unmodified_since.is_some()
            || options.version.is_some();
        let meta = if conditional {
            self.inner().get_opts(path, GetOptions { head: true, range: None, ..options }).await?.meta
        } else {
            let last_modified = Default::default();
            ObjectMeta { location: path.clone(), last_modified, size, e_tag: None, version: None }
        };
        let content = match range.is_empty() {
            true => Bytes::new(),
            false => self.read(file, std::slice::from_ref(&range)).await?.swap_remove(0),
        };
        let payload = GetResultPayload::Stream(stream::once(async { Ok(content) }.boxed()).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default() })
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.file(path) {
            Some(file) if ranges.iter().all(|range| !range.is_empty() && range.end <= file.size_bytes) => {
                self.read(file, ranges).await
            }
            // What cannot be is refused below in the store's own words.
            Some(_) => {
                let reads = ranges.iter().map(|range| self.get_range_checked(path, range.clone()));
                futures::future::try_join_all(reads).await
            }
            None => {
                asked(path, ranges);
                self.inner().get_ranges(path, ranges).await
            }
        }
    }

    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner().put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner().put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner().delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner().list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner().list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner().list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner().copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner().rename_opts(from, to, options).await
    }
}

impl Checked {
    async fn get_range_checked(&self, path: &Path, range: Range<u64>) -> Result<Bytes> {
        let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
        self.get_opts(path, options).await?.bytes().await
    }
}
