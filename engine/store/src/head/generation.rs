//! The unflushed rows of one table, up to a point in the WAL.

use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Kind;
use isinglass_model::series::SeriesRef;

use super::rows::Rows;
use super::samples::SampleRun;
use crate::{Seq, StoreError};

/// Some rows; cloning shares them.
#[derive(Debug, Clone)]
pub(crate) enum Run {
    /// Of `samples`.
    Samples(Arc<SampleRun>),
    /// Of `series`: the row is made when it is read, with the metadata known by then.
    Series(Arc<[(SeriesRef, i32)]>),
    /// Of any other table.
    Rows(Arc<Rows>),
}

impl Run {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Samples(run) => run.len(),
            Self::Series(run) => run.len(),
            Self::Rows(run) => run.batch.num_rows(),
        }
    }

    /// Smallest and largest time, in the unit of the table's files.
    pub(crate) fn time(&self) -> Option<(i64, i64)> {
        const MICROS: i64 = 1_000;
        match self {
            Self::Samples(run) => {
                let (from, to) = run.time_range_ms;
                Some((from.saturating_mul(MICROS), to.saturating_mul(MICROS)))
            }
            Self::Series(run) => {
                let days = run.iter().map(|(_, day)| i64::from(*day));
                days.clone().min().zip(days.max())
            }
            // Rows without a time have the widest range.
            Self::Rows(run) => Some(run.time).filter(|time| *time != (i64::MIN, i64::MAX)),
        }
    }

    /// Memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        const OVERHEAD: usize = 160;
        OVERHEAD
            + match self {
                Self::Samples(run) => run.bytes(),
                Self::Series(run) => run.len() * size_of::<(SeriesRef, i32)>(),
                Self::Rows(run) => run.bytes,
            }
    }

    /// Runs with fewer rows are worth merging.
    fn small_rows(&self) -> usize {
        match self {
            Self::Samples(_) | Self::Series(_) => 1_024,
            Self::Rows(_) => 256,
        }
    }

    fn concat(kind: Kind, runs: &[Self]) -> Result<Self, StoreError> {
        let samples =
            runs.iter().filter_map(|run| if let Self::Samples(run) = run { Some(&**run) } else { None });
        let series =
            runs.iter().filter_map(|run| if let Self::Series(run) = run { Some(&**run) } else { None });
        let rows = runs.iter().filter_map(|run| if let Self::Rows(run) = run { Some(&**run) } else { None });
        Ok(match kind {
            Kind::Samples => Self::Samples(Arc::new(SampleRun::concat(samples))),
            Kind::Series => Self::Series(series.flatten().copied().collect()),
            _ => Self::Rows(Arc::new(Rows::concat(kind, &rows.collect::<Vec<_>>())?)),
        })
    }
}

/// Runs merged at once. Eight keeps a row from being copied more than a few times and a
/// table of a trickling tenant from holding more than a few dozen runs.
const MERGED: usize = 8;

/// Runs of one table in WAL order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Generation {
    /// The first record in it.
    pub(crate) first: Seq,
    /// The last record in it.
    pub(crate) last: Seq,
    /// When the first one came, on the monotonic clock.
    pub(crate) since: Duration,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    runs: Vec<Run>,
    /// How often each run was merged.
    levels: Vec<u8>,
}

impl Generation {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Adds the rows of a record.
    pub(crate) fn push(&mut self, kind: Kind, run: Run, seq: Seq, now: Duration) {
        if self.is_empty() {
            self.first = seq;
            self.since = now;
        }
        self.last = seq;
        self.rows += run.rows();
        self.bytes += run.bytes();
        let large = run.rows() >= run.small_rows();
        self.runs.push(run);
        self.levels.push(if large { u8::MAX } else { 0 });
        while self.merge_tail(kind) {}
    }

    /// Merges the last runs if there are enough of the same level. A failure leaves
    /// them as they are: merging only saves memory and time.
    fn merge_tail(&mut self, kind: Kind) -> bool {
        let Some(level) = self.levels.last().copied().filter(|level| *level < u8::MAX) else {
            return false;
        };
        let Some(from) = self.runs.len().checked_sub(MERGED) else {
            return false;
        };
        if self.levels[from..].iter().any(|other| *other != level) {
            return false;
        }
        let Ok(merged) = Run::concat(kind, &self.runs[from..]) else {
            return false;
        };
        let before: usize = self.runs[from..].iter().map(Run::bytes).sum();
        self.bytes = self.bytes + merged.bytes() - before;
        let large = merged.rows() >= merged.small_rows();
        self.runs.truncate(from);
        self.levels.truncate(from);
        self.runs.push(merged);
        self.levels.push(if large { u8::MAX } else { level + 1 });
        true
    }
}
