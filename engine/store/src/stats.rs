//! Figures for `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use isinglass_model::Kind;

use crate::Seq;
use crate::apart::ApartTenant;
use crate::files::{CacheStats, ObjectStats};
use crate::report::LostRange;

/// What the store has done since it was opened, and what it holds now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreStats {
    /// Bytes of WAL segments on disk.
    pub wal_bytes: u64,
    /// Bytes of the heads files beside them.
    pub wal_heads_bytes: u64,
    /// Bytes of the files that wait to become segments.
    pub wal_spare_bytes: u64,
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
    /// Whether a newer writer has the tables.
    pub fenced: bool,
    /// Which writer of these tables this one is, counted from 1; 0 = not counted.
    pub epoch: u64,
    /// Free bytes on the volume of the WAL, and the floor for writes; `None` = not known.
    pub disk_free: Option<(u64, u64)>,
    /// Whether writes are refused because of that floor.
    pub disk_low: bool,
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
    /// Rewrites of files that committed.
    pub merges: u64,
    /// Rewrites, or deletions after them, that failed and are tried again.
    pub upkeep_failures: u64,
    /// Bytes of the files that were rewritten.
    pub merged_bytes_in: u64,
    /// Bytes of the files that replaced them.
    pub merged_bytes_out: u64,
    /// Rows dropped in merges: there twice.
    pub merged_duplicates: u64,
    /// Samples dropped in merges: another of the same series and time was accepted before.
    pub merged_conflicts: u64,
    /// Rows removed: past their retention.
    pub expired_rows: u64,
    /// Files deleted that nobody needs.
    pub deleted_files: u64,
    /// Time spent in rewrites.
    pub merge_time: Duration,
    /// Ranges of the WAL that could not be read and were set aside.
    pub quarantined_records: u64,
    /// Bytes set aside.
    pub quarantined_bytes: u64,
    /// First and last number that a lost record can have.
    pub quarantined_seqs: Option<(Seq, Seq)>,
    /// Wall clock before and after what was lost, in milliseconds since 1970.
    pub quarantined_time_unix_ms: (Option<i64>, Option<i64>),
    /// The lost ranges one by one, as many as are listed.
    pub lost: Vec<LostRange>,
    /// Whether acknowledged records wait in the WAL, so that answers may lack them.
    pub replaying: bool,
    /// How many numbers that is.
    pub replay_behind: Seq,
    /// Records read from the WAL.
    pub replayed_records: u64,
    /// Their bytes.
    pub replayed_bytes: u64,
    /// Time the replay at open took, so far or in all.
    pub replay_time: Duration,
    /// Calls to the object store by operation.
    pub objects: BTreeMap<&'static str, ObjectStats>,
    /// The cache of pieces of data files.
    pub cache: CacheStats,
    /// Bytes of files that were compared with their checksums.
    pub checked_bytes: u64,
    /// Reads that failed because the object is damaged.
    pub damaged_reads: u64,
    /// Tenants in memory.
    pub tenants: u64,
    /// Tenants whose tables could not be read at the start, and still cannot.
    pub tenants_apart: Vec<ApartTenant>,
    /// Series in memory, of all tenants.
    pub series: u64,
    /// Batches answered as sent before.
    pub duplicates: u64,
}
