//! The counters of all tenants, fed by the store in the order of the WAL.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use hashbrown::HashMap;
use isinglass_chain::{Chain, Deriver, LiveChain};
use isinglass_model::deltas::{Deltas, DerivedMetric, Pairing};
use isinglass_model::{Clock, Tenant};
use isinglass_store::{Life, Observer, Seq, Tick as TickMark};
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::Notify;

use super::backlog::{Applied, Backlog, Derived, Due, Note, derive};
use super::cardinality::Limits;
use super::counters::{Counters, Now};
use super::ledger::{Ledger, min_option};
use super::pairs::{Joined, Pairs, PointOf};
use super::points::Points;

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

    /// Counts what was taken.
    fn count(&mut self, taken: &[Applied], derived: &[Derived], limits: Limits) {
        taken.iter().for_each(|applied| self.ledger.count(applied.seq));
        let Some(chain) = taken.first().map(|applied| &applied.note.chain) else { return };
        for Derived { deltas, rows, at } in derived {
            let points = Points::of(rows);
            let exemplar_of = |row, value| points.at(row, value);
            for deltas in deltas {
                let mut derivers = chain.derivers().iter();
                let Some(deriver) = derivers.find(|deriver| deriver.binding == deltas.binding) else {
                    continue;
                };
                self.of(deriver).add(deltas, &exemplar_of, limits, *at);
            }
        }
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

/// The counters of a tenant, what is applied and not in them, and the right to derive that. Whoever
/// needs several of them takes them in this order.
#[derive(Debug, Default)]
pub(crate) struct OfTenant {
    deriving: Mutex<()>,
    board: Mutex<TenantBoard>,
    /// Held for moments only: requests that are applied wait for it.
    backlog: Mutex<Backlog>,
}

impl OfTenant {
    /// The counters as they are. What was applied a moment ago may not be in them.
    pub(crate) fn lock(&self) -> MutexGuard<'_, TenantBoard> {
        self.board.lock()
    }

    fn has_turn(&self) -> bool {
        self.backlog.lock().turns() > 0
    }

    /// The lowest record that must stay in the WAL.
    fn holds(&self) -> Option<Seq> {
        let (board, backlog) = (self.board.lock(), self.backlog.lock());
        min_option(board.ledger.holds(), backlog.holds())
    }
}

/// Counters that have all that was applied, and nobody derives for them or applies more.
pub(crate) struct Settled<'a> {
    board: MutexGuard<'a, TenantBoard>,
    _backlog: MutexGuard<'a, Backlog>,
    _deriving: MutexGuard<'a, ()>,
}

impl std::ops::Deref for Settled<'_> {
    type Target = TenantBoard;

    fn deref(&self) -> &TenantBoard {
        &self.board
    }
}

impl std::ops::DerefMut for Settled<'_> {
    fn deref_mut(&mut self) -> &mut TenantBoard {
        &mut self.board
    }
}

/// All tenants.
pub(crate) struct Board {
    chains: Arc<LiveChain>,
    clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    stale_after: Duration,
    tenants: Mutex<HashMap<Tenant, Arc<OfTenant>, ahash::RandomState>>,
    ticked: RwLock<Ticked>,
    /// The last record of each tenant that is counted, if there was anything to count in it.
    applied: Mutex<Ticked>,
    /// The log would let go of much after a tick.
    tick_wanted: Notify,
}

impl Board {
    pub(crate) fn new(
        chains: Arc<LiveChain>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        stale_after: Duration,
    ) -> Self {
        let (tenants, ticked, applied) = (Mutex::default(), RwLock::default(), Mutex::default());
        let tick_wanted = Notify::new();
        Self { chains, clock, limits, stale_after, tenants, ticked, applied, tick_wanted }
    }

    /// Waits until the log would let go of much after a tick.
    pub(crate) async fn tick_is_wanted(&self) {
        self.tick_wanted.notified().await;
    }

    /// Tenants that ever had a derived series, with their boards.
    pub(crate) fn tenants(&self) -> Vec<(Tenant, Arc<OfTenant>)> {
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
        for (tenant, board) in self.tenants() {
            let mut settled = self.settled(&tenant, &board);
            let now = self.now();
            settled.counters.iter_mut().for_each(|of| of.expire(true, self.limits, now));
        }
    }

    fn board(&self, tenant: &Tenant) -> Arc<OfTenant> {
        let mut tenants = self.tenants.lock();
        let board = tenants.entry(tenant.clone()).or_default();
        Arc::clone(board)
    }

    /// The board of a tenant that has one.
    pub(crate) fn find(&self, tenant: &Tenant) -> Option<Arc<OfTenant>> {
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

    /// A request is applied: derivers see it later.
    fn wait(&self, tenant: &Tenant, seq: Seq, note: Note) {
        let board = self.board(tenant);
        let mut backlog = board.backlog.lock();
        // Now that it is known which tick comes before: none comes until it is counted.
        backlog.push(Applied::new(seq, note, self.now()));
    }

    /// Whether it is time to derive what waits for a tenant. Who is told that it is does so.
    pub(crate) fn due(&self, tenant: &Tenant) -> Due {
        self.find(tenant).map_or(Due::No, |board| board.backlog.lock().due())
    }

    /// Who was told to derive for a tenant cannot.
    pub(crate) fn give_up(&self, tenant: &Tenant) {
        if let Some(board) = self.find(tenant) {
            board.backlog.lock().give_up();
        }
    }

    /// Whether more waits for a tenant than may, and somebody derives it.
    pub(crate) fn is_behind(&self, tenant: &Tenant) -> bool {
        self.find(tenant).is_some_and(|board| board.backlog.lock().is_overdue() && board.deriving.is_locked())
    }

    /// Derives what waits for a tenant: all of it, or, if it is due now, whole turns. Nothing if
    /// somebody does so already: nobody waits for that on a thread.
    pub(crate) fn derive(&self, tenant: &Tenant, due: Due) {
        let Some(board) = self.find(tenant) else { return };
        let mut turns_min = usize::from(due == Due::Now);
        if turns_min == 0 {
            board.backlog.lock().give_up();
        }
        // Who comes when this one is about to end leaves it to this one.
        while turns_min == 0 || board.has_turn() {
            let Some(_deriving) = board.deriving.try_lock() else { return };
            while self.derive_some(tenant, &board, turns_min) {}
            turns_min = 1;
        }
    }

    /// While the log is read nobody else derives.
    fn derive_turns(&self, tenant: &Tenant) {
        let Some(board) = self.find(tenant) else { return };
        let _deriving = board.deriving.lock();
        while self.derive_some(tenant, &board, 1) {}
    }

    /// The counters with all that was applied until now.
    pub(crate) fn settled<'a>(&self, tenant: &Tenant, of_tenant: &'a OfTenant) -> Settled<'a> {
        let deriving = of_tenant.deriving.lock();
        while self.derive_some(tenant, of_tenant, 0) {}
        let (mut board, mut backlog) = (of_tenant.board.lock(), of_tenant.backlog.lock());
        // What came in between is little.
        loop {
            let taken = backlog.take();
            if taken.is_empty() {
                return Settled { board, _backlog: backlog, _deriving: deriving };
            }
            let (derived, _) = derive(tenant, &taken);
            board.count(&taken, &derived, self.limits);
            backlog.counted();
        }
    }

    /// By whom has the right: the next that can be derived together, if at least so many turns wait.
    /// Whether there was something.
    fn derive_some(&self, tenant: &Tenant, of_tenant: &OfTenant, turns_min: usize) -> bool {
        let (taken, deletions) = {
            let mut backlog = of_tenant.backlog.lock();
            match backlog.turns() >= turns_min {
                true => (backlog.take(), backlog.deletions()),
                false => return false,
            }
        };
        if taken.is_empty() {
            return false;
        }
        // Meanwhile requests are applied.
        let (derived, parted) = derive(tenant, &taken);
        let mut board = of_tenant.board.lock();
        if of_tenant.backlog.lock().deletions() == deletions {
            board.count(&taken, &derived, self.limits);
            let mut backlog = of_tenant.backlog.lock();
            backlog.counted();
            if parted {
                backlog.part();
            }
        }
        true
    }
}

impl Observer for Board {
    fn applied(&self, tenant: &Tenant, seq: Seq, note: Option<Box<dyn Any + Send>>) {
        if let Some(note) = note.and_then(|note| note.downcast::<Note>().ok()) {
            self.wait(tenant, seq, *note);
        }
        self.note_applied(tenant, seq);
    }

    /// In place, so that a tick under way finds nothing either.
    fn deleted(&self, tenant: &Tenant, seq: Seq) {
        self.note_applied(tenant, seq);
        let board = self.tenants.lock().get(tenant).map(Arc::clone);
        if let Some(board) = board {
            let mut counters = board.board.lock();
            *counters = TenantBoard::default();
            board.backlog.lock().delete();
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
            self.wait(tenant, seq, note);
            self.derive_turns(tenant);
        }
        self.note_applied(tenant, seq);
    }

    fn holds(&self) -> Option<Seq> {
        let boards = self.tenants();
        boards.iter().fold(None, |lowest, (_, board)| min_option(lowest, board.holds()))
    }

    fn wants_tick(&self) {
        self.tick_wanted.notify_one();
    }
}
