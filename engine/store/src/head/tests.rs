//! Sorting and merging of runs against the obvious way to do it.

use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Kind;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::SeriesRef;
use proptest::collection::vec;
use proptest::prelude::*;

use super::sort::sort;
use super::{Column, Generation, Run, SampleRun};
use crate::series::SeriesTable;

/// A table whose refs are in no order of ids.
fn table() -> SeriesTable {
    let table = SeriesTable::new(1, 100);
    for n in 0..20 {
        let (metric, instance) = (format!("m{}", n % 3), n.to_string());
        let mut labels = [(METRIC_NAME, metric.as_str()), ("i", instance.as_str())];
        table.restore((n * 7_919) % 31 - 15, LabelSet::new(&mut labels, Temporality::Unspecified).unwrap());
    }
    table
}

type Sample = (u32, i64, i64);

fn run_of(samples: &[Sample], number: &mut f64) -> SampleRun {
    let series = samples.iter().map(|sample| SeriesRef(sample.0)).collect();
    let values = samples.iter().map(|_| {
        *number += 1.0;
        *number
    });
    let values = values.collect();
    let times = Column::new(samples.iter().map(|sample| sample.1).collect());
    SampleRun::new(series, times, values, Column::new(samples.iter().map(|sample| sample.2).collect()))
}

fn sample() -> impl Strategy<Value = Vec<Sample>> {
    prop_oneof![
        vec((0..20_u32, 0..50_i64, 0..2_i64), 1..60),
        // A scrape: one time, no start times.
        (0..50_i64, 1..20_u32).prop_map(|(time, count)| (0..count).map(|series| (series, time, 0)).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sorted_by_ids_and_time_in_order_of_arrival(
        runs in vec(sample(), 1..20),
        range in prop::option::of((0..50_i64, 0..50_i64)),
        wanted in prop::option::of(0..3_usize),
    ) {
        let (table, mut number) = (table(), 0.0);
        let mut generation = Generation::default();
        let mut expected = Vec::new();
        for (seq, samples) in (1..).zip(&runs) {
            let run = run_of(samples, &mut number);
            for (row, (series, time, start)) in samples.iter().enumerate() {
                let ids = table.ids(SeriesRef(*series));
                expected.push((ids, *time, run.value[row], *start));
            }
            generation.push(Kind::Samples, Run::Samples(Arc::new(run)), seq, Duration::ZERO);
        }
        prop_assert_eq!(generation.rows, expected.len());
        prop_assert_eq!(generation.bytes, generation.runs().iter().map(Run::bytes).sum::<usize>());

        let metric = wanted.map(|n| isinglass_model::ids::metric_id(&format!("m{n}")));
        let keep = |ids: (i64, i64)| metric.is_none_or(|metric| metric == ids.0);
        expected.retain(|row| keep(row.0) && range.is_none_or(|(from, to)| from <= row.1 && row.1 <= to));
        expected.sort_by_key(|row| (row.0, row.1));

        let runs: Vec<_> = generation
            .runs()
            .iter()
            .map(|run| if let Run::Samples(run) = run { Arc::clone(run) } else { unreachable!() })
            .collect();
        let sorted = sort(&runs, &table, range, |_, ids| keep(ids));
        let ids = sorted.runs.iter().flat_map(|r| std::iter::repeat_n((r.metric_id, r.series_id), r.rows as usize));
        let starts = (0..sorted.time_ms.len()).map(|row| sorted.start_ms.get(row).copied().unwrap_or(0));
        let got: Vec<_> = ids
            .zip(&sorted.time_ms)
            .zip(&sorted.value)
            .zip(starts)
            .map(|(((ids, time), value), start)| (ids, *time, *value, start))
            .collect();
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn tiny_runs_are_merged() {
    let mut generation = Generation::default();
    for seq in 1..=10_000 {
        let run = run_of(&[(1, 5, 0)], &mut 0.0);
        generation.push(Kind::Samples, Run::Samples(Arc::new(run)), seq, Duration::ZERO);
    }
    assert_eq!((generation.rows, generation.first, generation.last), (10_000, 1, 10_000));
    assert!(generation.runs().len() < 40, "{} runs", generation.runs().len());
    // One time for all takes no room, merged or not.
    assert!(generation.bytes < 10_000 * 12 + 40 * 400, "{} bytes", generation.bytes);
}
