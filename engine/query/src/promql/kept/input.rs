//! Where samples of series come from: rows of files, the cache, or rows on their way into it.

use std::ops::Range;
use std::sync::Arc;

use datafusion::execution::memory_pool::MemoryReservation;
use isinglass_promql::EvalError;

use super::{FileId, Keeping, Run};
use crate::promql::floats::Floats;
use crate::promql::scan::{Cursor, Span, hold};
use crate::promql::series::Wanted;

type Key = (i64, i64);

/// One series after the other, in the order of files.
pub(in crate::promql) enum Input {
    Rows(Cursor),
    Kept(Hits),
    Recorded(Box<Recorded>),
}

impl Input {
    /// The next series; `None` after the last one.
    pub(in crate::promql) fn key(&self) -> Option<Key> {
        match self {
            Self::Rows(cursor) => cursor.key(),
            Self::Kept(hits) => hits.key(),
            Self::Recorded(recorded) => recorded.cursor.key(),
        }
    }

    /// What is still to be read of a file.
    pub(in crate::promql) fn cursor(&mut self) -> Option<&mut Cursor> {
        match self {
            Self::Rows(cursor) => Some(cursor),
            Self::Kept(_) => None,
            Self::Recorded(recorded) => Some(&mut recorded.cursor),
        }
    }

    /// Adds the samples of a series, and passes those before it.
    pub(in crate::promql) fn take(&mut self, key: Key, floats: &mut Floats) -> Result<(), EvalError> {
        match self {
            Self::Rows(cursor) => cursor.take(key, |batch, rows| floats.push(batch, rows)),
            Self::Kept(hits) => {
                hits.take(key, floats);
                Ok(())
            }
            Self::Recorded(recorded) => recorded.take(key, floats),
        }
    }

    /// Every wanted series was passed.
    pub(in crate::promql) fn finish(&mut self) {
        if let Self::Recorded(recorded) = self {
            recorded.pass(None);
        }
    }
}

/// Series of a file that the cache has.
pub(in crate::promql) struct Hits {
    runs: Vec<(Key, Arc<Run>)>,
    next: usize,
    span: Span,
    /// Whether the last sample of each is enough.
    latest: bool,
    /// Of the last run.
    range: Range<usize>,
    /// For the runs, which the cache may forget meanwhile.
    _held: MemoryReservation,
}

impl Hits {
    /// Charges what they hold to the query.
    pub(in crate::promql) fn new(
        runs: Vec<(Key, Arc<Run>)>,
        span: Span,
        latest: bool,
        held: MemoryReservation,
    ) -> Result<Self, EvalError> {
        hold(&held, runs.iter().map(|(_, run)| run.bytes()).sum())?;
        Ok(Self { runs, next: 0, span, latest, range: 0..0, _held: held })
    }

    fn key(&self) -> Option<Key> {
        self.runs.get(self.next).map(|(key, _)| *key)
    }

    fn take(&mut self, key: Key, floats: &mut Floats) {
        self.next += self.runs[self.next..].iter().take_while(|(other, _)| *other < key).count();
        if let Some((_, run)) = self.runs.get(self.next).filter(|(other, _)| *other == key) {
            let before = self.next.checked_sub(1).and_then(|before| self.runs.get(before));
            if !before.is_some_and(|(_, before)| run.has_times_of(before)) {
                self.range = if self.latest { run.latest(self.span) } else { run.range(self.span) };
            }
            floats.push_run(run, self.range.clone());
            self.next += 1;
        }
    }
}

/// Series of a file that go into the cache while they are read.
pub(in crate::promql) struct Recorded {
    file: FileId,
    /// Over all rows that the file has of them.
    cursor: Cursor,
    /// Of which the cache knows nothing.
    missing: Vec<Wanted>,
    next: usize,
    span: Span,
    keeping: Arc<Keeping>,
    decoded: Floats,
    /// Of the run before.
    times: Arc<[i64]>,
}

impl Recorded {
    pub(in crate::promql) fn new(
        file: FileId,
        cursor: Cursor,
        missing: Vec<Wanted>,
        span: Span,
        keeping: &Arc<Keeping>,
    ) -> Self {
        // Start times, too, whether they are wanted this time or not.
        let (keeping, decoded, times) = (Arc::clone(keeping), Floats::new(true), Arc::default());
        Self { file, cursor, missing, next: 0, span, keeping, decoded, times }
    }

    fn take(&mut self, key: Key, floats: &mut Floats) -> Result<(), EvalError> {
        self.pass(Some(key));
        if self.missing.get(self.next).is_none_or(|one| one.key() != key) {
            // Another input has it; pages have rows of it all the same.
            return self.cursor.take(key, |_, _| Ok(()));
        }
        self.next += 1;
        self.decoded.clear();
        self.cursor.take(key, |batch, rows| self.decoded.push(batch, rows))?;
        self.decoded.settle();
        let run = self.run();
        self.keeping.put(self.file, key, &run);
        floats.push_run(&run, run.range(self.span));
        Ok(())
    }

    /// What was decoded.
    fn run(&mut self) -> Arc<Run> {
        let shares_times = !self.times.is_empty() && *self.times == *self.decoded.times();
        if !shares_times {
            self.times = self.decoded.times().into();
        }
        let (values, starts) = (self.decoded.values().into(), self.decoded.starts().into());
        Run::new(Arc::clone(&self.times), values, starts, shares_times)
    }

    /// The file has no rows of the series that are missing up to here.
    fn pass(&mut self, until: Option<Key>) {
        let rest = &self.missing[self.next..];
        let passed = until.map_or(rest.len(), |key| rest.partition_point(|one| one.key() < key));
        self.keeping.put_none(self.file, &rest[..passed]);
        self.next += passed;
    }
}
