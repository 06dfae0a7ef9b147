//! The few things the log asks of a disk, so that a simulated one can stand in.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use crate::durable;

/// The folder of segments.
pub(crate) trait Disk: Send + Sync {
    /// Names and sizes of the files in it.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;
    /// Makes a file of `bytes` zeros for which the space is there.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn LogFile>>;
    /// Opens a file for writing.
    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>>;
    /// Reads a file, at most its first `bytes_max` bytes.
    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>>;
    /// Renames a file over another.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_folder(&self) -> io::Result<()>;
    /// Keeps a copy of damaged bytes for a person to look at.
    fn set_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Cuts a file off where that can be done; whether it was.
    fn shorten(&self, _name: &str, _bytes: u64) -> io::Result<bool> {
        Ok(false)
    }
    /// How much room the volume has; `None` where that cannot be said.
    fn space(&self) -> io::Result<Option<Space>> {
        Ok(None)
    }
}

/// Room on a volume, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// What this process may still use.
    pub(crate) free: u64,
    /// The whole volume.
    pub(crate) total: u64,
}

/// One open segment.
pub(crate) trait LogFile: Send {
    /// Writes all of `bytes` at `at`.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// A real folder.
pub(crate) struct Folder {
    path: PathBuf,
    quarantine: PathBuf,
}

impl Folder {
    /// Makes the folder if it is not there.
    pub(crate) fn new(path: PathBuf, quarantine: PathBuf) -> io::Result<Self> {
        durable::make_folder(&path)?;
        Ok(Self { path, quarantine })
    }

    /// The folder of a log to look at, which is not made.
    pub(crate) fn to_read(path: PathBuf, quarantine: PathBuf) -> Self {
        Self { path, quarantine }
    }
}

/// Zeros are written, not only reserved: a sync of a block that was written before does
/// not have to touch the file's metadata.
fn fill(file: &File, bytes: u64) -> io::Result<()> {
    const ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    // Not every file system can reserve; writing the zeros finds a full disk as well.
    let _ = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes);
    let mut at = 0;
    while at < bytes {
        let count = usize::try_from(bytes - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        file.write_all_at(&ZEROS[..count], at)?;
        at += count as u64;
    }
    file.sync_all()
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Box<dyn LogFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        match fill(&file, bytes) {
            Ok(()) => Ok(Box::new(file)),
            Err(error) => {
                drop(file);
                // The space is wanted back; the reason for the failure is what counts.
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).open(self.path.join(name))?))
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        let file = File::open(self.path.join(name))?;
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(size.min(bytes_max));
        file.take(bytes_max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        durable::sync_folder(&self.path)
    }

    fn set_aside(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        durable::make_folder(&self.quarantine)?;
        let path = self.quarantine.join(name);
        std::fs::write(&path, bytes)?;
        File::open(&path)?.sync_all()?;
        durable::sync_folder(&self.quarantine)
    }

    fn shorten(&self, name: &str, bytes: u64) -> io::Result<bool> {
        OpenOptions::new().write(true).open(self.path.join(name))?.set_len(bytes)?;
        Ok(true)
    }

    fn space(&self) -> io::Result<Option<Space>> {
        let volume = rustix::fs::statvfs(&self.path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
        Ok(Some(Space { free: bytes(volume.f_bavail), total: bytes(volume.f_blocks) }))
    }
}

impl LogFile for File {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
