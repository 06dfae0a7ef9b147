//! What a query read of files, and what it could leave out.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a query read of files, and what it could leave out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanFacts {
    /// Files that may have wanted series; of one that several selectors read each time counts.
    pub files: u64,
    /// Files that the table's log alone ruled out.
    pub files_pruned: u64,
    /// Row groups that were read.
    pub row_groups: u64,
    /// Row groups of opened files that their statistics ruled out.
    pub row_groups_pruned: u64,
    /// Rows of row groups that were read which the page index ruled out.
    pub rows_pruned: u64,
    /// Rows that were decoded.
    pub rows: u64,
    /// Rows of samples that were not in files yet.
    pub head_rows: u64,
    /// Series of files whose samples were in the cache; of one in several files each counts.
    pub kept: u64,
    /// Series that were handed to evaluation; of one that several selectors read each time counts.
    pub series: u64,
    /// Samples of these.
    pub samples: u64,
    /// Bytes asked of files, footers that were in memory left out.
    pub bytes_read: u64,
    /// Time of the processor that evaluation took on all its threads; reading for it has others.
    pub cpu_nanos: u64,
}

/// The same while threads add to it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) files: AtomicU64,
    pub(super) files_pruned: AtomicU64,
    pub(super) row_groups: AtomicU64,
    pub(super) row_groups_pruned: AtomicU64,
    pub(super) rows_pruned: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) head_rows: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) series: AtomicU64,
    pub(super) samples: AtomicU64,
    pub(super) cpu_nanos: AtomicU64,
}

impl Counters {
    /// Adds the time that the calling thread has taken, which then ends.
    pub(super) fn thread_ended(&self) {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
        self.cpu_nanos.fetch_add(u64::try_from(nanos).unwrap_or_default(), Ordering::Relaxed);
    }
}

pub(super) fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn facts(&self, bytes_read: u64) -> ScanFacts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScanFacts {
            files: of(&self.files),
            files_pruned: of(&self.files_pruned),
            row_groups: of(&self.row_groups),
            row_groups_pruned: of(&self.row_groups_pruned),
            rows_pruned: of(&self.rows_pruned),
            rows: of(&self.rows),
            head_rows: of(&self.head_rows),
            kept: of(&self.kept),
            series: of(&self.series),
            samples: of(&self.samples),
            bytes_read,
            cpu_nanos: of(&self.cpu_nanos),
        }
    }
}
