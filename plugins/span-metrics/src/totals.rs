//! Adding up.

use isinglass_plugin::{Deltas, Groups, HistogramIncrements};

use crate::Spans;
use crate::form::Form;
use crate::weights::Weights;

/// Sums per group.
pub(crate) struct Totals {
    sums: Vec<Sums>,
    /// Counts per group and bucket.
    counts: Vec<f64>,
    buckets: usize,
}

/// What is touched for every span, in one cache line. Sums are whole numbers
/// and so exact up to 2^53: 104 days of latency, 8 PiB.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    calls: f64,
    nanos: f64,
    bytes: f64,
    /// The last span, for the exemplar.
    row: u32,
}

/// Numbers of the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) calls: u16,
    pub(crate) latency: u16,
    pub(crate) size: Option<u16>,
}

impl Totals {
    pub(crate) fn of(spans: &Spans<'_>, groups: &Groups, form: &Form, weights: &Weights) -> Self {
        let buckets = form.buckets();
        let width = buckets.map_or(0, |buckets| buckets.count());
        let mut totals = Self {
            sums: vec![Sums::default(); groups.len()],
            counts: vec![0.0; groups.len() * width],
            buckets: width,
        };
        let durations = spans.duration.values().iter().map(|duration| (*duration).max(0));
        let values = durations.zip(spans.size_bytes.values());
        let rows = (0..).zip(groups.ids().iter().zip(values));
        match (weights.all(), buckets) {
            (None, Some(buckets)) => {
                for (row, (group, (nanos, bytes))) in rows {
                    totals.counts[*group as usize * width + buckets.of(nanos)] += 1.0;
                    totals.add(row, *group as usize, nanos, *bytes, 1.0);
                }
            }
            (weights, buckets) => {
                for (row, (group, (nanos, bytes))) in rows {
                    let weight = weights.map_or(1.0, |weights| weights[row as usize]);
                    if let Some(buckets) = buckets {
                        totals.counts[*group as usize * width + buckets.of(nanos)] += weight;
                    }
                    totals.add(row, *group as usize, nanos, *bytes, weight);
                }
            }
        }
        totals
    }

    #[inline]
    fn add(&mut self, row: u32, group: usize, nanos: i64, bytes: i64, weight: f64) {
        let sums = &mut self.sums[group];
        sums.calls += weight;
        sums.nanos += nanos as f64 * weight;
        sums.bytes += bytes as f64 * weight;
        sums.row = row;
    }

    /// Hands everything over.
    pub(crate) fn write(
        self,
        (spans, groups, weights): (&Spans<'_>, &Groups, &Weights),
        (form, numbers, exemplars): (&Form, Numbers, bool),
        deltas: &mut Deltas,
        histograms: &mut Vec<HistogramIncrements>,
    ) {
        debug_assert_eq!(self.counts.len(), self.sums.len() * self.buckets);
        if exemplars {
            for (series, sums) in (0..).zip(&self.sums) {
                let nanos = spans.duration.values()[sums.row as usize].max(0);
                deltas.exemplar(numbers.latency, series, form.value(nanos as f64), sums.row);
            }
        }
        deltas.counter(numbers.calls, self.sums.iter().map(|sums| sums.calls).collect());
        if let Some(size) = numbers.size {
            deltas.counter(size, self.sums.iter().map(|sums| sums.bytes).collect());
        }
        let exponential =
            form.exponential(groups.len(), groups.ids(), spans.duration.values(), weights.all());
        let nanos = self.sums.iter().map(|sums| sums.nanos);
        histograms.push(form.increments(numbers.latency, nanos, self.counts, exponential));
    }
}
