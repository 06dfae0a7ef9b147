//! An append on its way: what goes into the log, and what is done after.

use std::sync::Arc;

use isinglass_model::batch::{ExemplarBatch, HistogramBatch, SampleBatch};
use isinglass_model::ids::day_of_millis;
use isinglass_model::series::SeriesRef;
use isinglass_model::{Counts, Kind, Tenant};
use tokio::sync::oneshot;

use crate::StoreError;
use crate::append::{Append, Appended, Note};
use crate::dedup::Ticket;
use crate::head::{Rows, Run, SampleRun, exemplar_rows, histogram_rows};
use crate::series::{DaySet, SeriesTable};
use crate::tenant::TenantState;
use crate::wal::record::{self, Head};
use crate::wal::section::{put_samples, put_series, put_table};

/// What the applier does with a record once the log has it.
pub(crate) struct Pending {
    pub(crate) tenant: Arc<TenantState>,
    pub(crate) runs: Vec<(Kind, Run)>,
    /// Pairs that the record holds the labels of.
    pub(crate) pairs: Vec<(SeriesRef, i32)>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) counts: Counts,
    pub(crate) note: Option<Note>,
    /// Whether the record deletes the tenant.
    pub(crate) deletes: bool,
    pub(crate) done: oneshot::Sender<Result<Appended, StoreError>>,
}

/// Encodes an append: the body of its record, how much of that stands before the sections,
/// and what becomes visible after.
pub(crate) fn prepare(
    append: Append,
    tenant: Arc<TenantState>,
    time_unix_ms: i64,
    done: oneshot::Sender<Result<Appended, StoreError>>,
) -> Result<(Vec<u8>, usize, Pending), StoreError> {
    let Append {
        ticket,
        counts,
        samples,
        histograms,
        exemplars,
        logs,
        spans,
        rejected,
        shadow,
        reingested,
        tick,
        note,
        tenant: name,
        life: _,
    } = append;
    let key = ticket.as_ref().map(Ticket::key);
    let head = Head { tenant: name, time_unix_ms, key, tick, deletes: false, counts };
    let mut body = record::begin(&head);
    let head_bytes = body.len();
    let table = &tenant.series;

    let pairs = unrecorded(table, &samples, &histograms, &exemplars);
    if !pairs.is_empty() {
        record::section(&mut body, Kind::Series, |out| put_series(out, &pairs, table))?;
    }
    let mut runs = Vec::new();
    if !samples.is_empty() {
        let run = SampleRun::from_batch(samples);
        record::section(&mut body, Kind::Samples, |out| {
            put_samples(out, &run, table);
            Ok(())
        })?;
        runs.push((Kind::Samples, Run::Samples(Arc::new(run))));
    }
    let histograms = (!histograms.is_empty()).then(|| histogram_rows(&histograms, table)).transpose()?;
    let exemplars = (!exemplars.is_empty()).then(|| exemplar_rows(&exemplars, table)).transpose()?;
    let tables = [
        (Kind::Histograms, histograms),
        (Kind::Exemplars, exemplars),
        (Kind::Logs, logs),
        (Kind::Spans, spans),
        (Kind::Rejected, rejected),
        (Kind::Shadow, shadow),
        (Kind::Reingested, reingested),
    ];
    for (kind, batch) in tables {
        if let Some(batch) = batch.filter(|batch| batch.num_rows() > 0) {
            let rows = Rows::new(kind, batch)?;
            record::section(&mut body, kind, |out| put_table(out, kind, &rows.batch))?;
            runs.push((kind, Run::Rows(Arc::new(rows))));
        }
    }
    let counts = head.counts;
    let pending = Pending { tenant, runs, pairs, ticket, counts, note, deletes: false, done };
    Ok((body, head_bytes, pending))
}

/// Encodes the deletion of a tenant: a head without sections.
pub(crate) fn prepare_deletion(
    tenant: Arc<TenantState>,
    time_unix_ms: i64,
    done: oneshot::Sender<Result<Appended, StoreError>>,
) -> (Vec<u8>, usize, Pending) {
    let name: Tenant = tenant.name.clone();
    let counts = Counts::default();
    let head = Head { tenant: name, time_unix_ms, key: None, tick: None, deletes: true, counts };
    let body = record::begin(&head);
    let (bytes, counts) = (body.len(), head.counts);
    let (runs, pairs) = (Vec::new(), Vec::new());
    (body, bytes, Pending { tenant, runs, pairs, ticket: None, counts, note: None, deletes: true, done })
}

/// (series, UTC day) pairs of these rows that no earlier record holds, each once.
fn unrecorded(
    table: &SeriesTable,
    samples: &SampleBatch,
    histograms: &HistogramBatch,
    exemplars: &ExemplarBatch,
) -> Vec<(SeriesRef, i32)> {
    let mut finder = Unrecorded { table, today: None, found: Vec::new() };
    samples.series.iter().zip(&samples.time_ms).for_each(|(series, time)| finder.look(*series, *time));
    histograms.rows.iter().for_each(|row| finder.look(row.series, row.time_ms));
    exemplars.series.iter().zip(&exemplars.time_ms).for_each(|(series, time)| finder.look(*series, *time));
    let mut found = finder.found;
    found.sort_unstable();
    found.dedup();
    found
}

struct Unrecorded<'a> {
    table: &'a SeriesTable,
    /// The day of the last row: its number, its first and last millisecond, its set.
    today: Option<(i32, i64, i64, Arc<DaySet>)>,
    found: Vec<(SeriesRef, i32)>,
}

impl Unrecorded<'_> {
    #[inline]
    fn look(&mut self, series: SeriesRef, time_ms: i64) {
        const DAY_MS: i64 = 86_400_000;
        let (day, set) = match &self.today {
            Some((day, first, last, set)) if *first <= time_ms && time_ms <= *last => (*day, set),
            _ => {
                let day = day_of_millis(time_ms);
                let first = time_ms.saturating_sub(time_ms.rem_euclid(DAY_MS));
                let today = (day, first, first.saturating_add(DAY_MS - 1), self.table.days.of(day));
                let today = self.today.insert(today);
                (today.0, &today.3)
            }
        };
        if !set.contains(series) {
            self.found.push((series, day));
        }
    }
}
