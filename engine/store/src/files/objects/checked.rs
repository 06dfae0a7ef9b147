//! Reading files of which it is known what must be in them.
//!
//! A commit says the CRC-32C of every MiB of a file. A read takes in the whole pieces
//! around what was asked for and compares; a piece that differs is read once more, because
//! a transfer can err too, and then the read fails and names the object. So a bit that fell
//! over in the store is an error and never a wrong answer. Objects that no commit of ours
//! names pass as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::pieces::Pieces;
use crate::tables::DataFile;

/// Bytes that one checksum covers.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;

/// Makes checked readers, which share a cache and counters.
#[derive(Debug)]
pub(crate) struct Checker {
    objects: Arc<dyn ObjectStore>,
    pieces: Pieces,
    checked_bytes: AtomicU64,
    damaged: AtomicU64,
}

impl Checker {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        let (checked_bytes, damaged) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { objects, pieces: Pieces::default(), checked_bytes, damaged }
    }

    /// The object store, with reads of these files checked. Each list is in the order of paths.
    pub(crate) fn reading(self: &Arc<Self>, lists: Vec<Arc<[DataFile]>>) -> Arc<dyn ObjectStore> {
        Arc::new(Checked { checker: Arc::clone(self), lists })
    }

    /// Bytes that were compared with their checksums, and reads that failed for good.
    pub(crate) fn figures(&self) -> (u64, u64) {
        (self.checked_bytes.load(Ordering::Relaxed), self.damaged.load(Ordering::Relaxed))
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

    /// The file and its checksums, if it has some.
    fn file(&self, path: &Path) -> Option<(&DataFile, &[u32])> {
        self.lists.iter().find_map(|files| {
            let at = files.binary_search_by(|file| file.path.cmp(path)).ok()?;
            let file = &files[at];
            Some((file, file.crc32c.as_deref()?))
        })
    }

    fn damaged(&self, file: &DataFile, problem: String) -> Error {
        self.checker.damaged.fetch_add(1, Ordering::Relaxed);
        self.checker.pieces.forget(&file.path);
        tracing::error!(path = %file.path, problem, "an object is damaged");
        Error::Generic {
            store: "tables",
            source: Box::new(DamagedObject { path: file.path.clone(), problem }),
        }
    }

    /// Ranges of a file, each not empty and within its size.
    async fn read(&self, file: &DataFile, sums: &[u32], ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut held: BTreeMap<u64, Bytes> = BTreeMap::new();
        let wanted: BTreeSet<u64> = ranges.iter().flat_map(pieces_of).collect();
        held.extend(wanted.iter().filter_map(|n| Some((*n, self.checker.pieces.get(&file.path, *n)?))));
        let missing: Vec<u64> = wanted.into_iter().filter(|number| !held.contains_key(number)).collect();
        let places = runs(&missing, file.size_bytes);
        let found = if places.is_empty() { Vec::new() } else { self.fetch(file, &places).await? };
        let mut fetched = Vec::with_capacity(places.len());
        for (place, content) in places.into_iter().zip(found) {
            let content = self.verify(file, sums, &place, content).await?;
            for number in pieces_of(&place) {
                held.insert(number, part(&place, &content, &piece_range(number, file.size_bytes)));
            }
            fetched.push((place, content));
        }
        self.keep(file, ranges, &missing, &held);
        Ok(ranges.iter().map(|range| cut(range, &fetched, &held)).collect())
    }

    async fn fetch(&self, file: &DataFile, places: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner().get_ranges(&file.path, places).await
    }

    /// Compares all pieces of a read and gives back what is right.
    async fn verify(
        &self,
        file: &DataFile,
        sums: &[u32],
        place: &Range<u64>,
        mut content: Bytes,
    ) -> Result<Bytes> {
        if content.len() as u64 != place.end - place.start {
            let got = place.start + content.len() as u64;
            return Err(self.damaged(file, format!("it ends at byte {got} of {}", file.size_bytes)));
        }
        self.checker.checked_bytes.fetch_add(content.len() as u64, Ordering::Relaxed);
        for number in pieces_of(place) {
            let piece = piece_range(number, file.size_bytes);
            let wanted = sums.get(number as usize).copied();
            if wanted == Some(crc32c::crc32c(&part(place, &content, &piece))) {
                continue;
            }
            let again = self.fetch(file, std::slice::from_ref(&piece)).await?.pop().unwrap_or_default();
            if wanted != Some(crc32c::crc32c(&again)) || again.len() as u64 != piece.end - piece.start {
                let problem = format!("bytes {} to {} do not have their checksum", piece.start, piece.end);
                return Err(self.damaged(file, problem));
            }
            tracing::warn!(path = %file.path, ?piece, "a read erred, its repetition did not");
            let mut right = BytesMut::from(content.as_ref());
            right[(piece.start - place.start) as usize..][..again.len()].copy_from_slice(&again);
            content = right.freeze();
        }
        Ok(content)
    }

    /// Keeps new pieces of which only a part was asked for: the rest may be next.
    fn keep(&self, file: &DataFile, ranges: &[Range<u64>], missing: &[u64], held: &BTreeMap<u64, Bytes>) {
        for number in missing {
            let place = piece_range(*number, file.size_bytes);
            let whole = ranges.iter().any(|range| range.start <= place.start && place.end <= range.end);
            if let Some(content) = held.get(number).filter(|_| !whole) {
                self.checker.pieces.put(&file.path, *number, content);
            }
        }
    }
}

/// Numbers of the pieces that a range touches.
fn pieces_of(range: &Range<u64>) -> Range<u64> {
    range.start / PIECE_BYTES..range.end.div_ceil(PIECE_BYTES)
}

fn piece_range(number: u64, size: u64) -> Range<u64> {
    number * PIECE_BYTES..((number + 1) * PIECE_BYTES).min(size)
}

/// Ascending piece numbers as ranges of bytes, neighbours together.
fn runs(numbers: &[u64], size: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for number in numbers {
        let place = piece_range(*number, size);
        match runs.last_mut() {
            Some(last) if last.end == place.start => last.end = place.end,
            _ => runs.push(place),
        }
    }
    runs
}

/// What lies at `wanted`, out of `content`, which lies at `place` around it.
fn part(place: &Range<u64>, content: &Bytes, wanted: &Range<u64>) -> Bytes {
    content.slice((wanted.start - place.start) as usize..(wanted.end - place.start) as usize)
}

/// A range out of what was verified; a copy only where it is partly from the cache.
fn cut(range: &Range<u64>, fetched: &[(Range<u64>, Bytes)], held: &BTreeMap<u64, Bytes>) -> Bytes {
    let around = |place: &Range<u64>| place.start <= range.start && range.end <= place.end;
    if let Some((place, content)) = fetched.iter().find(|(place, _)| around(place)) {
        return part(place, content, range);
    }
    let parts = pieces_of(range).filter_map(|number| {
        let content = held.get(&number)?;
        let start = number * PIECE_BYTES;
        let end = start + content.len() as u64;
        Some(part(&(start..end), content, &(range.start.max(start)..range.end.min(end))))
    });
    let mut parts: Vec<Bytes> = parts.collect();
    match parts.len() {
        1 => parts.swap_remove(0),
        _ => parts.concat().into(),
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
        let Some((file, sums)) = self.file(path).filter(|_| !options.head) else {
            return self.inner().get_opts(path, options).await;
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
            false => self.read(file, sums, std::slice::from_ref(&range)).await?.swap_remove(0),
        };
        let payload = GetResultPayload::Stream(stream::once(async { Ok(content) }.boxed()).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default() })
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.file(path) {
            Some((file, sums))
                if ranges.iter().all(|range| !range.is_empty() && range.end <= file.size_bytes) =>
            {
                self.read(file, sums, ranges).await
            }
            // What cannot be is refused below in the store's own words.
            Some(_) => {
                let reads = ranges.iter().map(|range| self.get_range_checked(path, range.clone()));
                futures::future::try_join_all(reads).await
            }
            None => self.inner().get_ranges(path, ranges).await,
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
