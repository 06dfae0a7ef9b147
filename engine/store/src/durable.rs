//! Folders that survive a power cut.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// Makes a folder and those above it, and syncs what names each of them.
///
/// Also of folders that are there already: a process may have made them and died
/// before it could sync them. What this process may not open is somebody else's
/// and was there before.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for above in folder.canonicalize()?.ancestors().skip(1) {
        match sync_folder(above) {
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => {}
            result => result?,
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_and_may_be_there() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b/c");
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        assert!(folder.is_dir());
        std::fs::write(root.path().join("file"), "").unwrap();
        make_folder(&root.path().join("file/x")).unwrap_err();
    }
}
