//! Sets of series.

mod classic;
mod floats;
mod native;
mod times;

use isinglass_promql::value::STALE;
use isinglass_promql::{Labels, Sample};

use super::random::Random;
use crate::backend::{LoadedPoint, LoadedSeries};

/// When the samples of a set begin unless told otherwise: a time with no zeros at its end.
pub const BASE_MS: i64 = 1_700_000_123_000;

/// For so long there are samples.
pub const SPAN_MS: i64 = 90 * 60_000;

/// So long before, all series have a stale marker. Prometheus gives series in the order in which
/// they came, which is that of their labels so; `limitk` and ties depend on it.
const LEAD_MS: i64 = 70 * 60_000;

/// Label sets that several metrics share; not all have all labels.
const TARGETS: [&[(&str, &str)]; 6] = [
    &[("job", "api"), ("instance", "a:80"), ("env", "prod")],
    &[("job", "api"), ("instance", "b:80"), ("env", "prod")],
    &[("job", "api"), ("instance", "c:80"), ("env", "zürich \"1\"")],
    &[("job", "db"), ("instance", "a:80"), ("env", "日本\\x")],
    &[("job", "db"), ("instance", "d:5432")],
    &[("job", "node")],
];

/// The series of a seed, from `base_ms` on.
pub fn series_set(seed: u64, base_ms: i64) -> Vec<LoadedSeries> {
    let mut set = Set { random: Random::stream(seed, 1), base_ms, series: Vec::new() };
    floats::add(&mut set);
    classic::add(&mut set);
    native::add(&mut set);
    set.series.retain(|series| !series.points.is_empty());
    set.series.sort_by(|one, other| one.labels.cmp(&other.labels));
    let first = LoadedPoint { time_ms: base_ms - LEAD_MS, start_ms: None, sample: Sample::Float(STALE) };
    set.series.iter_mut().for_each(|series| series.points.insert(0, first.clone()));
    set.series
}

/// A set that is being made.
struct Set {
    random: Random,
    base_ms: i64,
    series: Vec<LoadedSeries>,
}

impl Set {
    /// Some of the targets, more often than not most of them.
    fn targets(&mut self) -> Vec<&'static [(&'static str, &'static str)]> {
        let left_out = self.random.one_of(&[0, 10, 40]);
        TARGETS.into_iter().filter(|_| !self.random.percent(left_out)).collect()
    }

    fn push(&mut self, labels: Labels, samples: Vec<(i64, Sample)>) {
        let point = |(time_ms, sample)| LoadedPoint { time_ms, start_ms: None, sample };
        self.series.push(LoadedSeries { labels, points: samples.into_iter().map(point).collect() });
    }
}

fn labels(name: &str, target: &[(&str, &str)], more: &[(&str, &str)]) -> Labels {
    let name = [("__name__", name)];
    Labels::new(name.iter().chain(target).chain(more).copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn series_are_in_order_and_once() {
        for seed in 0..50 {
            let all = series_set(seed, BASE_MS);
            // As texts, since NaN is not equal to itself.
            assert!(format!("{all:?}") == format!("{:?}", series_set(seed, BASE_MS)), "seed {seed}");
            let labels: BTreeSet<_> = all.iter().map(|series| &series.labels).collect();
            assert_eq!(labels.len(), all.len(), "seed {seed}");
            for series in &all {
                assert!(
                    series.points.is_sorted_by(|a, b| a.time_ms < b.time_ms),
                    "{} of seed {seed}",
                    series.labels
                );
            }
        }
    }
}
