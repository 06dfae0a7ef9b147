//! Pieces into objects.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::task::JoinSet;

use super::manifest::{MANIFEST, Manifest, OBJECTS, Object};
use super::source::Have;
use super::{PIECE_BYTES, Piece};
use crate::StoreError;
use crate::files::{self, FilesError, ObjectsConfig};

/// Small objects that are put at the same time; each is at most [`PIECE_BYTES`].
const PUTS_AT_ONCE: usize = 8;

/// How far a backup or a restore is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Objects copied.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were there already.
    pub known: u64,
    /// Their bytes.
    pub known_bytes: u64,
    /// About how many bytes there are in all.
    pub of_bytes: u64,
}

/// Where a backup goes to: a folder, or what [`crate::StoreConfig::url`] may say.
#[derive(Debug)]
pub struct Destination {
    objects: Arc<dyn ObjectStore>,
    progress: Progress,
    /// Names of what is there.
    there: HashSet<String>,
    under_way: Option<UnderWay>,
    puts: JoinSet<Result<(), StoreError>>,
}

/// An object of which more is to come.
#[derive(Debug)]
struct UnderWay {
    object: Object,
    got: u64,
    sum: u32,
    small: BytesMut,
    /// What is larger than a piece is put in parts.
    upload: Option<Box<dyn MultipartUpload>>,
}

impl Destination {
    /// Opens it; a folder is made.
    pub fn open(url: &str, options: &ObjectsConfig) -> Result<Self, StoreError> {
        Ok(Self::on(files::reach("DEST", url, options)?))
    }

    pub(crate) fn on(objects: Arc<dyn ObjectStore>) -> Self {
        let puts = JoinSet::new();
        Self { objects, progress: Progress::default(), there: HashSet::new(), under_way: None, puts }
    }

    /// What it has: of earlier backups, also of those that broke off.
    pub async fn have(&mut self) -> Result<Have, StoreError> {
        let mut have = Vec::new();
        let mut listed = self.objects.list(Some(&Path::from(OBJECTS)));
        while let Some(meta) = listed.try_next().await.map_err(FilesError::from)? {
            have.push((meta.location.to_string(), meta.size));
        }
        drop(listed);
        self.there.extend(have.iter().map(|(name, _)| name.clone()));
        Ok(have.into_iter().collect())
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Takes a piece; the last one is answered with the manifest, which is written then.
    pub async fn take(&mut self, piece: Piece) -> Result<Option<Manifest>, StoreError> {
        match piece {
            Piece::Plan { bytes, .. } => self.progress.of_bytes = bytes,
            Piece::Object(object) => self.begin(object).await?,
            Piece::Bytes(bytes) => self.more(bytes).await?,
            Piece::Known(object) => {
                self.progress.known += 1;
                self.progress.known_bytes += object.bytes;
            }
            Piece::Done(manifest) => return self.finish(*manifest).await.map(Some),
            Piece::Failed(reason) => return Err(StoreError::Backup { reason }),
        }
        Ok(None)
    }

    async fn begin(&mut self, object: Object) -> Result<(), StoreError> {
        if let Some(before) = &self.under_way {
            return Err(differs(&before.object.path));
        }
        let upload = if object.bytes > PIECE_BYTES {
            let upload = self.objects.put_multipart(&path_of(&object)?).await;
            Some(upload.map_err(FilesError::from)?)
        } else {
            None
        };
        let sum = crc32c::crc32c(b"");
        self.under_way = Some(UnderWay { object, got: 0, sum, small: BytesMut::new(), upload });
        self.end_if_whole().await
    }

    async fn more(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let Some(under_way) = &mut self.under_way else {
            return Err(StoreError::damaged("stream of a backup", "bytes of no object"));
        };
        under_way.got += bytes.len() as u64;
        under_way.sum = crc32c::crc32c_append(under_way.sum, &bytes);
        under_way.small.extend_from_slice(&bytes);
        // Parts are of one size, as some stores want it.
        if under_way.small.len() as u64 >= 2 * PIECE_BYTES
            && let Some(upload) = &mut under_way.upload
        {
            let part = under_way.small.split_to(2 * PIECE_BYTES as usize).freeze();
            upload.put_part(PutPayload::from(part)).await.map_err(FilesError::from)?;
        }
        self.end_if_whole().await
    }

    async fn end_if_whole(&mut self) -> Result<(), StoreError> {
        let Some(mut whole) = self.under_way.take_if(|it| it.got >= it.object.bytes) else { return Ok(()) };
        if whole.got != whole.object.bytes || whole.sum != whole.object.crc32c {
            if let Some(upload) = &mut whole.upload {
                let _ = upload.abort().await;
            }
            return Err(differs(&whole.object.path));
        }
        self.progress.objects += 1;
        self.progress.bytes += whole.object.bytes;
        self.there.insert(whole.object.name());
        let rest = PutPayload::from(whole.small.freeze());
        if let Some(mut upload) = whole.upload {
            if rest.content_length() > 0 {
                upload.put_part(rest).await.map_err(FilesError::from)?;
            }
            upload.complete().await.map_err(FilesError::from)?;
            return Ok(());
        }
        while self.puts.len() >= PUTS_AT_ONCE {
            self.settle_one().await?;
        }
        let (objects, path) = (Arc::clone(&self.objects), path_of(&whole.object)?);
        self.puts.spawn(async move {
            objects.put(&path, rest).await.map_err(FilesError::from)?;
            Ok(())
        });
        Ok(())
    }

    async fn settle_one(&mut self) -> Result<(), StoreError> {
        match self.puts.join_next().await {
            Some(Ok(put)) => put,
            Some(Err(error)) => Err(StoreError::Internal(error.to_string())),
            None => Ok(()),
        }
    }

    /// Writes the manifest, if everything that it names is there.
    async fn finish(&mut self, manifest: Manifest) -> Result<Manifest, StoreError> {
        while !self.puts.is_empty() {
            self.settle_one().await?;
        }
        if let Some(missing) = manifest.objects().find(|object| !self.there.contains(&object.name())) {
            return Err(StoreError::damaged(&missing.path, "the backup is to have it and it was not sent"));
        }
        let text = manifest.encode()?;
        self.objects.put(&Path::from(MANIFEST), text.into()).await.map_err(FilesError::from)?;
        Ok(manifest)
    }

    /// Deletes what earlier backups left and the manifest does not name; how many objects,
    /// and their bytes.
    pub async fn prune(&self, manifest: &Manifest) -> Result<(u64, u64), StoreError> {
        let needed: HashSet<String> = manifest.objects().map(Object::name).collect();
        let (mut count, mut bytes) = (0, 0);
        let listed = self.objects.list(Some(&Path::from(OBJECTS)));
        let unneeded = listed.try_filter(|meta| {
            let unneeded = !needed.contains(meta.location.as_ref());
            async move { unneeded }
        });
        let unneeded: Vec<_> = unneeded.try_collect().await.map_err(FilesError::from)?;
        for meta in unneeded {
            match self.objects.delete(&meta.location).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(FilesError::from(error).into()),
            }
            count += 1;
            bytes += meta.size;
        }
        Ok((count, bytes))
    }
}

fn path_of(object: &Object) -> Result<Path, StoreError> {
    Path::parse(object.name()).map_err(|error| StoreError::damaged(&object.path, error.to_string()))
}

fn differs(path: &str) -> StoreError {
    StoreError::damaged(path, "what came of it does not have its size or checksum")
}
