//! Rows by ticks.

use isinglass_model::Kind;
use isinglass_store::{OrderedRows, OrderedWindow};

use super::ReplayError;

/// Rows that a plugin is shown at once, cut off at the end of a tick. Fixed, so that the same rows
/// give the same calls.
const BATCH_ROWS: usize = 8_192;

/// Rows of one kind.
pub(super) struct Source {
    pub(super) kind: Kind,
    rows: OrderedRows,
    window: Option<OrderedWindow>,
    /// The next row of the window.
    at: usize,
    pub(super) taken: u64,
    pub(super) duplicates: u64,
}

impl Source {
    pub(super) fn new(kind: Kind, rows: OrderedRows) -> Self {
        Self { kind, rows, window: None, at: 0, taken: 0, duplicates: 0 }
    }

    /// Time of the next row in nanoseconds; `None` after the last.
    pub(super) async fn next_time(&mut self) -> Result<Option<i64>, ReplayError> {
        loop {
            if let Some(time) = self.window.as_ref().and_then(|window| window.time_of(self.at)) {
                return Ok(Some(time));
            }
            // Before the next one takes memory.
            self.window = None;
            self.at = 0;
            match self.rows.next().await? {
                Some(window) => {
                    self.duplicates += window.duplicates;
                    self.window = Some(window);
                }
                None => return Ok(None),
            }
        }
    }

    /// The next rows before a time, which is the end of a tick; `None` if there are none. Windows
    /// end where ticks end, so all rows of a tick are in one.
    pub(super) fn take(&mut self, end: i64) -> Result<Option<arrow_array::RecordBatch>, ReplayError> {
        let Some(window) = &self.window else { return Ok(None) };
        let last = window.first_at(end).min(self.at + BATCH_ROWS);
        if last <= self.at {
            return Ok(None);
        }
        let batch = window.batch(self.at..last)?;
        self.taken += (last - self.at) as u64;
        self.at = last;
        Ok(Some(batch))
    }
}
