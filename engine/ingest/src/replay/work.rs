//! What is handed to the thread in the background and back.

use super::derivation::Derivation;
use super::source::Source;
use super::{NANOS, ReplayError};
use crate::derived::Tick as Made;

/// Rows and the counters that they go into.
pub(super) struct Work {
    pub(super) derivation: Derivation,
    pub(super) sources: Vec<Source>,
}

impl Work {
    /// Counts the rows of a tick and writes it.
    pub(super) fn tick(&mut self, tick: Tick) -> Result<Made, ReplayError> {
        for source in &mut self.sources {
            while let Some(rows) = source.take(tick.end_ms.saturating_mul(NANOS))? {
                // After the end of the series before it.
                self.derivation.count(source.kind, rows, tick.start_ms + 1)?;
            }
        }
        Ok(self.derivation.tick(tick.end_ms - 1, tick.last))
    }

    /// Time of the next row.
    pub(super) async fn next_ms(&mut self) -> Result<Option<i64>, ReplayError> {
        let mut next: Option<i64> = None;
        for source in &mut self.sources {
            let time = source.next_time().await?.map(|time| time.div_euclid(NANOS));
            next = next.into_iter().chain(time).min();
        }
        Ok(next)
    }

    pub(super) fn rows(&self) -> u64 {
        self.sources.iter().map(|source| source.taken).sum()
    }
}

/// A tick, cut off at the ends of the range.
#[derive(Clone, Copy)]
pub(super) struct Tick {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// Whether what is counted ends with it.
    pub(super) last: bool,
}
