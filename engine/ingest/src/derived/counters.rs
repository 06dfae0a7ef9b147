//! The counters of one tenant and one deriver.

use std::time::Duration;

use hashbrown::HashMap;
use isinglass_model::deltas::{Deltas, DerivedIncrements, DerivedKind, DerivedMetric};
use isinglass_model::series::SeriesRef;

use super::cardinality::{Limits, Values};
use super::exponential::Exponential;
use super::keys::{Keys, key_of};

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
    /// Counter, gauge, or sum of the histogram.
    pub(crate) value: f64,
    /// Counts per classic bucket, not cumulative; empty where there are none.
    pub(crate) buckets: Vec<f64>,
    /// The exponential form of a histogram.
    pub(crate) exponential: Option<Box<Exponential>>,
    /// The latest exemplar per bucket since the last tick.
    pub(crate) exemplars: Vec<(usize, Exemplar)>,
    /// Whether the deriver ever gave this metric for this series.
    pub(crate) used: bool,
    /// Series of the samples it becomes, filled at its first tick; `None` where
    /// the validators refuse the labels or the tenant has no room for them.
    pub(crate) refs: Vec<Option<SeriesRef>>,
    /// The series of its exponential form.
    pub(crate) exponential_ref: Option<SeriesRef>,
    /// Whether its series were looked for.
    pub(crate) resolved: bool,
    /// Whether its first zero is written.
    pub(crate) opened: bool,
}

/// One set of label values.
#[derive(Debug)]
pub(crate) struct Derived {
    /// (name, value), sorted by name, without empty values.
    pub(crate) labels: Vec<(String, String)>,
    /// One cell per declared metric.
    pub(crate) cells: Vec<Cell>,
    /// When it began to count, milliseconds since 1970.
    pub(crate) start_ms: i64,
    /// Monotonic time of its last increment.
    pub(crate) touched: Duration,
}

impl Derived {
    fn absorb(&mut self, later: Self, metrics: &[DerivedMetric]) {
        self.touched = self.touched.max(later.touched);
        for ((cell, later), metric) in self.cells.iter_mut().zip(later.cells).zip(metrics) {
            if !later.used {
                continue;
            }
            cell.value =
                if metric.kind == DerivedKind::Gauge { later.value } else { cell.value + later.value };
            cell.used = true;
            if cell.buckets.is_empty() {
                cell.buckets = later.buckets;
            } else {
                cell.buckets.iter_mut().zip(later.buckets).for_each(|(count, later)| *count += later);
            }
            match (&mut cell.exponential, later.exponential) {
                (Some(known), Some(later)) => known.absorb(&later),
                (known @ None, later) => *known = later,
                (Some(_), None) => {}
            }
            cell.exemplars = later.exemplars;
        }
    }
}

/// All derived series of one tenant and deriver.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    by_labels: HashMap<Box<[u8]>, usize, ahash::RandomState>,
    series: Vec<Derived>,
    /// Distinct values of labels, where there is a limit.
    values: Values,
    /// Increments that went into the overflow series.
    pub(crate) overflowed: u64,
}

/// What counting needs to know.
#[derive(Debug, Clone, Copy)]
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
        limits: Limits,
        now: Now,
    ) {
        let mut keys = Keys::of(&deltas.labels);
        let rows = 0..deltas.series as usize;
        let slots: Vec<usize> = rows.map(|row| self.slot(metrics, &mut keys, row, limits, now)).collect();
        for increments in &deltas.increments {
            let metric = &metrics[usize::from(increments.metric)];
            for (row, slot) in slots.iter().enumerate() {
                let cell = &mut self.series[*slot].cells[usize::from(increments.metric)];
                add_classic(cell, metric, increments, row);
            }
            self.add_exponential(metric, increments, &slots);
        }
        for exemplar in &deltas.exemplars {
            let metric = usize::from(exemplar.metric);
            let bucket = match metrics[metric].classic {
                true => bucket_of(&metrics[metric].bounds, exemplar.value),
                false => 0,
            };
            let cell = &mut self.series[slots[exemplar.series as usize]].cells[metric];
            if let Some(found) = exemplar_of(exemplar.row, exemplar.value) {
                match cell.exemplars.iter_mut().find(|(at, _)| *at == bucket) {
                    Some((_, latest)) => *latest = found,
                    None => cell.exemplars.push((bucket, found)),
                }
            }
        }
    }

    fn add_exponential(&mut self, metric: &DerivedMetric, increments: &DerivedIncrements, slots: &[usize]) {
        let (Some(given), at) = (&increments.exponential, usize::from(increments.metric)) else { return };
        for (series, index, count) in &given.buckets {
            let cell = &mut self.series[slots[*series as usize]].cells[at];
            exponential(cell, given.scale).add(given.scale, *index, *count);
        }
        for (slot, zeros) in slots.iter().zip(&given.zeros).filter(|(_, zeros)| **zeros > 0.0) {
            exponential(&mut self.series[*slot].cells[at], given.scale).add_zeros(*zeros);
        }
        for slot in slots {
            if let Some(exponential) = &mut self.series[*slot].cells[at].exponential {
                exponential.limit(metric.exponential_buckets_max);
            }
        }
    }

    /// The series of a row, made if it is new.
    fn slot(
        &mut self,
        metrics: &[DerivedMetric],
        keys: &mut Keys<'_>,
        row: usize,
        limits: Limits,
        now: Now,
    ) -> usize {
        if let Some(slot) = self.touch(keys.of_row(row), now) {
            return slot;
        }
        let mut labels = keys.labels_of(row);
        if self.values.fold(&mut labels, limits.values_max)
            && let Some(slot) = self.touch(&key_of(&labels), now)
        {
            return slot;
        }
        if self.series.len() >= limits.series_max {
            self.overflowed += 1;
            labels = vec![(OVERFLOW.0.to_owned(), OVERFLOW.1.to_owned())];
            if let Some(slot) = self.touch(&key_of(&labels), now) {
                return slot;
            }
        }
        self.values.keep(&labels, limits.values_max);
        self.by_labels.insert(key_of(&labels).into(), self.series.len());
        self.series.push(Derived {
            labels,
            cells: metrics.iter().map(|_| Cell::default()).collect(),
            start_ms: now.unix_ms,
            touched: now.monotonic,
        });
        self.series.len() - 1
    }

    fn touch(&mut self, key: &[u8], now: Now) -> Option<usize> {
        let slot = *self.by_labels.get(key)?;
        self.series[slot].touched = now.monotonic;
        Some(slot)
    }

    /// Adds what later counters have: they took the place of these for nothing.
    pub(crate) fn absorb(&mut self, later: Self, metrics: &[DerivedMetric], limits: Limits) {
        self.overflowed += later.overflowed;
        let mut series: Vec<Option<Derived>> = later.series.into_iter().map(Some).collect();
        for (key, slot) in later.by_labels {
            let Some(one) = series[slot].take() else { continue };
            match self.by_labels.get(&key) {
                Some(known) => self.series[*known].absorb(one, metrics),
                None => {
                    self.values.keep(&one.labels, limits.values_max);
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
        stale.iter().for_each(|series| self.values.forget(&series.labels));
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

/// Values, and counts of classic buckets. A histogram of which nothing was observed stays unused.
fn add_classic(cell: &mut Cell, metric: &DerivedMetric, increments: &DerivedIncrements, row: usize) {
    let value = increments.values[row];
    match metric.kind {
        DerivedKind::Counter => cell.value += value,
        DerivedKind::Gauge => cell.value = value,
        DerivedKind::Histogram => {
            let width = metric.classic_buckets();
            let counts = &increments.buckets[row * width..][..width];
            if counts.iter().all(|count| *count == 0.0) {
                cell.value += value;
                return;
            }
            cell.buckets.resize(width, 0.0);
            cell.buckets.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            cell.value += value;
        }
    }
    cell.used = true;
}

/// The exponential form of a cell, which is in use from now on.
fn exponential(cell: &mut Cell, scale: i8) -> &mut Exponential {
    cell.used = true;
    cell.exponential.get_or_insert_with(|| Box::new(Exponential::new(scale)))
}

/// The bucket of a value: the first whose upper bound is not below it.
pub(super) fn bucket_of(bounds: &[f64], value: f64) -> usize {
    bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use isinglass_model::deltas::DerivedLabel;

    use super::*;

    fn metrics() -> Vec<DerivedMetric> {
        vec![
            DerivedMetric::new("calls_total", DerivedKind::Counter, vec![]),
            DerivedMetric::new("latency", DerivedKind::Histogram, vec![1.0, 2.0]),
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
                increments(0, vec![2.0; n], vec![]),
                increments(1, vec![0.5; n], [1.0, 0.0, 1.0].repeat(n)),
            ],
            ..Deltas::default()
        }
    }

    fn increments(metric: u16, values: Vec<f64>, buckets: Vec<f64>) -> DerivedIncrements {
        DerivedIncrements { metric, values, buckets, exponential: None }
    }

    fn limits(series_max: usize) -> Limits {
        Limits { series_max, values_max: 0 }
    }

    fn at(seconds: u64) -> Now {
        Now { unix_ms: i64::try_from(seconds).unwrap() * 1_000, monotonic: Duration::from_secs(seconds) }
    }

    #[test]
    fn increments_add_up_per_label_set() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a", "b"]), &|_, _| None, limits(10), at(1));
        counters.add(&metrics(), &deltas(&["b"]), &|_, _| None, limits(10), at(2));
        let series = counters.series_mut();
        assert_eq!(series[0].cells[0].value, 2.0);
        assert_eq!(series[1].cells[0].value, 4.0);
        assert_eq!(series[1].cells[1].buckets, [2.0, 0.0, 2.0]);
        assert_eq!(series[1].start_ms, 1_000);
    }

    #[test]
    fn beyond_the_cap_everything_is_counted_in_one_series() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a", "b", "c", "d"]), &|_, _| None, limits(2), at(1));
        assert_eq!(counters.series_mut().len(), 3);
        let overflow = &counters.series_mut()[2];
        assert_eq!(overflow.labels, [("metric_overflow".to_owned(), "true".to_owned())]);
        assert_eq!(overflow.cells[0].value, 4.0);
    }

    #[test]
    fn stale_series_end_and_the_others_keep_counting() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a"]), &|_, _| None, limits(10), at(1));
        counters.add(&metrics(), &deltas(&["b"]), &|_, _| None, limits(10), at(100));
        let stale = counters.take_stale(Duration::from_secs(50));
        assert_eq!(stale.len(), 1);
        assert_eq!(stale[0].labels[0].1, "a");
        counters.add(&metrics(), &deltas(&["b", "a"]), &|_, _| None, limits(10), at(101));
        assert_eq!(counters.series_mut()[0].cells[0].value, 4.0);
        assert_eq!(counters.series_mut()[1].start_ms, 101_000);
    }

    #[test]
    fn values_beyond_the_limit_of_a_label_are_one() {
        let few = Limits { series_max: 10, values_max: 2 };
        let mut counters = Counters::default();
        for services in [&["a", "b", "c", "d"][..], &["a", "d", "e"]] {
            counters.add(&metrics(), &deltas(services), &|_, _| None, few, at(1));
        }
        let series = counters.series_mut();
        let values: Vec<_> = series.iter().map(|s| (s.labels[0].1.as_str(), s.cells[0].value)).collect();
        assert_eq!(values, [("a", 4.0), ("b", 2.0), ("__cardinality_overflow__", 8.0)]);
        // What goes stale makes room.
        counters.add(&metrics(), &deltas(&["a"]), &|_, _| None, few, at(100));
        assert_eq!(counters.take_stale(Duration::from_secs(50)).len(), 2);
        counters.add(&metrics(), &deltas(&["z"]), &|_, _| None, few, at(101));
        assert_eq!(counters.series_mut()[1].labels[0].1, "z");
    }

    #[test]
    fn tables_with_other_labels_are_other_series() {
        let mut counters = Counters::default();
        let mut others = deltas(&["a"]);
        others.labels[0].name = "client".into();
        counters.add(&metrics(), &deltas(&["a"]), &|_, _| None, limits(10), at(1));
        counters.add(&metrics(), &others, &|_, _| None, limits(10), at(1));
        assert_eq!(counters.series_mut().len(), 2);
    }

    #[test]
    fn a_label_that_a_row_does_not_have_makes_no_other_series() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a"]), &|_, _| None, limits(10), at(1));
        // The second batch has a series with one label more, so that its table has a column more.
        let mut both = deltas(&["b", "a"]);
        let values = ["messages", ""].map(str::to_owned);
        let kind =
            DerivedLabel { name: "kind".into(), keys: vec![0, 1], values: values.into_iter().collect() };
        both.labels.insert(0, kind);
        counters.add(&metrics(), &both, &|_, _| None, limits(10), at(2));
        let label_sets: Vec<_> =
            counters.series_mut().iter().map(|one| (&*one.labels, &one.cells[0])).collect();
        assert_eq!(label_sets.len(), 2);
        assert_eq!((label_sets[0].0.len(), label_sets[0].1.value), (1, 4.0));
        assert_eq!((label_sets[1].0.len(), label_sets[1].1.value), (2, 2.0));
    }

    #[test]
    fn a_gauge_has_its_last_value_and_a_histogram_of_nothing_is_none() {
        let gauge = vec![
            DerivedMetric::new("up", DerivedKind::Gauge, vec![]),
            DerivedMetric::new("latency", DerivedKind::Histogram, vec![1.0]),
        ];
        let mut counters = Counters::default();
        let mut given = deltas(&["a"]);
        given.increments = vec![increments(0, vec![1.0], vec![]), increments(1, vec![0.0], vec![0.0, 0.0])];
        for _ in 0..2 {
            counters.add(&gauge, &given, &|_, _| None, limits(10), at(1));
        }
        let cells = &counters.series_mut()[0].cells;
        assert_eq!((cells[0].value, cells[0].used, cells[1].used), (1.0, true, false));
    }

    #[test]
    fn counters_that_began_anew_for_nothing_go_on() {
        let mut counters = Counters::default();
        counters.add(&metrics(), &deltas(&["a", "b"]), &|_, _| None, limits(10), at(1));
        let mut later = Counters::default();
        later.add(&metrics(), &deltas(&["b", "c"]), &|_, _| None, limits(10), at(2));
        counters.absorb(later, &metrics(), limits(10));
        counters.add(&metrics(), &deltas(&["c"]), &|_, _| None, limits(10), at(3));
        let values: Vec<_> = counters.series_mut().iter().map(|one| one.cells[0].value).collect();
        assert_eq!(values, [2.0, 4.0, 4.0]);
        assert_eq!(counters.series_mut()[1].cells[1].buckets, [2.0, 0.0, 2.0]);
        assert!(counters.began_before(1_001) && !counters.began_before(1_000));
    }

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        assert_eq!(bucket_of(&[1.0, 2.0], 1.0), 0);
        assert_eq!(bucket_of(&[1.0, 2.0], 1.5), 1);
        assert_eq!(bucket_of(&[1.0, 2.0], 9.0), 2);
    }
}
