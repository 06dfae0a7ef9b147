//! Rows that are synced and that no deriver has seen.
//!
//! What a sender waits for is that its rows are safe; deriving comes after that, for several requests
//! at a time. A call of a plugin has its price whatever it is about, and so has each label set that
//! it answers: of a span in requests of 1,000 that is half of what deriving takes.
//!
//! Nothing is lost by it. The log keeps a record until a tick covers it, and a tick derives first
//! what was applied before; after a crash all of it is derived again.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::batch::{LogBatch, SpanBatch};
use isinglass_model::columns::{Columns, Joined};
use isinglass_model::deltas::Deltas;
use isinglass_model::kind::Signal;
use isinglass_store::Seq;

use super::counters::Now;

/// So many rows are derived without waiting for more, and at most one request more at a time: what a
/// plugin is shown in one call.
const JOINED_ROWS: usize = 10_000;

/// The same of bytes.
const JOINED_BYTES: usize = 16 << 20;

/// So many turns of one tenant may wait; whoever brings more waits until they are derived.
const OVERDUE_TURNS: usize = 4;

/// Requests that are derived one by one after some could not be derived together.
const ALONE: usize = 64;

/// What travels with a request through the WAL's queue to its counters.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    /// Whose derivers see it.
    pub(crate) chain: Arc<Chain>,
    spans: Option<RecordBatch>,
    logs: Option<RecordBatch>,
    now_unix_nanos: i64,
}

impl Note {
    /// What a request keeps. `None` = nobody derives from it.
    pub(crate) fn of(
        chain: &Arc<Chain>,
        tenant: &Tenant,
        spans: Option<&RecordBatch>,
        logs: Option<&RecordBatch>,
        now_unix_nanos: i64,
    ) -> Option<Self> {
        let kept = |rows: Option<&RecordBatch>, signal| {
            rows.filter(|rows| rows.num_rows() > 0 && chain.derives(tenant, signal)).cloned()
        };
        let (spans, logs) = (kept(spans, Signal::Traces), kept(logs, Signal::Logs));
        let any = spans.is_some() || logs.is_some();
        any.then(|| Self { chain: Arc::clone(chain), spans, logs, now_unix_nanos })
    }

    fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.spans.iter().chain(&self.logs)
    }

    fn rows(&self) -> usize {
        self.batches().map(RecordBatch::num_rows).sum()
    }

    fn bytes(&self) -> usize {
        self.batches().map(RecordBatch::get_array_memory_size).sum()
    }
}

/// A request that is applied.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) seq: Seq,
    pub(crate) note: Note,
    /// When it was: its counters begin then.
    pub(crate) at: Now,
    rows: usize,
    bytes: usize,
}

impl Applied {
    pub(crate) fn new(seq: Seq, note: Note, at: Now) -> Self {
        let (rows, bytes) = (note.rows(), note.bytes());
        Self { seq, note, at, rows, bytes }
    }
}

/// Whether someone should derive what waits for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing waits, or somebody was told to look at it.
    No,
    /// In a moment, when more may have come.
    Soon,
    Now,
    /// There is more than may wait.
    Overdue,
}

/// Requests of one tenant, in the order of the WAL.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: VecDeque<Applied>,
    rows: usize,
    bytes: usize,
    /// The first record of what is being derived.
    deriving: Option<Seq>,
    /// Whether somebody was told to derive: in a moment, now.
    is_awaited: bool,
    is_called: bool,
    /// How many of the next are derived one by one.
    alone: usize,
    /// How often the tenant was deleted.
    deletions: u64,
}

impl Backlog {
    pub(crate) fn push(&mut self, applied: Applied) {
        self.rows += applied.rows;
        self.bytes += applied.bytes;
        self.waiting.push_back(applied);
    }

    /// How often what is derived at a time waits, in full.
    pub(crate) fn turns(&self) -> usize {
        (self.rows / JOINED_ROWS).max(self.bytes / JOINED_BYTES)
    }

    /// Whether there is more than may wait.
    pub(crate) fn is_overdue(&self) -> bool {
        self.turns() >= OVERDUE_TURNS
    }

    /// Whether it is time to derive. Who is told so does it, and nobody else is told until then.
    pub(crate) fn due(&mut self) -> Due {
        match self.turns() {
            _ if self.is_overdue() => Due::Overdue,
            1.. if !std::mem::replace(&mut self.is_called, true) => Due::Now,
            0 if !self.waiting.is_empty() && !std::mem::replace(&mut self.is_awaited, true) => Due::Soon,
            _ => Due::No,
        }
    }

    /// Nobody is about to derive.
    pub(crate) fn give_up(&mut self) {
        (self.is_awaited, self.is_called) = (false, false);
    }

    /// The lowest record that must stay in the WAL.
    pub(crate) fn holds(&self) -> Option<Seq> {
        self.deriving.or(self.waiting.front().map(|applied| applied.seq))
    }

    /// How often the tenant was deleted.
    pub(crate) fn deletions(&self) -> u64 {
        self.deletions
    }

    /// The tenant is deleted.
    pub(crate) fn delete(&mut self) {
        *self = Self { deletions: self.deletions + 1, ..Self::default() };
    }

    /// The next requests that can be derived together; none if nothing waits.
    pub(crate) fn take(&mut self) -> Vec<Applied> {
        let (mut taken, mut rows, mut bytes) = (Vec::<Applied>::new(), 0, 0);
        while let Some(next) = self.waiting.front() {
            let fits = taken.first().is_none_or(|first| {
                self.alone == 0
                    && rows < JOINED_ROWS
                    && bytes < JOINED_BYTES
                    && Arc::ptr_eq(&first.note.chain, &next.note.chain)
            });
            let Some(next) = self.waiting.pop_front_if(|_| fits) else { break };
            rows += next.rows;
            bytes += next.bytes;
            taken.push(next);
        }
        (self.rows, self.bytes) = (self.rows - rows, self.bytes - bytes);
        self.alone = self.alone.saturating_sub(taken.len());
        self.is_called = false;
        self.deriving = taken.first().map(|applied| applied.seq);
        taken
    }

    /// What was taken is in the counters.
    pub(crate) fn counted(&mut self) {
        self.deriving = None;
    }

    /// Some could not be derived together.
    pub(crate) fn part(&mut self) {
        self.alone = ALONE;
    }
}

/// What the derivers made of rows.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) deltas: Vec<Deltas>,
    /// The rows that exemplars point to, one batch behind the other.
    pub(crate) rows: Vec<RecordBatch>,
    /// When they were applied.
    pub(crate) at: Now,
}

/// Shows requests to the derivers, together if they go along with it: each is shown as a replay does
/// it later, without attributes as columns and the labels of streams, which the log does not hold.
/// The second is whether they did not.
pub(crate) fn derive(tenant: &Tenant, taken: &[Applied]) -> (Vec<Derived>, bool) {
    if let [_, _, ..] = taken {
        return match joined(tenant, taken) {
            Some(derived) => (derived, false),
            None => (taken.iter().flat_map(|one| alone(tenant, one)).collect(), true),
        };
    }
    (taken.iter().flat_map(|one| alone(tenant, one)).collect(), false)
}

fn alone(tenant: &Tenant, one: &Applied) -> Vec<Derived> {
    let Note { chain, spans, logs, now_unix_nanos } = &one.note;
    let derive = |batch: Box<dyn Columns>, rows: &RecordBatch| {
        let deltas = chain.derive(tenant, &*batch, *now_unix_nanos);
        (!deltas.is_empty()).then(|| Derived { deltas, rows: vec![rows.clone()], at: one.at })
    };
    let spans = spans.as_ref().and_then(|rows| derive(of_spans(rows), rows));
    let logs = logs.as_ref().and_then(|rows| derive(of_logs(rows), rows));
    spans.into_iter().chain(logs).collect()
}

/// `None`: a deriver failed.
fn joined(tenant: &Tenant, taken: &[Applied]) -> Option<Vec<Derived>> {
    let (first, last) = (taken.first()?, taken.last()?);
    // No counter begins after what it counts, and no wait ends before its time.
    let at = Now { unix_ms: first.at.unix_ms, monotonic: last.at.monotonic };
    let mut all = Vec::new();
    let mut derive = |of: fn(&RecordBatch) -> Box<dyn Columns>, rows: Vec<RecordBatch>| {
        let Some(batch) = Joined::new(rows.iter().map(of).collect()) else { return Some(()) };
        let deltas = last.note.chain.derive_joined(tenant, &batch, last.note.now_unix_nanos)?;
        all.extend((!deltas.is_empty()).then_some(Derived { deltas, rows, at }));
        Some(())
    };
    derive(of_spans, taken.iter().filter_map(|one| one.note.spans.clone()).collect())?;
    derive(of_logs, taken.iter().filter_map(|one| one.note.logs.clone()).collect())?;
    Some(all)
}

fn of_spans(rows: &RecordBatch) -> Box<dyn Columns> {
    Box::new(SpanBatch { table: rows.clone(), attributes: None })
}

fn of_logs(rows: &RecordBatch) -> Box<dyn Columns> {
    Box::new(LogBatch { table: rows.clone(), attributes: None, stream_labels: Vec::new(), bytes: 0 })
}

#[cfg(test)]
mod tests;
