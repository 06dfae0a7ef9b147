//! Exponential histograms as derived metrics keep them.

use std::collections::BTreeMap;

use isinglass_model::batch::HistogramRow;
use isinglass_model::deltas::ExponentialIncrements;
use isinglass_model::series::SeriesRef;

/// Below it everything is zero: what Prometheus' clients take.
const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;
const SCALE_MIN: i8 = -4;
/// The resolution that observations of pairs begin with: buckets grow by 9 %.
pub(crate) const SCALE: i8 = 3;

/// Counts per bucket: `index` holds what is above `2^((index-1)/2^scale)` and not above
/// `2^(index/2^scale)`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Exponential {
    scale: i8,
    zeros: f64,
    buckets: BTreeMap<i32, f64>,
}

impl Exponential {
    /// An empty one.
    pub(crate) fn new(scale: i8) -> Self {
        Self { scale, ..Self::default() }
    }

    /// One with these counts.
    pub(crate) fn with(scale: i8, zeros: f64, buckets: impl IntoIterator<Item = (i32, f64)>) -> Self {
        Self { scale, zeros, buckets: buckets.into_iter().collect() }
    }

    /// Counts an observation, which is not negative.
    pub(crate) fn observe(&mut self, value: f64, count: f64) {
        match value > ZERO_THRESHOLD {
            true => *self.buckets.entry(index_of(value, self.scale)).or_default() += count,
            false => self.zeros += count,
        }
    }

    /// Counts what belongs to a bucket of another or the same resolution.
    pub(crate) fn add(&mut self, scale: i8, index: i32, count: f64) {
        if scale < self.scale {
            self.reduce(scale);
        }
        let index = coarser(index, scale - self.scale);
        *self.buckets.entry(index).or_default() += count;
    }

    /// Counts what another one has counted.
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.absorb_times(other, 1.0);
    }

    /// Counts so many times what another one has counted; -1 takes it away.
    pub(crate) fn absorb_times(&mut self, other: &Self, times: f64) {
        for (index, count) in &other.buckets {
            self.add(other.scale, *index, *count * times);
        }
        self.zeros += other.zeros * times;
    }

    /// The largest count of any bucket, whatever its sign.
    pub(crate) fn largest(&self) -> f64 {
        self.buckets.values().fold(self.zeros.abs(), |largest, count| largest.max(count.abs()))
    }

    /// Counts observations of zero.
    pub(crate) fn add_zeros(&mut self, count: f64) {
        self.zeros += count;
    }

    /// Halves the resolution until there are few enough buckets.
    pub(crate) fn limit(&mut self, buckets_max: u32) {
        while self.buckets.len() > buckets_max as usize && self.scale > SCALE_MIN {
            self.reduce(self.scale - 1);
        }
    }

    fn reduce(&mut self, scale: i8) {
        let by = self.scale - scale;
        for (index, count) in std::mem::take(&mut self.buckets) {
            *self.buckets.entry(coarser(index, by)).or_default() += count;
        }
        self.scale = scale;
    }

    /// How much was counted.
    pub(crate) fn count(&self) -> f64 {
        self.zeros + self.buckets.values().sum::<f64>()
    }

    /// As increments of the series `series`.
    pub(crate) fn add_to(&self, series: u32, increments: &mut ExponentialIncrements) {
        increments.scale = self.scale;
        increments.buckets.extend(self.buckets.iter().map(|(index, count)| (series, *index, *count)));
        increments.zeros.resize(series as usize + 1, 0.0);
        increments.zeros[series as usize] = self.zeros;
    }

    /// As a row of the table of histograms.
    pub(crate) fn row(&self, series: SeriesRef, time_ms: i64, start_ms: i64, sum: f64) -> HistogramRow {
        let mut spans: Vec<(i32, i32)> = Vec::new();
        let mut next = 0;
        for index in self.buckets.keys() {
            match spans.last_mut() {
                Some((_, length)) if *index == next => *length += 1,
                Some(_) => spans.push((index - next, 1)),
                None => spans.push((*index, 1)),
            }
            next = index + 1;
        }
        HistogramRow {
            count: Some(self.count()),
            sum: Some(sum),
            schema: self.scale.into(),
            zero_threshold: ZERO_THRESHOLD,
            zero_count: self.zeros,
            positive_spans: spans,
            positive_buckets: self.buckets.values().copied().collect(),
            ..empty_row(series, time_ms, start_ms)
        }
    }
}

/// The end of a series of histograms.
pub(crate) fn stale_row(series: SeriesRef, time_ms: i64) -> HistogramRow {
    HistogramRow { zero_threshold: 0.0, ..empty_row(series, time_ms, 0) }
}

fn empty_row(series: SeriesRef, time_ms: i64, start_ms: i64) -> HistogramRow {
    HistogramRow {
        series,
        time_ms,
        start_ms,
        count: None,
        sum: None,
        schema: 0,
        zero_threshold: ZERO_THRESHOLD,
        zero_count: 0.0,
        positive_spans: Vec::new(),
        positive_buckets: Vec::new(),
        negative_spans: Vec::new(),
        negative_buckets: Vec::new(),
        custom_bounds: Vec::new(),
        reset_hint: "unknown",
        float: true,
        min: None,
        max: None,
    }
}

/// The bucket of a lower resolution that a bucket lies in.
fn coarser(index: i32, by: i8) -> i32 {
    match by {
        ..=0 => index,
        by => (index + (1 << by) - 1) >> by,
    }
}

/// The bucket of a value above zero.
fn index_of(value: f64, scale: i8) -> i32 {
    let per_doubling = f64::from(scale).exp2();
    let upper = |index: f64| (index / per_doubling).exp2();
    let mut index = (value.log2() * per_doubling).ceil();
    // The logarithm may be off by the last bit, which counts at bounds.
    if value <= upper(index - 1.0) {
        index -= 1.0;
    } else if value > upper(index) {
        index += 1.0;
    }
    index as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        assert_eq!(index_of(1.0, 0), 0);
        assert_eq!(index_of(1.000_001, 0), 1);
        assert_eq!(index_of(2.0, 0), 1);
        assert_eq!(index_of(0.5, 3), -8);
        assert_eq!(index_of(0.500_001, 3), -7);
        assert_eq!(index_of(16.0, -2), 1);
        for power in -30..30 {
            assert_eq!(index_of(f64::from(power).exp2(), 8), power * 256);
        }
    }

    #[test]
    fn a_coarser_histogram_has_the_same_counts() {
        let mut fine = Exponential::new(8);
        (1..2_000).for_each(|value| fine.observe(f64::from(value) / 100.0, 1.0));
        let mut coarse = Exponential::new(2);
        (1..2_000).for_each(|value| coarse.observe(f64::from(value) / 100.0, 1.0));
        fine.limit(50);
        assert_eq!(fine, coarse);
        assert_eq!(fine.count(), 1_999.0);
        // Fine increments into what is coarse already, and the other way round.
        fine.add(8, index_of(3.0, 8), 1.0);
        coarse.observe(3.0, 1.0);
        assert_eq!(fine, coarse);
        fine.add(0, index_of(3.0, 0), 1.0);
        assert_eq!(fine.scale, 0);
    }

    #[test]
    fn rows_are_runs_of_buckets() {
        let mut histogram = Exponential::new(0);
        for value in [0.0, 0.7, 1.5, 3.0, 60.0, 61.0] {
            histogram.observe(value, 1.0);
        }
        let row = histogram.row(SeriesRef(7), 10, 1, 126.2);
        assert_eq!(row.positive_spans, [(0, 3), (3, 1)]);
        assert_eq!(row.positive_buckets, [1.0, 1.0, 1.0, 2.0]);
        assert_eq!((row.count, row.zero_count), (Some(6.0), 1.0));
    }
}
