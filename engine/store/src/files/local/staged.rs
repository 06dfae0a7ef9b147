//! A file that is whole and synced before it has its name.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::changes::{Changes, Writable};
use super::folders::sync_parent;

/// A temporary file next to its destination. Removed when it is dropped without
/// having got its name.
#[derive(Debug)]
pub(super) struct Staged {
    path: Option<PathBuf>,
    pub(super) file: Box<dyn Writable>,
    changes: Arc<dyn Changes>,
}

impl Staged {
    /// An empty temporary file next to `destination`, whose folder must exist.
    pub(super) fn new(changes: &Arc<dyn Changes>, destination: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        loop {
            let path = temporary(destination, NEXT.fetch_add(1, Ordering::Relaxed));
            match changes.create(&path) {
                Ok(file) => return Ok(Self { path: Some(path), file, changes: Arc::clone(changes) }),
                // Left by a process that died, or in use by another one.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A temporary file with these bytes, not yet synced.
    pub(super) fn write<'a>(
        changes: &Arc<dyn Changes>,
        destination: &Path,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> io::Result<Self> {
        let staged = Self::new(changes, destination)?;
        let mut at = 0;
        for part in parts {
            staged.file.write_at(at, part)?;
            at += part.len() as u64;
        }
        Ok(staged)
    }

    /// Gives the file its name, durably. `AlreadyExists` if the name is taken.
    pub(super) fn create(mut self, destination: &Path) -> io::Result<()> {
        self.file.sync()?;
        if let Some(path) = &self.path {
            self.changes.link(path, destination)?;
            self.changes.remove(path)?;
            self.path = None;
        }
        sync_parent(&*self.changes, destination)
    }

    /// Gives the file its name, durably, in place of a file of that name.
    pub(super) fn replace(mut self, destination: &Path) -> io::Result<()> {
        self.file.sync()?;
        if let Some(path) = &self.path {
            self.changes.rename(path, destination)?;
            self.path = None;
        }
        sync_parent(&*self.changes, destination)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // If it stays, `Folders` removes it in a later run.
            let _ = self.changes.remove(&path);
        }
    }
}

fn temporary(destination: &Path, number: u64) -> PathBuf {
    let mut name = destination.as_os_str().to_owned();
    name.push(format!("#{number}"));
    name.into()
}

/// Whether this is the name of a temporary file.
pub(super) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
