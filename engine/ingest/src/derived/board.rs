//! The counters of all tenants, fed by the store in the order of the WAL.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use hashbrown::HashMap;
use isinglass_chain::Chain;
use isinglass_model::batch::SpanBatch;
use isinglass_model::deltas::{Deltas, DerivedMetric};
use isinglass_model::{Clock, Tenant};
use isinglass_store::{Life, Observer, Seq, Tick as TickMark};
use parking_lot::{Mutex, RwLock};

use super::counters::{Counters, Exemplar, Now};
use super::ledger::{Ledger, min_option};

/// What travels with a batch through the WAL's queue to its counters.
pub(crate) struct Note {
    pub(crate) deltas: Vec<Deltas>,
    /// The spans that exemplars point to.
    pub(crate) spans: Option<RecordBatch>,
}

/// One tenant's counters.
#[derive(Debug, Default)]
pub(crate) struct TenantBoard {
    pub(crate) ledger: Ledger,
    /// One per deriver, in the order of [`Board::metrics`].
    pub(crate) counters: Vec<Counters>,
    /// Time of the last tick, so that the next one is later.
    pub(crate) last_tick_ms: i64,
    /// The life of the tenant that the series of the counters belong to, once they have any.
    pub(crate) life: Option<Life>,
}

/// Up to which record the counters of each tenant are in ticks that the log holds.
type Ticked = HashMap<Tenant, Seq, ahash::RandomState>;

/// All tenants.
pub(crate) struct Board {
    chain: Arc<Chain>,
    clock: Arc<dyn Clock>,
    series_max: usize,
    stale_after: Duration,
    tenants: Mutex<HashMap<Tenant, Arc<Mutex<TenantBoard>>, ahash::RandomState>>,
    ticked: RwLock<Ticked>,
}

impl Board {
    pub(crate) fn new(
        chain: Arc<Chain>,
        clock: Arc<dyn Clock>,
        series_max: usize,
        stale_after: Duration,
    ) -> Self {
        Self { chain, clock, series_max, stale_after, tenants: Mutex::default(), ticked: RwLock::default() }
    }

    /// Tenants that ever had a derived series, with their boards.
    pub(crate) fn tenants(&self) -> Vec<(Tenant, Arc<Mutex<TenantBoard>>)> {
        self.tenants.lock().iter().map(|(tenant, board)| (tenant.clone(), Arc::clone(board))).collect()
    }

    /// What the derivers write, in the order of [`TenantBoard::counters`].
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &[DerivedMetric]> {
        self.chain.derivers().iter().map(|deriver| deriver.metrics.as_slice())
    }

    /// Series that got nothing since then are stale.
    pub(crate) fn stale_before(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.stale_after)
    }

    fn board(&self, tenant: &Tenant) -> Arc<Mutex<TenantBoard>> {
        let mut tenants = self.tenants.lock();
        let board = tenants.entry(tenant.clone()).or_insert_with(|| Arc::new(Mutex::new(self.empty())));
        Arc::clone(board)
    }

    fn empty(&self) -> TenantBoard {
        let counters = self.chain.derivers().iter().map(|_| Counters::default()).collect();
        TenantBoard { counters, ..TenantBoard::default() }
    }

    fn count(&self, tenant: &Tenant, seq: Seq, note: &Note) {
        let now = Now { unix_ms: self.clock.now_unix_millis(), monotonic: self.clock.monotonic() };
        let board = self.board(tenant);
        let mut board = board.lock();
        board.ledger.count(seq);
        for deltas in &note.deltas {
            let derivers = self.chain.derivers();
            let Some(at) = derivers.iter().position(|deriver| deriver.binding == deltas.binding) else {
                continue;
            };
            let exemplar_of = |row, value| note.spans.as_ref().and_then(|spans| exemplar(spans, row, value));
            board.counters[at].add(&derivers[at].metrics, deltas, &exemplar_of, self.series_max, now);
        }
    }
}

impl Observer for Board {
    fn applied(&self, tenant: &Tenant, seq: Seq, note: Option<Box<dyn Any + Send>>) {
        if let Some(note) = note.and_then(|note| note.downcast::<Note>().ok()) {
            self.count(tenant, seq, &note);
        }
    }

    /// In place, so that a tick under way finds nothing either.
    fn deleted(&self, tenant: &Tenant, _seq: Seq) {
        let board = self.tenants.lock().get(tenant).map(Arc::clone);
        if let Some(board) = board {
            *board.lock() = self.empty();
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
        _logs: Option<&RecordBatch>,
        _tick: Option<TickMark>,
    ) {
        if !self.wants(tenant, seq) {
            return;
        }
        let Some(spans) = spans.filter(|spans| spans.num_rows() > 0) else { return };
        let batch = SpanBatch { table: spans.clone(), attributes: None };
        let deltas = self.chain.derive(tenant, &batch, self.clock.now_unix_nanos());
        if !deltas.is_empty() {
            self.count(tenant, seq, &Note { deltas, spans: Some(spans.clone()) });
        }
    }

    fn holds(&self) -> Option<Seq> {
        let boards = self.tenants();
        boards.iter().fold(None, |lowest, (_, board)| min_option(lowest, board.lock().ledger.holds()))
    }
}

/// The exemplar that a row of a span batch is: at the span's start, with its ids.
fn exemplar(spans: &RecordBatch, row: u32, value: f64) -> Option<Exemplar> {
    let row = row as usize;
    let time = spans.column_by_name("time")?.as_primitive_opt::<Int64Type>()?;
    let trace_id = spans.column_by_name("trace_id")?.as_fixed_size_binary_opt()?;
    let span_id = spans.column_by_name("span_id")?.as_fixed_size_binary_opt()?;
    (row < time.len()).then_some(())?;
    Some(Exemplar {
        value,
        time_ms: time.value(row).div_euclid(1_000_000),
        trace_id: trace_id.value(row).try_into().ok()?,
        span_id: span_id.value(row).try_into().ok()?,
    })
}
