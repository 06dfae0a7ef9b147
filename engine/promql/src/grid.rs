//! The times at which an expression is evaluated.

/// Times at equal distances: `start`, `start + step`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First time, milliseconds since the epoch.
    pub start_ms: i64,
    /// Distance, milliseconds; at least 1.
    pub step_ms: i64,
    /// How many; at least 1.
    pub steps: usize,
}

impl Grid {
    /// One time. The distance is what `step()` says.
    pub fn instant(time_ms: i64) -> Self {
        Self { start_ms: time_ms, step_ms: 1, steps: 1 }
    }

    /// From `start` to at most `end`.
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let width = end_ms.saturating_sub(start_ms).max(0);
        let steps = usize::try_from(width / step_ms).unwrap_or(usize::MAX - 1) + 1;
        Self { start_ms, step_ms, steps }
    }

    /// The time of a step.
    #[inline]
    pub fn time(&self, step: usize) -> i64 {
        self.start_ms + self.step_ms * step as i64
    }

    /// The last time.
    pub fn end_ms(&self) -> i64 {
        self.time(self.steps - 1)
    }

    /// All times.
    pub fn times(&self) -> impl ExactSizeIterator<Item = i64> + use<> {
        let grid = *self;
        (0..self.steps).map(move |step| grid.time(step))
    }

    /// The multiples of `step_ms` in windows of `range_ms` that are open to the left: `ends` are
    /// the ends of the first and the last window. `None` where there is none.
    pub fn of_subquery(range_ms: i64, step_ms: i64, ends: (i64, i64)) -> Option<Self> {
        let after = ends.0.saturating_sub(range_ms);
        let start_ms = after.div_euclid(step_ms).checked_add(1)?.checked_mul(step_ms)?;
        (start_ms <= ends.1).then(|| Self::range(start_ms, ends.1, step_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(Grid::range(0, 10, 4).times().collect::<Vec<_>>(), [0, 4, 8]);
        assert_eq!(Grid::range(5, 5, 60).times().collect::<Vec<_>>(), [5]);
        assert_eq!(Grid::range(0, 8, 4).end_ms(), 8);
    }

    #[test]
    fn subqueries_are_aligned_and_open_to_the_left() {
        let of = Grid::of_subquery;
        assert_eq!(of(100, 50, (100, 100)), Some(Grid::range(50, 100, 50)));
        assert_eq!(of(100, 50, (110, 110)), Some(Grid { start_ms: 50, step_ms: 50, steps: 2 }));
        assert_eq!(of(100, 50, (-10, -10)), Some(Grid { start_ms: -100, step_ms: 50, steps: 2 }));
        assert_eq!(of(10, 50, (40, 40)), None);
    }
}
