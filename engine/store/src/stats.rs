//! Figures for `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use isinglass_model::Kind;

/// What the store has done since it was opened, and what it holds now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreStats {
    /// Bytes of WAL segments on disk.
    pub wal_bytes: u64,
    /// WAL segments on disk.
    pub wal_segments: u64,
    /// Records written.
    pub wal_records: u64,
    /// Bytes of records written.
    pub wal_written_bytes: u64,
    /// Syncs; fewer than records, because many share one.
    pub wal_syncs: u64,
    /// Time spent in syncs.
    pub wal_sync_time: Duration,
    /// Failed writes and syncs.
    pub wal_failures: u64,
    /// Whether writes are refused until a restart.
    pub read_only: bool,
    /// Unflushed bytes by kind.
    pub head_bytes: BTreeMap<Kind, u64>,
    /// Unflushed rows by kind.
    pub head_rows: BTreeMap<Kind, u64>,
    /// Flushes that committed.
    pub flushes: u64,
    /// Rows in them.
    pub flushed_rows: u64,
    /// Flushes that failed and are tried again.
    pub flush_failures: u64,
    /// Time spent in flushes.
    pub flush_time: Duration,
    /// Records that could not be read at open and were set aside.
    pub quarantined_records: u64,
    /// Bytes set aside.
    pub quarantined_bytes: u64,
    /// Records read at open.
    pub replayed_records: u64,
    /// Time the replay took.
    pub replay_time: Duration,
    /// Tenants in memory.
    pub tenants: u64,
    /// Series in memory, of all tenants.
    pub series: u64,
    /// Batches answered as sent before.
    pub duplicates: u64,
}
