//! Series of several replicas become one.

use std::sync::Arc;
use std::time::Duration;

use isinglass_model::Kind;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::files::{Row, merge_all, options, outputs, put, samples_file};
use super::model::row_texts;
use crate::files::merge::{HaDedup, MergeOptions, Replica};
use crate::tables::DataFile;

/// Series 11 and 12 are those of replicas 1 and 2; together they are series 5,
/// which sorts before both. So are 21, 22 and 90, which sorts after both.
fn ha() -> HaDedup {
    let replicas = [(11, 5, 1), (12, 5, 2), (21, 90, 1), (22, 90, 2)];
    let replicas = replicas
        .into_iter()
        .map(|(from, series_id, replica)| (from, Replica { series_id, cluster: 1, replica }))
        .collect();
    HaDedup { replicas: Arc::new(replicas), failover: Duration::from_secs(30) }
}

fn row(series: i64, second: i64, value: f64) -> Row {
    (1, series, second * 1_000, value.to_bits(), 0)
}

/// Merges files of (series, second, value); what stays, the same way.
async fn merged(files: &[Vec<Row>], memory_bytes: usize) -> (Vec<(i64, i64, f64)>, u64) {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut inputs: Vec<DataFile> = Vec::new();
    for (number, rows) in files.iter().enumerate() {
        inputs.push(put(&objects, Kind::Samples, number, samples_file(rows.clone())).await);
    }
    let options = MergeOptions { ha: Some(ha()), memory_bytes, ..options() };
    let merged = merge_all(&objects, Kind::Samples, &inputs, &options).await.unwrap();
    assert_eq!(merged.rows_in, files.iter().map(|rows| rows.len() as u64).sum::<u64>());
    assert_eq!(
        merged.rows_in,
        merged.rows_out + merged.duplicates + merged.conflicts + merged.expired + merged.replicas
    );
    let mut found = Vec::new();
    for rows in outputs(&objects, Kind::Samples, &merged).await {
        for text in row_texts(Kind::Samples, &rows) {
            let words: Vec<&str> = text.split(' ').collect();
            let bits = u64::from_str_radix(words[3], 16).unwrap();
            let time: i64 = words[2].parse().unwrap();
            found.push((words[1].parse().unwrap(), time / 1_000_000, f64::from_bits(bits)));
        }
    }
    assert!(found.is_sorted_by_key(|row| (row.0, row.1)));
    (found, merged.replicas)
}

#[tokio::test]
async fn the_common_series_has_the_samples_of_one_replica() {
    let first: Vec<Row> = (0..10).map(|at| row(11, at * 15, 1.0)).collect();
    let second: Vec<Row> = (0..10).map(|at| row(12, at * 15 + 3, 2.0)).collect();
    let (found, dropped) = merged(&[second, first, vec![row(7, 1, 9.0)]], 64 << 20).await;
    let mut expected: Vec<_> = (0..10).map(|at| (5, at * 15, 1.0)).collect();
    expected.push((7, 1, 9.0));
    assert_eq!((found, dropped), (expected, 10));
}

#[tokio::test]
async fn a_replica_that_falls_silent_is_replaced_in_all_series_at_once() {
    let mut rows = Vec::new();
    for (one, other) in [(11, 12), (21, 22)] {
        rows.extend((0..4).map(|at| row(one, at * 15, 1.0)));
        rows.extend((0..10).map(|at| row(other, at * 15 + 3, 2.0)));
    }
    let (found, _) = merged(&[rows], 64 << 20).await;
    let stays = |series| {
        let first = (0..4).map(move |at| (series, at * 15, 1.0));
        first.chain((4..10).map(move |at| (series, at * 15 + 3, 2.0)))
    };
    assert_eq!(found, stays(5).chain(stays(90)).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_merged_before_stays_as_it_was() {
    let before: Vec<Row> = (0..10).map(|at| row(5, at * 15, 2.0)).collect();
    let late: Vec<Row> = (0..20).map(|at| row(11, at * 15 + 1, 1.0)).collect();
    let (found, _) = merged(&[before, late], 64 << 20).await;
    let mut expected: Vec<_> = (0..10).map(|at| (5, at * 15, 2.0)).collect();
    // Those within the failover time of the last one are as good as it.
    expected.extend((11..20).map(|at| (5, at * 15 + 1, 1.0)));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn replicas_of_many_files_in_several_passes() {
    let file = |number: i64| -> Vec<Row> {
        let times = (0..300).map(move |at| (at * 60 + number) * 15);
        let rows = times.flat_map(|time| {
            [(11, 0, 1.0), (12, 2, 2.0), (21, 0, 1.0), (22, 2, 2.0), (7, 0, 3.0)]
                .map(|(series, offset, value)| row(series, time + offset, value))
        });
        rows.collect()
    };
    let files: Vec<Vec<Row>> = (0..60).map(file).collect();
    let (found, dropped) = merged(&files, 1 << 20).await;
    assert_eq!(found.len(), 3 * 60 * 300);
    assert_eq!(dropped, 2 * 60 * 300);
    assert!(found.iter().all(|row| row.2 == if row.0 == 7 { 3.0 } else { 1.0 }));
}
