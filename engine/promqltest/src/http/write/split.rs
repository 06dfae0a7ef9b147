//! Series in parts of limited size.

use std::collections::BTreeMap;

use crate::backend::{LoadedPoint, LoadedSeries};

/// Parts of at most `samples_max` samples; no sample is later than one of a later part.
pub(super) fn in_time_order(series: &[LoadedSeries], samples_max: usize) -> Vec<Vec<LoadedSeries>> {
    let points =
        series.iter().enumerate().flat_map(|(at, series)| series.points.iter().map(move |point| (at, point)));
    let mut points: Vec<(usize, &LoadedPoint)> = points.collect();
    points.sort_by_key(|(at, point)| (point.time_ms, *at));
    points.chunks(samples_max.max(1)).map(|part| by_series(series, part)).collect()
}

fn by_series(series: &[LoadedSeries], part: &[(usize, &LoadedPoint)]) -> Vec<LoadedSeries> {
    let mut points: BTreeMap<usize, Vec<LoadedPoint>> = BTreeMap::new();
    for (at, point) in part {
        points.entry(*at).or_default().push((*point).clone());
    }

    points
        .into_iter()
        .map(|(at, points)| LoadedSeries { labels: series[at].labels.clone(), points })
        .collect()
}

#[cfg(test)]
mod tests {
    use isinglass_promql::{Labels, Sample};

    use super::*;

    fn series(name: &str, times: &[i64]) -> LoadedSeries {
        let point =
            |time_ms: &i64| LoadedPoint { time_ms: *time_ms, start_ms: None, sample: Sample::Float(0.0) };
        LoadedSeries { labels: Labels::new([("__name__", name)]), points: times.iter().map(point).collect() }
    }

    #[test]
    fn earlier_samples_come_first() {
        let all = [series("a", &[1, 4, 5]), series("b", &[2, 3, 5])];
        let parts = in_time_order(&all, 4);
        assert_eq!(
            parts,
            [vec![series("a", &[1, 4]), series("b", &[2, 3])], vec![series("a", &[5]), series("b", &[5])]]
        );
        assert_eq!(in_time_order(&[], 4), Vec::<Vec<LoadedSeries>>::new());
    }
}
