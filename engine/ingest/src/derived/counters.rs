//! The counters of one tenant and one deriver.

use std::time::Duration;

use hashbrown::HashMap;
use isinglass_model::deltas::{Deltas, DerivedKind, DerivedMetric};
use isinglass_model::series::SeriesRef;

/// Where an exemplar points to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) value: f64,
    pub(crate) time_ms: i64,
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
}

/// One metric of one derived series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    /// Counter, or sum of the histogram.
    pub(crate) value: f64,
    /// Counts per bucket, not cumulative; empty for a counter.
    pub(crate) buckets: Vec<u64>,
    /// The latest exemplar per bucket since the last tick.
    pub(crate) exemplars: Vec<(usize, Exemplar)>,
    /// Whether the deriver ever gave this metric for this series.
    pub(crate) used: bool,
    /// Series of the samples it becomes, filled at its first tick; `None` where
    /// the validators refuse the labels or the tenant has no room for them.
    pub(crate) refs: Vec<Option<SeriesRef>>,
    /// Whether its first zero is written.
    pub(crate) opened: bool,
}

/// One set of label values.
#[derive(Debug)]
pub(crate) struct Derived {
    /// (name, value), names as the deriver gave them.
    pub(crate) labels: Vec<(String, String)>,
    /// One cell per declared metric.
    pub(crate) cells: Vec<Cell>,
    /// When it began to count, milliseconds since 1970.
    pub(crate) start_ms: i64,
    /// Monotonic time of its last increment.
    pub(crate) touched: Duration,
}

impl Derived {
    fn absorb(&mut self, later: Self) {
        self.touched = self.touched.max(later.touched);
        for (cell, later) in self.cells.iter_mut().zip(later.cells) {
            cell.value += later.value;
            cell.used |= later.used;
            cell.buckets.iter_mut().zip(later.buckets).for_each(|(count, later)| *count += later);
            cell.exemplars = later.exemplars;
        }
    }
}

/// All derived series of one tenant and deriver.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    by_labels: HashMap<Box<[u8]>, usize, ahash::RandomState>,
    series: Vec<Derived>,
    /// Increments that went into the overflow series.
    pub(crate) overflowed: u64,
}

/// What counting needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) unix_ms: i64,
    pub(crate) monotonic: Duration,
}

/// Label of the series that takes what comes beyond the cap.
const OVERFLOW: (&str, &str) = ("metric_overflow", "true");

impl Counters {
    /// Adds the increments of one batch. `exemplar_of` resolves an input row to
    /// its time and ids.
    pub(crate) fn add(
        &mut self,
        metrics: &[DerivedMetric],
        deltas: &Deltas,
        exemplar_of: &dyn Fn(u32, f64) -> Option<Exemplar>,
        series_max: usize,
        now: Now,
    ) {
        let slots: Vec<usize> =
            (0..deltas.series as usize).map(|row| self.slot(metrics, deltas, row, series_max, now)).collect();
        for increments in &deltas.increments {
            let metric = usize::from(increments.metric);
            let width = increments.buckets.len() / slots.len().max(1);
            for (row, slot) in slots.iter().enumerate() {
                let cell = &mut self.series[*slot].cells[metric];
                cell.used = true;
                cell.value += increments.values[row];
                for (bucket, count) in increments.buckets[row * width..][..width].iter().enumerate() {
                    cell.buckets[bucket] += count;
                }
            }
        }
        for exemplar in &deltas.exemplars {
            let metric = usize::from(exemplar.metric);
            let bucket = bucket_of(&metrics[metric].bounds, exemplar.value);
            let cell = &mut self.series[slots[exemplar.series as usize]].cells[metric];
            if let Some(found) = exemplar_of(exemplar.row, exemplar.value) {
                match cell.exemplars.iter_mut().find(|(at, _)| *at == bucket) {
                    Some((_, latest)) => *latest = found,
                    None => cell.exemplars.push((bucket, found)),
                }
            }
        }
    }

    /// The series of a row of `deltas`, made if it is new.
    fn slot(
        &mut self,
        metrics: &[DerivedMetric],
        deltas: &Deltas,
        row: usize,
        series_max: usize,
        now: Now,
    ) -> usize {
        let mut key = Vec::with_capacity(64);
        for label in &deltas.labels {
            push_text(&mut key, &label.values[label.keys[row] as usize]);
        }
        if let Some(slot) = self.by_labels.get(key.as_slice()) {
            self.series[*slot].touched = now.monotonic;
            return *slot;
        }
        let mut labels: Vec<(String, String)> = deltas
            .labels
            .iter()
            .map(|label| (label.name.clone(), label.values[label.keys[row] as usize].clone()))
            .collect();
        if self.series.len() >= series_max {
            self.overflowed += 1;
            labels = vec![(OVERFLOW.0.to_owned(), OVERFLOW.1.to_owned())];
            // Cannot be the key of a row: those are sequences of length and text.
            key = b"overflow".to_vec();
            if let Some(slot) = self.by_labels.get(key.as_slice()) {
                self.series[*slot].touched = now.monotonic;
                return *slot;
            }
        }
        self.by_labels.insert(key.into(), self.series.len());
        self.series.push(Derived {
            labels,
            cells: metrics.iter().map(empty_cell).collect(),
            start_ms: now.unix_ms,
            touched: now.monotonic,
        });
        self.series.len() - 1
    }

    /// Adds what later counters have: they took the place of these for nothing.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.overflowed += later.overflowed;
        let mut series: Vec<Option<Derived>> = later.series.into_iter().map(Some).collect();
        for (key, slot) in later.by_labels {
            let Some(one) = series[slot].take() else { continue };
            match self.by_labels.get(&key) {
                Some(known) => self.series[*known].absorb(one),
                None => {
                    self.by_labels.insert(key, self.series.len());
                    self.series.push(one);
                }
            }
        }
    }

    /// Whether any series began to count before a time, milliseconds since 1970.
    pub(crate) fn began_before(&self, unix_ms: i64) -> bool {
        self.series.iter().any(|series| series.start_ms < unix_ms)
    }

    /// Whether there is no series.
    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// All series.
    pub(crate) fn series_mut(&mut self) -> &mut [Derived] {
        &mut self.series
    }

    /// Ends the series that got nothing since `before` and gives them back.
    pub(crate) fn take_stale(&mut self, before: Duration) -> Vec<Derived> {
        if self.series.iter().all(|series| series.touched >= before) {
            return Vec::new();
        }
        let mut moved = vec![None; self.series.len()];
        let mut stale = Vec::new();
        let mut kept = Vec::new();
        for (slot, series) in std::mem::take(&mut self.series).into_iter().enumerate() {
            if series.touched < before {
                stale.push(series);
            } else {
                moved[slot] = Some(kept.len());
                kept.push(series);
            }
        }
        self.series = kept;
        self.by_labels.retain(|_, slot| match moved[*slot] {
            Some(to) => {
                *slot = to;
                true
            }
            None => false,
        });
        stale
    }
}

fn empty_cell(metric: &DerivedMetric) -> Cell {
    let buckets = match metric.kind {
        DerivedKind::Counter => Vec::new(),
        DerivedKind::Histogram => vec![0; metric.bounds.len() + 1],
    };
    Cell { buckets, ..Cell::default() }
}

fn push_text(key: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    key.extend_from_slice(&length.to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

/// The bucket of a value: the first whose upper bound is not below it.
fn bucket_of(bounds: &[f64], value: f64) -> usize {
    bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use isinglass_model::deltas::{DerivedIncrements, DerivedLabel};

    use super::*;

    fn metrics() -> Vec<DerivedMetric> {
        let metric = |name: &str, kind, bounds| DerivedMetric {
            name: name.to_owned(),
            kind,
            help: String::new(),
            unit: String::new(),
            bounds,
        };
        vec![
            metric("calls_total", DerivedKind::Counter, vec![]),
            metric("latency", DerivedKind::Histogram, vec![1.0, 2.0]),
        ]
    }

    fn deltas(services: &[&str]) -> Deltas {
        let n = services.len();
        Deltas {
            binding: 0,
            series: u32::try_from(n).unwrap(),
            labels: vec![DerivedLabel {
                name: "service".into(),
                keys: (0..u32::try_from(n).unwrap()).collect(),
                values: services.iter().map(|s| (*s).to_owned()).collect(),
            }],
            increments: vec![
                DerivedIncrements { metric: 0, values: vec![2.0; n], buckets: vec![] },
                DerivedIncrements { metric: 1, values: vec![0.5; n], buckets: [1, 0, 1].repeat(n) },
            ],
            exemplars: vec![],
        }
    }

    fn at(seconds: u64) -> Now {
        Now { unix_ms: i64::try_from(seconds).unwrap() * 1_000, monotonic: Duration::from_secs(seconds) }
    }

    #[test]
    fn increments_add_up_per_label_set() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a", "b"]), &|_, _| None, 10, at(1));
        counters.add(&metrics(), &deltas(&["b"]), &|_, _| None, 10, at(2));
        let series = counters.series_mut();
        assert_eq!(series[0].cells[0].value, 2.0);
        assert_eq!(series[1].cells[0].value, 4.0);
        assert_eq!(series[1].cells[1].buckets, [2, 0, 2]);
        assert_eq!(series[1].start_ms, 1_000);
    }

    #[test]
    fn beyond_the_cap_everything_is_counted_in_one_series() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a", "b", "c", "d"]), &|_, _| None, 2, at(1));
        assert_eq!(counters.series_mut().len(), 3);
        let overflow = &counters.series_mut()[2];
        assert_eq!(overflow.labels, [("metric_overflow".to_owned(), "true".to_owned())]);
        assert_eq!(overflow.cells[0].value, 4.0);
    }

    #[test]
    fn stale_series_end_and_the_others_keep_counting() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a"]), &|_, _| None, 10, at(1));
        counters.add(&metrics(), &deltas(&["b"]), &|_, _| None, 10, at(100));
        let stale = counters.take_stale(Duration::from_secs(50));
        assert_eq!(stale.len(), 1);
        assert_eq!(stale[0].labels[0].1, "a");
        counters.add(&metrics(), &deltas(&["b", "a"]), &|_, _| None, 10, at(101));
        assert_eq!(counters.series_mut()[0].cells[0].value, 4.0);
        assert_eq!(counters.series_mut()[1].start_ms, 101_000);
    }

    #[test]
    fn counters_that_began_anew_for_nothing_go_on() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a", "b"]), &|_, _| None, 10, at(1));
        let mut later = Counters::default();
        later.add(&metrics(), &deltas(&["b", "c"]), &|_, _| None, 10, at(2));
        counters.absorb(later);
        counters.add(&metrics(), &deltas(&["c"]), &|_, _| None, 10, at(3));
        let values: Vec<_> = counters.series_mut().iter().map(|one| one.cells[0].value).collect();
        assert_eq!(values, [2.0, 4.0, 4.0]);
        assert_eq!(counters.series_mut()[1].cells[1].buckets, [2, 0, 2]);
        assert!(counters.began_before(1_001) && !counters.began_before(1_000));
    }

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        assert_eq!(bucket_of(&[1.0, 2.0], 1.0), 0);
        assert_eq!(bucket_of(&[1.0, 2.0], 1.5), 1);
        assert_eq!(bucket_of(&[1.0, 2.0], 9.0), 2);
    }
}
