//! The files of the tier on the disk: `pieces-v1/<hash of the path>-<number>`.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::{PIECE_BYTES, PieceId};

/// The folder in the folder of the cache. A release with another layout takes another name
/// and deletes this one.
const NAME: &str = "pieces-v1";

/// The files. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: Arc<PathBuf>,
}

/// A piece that an earlier process wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnDisk {
    pub(super) id: PieceId,
    pub(super) bytes: u32,
    written: SystemTime,
}

impl Folder {
    /// Makes it in the folder of the cache, if it is not there.
    pub(super) fn make(cache: &Path) -> io::Result<Self> {
        let path = cache.join(NAME);
        fs::create_dir_all(&path)?;
        Ok(Self { path: Arc::new(path) })
    }

    /// Pieces, the oldest first. What no piece can be is deleted if it has a piece's name, and
    /// left alone if it has another.
    pub(super) fn list(&self) -> io::Result<Vec<OnDisk>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&*self.path)? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(parse) else { continue };
            match size(&entry) {
                Some((bytes, written)) => found.push(OnDisk { id, bytes, written }),
                None => drop(self.remove(id)),
            }
        }
        found.sort_by_key(|piece| piece.written);
        Ok(found)
    }

    /// All bytes of a piece, if there are exactly so many.
    pub(super) fn read(&self, id: PieceId, bytes: usize) -> io::Result<Bytes> {
        let file = File::open(self.file(id))?;
        // One more than there should be, so that a file that is too long is found out.
        let mut content = Vec::with_capacity(bytes + 1);
        file.take(bytes as u64 + 1).read_to_end(&mut content)?;
        match content.len() == bytes {
            true => Ok(content.into()),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Writes a piece. Nothing is left of it if that fails.
    pub(super) fn write(&self, id: PieceId, content: &[u8]) -> io::Result<()> {
        let written = fs::write(self.file(id), content);
        if written.is_err() {
            let _ = self.remove(id);
        }
        written
    }

    pub(super) fn remove(&self, id: PieceId) -> io::Result<()> {
        fs::remove_file(self.file(id))
    }

    fn file(&self, id: PieceId) -> PathBuf {
        self.path.join(name(id))
    }
}

fn name(id: PieceId) -> String {
    format!("{:032x}-{}", id.file, id.number)
}

/// The piece of a name.
fn parse(name: &str) -> Option<PieceId> {
    let (file, number) = name.split_once('-')?;
    let id = PieceId { file: u128::from_str_radix(file, 16).ok()?, number: number.parse().ok()? };
    (self::name(id) == name).then_some(id)
}

/// Bytes and time of what can be a piece.
fn size(entry: &DirEntry) -> Option<(u32, SystemTime)> {
    let found = entry.metadata().ok().filter(|found| found.is_file())?;
    let bytes = Some(found.len()).filter(|bytes| (1..=PIECE_BYTES).contains(bytes))?;
    Some((bytes as u32, found.modified().unwrap_or(SystemTime::UNIX_EPOCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout of the page `docs/formats/cache.md`.
    #[test]
    fn a_name_is_read_as_it_is_written() {
        let id = PieceId { file: 0xab, number: 12 };
        assert_eq!(name(id), "000000000000000000000000000000ab-12");
        assert_eq!(parse(&name(id)), Some(id));
        let id = PieceId { file: u128::MAX, number: u64::MAX };
        assert_eq!(parse(&name(id)), Some(id));
        for other in ["", "LOCK", "ab-12", "000000000000000000000000000000AB-12", "photo.jpg"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_is_ours_is_touched() {
        let cache = tempfile::tempdir().unwrap();
        let folder = Folder::make(cache.path()).unwrap();
        let id = |number| PieceId { file: 7, number };
        folder.write(id(1), b"one").unwrap();
        folder.write(id(2), b"").unwrap();
        folder.write(id(3), &vec![0; PIECE_BYTES as usize + 1]).unwrap();
        fs::write(folder.path.join("notes.txt"), "mine").unwrap();
        let found: Vec<_> = folder.list().unwrap().iter().map(|piece| (piece.id, piece.bytes)).collect();
        assert_eq!(found, [(id(1), 3)]);
        let mut left: Vec<_> =
            fs::read_dir(&*folder.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [name(id(1)).as_str(), "notes.txt"]);
    }

    #[test]
    fn another_length_is_no_answer() {
        let cache = tempfile::tempdir().unwrap();
        let folder = Folder::make(cache.path()).unwrap();
        let id = PieceId { file: 1, number: 0 };
        folder.write(id, b"12345").unwrap();
        assert_eq!(folder.read(id, 5).unwrap(), b"12345"[..]);
        assert!(folder.read(id, 4).is_err());
        assert!(folder.read(id, 6).is_err());
    }
}
