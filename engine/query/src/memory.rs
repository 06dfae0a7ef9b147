//! Memory of one query within the memory of all queries.
//!
//! DataFusion's pool counts what operators declare, which is not all that they
//! take: it bounds sorts, joins and aggregates. Windows are charged by [`crate::windows`], and what
//! functions make from thin air is bounded in [`crate::functions`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

/// Memory of all queries.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    limit: usize,
    used: AtomicUsize,
}

impl SharedMemory {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// The pool of one query, which notes how full it was at most.
    pub(crate) fn pool(self: &Arc<Self>, limit: usize, peak: Arc<AtomicUsize>) -> Arc<dyn MemoryPool> {
        Arc::new(QueryPool { shared: Arc::clone(self), limit, used: AtomicUsize::new(0), peak })
    }
}

#[derive(Debug)]
struct QueryPool {
    shared: Arc<SharedMemory>,
    limit: usize,
    used: AtomicUsize,
    peak: Arc<AtomicUsize>,
}

impl QueryPool {
    fn note_peak(&self) {
        self.peak.fetch_max(self.used.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.shared.used.fetch_add(additional, Ordering::Relaxed);
        self.note_peak();
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let who = || reservation.consumer().name().to_owned();
        if !take(&self.used, additional, self.limit) {
            return Err(exhausted(&who(), additional, "this query", self.limit));
        }
        if !take(&self.shared.used, additional, self.shared.limit) {
            self.used.fetch_sub(additional, Ordering::Relaxed);
            return Err(exhausted(&who(), additional, "all queries", self.shared.limit));
        }
        self.note_peak();
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

/// A pool that is dropped gives back whatever its operators still held.
impl Drop for QueryPool {
    fn drop(&mut self) {
        self.shared.used.fetch_sub(*self.used.get_mut(), Ordering::Relaxed);
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query({} of {} bytes)", self.reserved(), self.limit)
    }
}

fn take(used: &AtomicUsize, additional: usize, limit: usize) -> bool {
    let within = |used: usize| used.checked_add(additional).filter(|sum| *sum <= limit);
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
}

fn exhausted(who: &str, wanted: usize, whose: &str, limit: usize) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!(
        "{who} needs {wanted} more bytes than the {limit} bytes of memory that {whose} may take"
    ))
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    #[test]
    fn both_limits_hold_and_all_is_given_back() {
        let shared = SharedMemory::new(150);
        let peaks = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        let pools = [shared.pool(100, Arc::clone(&peaks[0])), shared.pool(100, Arc::clone(&peaks[1]))];
        let first = MemoryConsumer::new("sort").register(&pools[0]);
        let second = MemoryConsumer::new("join").register(&pools[1]);
        assert!(first.try_grow(101).unwrap_err().to_string().contains("this query"));
        first.try_grow(100).unwrap();
        assert!(second.try_grow(51).unwrap_err().to_string().contains("all queries"));
        second.try_grow(50).unwrap();
        assert_eq!(pools[1].reserved(), 50);
        drop((first, second));
        assert_eq!(peaks.map(|peak| peak.load(Ordering::Relaxed)), [100, 50]);
        assert_eq!(shared.used.load(Ordering::Relaxed), 0);
    }
}
