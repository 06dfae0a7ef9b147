//! Rows of one tick after the other into samples, native histograms and exemplars, as intake and its ticks make them.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use isinglass_chain::{Again, Chain};
use isinglass_model::batch::{LogBatch, SeriesBatch, SpanBatch};
use isinglass_model::deltas::{DerivedMetric, Pairing};
use isinglass_model::labels::LabelSet;
use isinglass_model::series::SeriesRef;
use isinglass_model::{Kind, Tenant};

use super::ReplayError;
use crate::derived::{
    Counters, Joined, Limits, Now, Pairs, Points, Tick, exponential_set, label_sets, write_end, write_series,
};

/// The counters of a replay. Its clock is that of the rows.
pub(super) struct Derivation {
    pub(super) again: Arc<Again>,
    /// Whose validators judge label sets.
    pub(super) chain: Arc<Chain>,
    pub(super) tenant: Tenant,
    pub(super) metrics: Arc<[DerivedMetric]>,
    pub(super) limits: Limits,
    pub(super) stale_after: Duration,
    pub(super) counters: Counters,
    /// Rows that wait for another, if the deriver gives such.
    pub(super) pairs: Pairs,
    pub(super) pairing: Option<Arc<Pairing>>,
    /// A label of exemplars with the trace's id; empty = none.
    pub(super) exemplar_label: Arc<str>,
    /// Label sets by the refs that samples have here.
    pub(super) series: Vec<LabelSet>,
    /// Label sets that validators refuse.
    pub(super) refused: u64,
}

impl Derivation {
    /// Counts rows that come within the tick that begins at `start_ms`.
    pub(super) fn count(&mut self, kind: Kind, rows: RecordBatch, start_ms: i64) -> Result<(), ReplayError> {
        let now = Now { unix_ms: start_ms, monotonic: virtual_monotonic(start_ms) };
        let nanos = start_ms.saturating_mul(1_000_000);
        let pointed_to = rows.clone();
        let points = Points::of(std::slice::from_ref(&pointed_to));
        let exemplar_of = |row, value| points.at(row, value);
        let all = match kind {
            Kind::Logs => {
                let batch = LogBatch { table: rows, attributes: None, stream_labels: Vec::new(), bytes: 0 };
                self.again.derive(&batch, nanos)
            }
            _ => self.again.derive(&SpanBatch { table: rows, attributes: None }, nanos),
        };
        for deltas in all.map_err(|failure| ReplayError::Plugin { time_ms: start_ms, failure })? {
            self.counters.add(&self.metrics, &deltas, &exemplar_of, self.limits, now);
            if let (Some(halves), Some(pairing)) = (&deltas.halves, &self.pairing) {
                let joined = self.pairs.take(pairing, &self.metrics, halves, &exemplar_of, now.monotonic);
                self.add_joined(&joined, now);
            }
        }
        Ok(())
    }

    fn add_joined(&mut self, joined: &Joined, now: Now) {
        let point = |row: u32, _| joined.points.get(row as usize).copied();
        for deltas in &joined.deltas {
            self.counters.add(&self.metrics, deltas, &point, self.limits, now);
        }
    }

    /// Ends the wait of rows that waited long enough, or of all.
    fn expire(&mut self, now_ms: i64, all: bool) {
        let Some(pairing) = &self.pairing else { return };
        let now = Now { unix_ms: now_ms, monotonic: virtual_monotonic(now_ms) };
        let joined = match all {
            true => self.pairs.drain(pairing, &self.metrics),
            false => self.pairs.expire(pairing, &self.metrics, now.monotonic),
        };
        self.add_joined(&joined, now);
    }

    /// Whether a tick would write nothing.
    pub(super) fn is_idle(&self) -> bool {
        self.counters.is_empty() && self.pairs.is_empty()
    }

    /// What a tick at this time writes. After the last one nothing waits any more.
    pub(super) fn tick(&mut self, now_ms: i64, last: bool) -> Tick {
        self.expire(now_ms, last);
        self.open_series(now_ms);
        let mut tick = Tick::default();
        for series in self.counters.series_mut() {
            write_series(series, &self.metrics, &self.exemplar_label, now_ms, &mut tick);
        }
        for series in self.counters.take_stale(virtual_monotonic(now_ms).saturating_sub(self.stale_after)) {
            write_end(&series, now_ms, &mut tick);
        }
        tick
    }

    fn open_series(&mut self, now_ms: i64) {
        let first = self.series.len();
        let Self { counters, metrics, series: known, .. } = self;
        for series in counters.series_mut() {
            for (cell, metric) in series.cells.iter_mut().zip(metrics.iter()) {
                if cell.used && !cell.resolved {
                    cell.resolved = true;
                    let mut given = |set: Option<LabelSet>| {
                        known.push(set?);
                        u32::try_from(known.len() - 1).ok().map(SeriesRef)
                    };
                    cell.refs = label_sets(&series.labels, metric).into_iter().map(&mut given).collect();
                    if metric.exponential_buckets_max > 0 {
                        cell.exponential_ref = given(exponential_set(&series.labels, metric));
                    }
                }
            }
        }
        if known.len() > first {
            self.judge(first, now_ms);
        }
    }

    /// Takes out label sets that validators would not let pass.
    fn judge(&mut self, first: usize, now_ms: i64) {
        let batch = SeriesBatch { labels: self.series[first..].to_vec() };
        let verdicts = self.chain.validate(&self.tenant, &batch, now_ms.saturating_mul(1_000_000));
        if verdicts.keeps_all() {
            return;
        }
        let is_kept = |series: &SeriesRef| {
            (series.0 as usize).checked_sub(first).is_none_or(|row| verdicts.refusal(row).is_none())
        };
        for cell in self.counters.series_mut().iter_mut().flat_map(|series| &mut series.cells) {
            for series in cell.refs.iter_mut().chain([&mut cell.exponential_ref]) {
                let kept = series.filter(is_kept);
                self.refused += u64::from(series.is_some() && kept.is_none());
                *series = kept;
            }
        }
    }
}

/// The monotonic clock of a replay: that of the rows.
fn virtual_monotonic(unix_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0))
}
