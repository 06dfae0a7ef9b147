//! One tenant in memory: its series, its unflushed rows, its tables.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use isinglass_model::{Kind, Tenant};
use object_store::path::Path;
use parking_lot::Mutex;

use crate::append::Life;
use crate::changes::Changes;
use crate::files::Checker;
use crate::head::{Generation, Run};
use crate::series::{SeriesIndex, SeriesTable};
use crate::tables::{DataFile, TableState};
use crate::view::{TableView, View};
use crate::{Seq, StoreError};

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
    pub(crate) life: Life,
    /// Held during the flush of a kind, so that there is one at a time, in all lives.
    pub(crate) flushing: Arc<[tokio::sync::Mutex<()>; KINDS]>,
    /// Held by appends until they are in the queue of the log, and by a deletion alone: it
    /// comes before an append or after it.
    pub(crate) writing: Arc<tokio::sync::RwLock<()>>,
    usage: Arc<Usage>,
    checker: Arc<Checker>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last record applied.
    watermark: Seq,
    /// The last record that is known to be in the log, applied or not.
    expected: Seq,
    /// No row of a record up to this one is to be seen: the tenant was deleted.
    deleted: Seq,
    /// A record in the log ends this life; what takes the files out of the tables is to come.
    ending: Option<Seq>,
    /// Another life has begun, in another [`TenantState`].
    retired: bool,
    kinds: [KindState; KINDS],
    /// Which times of samples and histograms changed when.
    changes: Arc<Changes>,
    /// The view of this state, if one was asked for since it changed.
    view: Option<Arc<View>>,
    /// Every view that a query may still hold.
    views: Vec<Weak<View>>,
}

#[derive(Default)]
struct KindState {
    table: Option<TableState>,
    /// Files of an earlier life are still in the table. Nothing may be committed to it, and
    /// nothing that it says of its files counts, before they are erased.
    erasing: bool,
    /// Files that an erasure took out of the table, for the vacuum.
    erased: Vec<Path>,
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
        deleted: Seq,
    ) -> Self {
        let kinds = tables.map(|table| KindState::after_deletion(table, deleted));
        let state = State { deleted, kinds, ..State::default() };
        Self {
            name,
            series,
            life: Life::default(),
            flushing: Arc::default(),
            writing: Arc::default(),
            usage,
            checker,
            state: Mutex::new(state),
        }
    }

    /// Ends this life at a record, the last that can have rows for it, and begins another
    /// with these series. Whoever still holds this one sees nothing in it.
    pub(crate) fn retire(&self, deleted: Seq, series: Arc<SeriesTable>) -> Self {
        let mut state = self.state.lock();
        let tables = state.kinds.each_mut().map(|kind| kind.table.take());
        let before = std::mem::take(&mut *state);
        state.retired = true;
        state.deleted = deleted;
        let mut changes = before.changes;
        Arc::make_mut(&mut changes).everything();
        let mut next = State {
            changes,
            watermark: before.watermark,
            expected: before.expected,
            deleted,
            kinds: tables.map(|table| KindState::after_deletion(table, deleted)),
            views: before.views,
            ..State::default()
        };
        for ((kind, old), new) in Kind::ALL.into_iter().zip(before.kinds).zip(&mut next.kinds) {
            let frozen = old.frozen.as_ref().map_or((0, 0), |frozen| (frozen.bytes, frozen.rows));
            self.usage.change(kind, (frozen.0 + old.active.bytes, frozen.1 + old.active.rows), (0, 0));
            // Of a deletion before this one.
            new.erased = old.erased;
            // A first flush that is under way makes the table, or has made it and failed.
            new.erasing |= old.frozen.is_some();
        }
        Self {
            name: self.name.clone(),
            series,
            life: Life(self.life.0.wrapping_add(1)),
            flushing: Arc::clone(&self.flushing),
            writing: Arc::clone(&self.writing),
            usage: Arc::clone(&self.usage),
            checker: Arc::clone(&self.checker),
            state: Mutex::new(next),
        }
    }

    /// A record ends this life, which the log must keep until the tables know it.
    pub(crate) fn end_at(&self, seq: Seq) {
        let mut state = self.state.lock();
        if seq > state.deleted {
            state.ending = Some(seq);
        }
    }

    /// Whether another life has begun.
    pub(crate) fn is_retired(&self) -> bool {
        self.state.lock().retired
    }

    /// The record up to which everything is deleted.
    pub(crate) fn deleted(&self) -> Seq {
        self.state.lock().deleted
    }

    /// The record that files of a table are to be erased for, if they still are there.
    pub(crate) fn erasing(&self, kind: Kind) -> Option<Seq> {
        let state = self.state.lock();
        state.kinds[at(kind)].erasing.then_some(state.deleted)
    }

    /// Files of an earlier life are no part of the table any more. The caller holds the lock
    /// of its flushes.
    pub(crate) fn erased(&self, kind: Kind, table: Option<TableState>, gone: Vec<DataFile>) {
        let mut state = self.state.lock();
        let kind = &mut state.kinds[at(kind)];
        kind.table = table;
        kind.erasing = false;
        kind.erased.extend(gone.into_iter().map(|file| file.path));
        (kind.failures, kind.retry_at) = (0, Duration::ZERO);
    }

    /// Files that no version names any more, erased before this process started.
    pub(crate) fn add_erased(&self, kind: Kind, files: impl Iterator<Item = Path>) {
        self.state.lock().kinds[at(kind)].erased.extend(files);
    }

    /// Files that were erased since the last call.
    pub(crate) fn take_erased(&self, kind: Kind) -> Vec<Path> {
        std::mem::take(&mut self.state.lock().kinds[at(kind)].erased)
    }

    /// Whether a table is there, with files or without.
    pub(crate) fn has_table(&self, kind: Kind) -> bool {
        self.state.lock().kinds[at(kind)].table.is_some()
    }

    /// Tables whose erasure is due.
    pub(crate) fn erasures(&self, now: Duration) -> Vec<Kind> {
        let state = self.state.lock();
        let due = |kind: &KindState| kind.erasing && kind.retry_at <= now;
        Kind::ALL.into_iter().filter(|kind| due(&state.kinds[at(*kind)])).collect()
    }

    /// The record up to which a table is flushed, as far as is known here; `None`: this life
    /// has ended, and its rows are not wanted any more.
    pub(crate) fn table_flushed(&self, kind: Kind) -> Option<Seq> {
        let state = self.state.lock();
        let flushed = state.kinds[at(kind)].table.as_ref().map_or(0, |table| table.flushed);
        (!state.retired).then_some(flushed)
    }

    /// The record up to which the rows of a table are not to come from the log.
    pub(crate) fn flushed(&self, kind: Kind) -> Seq {
        let state = self.state.lock();
        let flushed = state.kinds[at(kind)].table.as_ref().map_or(0, |table| table.flushed);
        flushed.max(state.deleted)
    }

    /// Makes the rows of a record visible, all at once.
    pub(crate) fn apply(&self, seq: Seq, runs: Vec<(Kind, Run)>, now: Duration) {
        let mut state = self.state.lock();
        // What was deleted while it was on its way here is not to be seen.
        let runs = if seq <= state.deleted { Vec::new() } else { runs };
        for (kind, run) in runs {
            state.note_change(kind, &run);
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
            changes: Arc::clone(&state.changes),
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

    /// Files of a table were replaced. The caller holds the lock of its flushes. An error: the
    /// table has rows that are here in memory as well, and the view stays as it was.
    pub(crate) fn rewritten(&self, kind: Kind, table: TableState) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.retired || state.kinds[at(kind)].erasing {
            // They will be erased with the rest.
            return Ok(());
        }
        let of_kind = &mut state.kinds[at(kind)];
        self.refuse_if_overtaken(kind, of_kind, &table)?;
        let rows = |table: &TableState| table.files.iter().map(|file| file.rows).sum::<u64>();
        let rows_before = of_kind.table.as_ref().map(rows);
        let rows_went = rows_before != Some(rows(&table));
        // A flush that landed and was told to have failed is in these files as well.
        if let Some(gone) = of_kind.frozen.take_if(|frozen| frozen.last <= table.flushed) {
            self.usage.change(kind, (gone.bytes, gone.rows), (0, 0));
        }
        of_kind.table = Some(table);
        if rows_went && is_metric(kind) {
            // Merges keep all rows; retention and the choice among replicas do not.
            Arc::make_mut(&mut state.changes).everything();
        }
        state.view = None;
        Ok(())
    }

    /// Rows of metrics were replaced by others, of which there may be as many.
    pub(crate) fn replaced(&self, kind: Kind, table: TableState) -> Result<(), StoreError> {
        self.rewritten(kind, table)?;
        let mut state = self.state.lock();
        Arc::make_mut(&mut state.changes).everything();
        state.view = None;
        Ok(())
    }

    /// A table is flushed as far as is known here, or as far as the flush that is under way
    /// goes. Else a flush of a process before this one has landed after that died: some of
    /// the rows that this one read from the log are in it, and only a new start can tell which.
    fn refuse_if_overtaken(
        &self,
        kind: Kind,
        of_kind: &KindState,
        table: &TableState,
    ) -> Result<(), StoreError> {
        let known = of_kind.table.as_ref().map_or(0, |table| table.flushed);
        let under_way = of_kind.frozen.as_ref().map(|frozen| frozen.last);
        if table.flushed == known || Some(table.flushed) == under_way {
            return Ok(());
        }
        let (tenant, flushed) = (&self.name, table.flushed);
        Err(StoreError::Fenced {
            reason: format!(
                "another writer has flushed {tenant}/{kind} from record {known} to {flushed} since this one \
                 opened it; start this process again"
            ),
        })
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
    pub(crate) fn committed(&self, kind: Kind, table: TableState) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.retired {
            // A flush that was under way when the tenant was deleted.
            return Ok(());
        }
        let of_kind = &mut state.kinds[at(kind)];
        self.refuse_if_overtaken(kind, of_kind, &table)?;
        of_kind.table = Some(table);
        of_kind.failures = 0;
        of_kind.retry_at = Duration::ZERO;
        if let Some(gone) = of_kind.frozen.take() {
            self.usage.change(kind, (gone.bytes, gone.rows), (0, 0));
        }
        state.view = None;
        Ok(())
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

    /// The first record that is needed for this kind: with unflushed rows, or with a deletion
    /// whose files are still part of the table.
    pub(crate) fn first_needed(&self, kind: Kind) -> Option<Seq> {
        let state = self.state.lock();
        let kind = &state.kinds[at(kind)];
        let deletion = kind.erasing.then_some(state.deleted);
        deletion.into_iter().chain(state.ending).chain(kind.first()).min()
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

/// Whether answers about metrics depend on a table.
fn is_metric(kind: Kind) -> bool {
    matches!(kind, Kind::Samples | Kind::Histograms)
}

impl State {
    fn note_change(&mut self, kind: Kind, run: &Run) {
        const MICROS_OF_A_MILLI: i64 = 1_000;
        if !is_metric(kind) {
            return;
        }
        let changes = Arc::make_mut(&mut self.changes);
        match run.time() {
            Some((from, to)) => {
                changes.came(from.div_euclid(MICROS_OF_A_MILLI), to.div_euclid(MICROS_OF_A_MILLI));
            }
            None => changes.everything(),
        }
    }
}

impl KindState {
    /// The table of a tenant that was deleted at a record, 0 = never: what it has is from
    /// before, unless it was flushed or erased past that record.
    fn after_deletion(table: Option<TableState>, deleted: Seq) -> Self {
        let erasing = table.as_ref().is_some_and(|table| table.flushed < deleted);
        let nothing = |table: TableState| TableState { flushed: deleted, files: Arc::from([]), ..table };
        let table = if erasing { table.map(nothing) } else { table };
        Self { table, erasing, ..Self::default() }
    }

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
