//! What happens when the process holds more memory than it may: queries give way.
//!
//! DataFusion's pool counts sorts, joins and aggregates. Pages that are decoded, batches between
//! operators and plans are not in it. So each running query looks at the resident set from time
//! to time. While that is over the limit the query that holds most ends with 413, one after the
//! other, until it is not. New ones get 503. The allocator keeps freed memory for a second, so a
//! little too much has to last longer than that.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::memory_pool::MemoryPool;
use isinglass_model::{ErrorKind, MemoryLimit};
use parking_lot::Mutex;

use crate::error::QueryError;

/// How often a query looks.
const INTERVAL: Duration = Duration::from_millis(10);

/// So many times the limit is too much at once.
const FAR_OVER: f64 = 1.05;

/// How many looks in a row must find anything less than that over the limit.
const PATIENCE: u32 = 120;

/// All running queries, and what they may hold together with everything else.
#[derive(Debug)]
pub(crate) struct Pressure {
    limit: MemoryLimit,
    running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    number: u64,
    pool: Arc<dyn MemoryPool>,
}

impl Pressure {
    pub(crate) fn new(limit: MemoryLimit) -> Arc<Self> {
        Arc::new(Self { limit, running: Mutex::default() })
    }

    pub(crate) fn limit(&self) -> &MemoryLimit {
        &self.limit
    }

    /// Refuses a query that would come on top.
    pub(crate) fn admit(&self) -> Result<(), QueryError> {
        if !self.limit.is_exceeded() {
            return Ok(());
        }
        let message = format!("the memory of {} that the server may hold is in use", self.limit);
        Err(QueryError::new(ErrorKind::Unavailable, message))
    }

    /// Counts a query among the running ones.
    pub(crate) fn enter(self: &Arc<Self>, pool: Arc<dyn MemoryPool>) -> Seat {
        let mut running = self.running.lock();
        let number = running.last().map_or(0, |last| last.number + 1);
        running.push(Running { number, pool });
        Seat { pressure: Arc::clone(self), number }
    }

    /// The query that holds most; of several the one that came last.
    fn largest(&self) -> Option<u64> {
        let running = self.running.lock();
        running.iter().max_by_key(|query| (query.pool.reserved(), query.number)).map(|query| query.number)
    }
}

/// A running query's place among the others.
#[derive(Debug)]
pub(crate) struct Seat {
    pressure: Arc<Pressure>,
    number: u64,
}

impl Seat {
    /// Returns when this query has to end.
    pub(crate) async fn evicted(&self) -> QueryError {
        let limit = &self.pressure.limit;
        let mut over = 0;
        loop {
            tokio::time::sleep(INTERVAL).await;
            over = if limit.is_exceeded() { over + 1 } else { 0 };
            let too_much = over >= PATIENCE || (over > 0 && limit.is_exceeded_by(FAR_OVER));
            if too_much && self.pressure.largest() == Some(self.number) {
                let message = format!(
                    "the server holds more than the memory of {limit} that it may, and of its queries this one \
                     the most"
                );
                return QueryError::new(ErrorKind::TooLarge, message);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.pressure.running.lock().retain(|query| query.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer};
    use isinglass_model::MemoryGauge;

    use super::*;

    #[derive(Debug, Default)]
    struct Holds(AtomicU64);

    impl MemoryGauge for Holds {
        fn resident_bytes(&self) -> Option<u64> {
            Some(self.0.load(Ordering::Relaxed))
        }
    }

    #[tokio::test]
    async fn the_largest_gives_way_and_only_while_it_must() {
        let holds = Arc::new(Holds::default());
        let pressure = Pressure::new(MemoryLimit::new(100, Arc::clone(&holds) as _));
        let pools: Vec<Arc<dyn MemoryPool>> =
            (0..3).map(|_| Arc::new(GreedyMemoryPool::new(1_000)) as _).collect();
        let seats: Vec<Seat> = pools.iter().map(|pool| pressure.enter(Arc::clone(pool))).collect();
        let large = MemoryConsumer::new("sort").register(&pools[1]);
        large.try_grow(50).unwrap();
        let soon = async |seat: &Seat| tokio::time::timeout(INTERVAL * 5, seat.evicted()).await.ok();
        let at_last = async |seat: &Seat| {
            tokio::time::timeout(Duration::from_secs(60), seat.evicted()).await.unwrap().kind()
        };

        holds.0.store(100, Ordering::Relaxed);
        assert!(soon(&seats[1]).await.is_none());
        assert!(pressure.admit().is_ok());

        holds.0.store(106, Ordering::Relaxed);
        assert!(soon(&seats[0]).await.is_none() && soon(&seats[2]).await.is_none());
        assert_eq!(at_last(&seats[1]).await, ErrorKind::TooLarge);
        assert_eq!(pressure.admit().unwrap_err().kind(), ErrorKind::Unavailable);

        // A little too much may be what the allocator keeps for a second.
        holds.0.store(101, Ordering::Relaxed);
        assert!(soon(&seats[1]).await.is_none());
        assert_eq!(at_last(&seats[1]).await, ErrorKind::TooLarge);
        holds.0.store(106, Ordering::Relaxed);
        drop(large);
        // Of equals the last.
        assert!(soon(&seats[0]).await.is_none());
        assert_eq!(at_last(&seats[2]).await, ErrorKind::TooLarge);
        drop(seats);
        assert!(pressure.largest().is_none());
    }
}
