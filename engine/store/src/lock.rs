//! One process per folder.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::{StoreError, durable};

/// Holds the folder until it is dropped or the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a folder, which is made if it is not there. Does not wait.
    pub fn take(folder: &Path) -> Result<Self, StoreError> {
        let io = |error: &std::io::Error| StoreError::io(format!("data folder {}", folder.display()), error);
        durable::make_folder(folder).map_err(|error| io(&error))?;
        let path = folder.join("LOCK");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|error| io(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::Locked { holder: holder(&mut file), path }),
            Err(error) => return Err(io(&error.into())),
        }
        // For a person who wonders who has it; on a full disk it is missing.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// Whether somebody has a folder, and who as they wrote it down. Nothing is made.
pub(crate) fn look(folder: &Path) -> Result<Option<Option<String>>, StoreError> {
    let path = folder.join("LOCK");
    let io = |error: &std::io::Error| StoreError::io(path.display().to_string(), error);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&error)),
    };
    // For a moment only: whoever starts just then is refused and has to try again.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => Ok(Some(holder(&mut file))),
        Err(error) => Err(io(&error.into())),
    }
}

/// What the one who has the lock wrote into it.
fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).ok()?;
    let pid = text.trim();
    (!pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())).then(|| pid.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let error = Lock::take(folder.path()).unwrap_err();
        let path = folder.path().join("LOCK");
        let pid = std::process::id();
        let text = format!("data folder {path:?} (held by process {pid}) is in use by another process");
        assert_eq!(error.to_string(), text);
        drop(first);
        Lock::take(folder.path()).unwrap();
    }
}
