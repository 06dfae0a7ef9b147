//! One tenant in memory: its series, its unflushed rows, its tables.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use parking_lot::Mutex;

use crate::Seq;
use crate::files::Checker;
use crate::head::{Generation, Run};
use crate::series::{SeriesIndex, SeriesTable};
use crate::tables::{DataFile, TableState};
use crate::view::{TableView, View};

const KINDS: usize = Kind::ALL.len();

/// Unflushed bytes and rows of all tenants, by kind.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Whether acknowledged records wait in the log, so that views may lack them.
    pub(crate) behind: Arc<AtomicBool>,
    bytes: [AtomicU64; KINDS],
    rows: [AtomicU64; KINDS],
}

impl Usage {
    pub(crate) fn total_bytes(&self) -> u64 {
        self.bytes.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }

    /// Bytes and rows of a kind.
    pub(crate) fn of(&self, kind: Kind) -> (u64, u64) {
        (self.bytes[at(kind)].load(Ordering::Relaxed), self.rows[at(kind)].load(Ordering::Relaxed))
    }

    fn change(&self, kind: Kind, before: (usize, usize), after: (usize, usize)) {
        let moved = |counter: &AtomicU64, before: usize, after: usize| {
            counter.fetch_add((after as u64).wrapping_sub(before as u64), Ordering::Relaxed);
        };
        moved(&self.bytes[at(kind)], before.0, after.0);
        moved(&self.rows[at(kind)], before.1, after.1);
    }
}

fn at(kind: Kind) -> usize {
    kind as usize - 1
}

/// A tenant.
pub(crate) struct TenantState {
    pub(crate) name: Tenant,
    pub(crate) series: Arc<SeriesTable>,
    /// Held during the flush of a kind, so that there is one at a time.
    pub(crate) flushing: [tokio::sync::Mutex<()>; KINDS],
    usage: Arc<Usage>,
    checker: Arc<Checker>,
    state: Mutex<State>,
}

struct State {
    /// The last record applied.
    watermark: Seq,
    /// The last record that is known to be in the log, applied or not.
    expected: Seq,
    kinds: [KindState; KINDS],
    /// The view of this state, if one was asked for since it changed.
    view: Option<Arc<View>>,
    /// Every view that a query may still hold.
    views: Vec<Weak<View>>,
}

#[derive(Default)]
struct KindState {
    table: Option<TableState>,
    /// On its way into files; the same rows are tried again until they are there.
    frozen: Option<Arc<Generation>>,
    active: Generation,
    failures: u32,
    retry_at: Duration,
}

/// What the flush policy wants to know of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    pub(crate) first: Seq,
    pub(crate) since: Duration,
    /// After a failure: not before this.
    pub(crate) retry_at: Duration,
}

impl TenantState {
    pub(crate) fn new(
        name: Tenant,
        series: Arc<SeriesTable>,
        tables: [Option<TableState>; KINDS],
        usage: Arc<Usage>,
        checker: Arc<Checker>,
    ) -> Self {
        let kinds = tables.map(|table| KindState { table, ..KindState::default() });
        let state = Mutex::new(State { watermark: 0, expected: 0, kinds, view: None, views: Vec::new() });
        Self { name, series, flushing: Default::default(), usage, checker, state }
    }

    /// The record up to which a table is flushed.
    pub(crate) fn flushed(&self, kind: Kind) -> Seq {
        self.state.lock().kinds[at(kind)].table.as_ref().map_or(0, |table| table.flushed)
    }

    /// Makes the rows of a record visible, all at once.
    pub(crate) fn apply(&self, seq: Seq, runs: Vec<(Kind, Run)>, now: Duration) {
        let mut state = self.state.lock();
        for (kind, run) in runs {
            let active = &mut state.kinds[at(kind)].active;
            let before = (active.bytes, active.rows);
            active.push(kind, run, seq, now);
            self.usage.change(kind, before, (active.bytes, active.rows));
        }
        state.watermark = state.watermark.max(seq);
        state.view = None;
    }

    /// A record is in the log that somebody will apply later.
    pub(crate) fn expect(&self, seq: Seq) {
        let mut state = self.state.lock();
        state.expected = state.expected.max(seq);
    }

    /// The last record that is applied, and the last that is known to be in the log.
    pub(crate) fn progress(&self) -> (Seq, Seq) {
        let state = self.state.lock();
        (state.watermark, state.expected)
    }

    /// What can be seen now.
    pub(crate) fn view(&self) -> Arc<View> {
        let mut state = self.state.lock();
        let replaying = state.watermark < state.expected && self.usage.behind.load(Ordering::Acquire);
        if let Some(view) = state.view.as_ref().filter(|view| view.replaying == replaying) {
            return Arc::clone(view);
        }
        let view = Arc::new(View {
            tenant: self.name.clone(),
            watermark: state.watermark,
            replaying,
            tables: Kind::ALL.map(|kind| state.kinds[at(kind)].view(kind, &self.series)).into(),
            series: SeriesIndex { table: Arc::clone(&self.series) },
            checker: Arc::clone(&self.checker),
        });
        state.view = Some(Arc::clone(&view));
        state.views.retain(|view| view.strong_count() > 0);
        state.views.push(Arc::downgrade(&view));
        view
    }

    /// The live files of a table.
    pub(crate) fn files(&self, kind: Kind) -> Arc<[DataFile]> {
        let state = self.state.lock();
        state.kinds[at(kind)].table.as_ref().map_or_else(|| Arc::from([]), |table| Arc::clone(&table.files))
    }

    /// Every file of a table that it names now or that a view still names.
    pub(crate) fn files_in_use(&self, kind: Kind) -> HashSet<Path> {
        let views: Vec<Arc<View>> = self.state.lock().views.iter().filter_map(Weak::upgrade).collect();
        let seen = views.iter().flat_map(|view| view.table(kind).files.iter().map(|file| file.path.clone()));
        let mut in_use: HashSet<Path> = seen.collect();
        in_use.extend(self.files(kind).iter().map(|file| file.path.clone()));
        in_use
    }

    /// Files of a table were replaced. The caller holds the lock of its flushes.
    pub(crate) fn rewritten(&self, kind: Kind, table: TableState) {
        let mut state = self.state.lock();
        state.kinds[at(kind)].table = Some(table);
        state.view = None;
    }

    /// The rows to flush next if any belongs to a record up to `up_to`: those of a flush
    /// that failed, else all that there are.
    pub(crate) fn freeze(&self, kind: Kind, up_to: Seq) -> Option<Arc<Generation>> {
        let mut state = self.state.lock();
        let kind = &mut state.kinds[at(kind)];
        kind.first().filter(|first| *first <= up_to)?;
        if kind.frozen.is_none() && !kind.active.is_empty() {
            kind.frozen = Some(Arc::new(std::mem::take(&mut kind.active)));
        }
        kind.frozen.clone()
    }

    /// The frozen rows are in `table` now: in one step they leave the head.
    pub(crate) fn committed(&self, kind: Kind, table: TableState) {
        let mut state = self.state.lock();
        let of_kind = &mut state.kinds[at(kind)];
        of_kind.table = Some(table);
        of_kind.failures = 0;
        of_kind.retry_at = Duration::ZERO;
        if let Some(gone) = of_kind.frozen.take() {
            self.usage.change(kind, (gone.bytes, gone.rows), (0, 0));
        }
        state.view = None;
    }

    /// A flush failed; says when to try again.
    pub(crate) fn failed(&self, kind: Kind, now: Duration) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60);
        let mut state = self.state.lock();
        let kind = &mut state.kinds[at(kind)];
        let pause = Duration::from_secs(1 << kind.failures.min(6)).min(LONGEST);
        kind.failures += 1;
        kind.retry_at = now + pause;
        pause
    }

    /// The first record with unflushed rows of this kind.
    pub(crate) fn first_unflushed(&self, kind: Kind) -> Option<Seq> {
        self.state.lock().kinds[at(kind)].first()
    }

    /// Every table with unflushed rows.
    pub(crate) fn backlog(&self) -> Vec<Backlog> {
        let state = self.state.lock();
        let kinds = Kind::ALL.into_iter().filter_map(|kind| {
            let of_kind = &state.kinds[at(kind)];
            let oldest = of_kind.frozen.as_deref().unwrap_or(&of_kind.active);
            Some(Backlog {
                kind,
                bytes: (of_kind.frozen.as_ref().map_or(0, |frozen| frozen.bytes) + of_kind.active.bytes)
                    as u64,
                first: of_kind.first()?,
                since: oldest.since,
                retry_at: of_kind.retry_at,
            })
        });
        kinds.collect()
    }
}

impl KindState {
    fn first(&self) -> Option<Seq> {
        let active = (!self.active.is_empty()).then_some(self.active.first);
        self.frozen.as_ref().map(|frozen| frozen.first).or(active)
    }

    fn view(&self, kind: Kind, series: &Arc<SeriesTable>) -> TableView {
        let frozen = self.frozen.iter().flat_map(|frozen| frozen.runs());
        let runs = frozen.chain(self.active.runs()).cloned().collect();
        TableView::new(kind, self.table.as_ref(), runs, Arc::clone(series))
    }
}
