//! An upload in parts.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

use super::changes::Changes;
use super::staged::Staged;
use super::{STORE, blocking, io_error};

/// Parts are written where they belong as they come, in any order; the object
/// is there when the upload is completed, and not before.
#[derive(Debug)]
pub(super) struct Upload {
    destination: PathBuf,
    /// `None` once it is completed or aborted.
    staged: Arc<Mutex<Option<Staged>>>,
    offset: u64,
}

impl Upload {
    pub(super) fn start(changes: &Arc<dyn Changes>, destination: PathBuf) -> io::Result<Self> {
        let staged = Arc::new(Mutex::new(Some(Staged::new(changes, &destination)?)));
        Ok(Self { destination, staged, offset: 0 })
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut at = self.offset;
        self.offset += data.content_length() as u64;
        let staged = Arc::clone(&self.staged);
        blocking(move || {
            let staged = staged.lock();
            let staged = staged.as_ref().ok_or_else(over)?;
            for bytes in &data {
                staged.file.write_at(at, bytes).map_err(io_error)?;
                at += bytes.len() as u64;
            }
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staged = self.staged.lock().take().ok_or_else(over)?;
        let destination = self.destination.clone();
        blocking(move || staged.replace(&destination).map_err(io_error)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged.lock().take().map(drop).ok_or_else(over)
    }
}

fn over() -> Error {
    Error::Generic { store: STORE, source: "the upload is completed or aborted".into() }
}
