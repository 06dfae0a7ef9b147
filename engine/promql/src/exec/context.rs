//! What all operators of a query share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::annotations::Annotations;
use crate::engine::{LimitNames, Limits};
use crate::error::{ErrorKind, EvalError, Result};
use crate::grid::Grid;
use crate::source::Source;

use super::Chains;

/// Rows that are looked at before somebody asks whether the query has ended, in loops that do
/// little with each.
const UNCHECKED: usize = 512;
/// Series and samples that are read without a look at the clock.
const SERIES_UNCHECKED: u64 = 64;
const SAMPLES_UNCHECKED: u64 = 1 << 14;

/// What all operators of a query share.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) lookback_ms: i64,
    /// Threads that may read parts of a selection.
    pub(crate) parts: usize,
    pub(crate) chains: Chains,
    /// Whether start times tell resets.
    pub(crate) start_times: bool,
    /// The query has an expression whose value follows from the order of the series.
    pub(crate) order_matters: bool,
    pub(crate) annotations: Annotations,
    pub(crate) limits: &'a Limits,
    pub(crate) usage: Usage,
    /// Says why the query has to end.
    pub(crate) ended: &'a (dyn Fn() -> Option<EvalError> + Sync),
}

/// What a query has used so far.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    samples: AtomicU64,
    series: AtomicU64,
    bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
}

impl Context<'_> {
    /// Ends the query where it was canceled or ran out of time.
    pub(crate) fn check(&self) -> Result<()> {
        (self.ended)().map_or(Ok(()), Err)
    }

    /// The same within a loop over much that takes little each.
    #[inline]
    pub(crate) fn check_at(&self, at: usize) -> Result<()> {
        if at % UNCHECKED == 0 { self.check() } else { Ok(()) }
    }

    /// Whether an expression may be evaluated at so many times.
    pub(crate) fn check_steps(&self, steps: usize) -> Result<()> {
        within("steps", steps as u64, self.limits.steps_max as u64, self.limits.names.steps_max)
    }

    /// Counts a series and its samples that were read. Asks now and then whether the query has
    /// ended: the series of one block may have very many samples.
    pub(crate) fn count(&self, samples: usize) -> Result<()> {
        let before = self.usage.samples.fetch_add(samples as u64, Ordering::Relaxed);
        let series = self.usage.series.fetch_add(1, Ordering::Relaxed) + 1;
        let samples = before + samples as u64;
        if series % SERIES_UNCHECKED == 0 || before / SAMPLES_UNCHECKED != samples / SAMPLES_UNCHECKED {
            self.check()?;
        }
        let LimitNames { samples_max, series_max, .. } = self.limits.names;
        within("samples", samples, self.limits.samples_max, samples_max)?;
        within("series", series, self.limits.series_max, series_max)
    }

    /// For memory that comes bit by bit, and is held until what this gives goes.
    pub(crate) fn holds_nothing(&self) -> Held<'_> {
        Held { usage: &self.usage, limits: self.limits, source: self.source, bytes: 0, told: 0 }
    }

    /// The spans of time at the two ends of a grid that a selector refers to.
    pub(crate) fn ends(grid: &Grid, refer: impl Fn(i64) -> i64) -> (i64, i64) {
        (refer(grid.start_ms), refer(grid.end_ms()))
    }
}

/// Memory that counts until this goes.
pub(crate) struct Held<'a> {
    usage: &'a Usage,
    limits: &'a Limits,
    source: &'a dyn Source,
    bytes: usize,
    /// What the source knows of.
    told: usize,
}

impl Held<'_> {
    /// Holds more.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<()> {
        let held = self.usage.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.bytes += bytes;
        self.usage.peak_bytes.fetch_max(held, Ordering::Relaxed);
        let limits = self.limits;
        let name = limits.names.memory_bytes_max;
        within("bytes of memory", held as u64, limits.memory_bytes_max as u64, name)?;
        self.source.hold(bytes)?;
        self.told += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.usage.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.source.release(self.told);
    }
}

impl Usage {
    pub(crate) fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    pub(crate) fn series(&self) -> u64 {
        self.series.load(Ordering::Relaxed)
    }

    pub(crate) fn peak_bytes(&self) -> usize {
        self.peak_bytes.load(Ordering::Relaxed)
    }
}

fn within(what: &str, got: u64, limit: u64, name: &str) -> Result<()> {
    if got <= limit {
        return Ok(());
    }
    let message = format!("the query needs more than {limit} {what}, the limit {name}");
    Err(EvalError::of(ErrorKind::Limit, message))
}
