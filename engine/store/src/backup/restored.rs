//! Which tables a restored folder belongs to.
//!
//! A restored log has the identity of the original's. If the folder were started on the
//! original's tables, those would say that records of the copy are flushed which they have
//! never seen, and the rows would be gone. So a restore draws a name, writes it into the
//! folder before anything else and among the tables after everything else, and a start that
//! finds it in the folder looks for it among the tables. A restore that was not finished is
//! recognised by the same look.

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutPayload};
use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::StoreError;
use crate::files::{FilesError, OWN_FOLDER};

/// Its name in the data folder.
pub(super) const MARK: &str = "restored.json";

/// What stands in the data folder.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The name that was drawn.
    id: String,
    /// When the backup was begun.
    backup_started_unix_ms: i64,
}

impl Mark {
    pub(super) fn draw(manifest: &Manifest) -> Self {
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self { id, backup_started_unix_ms: manifest.started_unix_ms }
    }

    pub(super) fn text(&self) -> Result<String, StoreError> {
        serde_json::to_string(self)
            .map(|text| text + "\n")
            .map_err(|error| StoreError::Internal(error.to_string()))
    }

    /// Says that the tables are those that belong to the folder.
    pub(super) async fn finish(&self, tables: &Arc<dyn ObjectStore>) -> Result<(), StoreError> {
        let text = PutPayload::from(self.text()?.into_bytes());
        tables.put(&place_of(&self.id), text).await.map_err(FilesError::from)?;
        Ok(())
    }
}

fn place_of(id: &str) -> Path {
    Path::from_iter([OWN_FOLDER, "restored", id])
}

/// Refuses a restored folder whose tables are not those that were restored with it.
pub(crate) async fn check(
    folder: &FilePath,
    url: &str,
    tables: &Arc<dyn ObjectStore>,
) -> Result<(), StoreError> {
    let path = folder.join(MARK);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(path.display().to_string(), &error)),
    };
    let mark: Mark = serde_json::from_slice(&text)
        .map_err(|error| StoreError::damaged(path.display().to_string(), error.to_string()))?;
    match tables.head(&place_of(&mark.id)).await {
        Ok(_) => Ok(()),
        Err(Error::NotFound { .. }) => Err(StoreError::Setting { reason: refusal(folder, url) }),
        Err(error) => Err(FilesError::from(error).into()),
    }
}

fn refusal(folder: &FilePath, url: &str) -> String {
    let folder = folder.display();
    let tables = if url.is_empty() { format!("{folder}/tables") } else { url.to_owned() };
    format!(
        "{folder} was restored from a backup, and the tables at {tables} are not those that were restored with \
         it, or the restore was not finished: name the right store.url, or restore again into an empty folder"
    )
}
