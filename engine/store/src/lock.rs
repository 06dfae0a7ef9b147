//! One process per folder.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::StoreError;

/// Holds the folder until it is dropped or the process dies.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a folder, which is made if it is not there. Does not wait.
    pub(crate) fn take(folder: &Path) -> Result<Self, StoreError> {
        let io = |error: &std::io::Error| StoreError::io(format!("data folder {}", folder.display()), error);
        std::fs::create_dir_all(folder).map_err(|error| io(&error))?;
        let path = folder.join("LOCK");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| io(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::Locked { path }),
            Err(error) => return Err(io(&error.into())),
        }
        // For a person who wonders who has it; on a full disk it is missing.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(StoreError::Locked { .. })));
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}
