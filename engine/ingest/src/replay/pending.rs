//! What was made and is neither compared nor drafted yet, and hashes over all that was made.

use isinglass_model::batch::{ExemplarBatch, HistogramRow, SampleBatch};
use isinglass_model::labels::LabelSet;
use isinglass_model::series::SeriesRef;
use xxhash_rust::xxh3::Xxh3;

use super::histogram::Histogram;
use crate::derived::Tick;

/// About what a sample takes until it is drafted, as histograms are counted.
const SAMPLE_BYTES: usize = 256;

/// Rows of all three tables.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) samples: SampleBatch,
    pub(super) histograms: Vec<HistogramRow>,
    pub(super) exemplars: ExemplarBatch,
}

impl Pending {
    /// How many samples take as much memory.
    pub(super) fn weight(&self) -> usize {
        let of = |row: &HistogramRow| 1 + 16 * row.positive_buckets.len() / SAMPLE_BYTES;
        self.samples.len() + self.histograms.iter().map(of).sum::<usize>() + self.exemplars.len()
    }

    /// Rows before a time, and the others. An exemplar is where its row is, which may be earlier
    /// than what was drafted before.
    pub(super) fn split(self, time_ms: i64) -> (Self, Self) {
        let (mut before, mut later) = (Self::default(), Self::default());
        for (row, series) in self.samples.series.iter().enumerate() {
            let time = self.samples.time_ms[row];
            let part = if time < time_ms { &mut before } else { &mut later };
            part.samples.push(*series, time, self.samples.value[row], self.samples.start_ms_at(row));
        }
        (before.histograms, later.histograms) =
            self.histograms.into_iter().partition(|row| row.time_ms < time_ms);
        for row in 0..self.exemplars.len() {
            let part = if self.exemplars.time_ms[row] < time_ms { &mut before } else { &mut later };
            push_exemplar(&mut part.exemplars, &self.exemplars, row);
        }
        (before, later)
    }
}

/// Copies an exemplar.
pub(super) fn push_exemplar(to: &mut ExemplarBatch, from: &ExemplarBatch, row: usize) {
    to.series.push(from.series[row]);
    to.time_ms.push(from.time_ms[row]);
    to.value.push(from.value[row]);
    to.trace_id.push(from.trace_id[row]);
    to.span_id.push(from.span_id[row]);
    to.attributes.push(from.attributes[row].clone());
}

/// Number of rows, and a hash over all of them, in their order.
#[derive(Default)]
pub(super) struct Hashed {
    pub(super) rows: u64,
    hash: Xxh3,
}

impl Hashed {
    /// As reports have it.
    pub(super) fn digest(&self) -> String {
        format!("xxh3:{:032x}", self.hash.digest128())
    }

    fn begin(&mut self, labels: &[u8]) -> &mut Xxh3 {
        self.rows += 1;
        self.hash.update(&(labels.len() as u64).to_le_bytes());
        self.hash.update(labels);
        &mut self.hash
    }
}

/// Of each table.
#[derive(Default)]
pub(super) struct Digests {
    pub(super) samples: Hashed,
    pub(super) histograms: Hashed,
    pub(super) exemplars: Hashed,
}

impl Digests {
    /// Takes what a tick wrote of the time before `to_ms`: a stale marker may lie behind it.
    pub(super) fn take(&mut self, series: &[LabelSet], tick: Tick, to_ms: i64, pending: &mut Pending) {
        let labels = |of: SeriesRef| series.get(of.0 as usize).map_or(&[][..], |labels| labels.as_bytes());
        let Tick { samples, histograms, exemplars, .. } = tick;
        let rows = samples.series.iter().zip(&samples.time_ms).zip(&samples.value);
        for (row, ((of, time), value)) in rows.enumerate().filter(|(_, ((_, time), _))| **time < to_ms) {
            let start = samples.start_ms_at(row);
            pending.samples.push(*of, *time, *value, start);
            let hash = self.samples.begin(labels(*of));
            for part in [time.to_le_bytes(), value.to_bits().to_le_bytes(), start.to_le_bytes()] {
                hash.update(&part);
            }
        }
        for row in histograms.rows.into_iter().filter(|row| row.time_ms < to_ms) {
            Histogram::from(&row).hash_into(self.histograms.begin(labels(row.series)));
            pending.histograms.push(row);
        }
        for row in (0..exemplars.len()).filter(|row| exemplars.time_ms[*row] < to_ms) {
            let hash = self.exemplars.begin(labels(exemplars.series[row]));
            hash.update(&exemplars.time_ms[row].to_le_bytes());
            hash.update(&exemplars.value[row].to_bits().to_le_bytes());
            hash.update(&exemplars.trace_id[row].unwrap_or_default());
            hash.update(&exemplars.span_id[row].unwrap_or_default());
            push_exemplar(&mut pending.exemplars, &exemplars, row);
        }
    }
}
