//! The object store as the Delta kernel wants it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result, UploadPart,
};

use super::sealed::LogFile;
use crate::files::objects::damaged_object;

/// Makes good two habits of the kernel on stores that are not local files (and
/// of a local one it wants the folder to be there before the table is):
/// - it relies on listings in the order of names, which a folder does not give, and on
///   whole ones, which not every store gives at once;
/// - it lists a path as it is and reads it percent-encoded. Of the characters
///   in our paths that concerns `*` alone, which a tenant name may have.
///
/// What it writes into a log is sealed with a checksum here, and what it reads from one
/// is compared ([`super::sealed`]).
#[derive(Debug)]
pub(super) struct KernelObjects(pub(super) Arc<dyn ObjectStore>);

fn as_named(path: &Path) -> Result<Path> {
    if path.as_ref().contains("%2A") {
        Ok(Path::parse(path.as_ref().replace("%2A", "*"))?)
    } else {
        Ok(path.clone())
    }
}

/// A listing in the order of names. Of a log it is completed: commits are numbered, so what
/// a listing that lags behind has left out is asked for by its name.
fn sorted(
    objects: &Arc<dyn ObjectStore>,
    listing: BoxStream<'static, Result<ObjectMeta>>,
    log: Option<(Path, u64)>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let objects = Arc::clone(objects);
    let all = async move {
        let mut all: Vec<ObjectMeta> = listing.try_collect().await?;
        if let Some((folder, from)) = log {
            let missing = missing_commits(&objects, &folder, from, &all).await?;
            all.extend(missing);
        }
        all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok::<_, object_store::Error>(stream::iter(all.into_iter().map(Ok)))
    };
    stream::once(all).try_flatten().boxed()
}

/// The log that a listing is of, and the first commit that it can have.
fn log_of(prefix: Option<&Path>, offset: Option<&Path>) -> Option<(Path, u64)> {
    let folder = prefix.filter(|folder| folder.filename() == Some("_delta_log"))?;
    let from = offset.and_then(|offset| offset.filename()?.get(..20)?.parse().ok());
    Some((folder.clone(), from.unwrap_or(0)))
}

/// Commits that are there and not listed: those between two that are, and those right after
/// the last one.
async fn missing_commits(
    objects: &Arc<dyn ObjectStore>,
    folder: &Path,
    from: u64,
    listed: &[ObjectMeta],
) -> Result<Vec<ObjectMeta>> {
    let numbers_of = |kind: LogFile| -> BTreeSet<u64> {
        let of_kind = listed.iter().filter(|meta| LogFile::at(&meta.location) == Some(kind));
        of_kind.filter_map(|meta| meta.location.filename()?.get(..20)?.parse().ok()).collect()
    };
    let (numbers, checkpoints) = (numbers_of(LogFile::Commit), numbers_of(LogFile::Checkpoint));
    // What a checkpoint covers may have been removed.
    let first = checkpoints.last().map_or(from, |checkpoint| checkpoint + 1);
    let last = numbers.last().copied();
    let mut missing = Vec::new();
    for version in first.. {
        if numbers.contains(&version) {
            continue;
        }
        match objects.head(&folder.clone().join(format!("{version:020}.json"))).await {
            Ok(meta) => missing.push(meta),
            Err(Error::NotFound { .. }) if last.is_some_and(|last| version < last) => {}
            Err(Error::NotFound { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}

impl KernelObjects {
    /// A file of a log, whole, if it is what was written. Read once more if not: a transfer
    /// can err too.
    async fn read(&self, path: &Path, file: LogFile, options: GetOptions) -> Result<(GetResult, Bytes)> {
        for _ in 0..2 {
            let found = self.0.get_opts(path, GetOptions { range: None, ..options.clone() }).await?;
            let head = GetResult {
                payload: GetResultPayload::Stream(stream::empty().boxed()),
                meta: found.meta.clone(),
                range: found.range.clone(),
                attributes: found.attributes.clone(),
            };
            let content = found.bytes().await?;
            if file.is_whole(&content) {
                return Ok((head, content));
            }
        }
        if file == LogFile::Hint {
            tracing::warn!(%path, "it is damaged and passed over: the log is listed from its start");
            return Err(Error::NotFound { path: path.to_string(), source: "it is damaged".into() });
        }
        Err(damaged_object(path, "it does not have its checksum"))
    }
}

impl fmt::Display for KernelObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for KernelObjects {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let payload = match LogFile::at(path) {
            Some(file) => file.seal(payload.into()).into(),
            None => payload,
        };
        self.0.put_opts(&as_named(path)?, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if LogFile::at(path).is_some() {
            let (objects, path) = (Self(Arc::clone(&self.0)), path.clone());
            return Ok(Box::new(Gathered { objects, path, parts: Vec::new() }));
        }
        self.0.put_multipart_opts(&as_named(path)?, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let at = as_named(path)?;
        let Some(file) = LogFile::at(path).filter(|_| !options.head) else {
            return self.0.get_opts(&at, options).await;
        };
        let wanted = options.range.clone();
        let (mut result, mut content) = self.read(&at, file, options).await?;
        if let Some(wanted) = wanted {
            let range = wanted
                .as_range(content.len() as u64)
                .map_err(|error| Error::Generic { store: "tables", source: Box::new(error) })?;
            content = content.slice(range.start as usize..range.end as usize);
            result.range = range;
        }
        result.payload = GetResultPayload::Stream(stream::once(async { Ok(content) }).boxed());
        Ok(result)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let at = as_named(path)?;
        let Some(file) = LogFile::at(path) else {
            return self.0.get_ranges(&at, ranges).await;
        };
        let (_, content) = self.read(&at, file, GetOptions::default()).await?;
        let cut = |range: &Range<u64>| {
            let inside = range.start <= range.end && range.end <= content.len() as u64;
            let range = range.start as usize..range.end as usize;
            inside
                .then(|| content.slice(range))
                .ok_or_else(|| damaged_object(&at, "it is shorter than listed"))
        };
        ranges.iter().map(cut).collect()
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(paths.map(|path| as_named(&path?)).boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map(as_named).transpose() {
            Ok(prefix) => {
                let log = log_of(prefix.as_ref(), None);
                sorted(&self.0, self.0.list(prefix.as_ref()), log)
            }
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match (prefix.map(as_named).transpose(), as_named(offset)) {
            (Ok(prefix), Ok(offset)) => {
                let log = log_of(prefix.as_ref(), Some(&offset));
                sorted(&self.0, self.0.list_with_offset(prefix.as_ref(), &offset), log)
            }
            (Err(error), _) | (_, Err(error)) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix.map(as_named).transpose()?.as_ref()).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(&as_named(from)?, &as_named(to)?, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(&as_named(from)?, &as_named(to)?, options).await
    }
}

/// A file of a log that comes in parts: put in one piece, because its seal is in its middle.
/// A checkpoint is that large with tens of thousands of files.
#[derive(Debug)]
struct Gathered {
    objects: KernelObjects,
    path: Path,
    parts: Vec<Bytes>,
}

#[async_trait]
impl MultipartUpload for Gathered {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.parts.extend(data);
        Box::pin(async { Ok(()) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let whole: Bytes = std::mem::take(&mut self.parts).concat().into();
        self.objects.put_opts(&self.path, whole.into(), PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.clear();
        Ok(())
    }
}
