//! Random files of every kind come to what the model says.

use std::sync::Arc;

use isinglass_model::Kind;
use isinglass_model::tables::Table;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::files::{
    columns_min, merge_all, options, outputs, pool, put, rewritten, rows_of, samples_file, some_of, value,
};
use super::model::{self, Expected, row_texts};
use crate::files::merge::{DropRows, Group, MergeOptions, Merged};
use crate::files::parquet::tests::Source;

/// Some groups are kept for a shorter time.
#[derive(Debug)]
struct Rule;

impl DropRows for Rule {
    fn keep_from(&self, group: Group<'_>) -> Option<i64> {
        match group {
            Group::Series { series_id: 0, .. } => Some(4_000),
            Group::Series { metric_id: 1, .. } => Some(i64::MAX),
            Group::Stream { service: "b", stream: "" } => Some(3),
            Group::Trace(id) if id[0] == 80 => Some(2),
            Group::All => Some(1),
            _ => None,
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Rows of all outputs, one after the other; each file's extent is that of its rows.
async fn found(objects: &Arc<dyn ObjectStore>, kind: Kind, merged: &Merged) -> Vec<String> {
    let mut texts = Vec::new();
    for (rows, file) in outputs(objects, kind, merged).await.iter().zip(&merged.files) {
        check_extent(kind, rows, file);
        texts.extend(row_texts(kind, rows));
    }
    texts
}

fn check_extent(kind: Kind, rows: &arrow_array::RecordBatch, file: &crate::files::delta::NewFile) {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
    let longs = |name: &str| -> Option<Vec<i64>> {
        let column = rows.column_by_name(name)?;
        if let Some(days) = column.as_primitive_opt::<Date32Type>() {
            return Some(days.values().iter().map(|day| i64::from(*day)).collect());
        }
        match column.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(micros) => Some(micros.values().to_vec()),
            None => Some(column.as_primitive::<Int64Type>().values().to_vec()),
        }
    };
    let range = |name: &str| {
        let longs = longs(name)?;
        Some((*longs.iter().min()?, *longs.iter().max()?))
    };
    assert_eq!(file.extent.time, range(Table::of(kind).time));
    assert_eq!(file.extent.metric_id, range("metric_id"));
    assert_eq!(file.extent.series_id, range("series_id"));
}

fn check(kind: Kind, seed: u64, files: usize, options: &MergeOptions) {
    let mut source = Source(seed | 1);
    let pool = (kind != Kind::Samples).then(|| pool(&mut source, kind, 50));
    let mut inputs = Vec::new();
    let mut rows = Vec::new();
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    runtime().block_on(async {
        for number in 0..files {
            let mut bytes = match &pool {
                Some(pool) => some_of(&mut source, kind, pool),
                None => samples_file(some_samples(&mut source)),
            };
            if source.chance(2) {
                let columns = columns_min(kind) as u64;
                let columns = columns + source.below(Table::of(kind).columns.len() as u64 - columns + 1);
                // The three columns of a value are of one release.
                let columns = if kind == Kind::Samples { columns.max(6) } else { columns };
                bytes = rewritten(kind, bytes, columns as usize, 1 + source.below(20) as usize);
            }
            rows.push(rows_of(bytes.clone()));
            inputs.push(put(&objects, kind, number, bytes).await);
        }
        let merged = merge_all(&objects, kind, &inputs, options).await.unwrap();
        let mut expected = model::merged(kind, &rows, options.keep_from, options.drop_rows.as_deref());
        assert_eq!(merged.rows_in, rows.iter().map(|rows| rows.num_rows() as u64).sum::<u64>());
        assert_eq!(merged.rows_out, expected.rows.len() as u64);
        assert_eq!(merged.replicas, 0);
        let mut found = Expected {
            rows: found(&objects, kind, &merged).await,
            duplicates: merged.duplicates,
            conflicts: merged.conflicts,
            expired: merged.expired,
        };
        if files > 10 {
            // A row may conflict with the first one of a pass and be equal to one
            // that another pass has.
            for counts in [&mut found, &mut expected] {
                counts.conflicts += std::mem::take(&mut counts.duplicates);
            }
        }
        assert_eq!(found, expected, "{kind}");
        assert_only_inputs_and_outputs(&objects, &inputs, &merged).await;
    });
}

async fn assert_only_inputs_and_outputs(
    objects: &Arc<dyn ObjectStore>,
    inputs: &[crate::tables::DataFile],
    merged: &Merged,
) {
    use futures::TryStreamExt as _;
    let all: Vec<_> = objects.list(None).try_collect().await.unwrap();
    let indexes = merged.files.iter().filter(|file| file.token_index_bytes.is_some());
    assert_eq!(all.len(), inputs.len() + merged.files.len() + indexes.count());
}

fn some_samples(source: &mut Source) -> Vec<super::files::Row> {
    let rows = source.below(60) + 1;
    (0..rows)
        .map(|_| {
            let id = |source: &mut Source| source.below(3) as i64 - 1;
            let start = source.below(2) as i64 * 7;
            (id(source), id(source), source.below(8) as i64, value(source), start)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_files_come_to_what_the_model_says(
        seed in any::<u64>(), files in 1usize..6, rule in any::<bool>(), keep in prop::option::of(0i64..6),
    ) {
        for kind in Kind::ALL {
            let unit = if matches!(kind, Kind::Samples | Kind::Histograms | Kind::Exemplars) { 1_000 } else { 1 };
            let options = MergeOptions {
                keep_from: keep.map(|keep| keep * unit),
                drop_rows: rule.then(|| Arc::new(Rule) as Arc<dyn DropRows>),
                ..options()
            };
            check(kind, seed, files, &options);
        }
    }
}

#[test]
fn many_files_in_several_passes() {
    for kind in Kind::ALL {
        let files = if matches!(kind, Kind::Samples | Kind::Logs) { 100 } else { 20 };
        check(kind, 7, files, &MergeOptions { memory_bytes: 1 << 20, ..options() });
    }
}

#[test]
fn a_single_file_loses_what_is_twice_in_it() {
    for kind in Kind::ALL {
        (1..10).for_each(|seed| check(kind, seed * 77, 1, &options()));
    }
}

#[test]
fn nothing_is_written_if_nothing_stays() {
    for kind in Kind::ALL {
        check(kind, 3, 3, &MergeOptions { keep_from: Some(i64::MAX), ..options() });
        check(kind, 3, 0, &options());
    }
}

/// Files are closed at their size, and a series or a trace is not torn for it.
#[test]
fn files_end_where_groups_end() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut source = Source(99);
    let row = |series: i64, time: i64, source: &mut Source| (1, series, time, source.next(), 0);
    let rows: Vec<_> = (0..60_000).map(|at| row(at / 500, at % 500, &mut source)).collect();
    runtime().block_on(async {
        let inputs = [put(&objects, Kind::Samples, 0, samples_file(rows)).await];
        let options = MergeOptions { file_bytes: 100_000, ..options() };
        let merged = merge_all(&objects, Kind::Samples, &inputs, &options).await.unwrap();
        assert!(merged.files.len() > 2, "{}", merged.files.len());
        for pair in merged.files.windows(2) {
            assert!(pair[0].extent.series_id.unwrap().1 < pair[1].extent.series_id.unwrap().0);
            assert!(pair[0].size_bytes >= 50_000);
        }
        assert_eq!(found(&objects, Kind::Samples, &merged).await.len(), 60_000);

        // One series alone is torn, for it would not end.
        let rows: Vec<_> = (0..300_000).map(|at| row(1, at, &mut source)).collect();
        let inputs = [put(&objects, Kind::Samples, 0, samples_file(rows)).await];
        let options = MergeOptions { memory_bytes: 4 << 20, ..options };
        let merged = merge_all(&objects, Kind::Samples, &inputs, &options).await.unwrap();
        assert!(merged.files.len() > 5, "{}", merged.files.len());
        assert_eq!(found(&objects, Kind::Samples, &merged).await.len(), 300_000);
    });
}

/// A future that a job can be made of.
#[test]
fn a_merge_can_be_spawned() {
    fn is_send<T: Send>(_: &T) {}
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let options = options();
    is_send(&merge_all_of_nothing(&objects, &options));
}

async fn merge_all_of_nothing(objects: &Arc<dyn ObjectStore>, options: &MergeOptions) {
    let mut names = String::new;
    drop(
        crate::files::merge::merge(objects, &super::files::tenant(), Kind::Logs, &[], options, &mut names)
            .await,
    );
}
