//! Adding up.

use isinglass_plugin::{Deltas, Groups};

use crate::buckets::Buckets;
use crate::{CALLS, LATENCY, SIZE, Spans};

/// Sums per group.
pub(crate) struct Totals {
    sums: Vec<Sums>,
    /// Counts per group and bucket.
    counts: Vec<u64>,
    buckets: usize,
}

/// What is touched for every span, in one cache line. Sums are whole numbers
/// and so exact up to 2^53: 104 days of latency, 8 PiB.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    nanos: f64,
    bytes: f64,
    /// The last span, for the exemplar.
    row: u32,
}

impl Totals {
    pub(crate) fn of(spans: &Spans<'_>, groups: &Groups, buckets: &Buckets) -> Self {
        let mut totals = Self {
            sums: vec![Sums::default(); groups.len()],
            counts: vec![0; groups.len() * buckets.count()],
            buckets: buckets.count(),
        };
        let values = spans.duration.values().iter().zip(spans.size_bytes.values());
        for (row, (group, (duration, bytes))) in (0..).zip(groups.ids().iter().zip(values)) {
            totals.add(row, *group as usize, (*duration).max(0), *bytes, buckets);
        }
        totals
    }

    #[inline]
    fn add(&mut self, row: u32, group: usize, nanos: i64, bytes: i64, buckets: &Buckets) {
        self.counts[group * self.buckets + buckets.of(nanos)] += 1;
        let sums = &mut self.sums[group];
        sums.nanos += nanos as f64;
        sums.bytes += bytes as f64;
        sums.row = row;
    }

    /// Hands everything over.
    pub(crate) fn write(self, deltas: &mut Deltas, spans: &Spans<'_>, exemplars: bool) {
        if exemplars {
            for (series, sums) in (0..).zip(&self.sums) {
                let nanos = spans.duration.values()[sums.row as usize].max(0);
                deltas.exemplar(LATENCY, series, nanos as f64 / 1e9, sums.row);
            }
        }
        let calls = self.counts.chunks_exact(self.buckets).map(|counts| counts.iter().sum::<u64>() as f64);
        deltas.counter(CALLS, calls.collect());
        deltas.histogram(LATENCY, self.sums.iter().map(|sums| sums.nanos / 1e9).collect(), self.counts);
        deltas.counter(SIZE, self.sums.iter().map(|sums| sums.bytes).collect());
    }
}
