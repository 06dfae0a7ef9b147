//! Everything about the store that can be configured.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::files::{CacheConfig, ObjectsConfig};

use crate::upkeep::{CompactionConfig, RetentionConfig};

/// When an append is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Durability {
    /// After its record is synced. Survives a power cut.
    #[default]
    Sync,
    /// After its record is written; a sync every so many milliseconds. A power cut
    /// loses what was written since.
    Interval(u64),
    /// After its record is written; the system syncs when it likes. Survives
    /// `kill -9`, not a power cut.
    Os,
}

impl Durability {
    /// Reads `sync`, `interval:<ms>` or `os`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "sync" => Some(Self::Sync),
            "os" => Some(Self::Os),
            _ => text.strip_prefix("interval:")?.parse().ok().map(Self::Interval),
        }
    }
}

impl TryFrom<String> for Durability {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("durability {text:?} must be sync, interval:<ms> or os"))
    }
}

impl From<Durability> for String {
    fn from(durability: Durability) -> Self {
        durability.to_string()
    }
}

impl std::fmt::Display for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sync => f.write_str("sync"),
            Self::Interval(ms) => write!(f, "interval:{ms}"),
            Self::Os => f.write_str("os"),
        }
    }
}

/// Configuration of the store. Every bound says what happens at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Where everything lies: `LOCK`, `wal/`, `tables/`, `quarantine/`.
    pub data_dir: PathBuf,
    /// Where the tables lie instead: a path, `file://`, `s3://`, `gs://`, `az://`, `abfss://`
    /// or `memory://`; empty = `tables/` in [`Self::data_dir`].
    pub url: String,
    /// When an append is answered.
    pub durability: Durability,
    /// Bytes of unflushed rows in memory. At the bound the largest tables are
    /// flushed first and appends wait for [`Self::append_wait_ms`], then get 503. While
    /// flushes fail, appends go on into the WAL alone.
    pub head_bytes: u64,
    /// A table with so many unflushed bytes is flushed.
    pub flush_bytes: u64,
    /// A table with [`Self::flush_small_bytes`] is flushed at this age.
    pub flush_age_ms: u64,
    /// How much makes a flush at [`Self::flush_age_ms`] worth it.
    pub flush_small_bytes: u64,
    /// Any table with unflushed rows is flushed at this age.
    pub flush_age_max_ms: u64,
    /// Flushes at the same time.
    pub flush_concurrency: usize,
    /// Size of a WAL segment; a larger record gets a segment of its own.
    pub wal_segment_bytes: u64,
    /// Bytes of WAL on disk. At the bound the tables that hold the oldest segment
    /// are flushed; at twice the bound appends get 503, which is how far intake goes while
    /// tables cannot be written. Files of segments that were let go wait to be used again
    /// while all files together are no larger, and one also beyond it. Not counted: the heads
    /// files for the batch keys of the last [`Self::batch_key_ms`].
    pub wal_bytes_max: u64,
    /// Bytes of records that wait to be written. At the bound appends wait.
    pub wal_queue_bytes: u64,
    /// Free bytes on the volume of the WAL below which writes get 503 until there is more;
    /// reads and flushes go on. 0 = the larger of 1 GiB and 5 % of the volume, but at most
    /// 10 % of it.
    pub disk_free_min_bytes: u64,
    /// Whether to refuse to start where bytes of the WAL would be set aside.
    pub strict: bool,
    /// How long an append waits for room before it gets 503.
    pub append_wait_ms: u64,
    /// Active series of one tenant. At the bound new series are rejected.
    pub series_max: usize,
    /// Tenants in memory. At the bound idle ones are dropped; if none is idle, 503.
    pub tenants_max: usize,
    /// How long a batch key is remembered.
    pub batch_key_ms: u64,
    /// How many batch keys are remembered; at the bound the oldest is forgotten.
    pub batch_keys_max: usize,
    /// How the object store of [`Self::url`] is reached.
    pub objects: ObjectsConfig,
    /// What of the data files is kept in memory and on a local disk.
    pub cache: CacheConfig,
    /// How files are merged.
    pub compaction: CompactionConfig,
    /// How long rows are kept.
    pub retention: RetentionConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            url: String::new(),
            durability: Durability::Sync,
            head_bytes: 64 << 20,
            flush_bytes: 32 << 20,
            flush_age_ms: 10 * 60_000,
            flush_small_bytes: 1 << 20,
            flush_age_max_ms: 60 * 60_000,
            flush_concurrency: 4,
            wal_segment_bytes: 32 << 20,
            wal_bytes_max: 256 << 20,
            wal_queue_bytes: 32 << 20,
            disk_free_min_bytes: 0,
            strict: false,
            append_wait_ms: 5_000,
            series_max: 1_000_000,
            tenants_max: 10_000,
            batch_key_ms: 10 * 60_000,
            batch_keys_max: 65_536,
            objects: ObjectsConfig::default(),
            cache: CacheConfig::default(),
            compaction: CompactionConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durability_reads_what_it_prints() {
        for durability in [Durability::Sync, Durability::Interval(100), Durability::Os] {
            assert_eq!(Durability::parse(&durability.to_string()), Some(durability));
        }
        assert_eq!(Durability::parse("interval:"), None);
        assert_eq!(Durability::parse("never"), None);
    }
}
