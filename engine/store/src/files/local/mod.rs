//! An object store on a local folder whose writes survive a power cut.
//!
//! `object_store`'s own local store links a file into place that was never
//! synced: after a power cut a commit can name a file that is empty. Here every
//! write goes to a temporary file in the same folder, which is synced, linked
//! or renamed into place, and then the folder and every folder newly made above
//! it are synced. Reads and lists are those of `LocalFileSystem`; it
//! hides names that end in `#` and digits, which is what temporary files are
//! called.
//!
//! A write that fails has left either nothing or the whole object, never a part
//! of it; which of the two cannot be known, as with any object store.

pub(crate) mod changes;
mod folders;
mod staged;
mod upload;

use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::TryFutureExt as _;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use self::changes::{Changes, System};
use self::folders::Folders;
use self::staged::Staged;
use self::upload::Upload;
use super::FilesError;

/// Deletes of one stream that run at a time.
const DELETES_AT_ONCE: usize = 10;

/// The name of this store in errors.
const STORE: &str = "local folder";

/// A folder as an object store with durable writes.
#[derive(Debug)]
pub(crate) struct LocalFolder {
    root: PathBuf,
    reads: LocalFileSystem,
    changes: Arc<dyn Changes>,
    folders: Arc<Folders>,
}

impl LocalFolder {
    /// Opens `root`, makes it where it is missing, and checks that it refuses to
    /// create a file twice, because commits rest on that.
    pub(crate) fn open(root: &FilePath) -> Result<Self, FilesError> {
        Self::open_with(root, Arc::new(System))
    }

    /// The same, with `changes` in place of the system's.
    pub(crate) fn open_with(root: &FilePath, changes: Arc<dyn Changes>) -> Result<Self, FilesError> {
        let failed = |source| FilesError::Folder { path: root.to_owned(), source };
        let root = &folders::make_root(root).map_err(failed)?;
        let folders = Arc::new(Folders::below(Arc::clone(&changes), root));
        folders.make(root).map_err(failed)?;
        if !refuses_second_create(&changes, root).map_err(failed)? {
            return Err(FilesError::Unsafe { store: root.display().to_string() });
        }
        let reads = LocalFileSystem::new_with_prefix(root)?;
        Ok(Self { root: root.to_owned(), reads, changes, folders })
    }

    fn file_of(&self, location: &Path) -> Result<PathBuf> {
        self.reads.path_to_filesystem(location)
    }
}

impl fmt::Display for LocalFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalFolder({})", self.root.display())
    }
}

/// Creates a file twice and says whether the second attempt was refused.
fn refuses_second_create(changes: &Arc<dyn Changes>, root: &FilePath) -> std::io::Result<bool> {
    let probe = root.join(format!(".create-probe-{}", uuid::Uuid::new_v4()));
    Staged::write(changes, &probe, [b"first".as_slice()])?.create(&probe)?;
    let second = Staged::write(changes, &probe, [b"second".as_slice()])?.create(&probe);
    let refused = second.is_err_and(|error| error.kind() == std::io::ErrorKind::AlreadyExists);
    changes.remove(&probe)?;
    Ok(refused)
}

#[async_trait]
impl ObjectStore for LocalFolder {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if matches!(options.mode, PutMode::Update(_)) || !options.attributes.is_empty() {
            return Err(unsupported("put with a version or attributes", self));
        }
        let file = self.file_of(location)?;
        let (folders, changes) = (Arc::clone(&self.folders), Arc::clone(&self.changes));
        let location = location.clone();
        blocking(move || {
            folders.prepare(&file).map_err(io_error)?;
            let staged =
                Staged::write(&changes, &file, payload.iter().map(Bytes::as_ref)).map_err(io_error)?;
            let put = match options.mode {
                PutMode::Create => staged.create(&file).map_err(|error| create_error(error, &location)),
                _ => staged.replace(&file).map_err(io_error),
            };
            put.inspect_err(|_| folders.unsettle(&file))?;
            Ok(PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(unsupported("multipart put with attributes", self));
        }
        let file = self.file_of(location)?;
        let (folders, changes) = (Arc::clone(&self.folders), Arc::clone(&self.changes));
        let upload = blocking(move || {
            folders.prepare(&file).map_err(io_error)?;
            Upload::start(&changes, file).map_err(io_error)
        })
        .await?;
        Ok(Box::new(upload))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if names_files(location) {
            self.settle(location.parent().as_ref()).await?;
        }
        self.reads.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (changes, reads) = (Arc::clone(&self.changes), self.reads.clone());
        let delete = move |location: Result<Path>| {
            let (changes, reads) = (Arc::clone(&changes), reads.clone());
            async move {
                let location = location?;
                let file = reads.path_to_filesystem(&location)?;
                blocking(move || changes.remove(&file).map_err(|error| remove_error(error, &file))).await?;
                Ok(location)
            }
        };
        locations.map(move |location| delete(location)).buffered(DELETES_AT_ONCE).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (settled, reads, prefix) = (self.settle(prefix), self.reads.clone(), prefix.cloned());
        let listed = async move { settled.await.map(|()| reads.list(prefix.as_ref())) };
        listed.try_flatten_stream().boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (settled, reads, prefix) = (self.settle(prefix), self.reads.clone(), prefix.cloned());
        let offset = offset.clone();
        let listed = async move { settled.await.map(|()| reads.list_with_offset(prefix.as_ref(), &offset)) };
        listed.try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.settle(prefix).await?;
        self.reads.list_with_delimiter(prefix).await
    }

    /// A copy is a second link to the same synced file.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.prepare(to).await?;
        self.reads.copy_opts(from, to, options).await?;
        self.sync_folders_of(&[to]).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.prepare(to).await?;
        self.reads.rename_opts(from, to, options).await?;
        self.sync_folders_of(&[to, from]).await
    }
}

/// Whether an object says which others there are: what it says is relied upon.
fn names_files(location: &Path) -> bool {
    location.parts().any(|part| part.as_ref() == "_delta_log")
}

impl LocalFolder {
    /// Makes durable what is in a folder before anybody sees it.
    fn settle(&self, folder: Option<&Path>) -> impl Future<Output = Result<()>> + Send + 'static {
        let place = folder.map_or_else(|| Ok(self.root.clone()), |folder| self.file_of(folder));
        let folders = Arc::clone(&self.folders);
        async move {
            let place = place?;
            if folders.is_settled(&place) {
                return Ok(());
            }
            blocking(move || folders.settle(&place).map_err(io_error)).await
        }
    }

    async fn prepare(&self, location: &Path) -> Result<()> {
        let file = self.file_of(location)?;
        let folders = Arc::clone(&self.folders);
        blocking(move || folders.prepare(&file).map_err(io_error)).await
    }

    async fn sync_folders_of(&self, locations: &[&Path]) -> Result<()> {
        let files = locations.iter().map(|location| self.file_of(location)).collect::<Result<Vec<_>>>()?;
        let changes = Arc::clone(&self.changes);
        let sync = move || files.iter().try_for_each(|file| folders::sync_parent(&*changes, file));
        blocking(move || sync().map_err(io_error)).await
    }
}

/// Runs file work off the async threads, or in place where there are none.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

fn io_error(source: std::io::Error) -> Error {
    Error::Generic { store: STORE, source: Box::new(source) }
}

fn create_error(source: std::io::Error, location: &Path) -> Error {
    match source.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::AlreadyExists { path: location.to_string(), source: Box::new(source) }
        }
        _ => io_error(source),
    }
}

fn remove_error(source: std::io::Error, file: &FilePath) -> Error {
    match source.kind() {
        std::io::ErrorKind::NotFound => {
            Error::NotFound { path: file.display().to_string(), source: Box::new(source) }
        }
        _ => io_error(source),
    }
}

fn unsupported(operation: &str, store: &LocalFolder) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: store.to_string() }
}

#[cfg(test)]
mod tests;
