//! What is appended, and who is told of it.

use std::any::Any;

use arrow_array::RecordBatch;
use isinglass_model::batch::{ExemplarBatch, HistogramBatch, SampleBatch};
use isinglass_model::{Counts, Tenant};

use crate::dedup::Ticket;

/// Position of a record in the WAL; the first one is 1.
pub type Seq = u64;

/// Identity of a batch: the sender's header or a hash of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchKey(pub u128);

/// Marks a record that holds derived samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// The last record whose deltas these samples include.
    pub covers: Seq,
}

/// Which life of a tenant: after its deletion another one begins, and series refs of the
/// life before mean nothing in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life(pub(crate) u32);

impl Life {
    /// Its number, which tells it from others of the tenant.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// One request as it is stored: one WAL record, there whole or not at all.
#[derive(Debug)]
pub struct Append {
    /// Whose.
    pub tenant: Tenant,
    /// The life of the [`crate::Resolver`] that the series come from: if the tenant was
    /// deleted since, the append is refused and can be sent again. By default the first.
    pub life: Life,
    /// From [`crate::Store::begin`]; `None` if it need not be recognised again.
    pub ticket: Option<Ticket>,
    /// What the sender is told, also if it sends the same batch again.
    pub counts: Counts,
    /// Float samples. Their series come from this store's [`crate::Resolver`].
    pub samples: SampleBatch,
    /// Native histograms.
    pub histograms: HistogramBatch,
    /// Exemplars.
    pub exemplars: ExemplarBatch,
    /// Rows of `logs` in batch types.
    pub logs: Option<RecordBatch>,
    /// Rows of `spans` in batch types.
    pub spans: Option<RecordBatch>,
    /// Rows of `rejected` in batch types.
    pub rejected: Option<RecordBatch>,
    /// Rows of `shadow` in batch types.
    pub shadow: Option<RecordBatch>,
    /// Rows of `reingested` in batch types.
    pub reingested: Option<RecordBatch>,
    /// Present on the record of a tick.
    pub tick: Option<Tick>,
    /// Handed to [`Observer::applied`] after the sync.
    pub note: Option<Note>,
}

/// Whatever the observer wants back.
pub type Note = Box<dyn Any + Send>;

impl Append {
    /// Whether it refers to series.
    pub(crate) fn has_series(&self) -> bool {
        !(self.samples.is_empty() && self.histograms.is_empty() && self.exemplars.is_empty())
    }

    /// An append without rows.
    pub fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            life: Life::default(),
            ticket: None,
            counts: Counts::default(),
            samples: SampleBatch::default(),
            histograms: HistogramBatch::default(),
            exemplars: ExemplarBatch::default(),
            logs: None,
            spans: None,
            rejected: None,
            shadow: None,
            reingested: None,
            tick: None,
            note: None,
        }
    }
}

/// An append that is durable and visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its record.
    pub seq: Seq,
}

/// Told of every record, in WAL order, by one thread. `ingest` keeps derived
/// metrics with it. Calls must be short: appends wait for them.
pub trait Observer: Send + Sync {
    /// A record was synced and is visible.
    fn applied(&self, tenant: &Tenant, seq: Seq, note: Option<Note>);

    /// Everything of the tenant up to this record is deleted. Comes at its place among the
    /// calls of [`Observer::applied`] and [`Observer::replayed`].
    fn deleted(&self, _tenant: &Tenant, _seq: Seq) {}

    /// A tick that the log holds, told before any record is replayed.
    fn ticked(&self, _tenant: &Tenant, _tick: Tick) {}

    /// Whether [`Observer::replayed`] is to be shown the rows of this record.
    fn wants(&self, _tenant: &Tenant, _seq: Seq) -> bool {
        true
    }

    /// A record was read from the log: at start every one that it still holds, flushed or
    /// not; later one that was acknowledged while the head was full. Each record comes
    /// either here or to [`Observer::applied`].
    fn replayed(
        &self,
        tenant: &Tenant,
        seq: Seq,
        spans: Option<&RecordBatch>,
        logs: Option<&RecordBatch>,
        tick: Option<Tick>,
    );

    /// The lowest record that no tick covers yet: the WAL keeps it and all later ones.
    fn holds(&self) -> Option<Seq>;

    /// The WAL has become long, and what [`Observer::holds`] says is in its oldest segment: a tick
    /// that does not wait for its time would let go of it.
    fn wants_tick(&self) {}
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn applied(&self, _: &Tenant, _: Seq, _: Option<Note>) {}
    fn replayed(
        &self,
        _: &Tenant,
        _: Seq,
        _: Option<&RecordBatch>,
        _: Option<&RecordBatch>,
        _: Option<Tick>,
    ) {
    }
    fn wants(&self, _: &Tenant, _: Seq) -> bool {
        false
    }
    fn holds(&self) -> Option<Seq> {
        None
    }
}
