//! A disk that stays as it is, and remembers what would have been changed.

use std::io;

use parking_lot::Mutex;

use crate::wal::{Disk, Folder, LogFile};

/// A folder whose changes go nowhere.
pub(super) struct DryDisk {
    folder: Folder,
    shortened: Mutex<Option<(String, u64)>>,
}

impl DryDisk {
    pub(super) fn on(folder: Folder) -> Self {
        Self { folder, shortened: Mutex::new(None) }
    }

    /// Which file would have been cut off, and to how many bytes.
    pub(super) fn shortened(&self) -> Option<(String, u64)> {
        self.shortened.lock().clone()
    }
}

impl Disk for DryDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        self.folder.list()
    }

    fn create(&self, _: &str, _: u64) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(Nowhere))
    }

    fn open(&self, _: &str) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(Nowhere))
    }

    fn read(&self, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.folder.read(name, bytes_max)
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_aside(&self, _: &str, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn shorten(&self, name: &str, bytes: u64) -> io::Result<bool> {
        *self.shortened.lock() = Some((name.to_owned(), bytes));
        Ok(false)
    }
}

/// A file to which nothing is written.
struct Nowhere;

impl LogFile for Nowhere {
    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
