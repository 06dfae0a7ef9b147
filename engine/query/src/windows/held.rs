//! Rows that a window has taken and not let go of.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::memory_pool::MemoryReservation;

use super::size::Size;

/// How often rows are there whose answer is not known: in the order in which they came, among those
/// of their partition, and once more while either is put together with the next batch.
const WAITING_COPIES: usize = 3;

/// How often those are there that frames of later rows reach back to.
const PASSED_COPIES: usize = 1;

/// What one partition of a plan holds, batch by batch.
#[derive(Debug)]
pub(super) struct Held {
    reservation: MemoryReservation,
    /// Rows that stay after they were given on.
    behind: u64,
    taken: u64,
    given: u64,
    waiting: VecDeque<Part>,
    passed: VecDeque<Part>,
}

#[derive(Debug)]
struct Part {
    /// Rows that had been taken at its end.
    end: u64,
    size: Size,
}

impl Held {
    pub(super) fn new(behind: u64, reservation: MemoryReservation) -> Self {
        Self { reservation, behind, taken: 0, given: 0, waiting: VecDeque::new(), passed: VecDeque::new() }
    }

    /// A batch goes in.
    pub(super) fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let size = Size::of(batch);
        self.reservation.try_grow(size.times(WAITING_COPIES))?;
        self.taken += batch.num_rows() as u64;
        self.waiting.push_back(Part { end: self.taken, size });
        Ok(())
    }

    /// Rows come out.
    pub(super) fn give(&mut self, rows: usize) {
        self.given += rows as u64;
        while let Some(part) = self.waiting.pop_front_if(|part| part.end <= self.given) {
            let (waiting, passed) = (part.size.times(WAITING_COPIES), part.size.times(PASSED_COPIES));
            self.reservation.shrink(waiting.saturating_sub(passed));
            self.passed.push_back(part);
        }
        while let Some(part) =
            self.passed.pop_front_if(|part| part.end.saturating_add(self.behind) <= self.given)
        {
            self.reservation.shrink(part.size.times(PASSED_COPIES));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

    use super::*;

    #[test]
    fn rows_are_charged_until_nobody_reaches_back_to_them() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100 * 8 * 7));
        let batch = |rows: i64| {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
            RecordBatch::try_from_iter([("n", column)]).unwrap()
        };
        let mut held = Held::new(150, MemoryConsumer::new("window").register(&pool));
        let rows = || pool.reserved() / 8;
        held.take(&batch(100)).unwrap();
        held.take(&batch(100)).unwrap();
        assert_eq!(rows(), 600);
        assert!(held.take(&batch(100)).is_err());
        held.give(99);
        assert_eq!(rows(), 600);
        held.give(101);
        // Both have passed, and row 200 may reach back to row 50.
        assert_eq!(rows(), 200);
        held.take(&batch(100)).unwrap();
        held.give(60);
        assert_eq!(rows(), 400);
        drop(held);
        assert_eq!(rows(), 0);
    }
}
