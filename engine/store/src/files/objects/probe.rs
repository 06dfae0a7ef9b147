//! Whether a store refuses to create an object twice.
//!
//! Commits and epochs rest on that: of two writers that create one name, one must fail.
//! Some S3 servers ignore `If-None-Match: *`; there the later writer wins without a word.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode};

use crate::files::epoch::OWN_FOLDER;
use crate::files::{FilesError, Result};

/// Creates an object twice. Fails if the second is taken, or if the first is not there as
/// it was written.
///
/// `name` is what the user calls the store.
pub(super) async fn check(objects: &Arc<dyn ObjectStore>, name: &str) -> Result<()> {
    let path = Path::from_iter([OWN_FOLDER, "probes", &uuid::Uuid::new_v4().to_string()]);
    let outcome = create_twice(objects, &path, name).await;
    // One that stays costs some bytes.
    let _ = objects.delete(&path).await;
    outcome
}

async fn create_twice(objects: &Arc<dyn ObjectStore>, path: &Path, name: &str) -> Result<()> {
    let create = |what: &'static str| objects.put_opts(path, what.into(), PutMode::Create.into());
    let unsafe_store = || FilesError::Unsafe { store: name.to_owned() };
    match create("first").await {
        Ok(_) => {}
        // Nobody else knows the name: this is our own first try, whose answer was lost.
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
        Err(Error::NotImplemented { .. }) => return Err(unsafe_store()),
        Err(error) => return Err(error.into()),
    }
    match create("second").await {
        Ok(_) => return Err(unsafe_store()),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let found = objects.get(path).await?.bytes().await?;
    if found.as_ref() == b"first" { Ok(()) } else { Err(unsafe_store()) }
}
