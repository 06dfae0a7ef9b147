//! The counters of all tenants, fed by the store in the order of the WAL.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use hashbrown::HashMap;
use isinglass_chain::{Chain, Deriver, LiveChain};
use isinglass_model::batch::{LogBatch, SpanBatch};
use isinglass_model::columns::Columns;
use isinglass_model::deltas::{Deltas, DerivedMetric, Pairing};
use isinglass_model::{Clock, Tenant};
use isinglass_store::{Life, Observer, Seq, Tick as TickMark};
use parking_lot::{Mutex, RwLock};

use super::cardinality::Limits;
use super::counters::{Counters, Now};
use super::ledger::{Ledger, min_option};
use super::pairs::{Joined, Pairs, PointOf};
use super::points::Points;

/// What travels with a request through the WAL's queue to its counters.
pub(crate) struct Note {
    /// Whose derivers it was.
    chain: Arc<Chain>,
    derived: Vec<Derived>,
}

/// What the derivers made of a batch.
struct Derived {
    deltas: Vec<Deltas>,
    /// The rows that exemplars point to.
    rows: RecordBatch,
}

impl Note {
    /// Shows what a request keeps to the derivers, as a replay does later: without the attributes
    /// and the labels of streams, which the log does not hold. `None` = they make nothing of it.
    pub(crate) fn of(
        chain: &Arc<Chain>,
        tenant: &Tenant,
        spans: Option<&RecordBatch>,
        logs: Option<&RecordBatch>,
        now_unix_nanos: i64,
    ) -> Option<Self> {
        let mut derived = Vec::new();
        let mut derive = |batch: &dyn Columns, rows: &RecordBatch| {
            let deltas = chain.derive(tenant, batch, now_unix_nanos);
            if !deltas.is_empty() {
                derived.push(Derived { deltas, rows: rows.clone() });
            }
        };
        if let Some(table) = spans.filter(|table| table.num_rows() > 0) {
            derive(&SpanBatch { table: table.clone(), attributes: None }, table);
        }
        if let Some(table) = logs.filter(|table| table.num_rows() > 0) {
            let stream_labels = Vec::new();
            derive(&LogBatch { table: table.clone(), attributes: None, stream_labels, bytes: 0 }, table);
        }
        (!derived.is_empty()).then(|| Self { chain: Arc::clone(chain), derived })
    }
}

/// One tenant's counters.
#[derive(Debug, Default)]
pub(crate) struct TenantBoard {
    pub(crate) ledger: Ledger,
    /// One per deriver that ever gave something.
    pub(crate) counters: Vec<OfDeriver>,
    /// Time of the last tick, so that the next one is later.
    pub(crate) last_tick_ms: i64,
    /// The life of the tenant that the series of the counters belong to, once they have any.
    pub(crate) life: Option<Life>,
}

/// What a deriver counts for a tenant. One that comes in the place of another and writes the same
/// metrics goes on where that one was.
#[derive(Debug)]
pub(crate) struct OfDeriver {
    name: String,
    pub(crate) metrics: Arc<[DerivedMetric]>,
    pub(crate) counters: Counters,
    /// Rows that wait for another.
    pairs: Pairs,
    /// What becomes of them, as the deriver said last.
    pairing: Option<Arc<Pairing>>,
    /// A label of exemplars with the trace's id; empty = none.
    pub(crate) exemplar_label: Arc<str>,
    /// What had been counted before they began anew, all of it in the tick under way, and the rows
    /// that had waited then.
    before: Option<(Counters, Pairs)>,
    /// Its deriver is gone, and all it has is in the tick under way.
    pub(crate) ended: bool,
}

impl OfDeriver {
    fn is_of(&self, deriver: &Deriver) -> bool {
        self.name == deriver.name && self.metrics == deriver.metrics
    }

    /// Adds what a batch gave.
    fn add(&mut self, deltas: &Deltas, exemplar_of: PointOf<'_>, limits: Limits, now: Now) {
        self.counters.add(&self.metrics, deltas, exemplar_of, limits, now);
        if let (Some(halves), Some(pairing)) = (&deltas.halves, &self.pairing) {
            let joined = self.pairs.take(pairing, &self.metrics, halves, exemplar_of, now.monotonic);
            self.add_joined(&joined, limits, now);
        }
    }

    /// Ends the wait of halves that waited long enough, or of all.
    pub(crate) fn expire(&mut self, all: bool, limits: Limits, now: Now) {
        let Some(pairing) = &self.pairing else { return };
        let joined = match all {
            true => self.pairs.drain(pairing, &self.metrics),
            false => self.pairs.expire(pairing, &self.metrics, now.monotonic),
        };
        self.add_joined(&joined, limits, now);
    }

    fn add_joined(&mut self, joined: &Joined, limits: Limits, now: Now) {
        let point = |row, _| joined.points.get(row as usize).copied();
        for deltas in &joined.deltas {
            self.counters.add(&self.metrics, deltas, &point, limits, now);
        }
    }

    /// Rows that wait for another.
    pub(crate) fn waiting(&self) -> usize {
        self.pairs.len()
    }

    /// Whether its deriver is in a chain.
    pub(crate) fn is_in(&self, chain: &Chain) -> bool {
        chain.derivers().iter().any(|deriver| self.is_of(deriver))
    }
}

impl TenantBoard {
    fn of(&mut self, deriver: &Deriver) -> &mut OfDeriver {
        let known = self.counters.iter().position(|one| one.is_of(deriver));
        let at = known.unwrap_or_else(|| {
            let (name, metrics) = (deriver.name.clone(), Arc::clone(&deriver.metrics));
            self.counters.push(OfDeriver {
                name,
                metrics,
                counters: Counters::default(),
                pairs: Pairs::default(),
                pairing: None,
                exemplar_label: Arc::default(),
                before: None,
                ended: false,
            });
            self.counters.len() - 1
        });
        let one = &mut self.counters[at];
        one.ended = false;
        one.pairing.clone_from(&deriver.pairing);
        one.exemplar_label = Arc::clone(&deriver.exemplar_label);
        one
    }

    /// The tick under way is stored.
    pub(crate) fn commit_tick(&mut self) {
        self.ledger.commit_tick();
        self.counters.retain(|one| !one.ended);
        self.counters.iter_mut().for_each(|one| one.before = None);
    }

    /// It is not; the next one has what it had.
    pub(crate) fn abort_tick(&mut self, limits: Limits, now: Now) {
        self.ledger.abort_tick();
        for one in &mut self.counters {
            one.ended = false;
            if let Some((counters, pairs)) = one.before.take() {
                let later = std::mem::replace(&mut one.counters, counters);
                one.counters.absorb(later, &one.metrics, limits);
                let later = std::mem::replace(&mut one.pairs, pairs);
                if let Some(pairing) = one.pairing.clone() {
                    let joined = one.pairs.absorb(later, &pairing, &one.metrics);
                    one.add_joined(&joined, limits, now);
                }
            }
        }
    }

    /// Whether a deriver of this name has a series that began to count before a time.
    pub(crate) fn began_before(&self, name: &str, unix_ms: i64) -> bool {
        self.counters.iter().any(|one| one.name == name && one.counters.began_before(unix_ms))
    }

    /// Rows that wait for another, of derivers of this name.
    pub(crate) fn waiting(&self, name: &str) -> usize {
        self.counters.iter().filter(|one| one.name == name).map(OfDeriver::waiting).sum()
    }

    /// Counters of this name begin anew at 0. What they have is in the tick under way, and no row
    /// waits any more that came before.
    pub(crate) fn begin_anew(&mut self, name: &str) {
        for one in self.counters.iter_mut().filter(|one| one.name == name) {
            one.before = Some((std::mem::take(&mut one.counters), std::mem::take(&mut one.pairs)));
        }
    }
}

/// Up to which record the counters of each tenant are in ticks that the log holds.
type Ticked = HashMap<Tenant, Seq, ahash::RandomState>;

/// All tenants.
pub(crate) struct Board {
    chains: Arc<LiveChain>,
    clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    stale_after: Duration,
    tenants: Mutex<HashMap<Tenant, Arc<Mutex<TenantBoard>>, ahash::RandomState>>,
    ticked: RwLock<Ticked>,
    /// The last record of each tenant that is counted, if there was anything to count in it.
    applied: Mutex<Ticked>,
}

impl Board {
    pub(crate) fn new(
        chains: Arc<LiveChain>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        stale_after: Duration,
    ) -> Self {
        let (tenants, ticked, applied) = (Mutex::default(), RwLock::default(), Mutex::default());
        Self { chains, clock, limits, stale_after, tenants, ticked, applied }
    }

    /// Tenants that ever had a derived series, with their boards.
    pub(crate) fn tenants(&self) -> Vec<(Tenant, Arc<Mutex<TenantBoard>>)> {
        self.tenants.lock().iter().map(|(tenant, board)| (tenant.clone(), Arc::clone(board))).collect()
    }

    /// Series that got nothing since then are stale.
    pub(crate) fn stale_before(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.stale_after)
    }

    pub(crate) fn now(&self) -> Now {
        Now { unix_ms: self.clock.now_unix_millis(), monotonic: self.clock.monotonic() }
    }

    /// Ends the wait of a tenant's halves that waited long enough, and of all those of derivers
    /// that are in no chain any more.
    pub(crate) fn expire(&self, of_tenant: &mut TenantBoard, chain: &Chain) {
        let now = self.now();
        for of in &mut of_tenant.counters {
            of.expire(!of.is_in(chain), self.limits, now);
        }
    }

    /// Ends the wait of all: nothing comes any more.
    pub(crate) fn expire_all(&self) {
        let now = self.now();
        for (_, board) in self.tenants() {
            board.lock().counters.iter_mut().for_each(|of| of.expire(true, self.limits, now));
        }
    }

    fn board(&self, tenant: &Tenant) -> Arc<Mutex<TenantBoard>> {
        let mut tenants = self.tenants.lock();
        let board = tenants.entry(tenant.clone()).or_default();
        Arc::clone(board)
    }

    /// The board of a tenant that has one.
    pub(crate) fn find(&self, tenant: &Tenant) -> Option<Arc<Mutex<TenantBoard>>> {
        self.tenants.lock().get(tenant).map(Arc::clone)
    }

    /// The last record of a tenant that this process was told of; 0 = there was none.
    pub(crate) fn applied_of(&self, tenant: &Tenant) -> Seq {
        self.applied.lock().get(tenant).copied().unwrap_or(0)
    }

    fn note_applied(&self, tenant: &Tenant, seq: Seq) {
        let mut applied = self.applied.lock();
        match applied.get_mut(tenant) {
            Some(last) => *last = seq.max(*last),
            None => _ = applied.insert(tenant.clone(), seq),
        }
    }

    fn count(&self, tenant: &Tenant, seq: Seq, note: &Note) {
        let board = self.board(tenant);
        let mut board = board.lock();
        // Now that it is known which tick comes before.
        let now = self.now();
        board.ledger.count(seq);
        for Derived { deltas, rows } in &note.derived {
            let points = Points::of(rows);
            let exemplar_of = |row, value| points.as_ref()?.at(row, value);
            for deltas in deltas {
                let mut derivers = note.chain.derivers().iter();
                let Some(deriver) = derivers.find(|deriver| deriver.binding == deltas.binding) else {
                    continue;
                };
                board.of(deriver).add(deltas, &exemplar_of, self.limits, now);
            }
        }
    }
}

impl Observer for Board {
    fn applied(&self, tenant: &Tenant, seq: Seq, note: Option<Box<dyn Any + Send>>) {
        if let Some(note) = note.and_then(|note| note.downcast::<Note>().ok()) {
            self.count(tenant, seq, &note);
        }
        self.note_applied(tenant, seq);
    }

    /// In place, so that a tick under way finds nothing either.
    fn deleted(&self, tenant: &Tenant, seq: Seq) {
        self.note_applied(tenant, seq);
        let board = self.tenants.lock().get(tenant).map(Arc::clone);
        if let Some(board) = board {
            *board.lock() = TenantBoard::default();
        }
    }

    fn ticked(&self, tenant: &Tenant, tick: TickMark) {
        let mut ticked = self.ticked.write();
        let covered = ticked.entry(tenant.clone()).or_default();
        *covered = tick.covers.max(*covered);
    }

    fn wants(&self, tenant: &Tenant, seq: Seq) -> bool {
        self.ticked.read().get(tenant).is_none_or(|covered| seq > *covered)
    }

    fn replayed(
        &self,
        tenant: &Tenant,
        seq: Seq,
        spans: Option<&RecordBatch>,
        logs: Option<&RecordBatch>,
        _tick: Option<TickMark>,
    ) {
        let (chain, now) = (self.chains.current(), self.clock.now_unix_nanos());
        if self.wants(tenant, seq)
            && let Some(note) = Note::of(&chain, tenant, spans, logs, now)
        {
            self.count(tenant, seq, &note);
        }
        self.note_applied(tenant, seq);
    }

    fn holds(&self) -> Option<Seq> {
        let boards = self.tenants();
        boards.iter().fold(None, |lowest, (_, board)| min_option(lowest, board.lock().ledger.holds()))
    }
}
