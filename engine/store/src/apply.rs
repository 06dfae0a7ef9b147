//! The one thread that makes records visible, in WAL order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use isinglass_model::{Clock, Kind};
use tokio::sync::Notify;

use crate::append::{Appended, Observer};
use crate::fence::Fenced;
use crate::head::Run;
use crate::pending::Pending;
use crate::series::SeriesTable;
use crate::tail::Tail;
use crate::tenant::Usage;
use crate::wal::{Job, Sink};
use crate::{Seq, StoreError};

use isinglass_model::series::SeriesRef;

/// Hands records from the log's writer to the applier. The channel needs no bound of its
/// own: a record in it still has its share of the queue's.
pub(crate) struct ToApplier {
    pub(crate) records: Sender<Vec<(Seq, Job<Pending>)>>,
}

impl Sink<Pending> for ToApplier {
    fn written(&self, records: Vec<(Seq, Job<Pending>)>) {
        // The applier ends after this sender is gone.
        let _ = self.records.send(records);
    }

    fn failed(&self, jobs: Vec<Job<Pending>>, error: StoreError) {
        for job in jobs {
            // Whoever waits for the answer may have gone.
            let _ = job.item.done.send(Err(error.clone()));
        }
    }
}

/// The applier.
pub(crate) struct Applier {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) usage: Arc<Usage>,
    /// The last record that is visible and that the observer knows of.
    pub(crate) applied: Arc<AtomicU64>,
    pub(crate) tail: Arc<Tail>,
    /// Whether flushes fail, so that a full head will not be empty soon.
    pub(crate) stalled: Arc<AtomicBool>,
    pub(crate) head_bytes: u64,
    /// With a newer writer on the tables nothing is acknowledged any more.
    pub(crate) fenced: Fenced,
    /// Woken when so many bytes are unflushed.
    pub(crate) flush: Arc<Notify>,
    pub(crate) flush_at_bytes: u64,
}

impl Applier {
    /// Runs until the log has ended.
    pub(crate) fn run(self, records: &Receiver<Vec<(Seq, Job<Pending>)>>) {
        for batch in records {
            for (seq, job) in batch {
                self.apply(seq, job.item);
                drop(job.permit);
            }
            if self.usage.total_bytes() >= self.flush_at_bytes {
                self.flush.notify_one();
            }
        }
    }

    fn apply(&self, seq: Seq, pending: Pending) {
        let Pending { tenant, runs, pairs, ticket, counts, note, deletes, done } = pending;
        let no_room = || self.stalled.load(Ordering::Relaxed) && self.usage.total_bytes() >= self.head_bytes;
        if self.tail.admit(seq, no_room) {
            let series = series_run(&tenant.series, pairs);
            tenant.apply(seq, series.into_iter().chain(runs).collect(), self.clock.monotonic());
            match deletes {
                true => {
                    tenant.end_at(seq);
                    self.observer.deleted(&tenant.name, seq);
                }
                false => self.observer.applied(&tenant.name, seq, note),
            }
            self.applied.store(seq, Ordering::Release);
        } else {
            // Durable, and seen when the reader of the log has come to it.
            tenant.expect(seq);
        }
        if let Some(fenced) = self.fenced.reason() {
            let _ = done.send(Err(fenced));
            return;
        }
        if let Some(ticket) = ticket {
            ticket.complete(counts);
        }
        // The sender may have gone; its rows stay.
        let _ = done.send(Ok(Appended { seq }));
    }
}

/// The rows of `series` that a record adds. Two requests on their way at the same time may
/// both hold the labels of a pair; only the first becomes a row.
pub(crate) fn series_run(table: &SeriesTable, mut pairs: Vec<(SeriesRef, i32)>) -> Option<(Kind, Run)> {
    pairs.retain(|(series, day)| {
        table.mark_stored(*series);
        table.days.of(*day).insert(*series)
    });
    (!pairs.is_empty()).then(|| (Kind::Series, Run::Series(pairs.into())))
}
