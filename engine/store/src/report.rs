//! What the reading of the log found, told in `/metrics`, the log and `/api/status`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::Seq;

/// Lost ranges that are listed one by one; beyond that they are counted.
const LISTED_MAX: usize = 100;

/// Records that could not be read and were set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRange {
    /// File name of the segment.
    pub segment: String,
    /// Where in it the damage begins.
    pub offset: u64,
    /// How many bytes were set aside.
    pub bytes: u64,
    /// First and last number that a lost record can have.
    pub records: (Seq, Seq),
    /// Wall clock of the records before and after, in milliseconds since 1970, where there
    /// are any: the lost ones were written in between.
    pub time_unix_ms: (Option<i64>, Option<i64>),
}

/// Filled while the log is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Places that were reported already: the end of the log may be read twice.
    known: HashSet<(String, u64)>,
    lost: Vec<LostRange>,
    lost_bytes: u64,
    lost_count: u64,
    records: Option<(Seq, Seq)>,
    time_unix_ms: (Option<i64>, Option<i64>),
    replay_time: Option<Duration>,
}

/// All lost ranges together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lost {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) listed: Vec<LostRange>,
    pub(crate) records: Option<(Seq, Seq)>,
    pub(crate) time_unix_ms: (Option<i64>, Option<i64>),
}

impl Report {
    /// Notes a lost range; `false` if it is known.
    pub(crate) fn lost(&self, range: &LostRange) -> bool {
        let mut inner = self.inner.lock();
        if !inner.known.insert((range.segment.clone(), range.offset)) {
            return false;
        }
        inner.lost_count += 1;
        inner.lost_bytes += range.bytes;
        let (first, last) = inner.records.unwrap_or(range.records);
        inner.records = Some((first.min(range.records.0), last.max(range.records.1)));
        let (from, to) = (inner.time_unix_ms, range.time_unix_ms);
        let earliest = [from.0, to.0].into_iter().flatten().min();
        let latest = [from.1, to.1].into_iter().flatten().max();
        inner.time_unix_ms = (earliest, latest);
        if inner.lost.len() < LISTED_MAX {
            inner.lost.push(range.clone());
        }
        true
    }

    pub(crate) fn losses(&self) -> Lost {
        let inner = self.inner.lock();
        Lost {
            count: inner.lost_count,
            bytes: inner.lost_bytes,
            listed: inner.lost.clone(),
            records: inner.records,
            time_unix_ms: inner.time_unix_ms,
        }
    }

    /// The replay at start has ended; later readings do not change its time.
    pub(crate) fn replayed_in(&self, took: Duration) -> bool {
        let mut inner = self.inner.lock();
        let first = inner.replay_time.is_none();
        inner.replay_time.get_or_insert(took);
        first
    }

    /// How long the replay at start took; `None` while it runs.
    pub(crate) fn replay_time(&self) -> Option<Duration> {
        self.inner.lock().replay_time
    }

    pub(crate) fn add(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
