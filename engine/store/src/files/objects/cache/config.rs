//! What of the block cache can be configured.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The disk tier if nobody says how large, unless a tenth of what is free is less.
pub(super) const DISK_BYTES: u64 = 4 << 30;

/// The most that may wait to be written to the disk.
const QUEUE_BYTES_MAX: usize = 16 << 20;

/// The cache of verified pieces of data files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Bytes of pieces in memory. With a disk tier a quarter of it, at most 16 MiB, is for
    /// pieces that wait to be written there. At the bound the least used go.
    pub memory_bytes: usize,
    /// Where the disk tier lies; empty = `cache` in the data folder. Only tables in a remote
    /// store have one.
    pub folder: PathBuf,
    /// Bytes of pieces on the disk; 0 = no disk tier. The default, 4 GiB, is a tenth of what
    /// is free if that is less; another value is taken as it is. At the bound the least used
    /// go. Nothing is written while the disk has less free than twice the floor below which
    /// the log refuses writes, and all of it is deleted below that floor.
    pub disk_bytes: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { memory_bytes: 16 << 20, folder: PathBuf::new(), disk_bytes: DISK_BYTES }
    }
}

impl CacheConfig {
    /// How much may wait to be written to the disk. At the bound pieces are not written.
    pub(super) fn queue_bytes(&self) -> usize {
        (self.memory_bytes / 4).min(QUEUE_BYTES_MAX)
    }
}
