//! In which form histograms are written, and in which unit.

use isinglass_plugin::{DeclaredKind, Exponential, Groups, HistogramIncrements, Keys};

use crate::buckets::Buckets;

/// The resolution of exponential buckets: they grow by 9 %.
const SCALE: i8 = 3;

/// How a histogram of durations is written.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// Upper bounds in the unit, ascending; `None` = no classic buckets.
    classic: Option<(Vec<f64>, Buckets)>,
    exponential_buckets_max: u32,
    /// Units of the metric in a second.
    per_second: f64,
}

impl Form {
    /// `bounds` in units of which `per_second` are a second.
    pub(crate) fn new(bounds: Option<Vec<f64>>, exponential_buckets_max: u32, per_second: f64) -> Self {
        let classic = bounds.map(|bounds| {
            let seconds: Vec<f64> = bounds.iter().map(|bound| bound / per_second).collect();
            (bounds, Buckets::new(&seconds))
        });
        Self { classic, exponential_buckets_max, per_second }
    }

    /// For the declaration.
    pub(crate) fn kind(&self) -> DeclaredKind {
        DeclaredKind::Histogram {
            classic: self.classic.as_ref().map(|(bounds, _)| bounds.clone()),
            exponential_buckets_max: self.exponential_buckets_max,
        }
    }

    /// A duration in the unit of the metric.
    pub(crate) fn value(&self, nanos: f64) -> f64 {
        nanos / 1e9 * self.per_second
    }

    /// Counters of classic buckets, if there are any.
    pub(crate) fn buckets(&self) -> Option<&Buckets> {
        self.classic.as_ref().map(|(_, buckets)| buckets)
    }

    /// The increments of a metric: `nanos` are sums, `counts` those of classic buckets.
    pub(crate) fn increments(
        &self,
        metric: u16,
        nanos: impl Iterator<Item = f64>,
        counts: Vec<f64>,
        exponential: Exponential,
    ) -> HistogramIncrements {
        let sums = nanos.map(|nanos| self.value(nanos)).collect();
        HistogramIncrements { metric, sums, buckets: counts, exponential }
    }

    /// Exponential buckets of durations, each of a series; a series above all others is none.
    pub(crate) fn exponential(
        &self,
        series: usize,
        of: &[u32],
        nanos: &[i64],
        weights: Option<&[f64]>,
    ) -> Exponential {
        if self.exponential_buckets_max == 0 {
            return Exponential::default();
        }
        const ZERO: u32 = 0;
        // Indexes of durations lie between -239 (1 ns) and 267; shifted so that 0 is free.
        const SHIFT: i32 = 512;
        let index = |nanos: &i64| match *nanos {
            ..=0 => ZERO,
            nanos => (index_of(self.value(nanos as f64)) + SHIFT).max(1).cast_unsigned(),
        };
        let indexes: Vec<u32> = nanos.iter().map(index).collect();
        let groups = Groups::by(of.len(), &[Keys::new(of, series as u64 + 1), Keys::new(&indexes, 2_048)]);
        let mut counts = vec![0.0; groups.len()];
        for (row, group) in groups.ids().iter().enumerate() {
            counts[*group as usize] += weights.map_or(1.0, |weights| weights[row]);
        }
        let mut all = Exponential { scale: SCALE, zeros: vec![0.0; series], ..Exponential::default() };
        for (row, count) in groups.first_rows().iter().zip(counts) {
            let (series_of, index) = (of[*row as usize], indexes[*row as usize]);
            if series_of as usize >= series {
                continue;
            }
            if index == ZERO {
                all.zeros[series_of as usize] += count;
            } else {
                all.series.push(series_of);
                all.index.push(index.cast_signed() - SHIFT);
                all.count.push(count);
            }
        }
        all
    }
}

/// The bucket of a value above zero.
fn index_of(value: f64) -> i32 {
    let per_doubling = f64::from(1 << SCALE);
    let upper = |index: f64| (index / per_doubling).exp2();
    let index = (value.log2() * per_doubling).ceil();
    // The logarithm may be off by the last bit, which counts at bounds.
    let index = if value <= upper(index - 1.0) { index - 1.0 } else { index };
    (if value > upper(index) { index + 1.0 } else { index }) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_buckets_include_their_upper_bounds() {
        assert_eq!(index_of(1.0), 0);
        assert_eq!(index_of(1.000_001), 1);
        assert_eq!(index_of(0.25), -16);
        assert_eq!(index_of(4.0), 16);
    }

    #[test]
    fn durations_are_counted_by_series() {
        let form = Form::new(None, 100, 1.0);
        let second = 1_000_000_000;
        let all = form.exponential(2, &[0, 1, 2, 0, 0], &[second, second, second, 0, second], None);
        let rows: Vec<_> = all.series.iter().zip(&all.index).zip(&all.count).collect();
        assert_eq!(rows, [((&0, &0), &2.0), ((&1, &0), &1.0)]);
        assert_eq!(all.zeros, [1.0, 0.0]);
        let weighed = form.exponential(1, &[0, 0], &[second, second], Some(&[2.5, 1.0]));
        assert_eq!(weighed.count, [3.5]);
    }
}
