//! A backup back into a folder and tables that can be started.

use std::collections::HashMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutPayload};

use super::manifest::{MANIFEST, Manifest, OBJECTS, Object, PLUGINS, TABLES, WAL};
use super::restored::{MARK, Mark};
use super::{PIECE_BYTES, Progress};
use crate::config::StoreConfig;
use crate::files::local::LocalFolder;
use crate::files::{self, FilesError, ObjectsConfig};
use crate::lock::Lock;
use crate::{StoreError, durable};

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// How much that was.
    pub progress: Progress,
}

/// Restores the backup at `source` into the empty folder of a configuration and its empty
/// tables. Every object is compared with its checksum. `told` is called now and then.
///
/// What it leaves after an error is refused by every start.
pub async fn restore(
    source: &str,
    options: &ObjectsConfig,
    config: &StoreConfig,
    told: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Restored, StoreError> {
    let from = files::to_read("SOURCE", source, options, FilePath::new(""))?;
    let manifest = read_manifest(&from, source).await?;
    check_sizes(&from, &manifest).await?;
    refuse_full_folder(&config.data_dir)?;
    let _lock = Lock::take(&config.data_dir)?;
    let tables = files::open(&config.url, &config.objects, &config.data_dir.join(TABLES)).await?;
    refuse_full_tables(&tables, config).await?;

    let mark = Mark::draw(&manifest);
    let folder = folder(&config.data_dir)?;
    put(&folder, &Path::from(MARK), mark.text()?.into_bytes().into()).await?;
    let wal = folder_in(&config.data_dir, WAL)?;
    let plugins = match manifest.plugins.is_empty() {
        true => None,
        false => Some(folder_in(&config.data_dir, PLUGINS)?),
    };
    let mut progress = Progress { of_bytes: manifest.size().1, ..Progress::default() };
    for object in manifest.objects() {
        let (to, path) = match object.path.split_once('/') {
            Some((WAL, name)) => (&wal, name),
            Some((PLUGINS, name)) => (plugins.as_ref().unwrap_or(&tables), name),
            Some((_, path)) => (&tables, path),
            None => return Err(StoreError::damaged(&object.path, "it belongs nowhere")),
        };
        let path = Path::parse(path).map_err(|error| StoreError::damaged(&object.path, error.to_string()))?;
        copy(&from, object, to, &path).await?;
        progress.objects += 1;
        progress.bytes += object.bytes;
        told(progress);
    }
    if manifest.epoch > 0 {
        files::leave_off_at(&tables, manifest.epoch).await?;
    }
    // Last of all: from here on a start takes it.
    mark.finish(&tables).await?;
    Ok(Restored { manifest, progress })
}

async fn read_manifest(from: &Arc<dyn ObjectStore>, source: &str) -> Result<Manifest, StoreError> {
    let found = match from.get(&Path::from(MANIFEST)).await {
        Err(Error::NotFound { .. }) => {
            let reason =
                format!("SOURCE {source:?} has no {MANIFEST}: no backup, or one that was not finished");
            return Err(StoreError::Setting { reason });
        }
        other => other.map_err(FilesError::from)?,
    };
    Manifest::decode(&found.bytes().await.map_err(FilesError::from)?)
}

/// Refuses before anything is written what cannot come to its end.
async fn check_sizes(from: &Arc<dyn ObjectStore>, manifest: &Manifest) -> Result<(), StoreError> {
    let mut sizes = HashMap::new();
    let mut listed = from.list(Some(&Path::from(OBJECTS)));
    while let Some(meta) = listed.try_next().await.map_err(FilesError::from)? {
        sizes.insert(meta.location.to_string(), meta.size);
    }
    for object in manifest.objects() {
        let name = object.name();
        match sizes.get(&name) {
            Some(bytes) if *bytes == object.bytes => {}
            Some(bytes) => {
                let problem = format!("it has {bytes} bytes, the manifest says {}", object.bytes);
                return Err(StoreError::damaged(name, problem));
            }
            None => return Err(StoreError::damaged(name, "the manifest names it and it is not there")),
        }
    }
    Ok(())
}

fn refuse_full_folder(folder: &FilePath) -> Result<(), StoreError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(folder.display().to_string(), &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| StoreError::io(folder.display().to_string(), &error))?;
        if entry.file_name() != "LOCK" {
            let (folder, name) = (folder.display(), entry.file_name());
            let reason = format!("{folder} is not empty: it has {}", name.to_string_lossy());
            return Err(StoreError::Setting { reason });
        }
    }
    Ok(())
}

async fn refuse_full_tables(tables: &Arc<dyn ObjectStore>, config: &StoreConfig) -> Result<(), StoreError> {
    match tables.list(None).try_next().await.map_err(FilesError::from)? {
        None => Ok(()),
        Some(found) => {
            let reason = format!("the tables at {:?} are not empty: there is {}", config.url, found.location);
            Err(StoreError::Setting { reason })
        }
    }
}

fn folder(path: &FilePath) -> Result<Arc<dyn ObjectStore>, StoreError> {
    Ok(Arc::new(LocalFolder::open(path)?))
}

fn folder_in(data_dir: &FilePath, name: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
    let path = data_dir.join(name);
    durable::make_folder(&path).map_err(|error| StoreError::io(path.display().to_string(), &error))?;
    folder(&path)
}

async fn put(to: &Arc<dyn ObjectStore>, path: &Path, content: Bytes) -> Result<(), StoreError> {
    to.put(path, PutPayload::from(content)).await.map_err(FilesError::from)?;
    Ok(())
}

/// Copies an object, or leaves nothing of it.
async fn copy(
    from: &Arc<dyn ObjectStore>,
    object: &Object,
    to: &Arc<dyn ObjectStore>,
    path: &Path,
) -> Result<(), StoreError> {
    if object.bytes <= PIECE_BYTES {
        let content = part(from, object, 0).await?;
        check(object, crc32c::crc32c(&content))?;
        return put(to, path, content).await;
    }
    let mut upload = to.put_multipart(path).await.map_err(FilesError::from)?;
    let mut sum = crc32c::crc32c(b"");
    for at in (0..object.bytes).step_by(2 * PIECE_BYTES as usize) {
        let content = part(from, object, at).await?;
        sum = crc32c::crc32c_append(sum, &content);
        upload.put_part(PutPayload::from(content)).await.map_err(FilesError::from)?;
    }
    if let Err(error) = check(object, sum) {
        let _ = upload.abort().await;
        return Err(error);
    }
    upload.complete().await.map_err(FilesError::from)?;
    Ok(())
}

async fn part(from: &Arc<dyn ObjectStore>, object: &Object, at: u64) -> Result<Bytes, StoreError> {
    let name = object.name();
    let end = (at + 2 * PIECE_BYTES).min(object.bytes);
    if at == end {
        return Ok(Bytes::new());
    }
    let path = Path::parse(&name).map_err(|error| StoreError::damaged(&name, error.to_string()))?;
    let content = from.get_range(&path, at..end).await.map_err(FilesError::from)?;
    if content.len() as u64 == end - at {
        return Ok(content);
    }
    Err(StoreError::damaged(name, format!("it ends before byte {end}")))
}

fn check(object: &Object, sum: u32) -> Result<(), StoreError> {
    if sum == object.crc32c {
        return Ok(());
    }
    Err(StoreError::damaged(object.name(), "it does not have its checksum"))
}
