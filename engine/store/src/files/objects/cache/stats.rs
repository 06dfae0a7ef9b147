//! What is counted of the block cache.

/// One tier, since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierStats {
    /// Pieces held.
    pub entries: u64,
    /// Their bytes; a very small piece counts for more than it has.
    pub bytes: u64,
    /// The bound on them.
    pub bytes_max: u64,
    /// Pieces that were asked for and there.
    pub hits: u64,
    /// Pieces thrown out to make room.
    pub evictions: u64,
}

/// The tier on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskStats {
    /// What every tier has.
    pub tier: TierStats,
    /// Pieces that did not come back as they were written, or not at all.
    pub damaged: u64,
    /// Pieces that were not written: too many waited, or the disk was too full.
    pub skipped: u64,
    /// Writes that failed.
    pub write_failures: u64,
    /// Bytes that wait to be written.
    pub queue_bytes: u64,
}

/// The block cache, since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// The tier in memory.
    pub memory: TierStats,
    /// The tier on the disk, if there is one.
    pub disk: Option<DiskStats>,
    /// Pieces that the object store was asked for.
    pub misses: u64,
    /// Pieces that waited for a fetch which another read had begun.
    pub waits: u64,
}
