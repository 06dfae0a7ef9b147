use isinglass_model::labels::Temporality;

use super::*;

fn sample(time_ms: i64, value: f64, start_ms: i64) -> Sample {
    Sample { time_ms, value, start_ms }
}

/// Compares the samples of one series from 100 ms on.
fn compared(stored: &[Sample], replayed: &[Sample]) -> (SeriesCounts, Vec<Difference>) {
    let mut comparison = Comparison::new(100, 10);
    let labels = LabelSet::new(&mut [("__name__", "calls_total")], Temporality::Unspecified).unwrap();
    let at = comparison.place(&labels).unwrap();
    let of = |samples: &[Sample]| BySeries {
        samples: FromIterator::from_iter([(at, samples.to_vec())]),
        ..BySeries::default()
    };
    comparison.take(of(stored), of(replayed));
    (comparison.counts(), comparison.differences(9))
}

#[test]
fn what_counts_is_by_how_much_a_series_rose() {
    let before = [sample(50, 7.0, 10), sample(150, 9.0, 10), sample(200, 12.0, 10)];
    let (counts, _) = compared(&before, &[sample(100, 0.0, 100), sample(149, 5.0, 100)]);
    assert_eq!(counts, SeriesCounts { equal: 1, ..SeriesCounts::default() });
    let restarted = [sample(50, 7.0, 10), sample(150, 9.0, 10), sample(160, 0.0, 160), sample(170, 3.0, 160)];
    let (counts, _) = compared(&restarted, &[sample(100, 0.0, 100), sample(149, 5.0, 100)]);
    assert_eq!(counts, SeriesCounts { equal: 1, ..SeriesCounts::default() });
    let idle = [sample(50, 7.0, 10), sample(150, 7.0, 10)];
    assert_eq!(compared(&idle, &[]).0, SeriesCounts::default());
    let same = [sample(100, 0.0, 100), sample(149, 5.0, 100)];
    assert_eq!(compared(&same, &same).0, SeriesCounts { identical: 1, ..SeriesCounts::default() });
}

#[test]
fn a_difference_names_the_first_sample_from_which_on_it_stays() {
    let stored = [sample(100, 0.0, 100), sample(150, 2.0, 100), sample(200, 4.0, 100), sample(250, 5.0, 100)];
    let replayed =
        [sample(100, 0.0, 100), sample(140, 2.0, 100), sample(190, 5.0, 100), sample(240, 7.0, 100)];
    let (counts, differences) = compared(&stored, &replayed);
    assert_eq!((counts.different, differences.len()), (1, 1));
    let Difference { time_ms, stored_then, replayed_then, stored, replayed, .. } = differences[0];
    assert_eq!((time_ms, stored_then, replayed_then, stored, replayed), (200, 4.0, 5.0, 5.0, 7.0));
    assert_eq!(compared(&[], &[sample(100, 0.0, 100)]).1[0].what, "only_replayed");
    assert_eq!(compared(&[sample(100, 0.0, 100), sample(101, 1.0, 100)], &[]).1[0].what, "only_stored");
}

/// A histogram of a life that began at `start_ms`, with one bucket a count.
fn histogram(time_ms: i64, start_ms: i64, schema: i16, buckets: &[(i32, f64)]) -> Histogram {
    let count = buckets.iter().map(|(_, count)| count).sum();
    let sum = buckets.iter().map(|(index, count)| f64::from(*index) * count).sum();
    Histogram { time_ms, start_ms, count: Some(count), sum, schema, zeros: 0.0, buckets: buckets.to_vec() }
}

fn compared_histograms(stored: &[Histogram], replayed: &[Histogram]) -> Comparison {
    let mut comparison = Comparison::new(100, 10);
    let labels = LabelSet::new(&mut [("__name__", "latency")], Temporality::Unspecified).unwrap();
    let at = comparison.native_place(&labels).unwrap();
    let of = |histograms: &[Histogram]| BySeries {
        histograms: FromIterator::from_iter([(at, histograms.to_vec())]),
        ..BySeries::default()
    };
    comparison.take(of(stored), of(replayed));
    comparison
}

#[test]
fn native_histograms_are_the_same_at_the_coarser_resolution() {
    // Began before the range, and began anew in it at a lower resolution.
    let stored = [
        histogram(50, 10, 1, &[(1, 5.0)]),
        histogram(150, 10, 1, &[(1, 6.0), (2, 1.0)]),
        Histogram { count: None, ..histogram(151, 0, 0, &[]) },
        histogram(200, 160, 0, &[(1, 1.0)]),
    ];
    let replayed =
        [histogram(149, 100, 1, &[(1, 1.0), (2, 1.0)]), histogram(199, 100, 1, &[(1, 2.0), (2, 1.0)])];
    let found = compared_histograms(&stored, &replayed);
    let metric = &found.metrics()[0];
    assert_eq!((metric.stored, metric.replayed), (3.0, 3.0));
    assert_eq!(metric.native.unwrap().misplaced, 0.0);
    assert_eq!(found.stored(), (0, 3));
}

#[test]
fn a_histogram_with_the_same_count_in_other_buckets_differs() {
    let stored = [histogram(150, 100, 3, &[(1, 5.0), (4, 2.0)])];
    let replayed = [histogram(150, 100, 3, &[(1, 4.0), (8, 3.0)])];
    let found = compared_histograms(&stored, &replayed);
    assert_eq!(found.counts().different, 1);
    let difference = found.differences(9).remove(0);
    assert_eq!((difference.stored, difference.replayed), (7.0, 7.0));
    let native = difference.native.unwrap();
    assert_eq!((native.stored_sum, native.replayed_sum, native.misplaced), (13.0, 28.0, 3.0));
    assert!(!found.metrics()[0].equal);
    let same = compared_histograms(&stored, &stored);
    assert_eq!(same.counts().identical, 1);
    assert!(same.metrics()[0].equal);
}
