//! A file that is whole and synced before it has its name.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::folders::sync_parent;

/// A temporary file next to its destination. Removed when it is dropped without
/// having got its name.
#[derive(Debug)]
pub(super) struct Staged {
    path: Option<PathBuf>,
    pub(super) file: File,
}

impl Staged {
    /// An empty temporary file next to `destination`, whose folder must exist.
    pub(super) fn new(destination: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        loop {
            let path = temporary(destination, NEXT.fetch_add(1, Ordering::Relaxed));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Self { path: Some(path), file }),
                // Left by a process that died, or in use by another one.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A temporary file with these bytes, not yet synced.
    pub(super) fn write<'a>(
        destination: &Path,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> io::Result<Self> {
        let mut staged = Self::new(destination)?;
        parts.into_iter().try_for_each(|part| staged.file.write_all(part))?;
        Ok(staged)
    }

    /// Gives the file its name, durably. `AlreadyExists` if the name is taken.
    pub(super) fn create(mut self, destination: &Path) -> io::Result<()> {
        self.file.sync_data()?;
        if let Some(path) = &self.path {
            std::fs::hard_link(path, destination)?;
            std::fs::remove_file(path)?;
            self.path = None;
        }
        sync_parent(destination)
    }

    /// Gives the file its name, durably, in place of a file of that name.
    pub(super) fn replace(mut self, destination: &Path) -> io::Result<()> {
        self.file.sync_data()?;
        if let Some(path) = &self.path {
            std::fs::rename(path, destination)?;
            self.path = None;
        }
        sync_parent(destination)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // If it stays, `Folders` removes it in a later run.
            let _ = std::fs::remove_file(path);
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
