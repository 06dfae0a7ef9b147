//! Which folders are known to survive a power cut.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use super::changes::Changes;
use super::staged::is_temporary;
use crate::durable;

/// Beyond this many the set starts anew, which costs one sync a folder.
const KNOWN_FOLDERS_MAX: usize = 65_536;

/// A temporary file this old belongs to no write that still runs.
const TEMPORARY_AGE_MAX: Duration = Duration::from_secs(3_600);

/// Folders whose own entry, and those of all folders above, are synced.
#[derive(Debug)]
pub(super) struct Folders {
    changes: Arc<dyn Changes>,
    root: PathBuf,
    known: Mutex<HashSet<PathBuf>>,
    /// Those in which every name that was there before this process is synced.
    settled: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Nothing is known yet of `root` and what is in it.
    pub(super) fn below(changes: Arc<dyn Changes>, root: &Path) -> Self {
        Self { changes, root: root.to_owned(), known: Mutex::default(), settled: Mutex::default() }
    }

    /// Makes the names in a folder durable before anything relies on one of them. A process
    /// may have died between giving a file its name and syncing the folder; the file is then
    /// seen, and would be gone with the power.
    pub(super) fn settle(&self, folder: &Path) -> io::Result<()> {
        if self.is_settled(folder) || !folder.is_dir() {
            return Ok(());
        }
        self.make(folder)?;
        self.changes.sync_folder(folder)?;
        let mut settled = self.settled.lock();
        if settled.len() >= KNOWN_FOLDERS_MAX {
            settled.clear();
        }
        settled.insert(folder.to_owned());
        Ok(())
    }

    pub(super) fn is_settled(&self, folder: &Path) -> bool {
        self.settled.lock().contains(folder)
    }

    /// A name in a folder could not be synced: whoever reads it next has to.
    pub(super) fn unsettle(&self, file: &Path) {
        if let Some(folder) = file.parent() {
            self.settled.lock().remove(folder);
        }
    }

    /// Makes sure that the folder of `file` is there to stay.
    pub(super) fn prepare(&self, file: &Path) -> io::Result<()> {
        match file.parent() {
            Some(folder) => self.make(folder),
            None => Err(io::Error::new(ErrorKind::InvalidInput, "a file without a folder")),
        }
    }

    /// Makes a folder and those above it, and syncs what names them.
    ///
    /// One at a time: who finds a folder here may rely on it, whoever made it.
    pub(super) fn make(&self, folder: &Path) -> io::Result<()> {
        let mut known = self.known.lock();
        if known.len() >= KNOWN_FOLDERS_MAX {
            known.clear();
        }
        make(&*self.changes, folder, &self.root, &mut known)
    }
}

fn make(changes: &dyn Changes, folder: &Path, root: &Path, known: &mut HashSet<PathBuf>) -> io::Result<()> {
    if known.contains(folder) {
        return Ok(());
    }
    match changes.make_folder(folder) {
        Ok(()) => {}
        // Not synced if a process made it a moment before it died, and that
        // may be true of every folder up to the root.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if folder.starts_with(root) {
                remove_leftovers(changes, folder)?;
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(changes, folder.parent().ok_or(error)?, root, known)?;
            return make(changes, folder, root, known);
        }
        Err(error) => return Err(error),
    }
    if folder != root
        && let Some(above) = folder.parent().filter(|above| above.starts_with(root))
    {
        make(changes, above, root, known)?;
    }
    sync_parent(changes, folder)?;
    known.insert(folder.to_owned());
    Ok(())
}

/// Makes the root and all above it, durably. Answers its absolute name, which is
/// the form in which `LocalFileSystem` names files.
pub(super) fn make_root(root: &Path) -> io::Result<PathBuf> {
    durable::make_folder(root)?;
    root.canonicalize()
}

/// Removes temporary files of writes that a crash cut short.
fn remove_leftovers(changes: &dyn Changes, folder: &Path) -> io::Result<()> {
    let too_old = SystemTime::now().checked_sub(TEMPORARY_AGE_MAX);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stale =
            || std::fs::metadata(&path).and_then(|meta| meta.modified()).is_ok_and(|at| Some(at) < too_old);
        if is_temporary(&path) && stale() {
            tracing::info!(path = %path.display(), "removing a temporary file of an earlier run");
            changes.remove(&path)?;
        }
    }
    Ok(())
}

/// Syncs the folder that names `path`.
pub(super) fn sync_parent(changes: &dyn Changes, path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => changes.sync_folder(parent),
        // A relative name of one part is in the working folder.
        Some(_) => changes.sync_folder(Path::new(".")),
        // `/` itself.
        None => Ok(()),
    }
}
