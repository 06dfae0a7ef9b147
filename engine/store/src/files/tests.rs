//! Commits that must land once, whatever fails.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use futures::TryStreamExt as _;
use isinglass_model::clock::ManualClock;
use isinglass_model::labels::Temporality;
use isinglass_model::{Kind, Tenant};
use isinglass_testkit::faulty::{Call, FaultyStore, Moment};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::Tables;
use super::local::LocalFolder;
use crate::tables::{Reach, SeriesRun, SortedRows, SortedSamples, TableFiles, TableState};
use crate::{Seq, StoreError};

pub(super) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(1_795_200_000_000_000_000))
}

fn on(objects: Arc<dyn ObjectStore>) -> Tables {
    Tables::on(objects, clock())
}

pub(super) fn tenant() -> Tenant {
    Tenant::new("t*1").unwrap()
}

/// Samples of one series at these times.
pub(super) fn samples(times: std::ops::Range<i64>) -> SortedRows {
    let rows = times.clone().count() as u32;
    SortedRows::Samples(SortedSamples {
        runs: vec![SeriesRun { metric_id: 7, series_id: -7, rows }],
        time_ms: times.clone().collect(),
        value: times.map(|time| time as f64).collect(),
        start_ms: Vec::new(),
    })
}

/// The times of all samples that a table names, in milliseconds.
async fn times(tables: &Tables, state: &TableState) -> Vec<i64> {
    let mut times = Vec::new();
    for file in state.files.iter() {
        let bytes = tables.objects().get(&file.path).await.unwrap().bytes().await.unwrap();
        assert_eq!(bytes.len() as u64, file.size_bytes);
        let before = times.len();
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let values = batch.column_by_name("value_int").unwrap().as_primitive::<Int64Type>().clone();
            times.extend(values.values().iter().copied());
        }
        assert_eq!((times.len() - before) as u64, file.rows);
        let range = times[before..].iter().min().zip(times[before..].iter().max());
        assert_eq!(file.time, range.map(|(min, max)| (min * 1_000, max * 1_000)));
    }
    times.sort_unstable();
    times
}

async fn objects_in(tables: &Tables) -> Vec<String> {
    let all = tables.objects();
    let mut names: Vec<String> =
        all.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap();
    names.sort();
    names
}

pub(super) fn reach(after: Seq, up_to: Seq) -> Reach {
    Reach { after, up_to }
}

/// The flush of one record.
pub(super) fn next(up_to: i64) -> Reach {
    reach(up_to as u64 - 1, up_to as u64)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_created_at_its_first_flush() {
    let folder = tempfile::tempdir().unwrap();
    let open = || on(Arc::new(LocalFolder::open(&folder.path().join("tables")).unwrap()));
    let tables = open();
    assert!(tables.load(&tenant(), Kind::Samples).await.unwrap().is_none());
    assert!(tables.tenants().await.unwrap().is_empty());

    let state = tables.commit(&tenant(), Kind::Samples, samples(0..10), reach(0, 5)).await.unwrap();
    assert_eq!((state.version, state.flushed, state.files.len()), (1, 5, 1));
    assert_eq!((state.files[0].rows, state.files[0].metric_id), (10, Some((7, 7))));
    assert!(state.files[0].path.as_ref().starts_with("t*1/samples/"));
    let state = tables.commit(&tenant(), Kind::Samples, samples(10..15), reach(5, 9)).await.unwrap();
    assert_eq!((state.version, state.flushed, state.files.len()), (2, 9, 2));

    let again = open();
    let read = again.load(&tenant(), Kind::Samples).await.unwrap().unwrap();
    assert_eq!((read.version, read.flushed, &read.files), (2, 9, &state.files));
    assert_eq!(times(&again, &read).await, (0..15).collect::<Vec<_>>());
    assert_eq!(again.tenants().await.unwrap(), [tenant()]);
    assert!(again.load(&tenant(), Kind::Spans).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_up_to_a_position_is_done_once() {
    let tables = on(Arc::new(InMemory::new()));
    let first = tables.commit(&tenant(), Kind::Samples, samples(0..10), reach(0, 5)).await.unwrap();
    let before = objects_in(&tables).await;
    for up_to in [5, 4] {
        let again = tables.commit(&tenant(), Kind::Samples, samples(0..10), reach(0, up_to)).await.unwrap();
        assert_eq!((again.version, again.flushed, &again.files), (first.version, 5, &first.files));
    }
    assert_eq!(objects_in(&tables).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_without_rows_moves_the_position() {
    let tables = on(Arc::new(InMemory::new()));
    let nothing = || SortedRows::Batches(Vec::new());
    let state = tables.commit(&tenant(), Kind::Logs, nothing(), reach(0, 3)).await.unwrap();
    assert_eq!((state.flushed, state.files.len()), (3, 0));
}

/// Fails the n-th call of a sort, for every n, before or after the deed. The
/// flush succeeds or says that it did not; asked again it ends with every row
/// in the table once.
#[tokio::test(flavor = "multi_thread")]
async fn any_single_failure_leaves_each_row_once() {
    use Moment::{After, Before};
    // Bounds beyond the calls that the two flushes make.
    for (call, moment, calls) in
        [(Call::Put, Before, 7), (Call::Put, After, 7), (Call::Get, Before, 16), (Call::List, Before, 14)]
    {
        for (nth, times_failing) in (0..calls).flat_map(|nth| [(nth, 1), (nth, 1_000)]) {
            check_failure(call, moment, nth, times_failing).await;
        }
    }
}

/// A commit lands, what is read of it fails, and what is read of the log then fails as well,
/// anywhere in the middle: what a table knows of itself must not be half new.
#[tokio::test(flavor = "multi_thread")]
async fn any_two_failing_reads_leave_each_row_once() {
    for (first, second) in (0..20).flat_map(|first| (0..12).map(move |second| (first, second))) {
        let faulty = FaultyStore::new(Arc::new(InMemory::new()));
        faulty.fail(Call::Get, Moment::Before, "", first, 1);
        faulty.fail(Call::Get, Moment::Before, "", second, 1);
        check_failing(faulty, format!("reads {first} and {second} after it")).await;
    }
}

async fn check_failure(call: Call, moment: Moment, nth: usize, times_failing: usize) {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    faulty.fail(call, moment, "", nth, times_failing);
    check_failing(faulty, format!("{call:?} {moment:?} from {nth} for {times_failing}")).await;
}

async fn check_failing(faulty: FaultyStore, case: String) {
    let tables = on(Arc::new(faulty.clone()));
    let flushes = [(0..10, reach(0, 5)), (10..15, reach(5, 9))];
    for (rows, reach) in flushes.clone() {
        let mut tries = 0;
        while let Err(error) = tables.commit(&tenant(), Kind::Samples, samples(rows.clone()), reach).await {
            tries += 1;
            assert!(tries < 3, "{case}: {error}");
            faulty.heal();
        }
    }
    faulty.heal();
    let reopened = on(Arc::new(faulty));
    let state = reopened.load(&tenant(), Kind::Samples).await.unwrap().unwrap();
    assert_eq!(state.flushed, 9, "{case}");
    assert_eq!(times(&reopened, &state).await, (0..15).collect::<Vec<_>>(), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_of_the_same_rows_one_wins() {
    for round in 0..20 {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (one, other) = (on(Arc::clone(&objects)), on(Arc::clone(&objects)));
        if round % 2 == 0 {
            one.commit(&tenant(), Kind::Samples, samples(0..5), reach(0, 1)).await.unwrap();
            other.load(&tenant(), Kind::Samples).await.unwrap();
        } else {
            one.commit(&tenant(), Kind::Samples, samples(0..5), reach(0, 1)).await.unwrap();
        }
        let tenant = tenant();
        let (a, b) = tokio::join!(
            one.commit(&tenant, Kind::Samples, samples(5..9), reach(1, 2)),
            other.commit(&tenant, Kind::Samples, samples(5..9), reach(1, 2)),
        );
        assert_eq!((a.unwrap().flushed, b.unwrap().flushed), (2, 2));
        let reopened = on(objects);
        let state = reopened.load(&tenant, Kind::Samples).await.unwrap().unwrap();
        assert_eq!(times(&reopened, &state).await, (0..9).collect::<Vec<_>>());
        // The loser's file is gone: two commits, two files.
        assert_eq!(objects_in(&reopened).await.iter().filter(|name| name.ends_with(".parquet")).count(), 2);
    }
}

/// Eight processes try the same flushes, each when it likes: one of them does each.
#[tokio::test(flavor = "multi_thread")]
async fn of_eight_committers_each_flush_is_done_by_one() {
    // `cargo xtask torture` makes it ten thousand, of many tables: a long log takes time.
    let rounds: i64 = std::env::var("ISINGLASS_COMMITS").map_or(10, |rounds| rounds.parse().unwrap());
    const OF_A_TABLE: i64 = 250;
    for begun in (0..rounds).step_by(OF_A_TABLE as usize) {
        eight_committers((rounds - begun).min(OF_A_TABLE)).await;
    }
    eprintln!("commits: {rounds}, each by one of eight");
}

async fn eight_committers(rounds: i64) {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let committers = (0..8).map(|_| {
        let tables = on(Arc::clone(&objects));
        tokio::spawn(async move {
            for up_to in 1..=rounds {
                // Who was overtaken by more than this flush must start again.
                let done =
                    tables.commit(&tenant(), Kind::Samples, samples(up_to..up_to + 1), next(up_to)).await;
                match done {
                    Ok(state) => assert!(state.flushed >= up_to as u64),
                    Err(error) => assert!(matches!(error, StoreError::Fenced { .. }), "{error}"),
                }
            }
        })
    });
    for committer in futures::future::join_all(committers).await {
        committer.unwrap();
    }
    let reopened = on(objects);
    let state = reopened.load(&tenant(), Kind::Samples).await.unwrap().unwrap();
    assert_eq!(state.flushed, rounds as u64);
    assert_eq!(times(&reopened, &state).await, (1..=rounds).collect::<Vec<_>>());
    assert_eq!(state.files.len() as i64, rounds);
}

/// A flush of the process before, still on its way when that died, lands after this one has
/// read the log of it: some of this one's rows are in the table then. It must notice,
/// also when it opens the table only after that, as it does after an error or a merge.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_that_lands_after_its_process_died_is_not_doubled() {
    for open_before in [true, false] {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (died, now) = (on(Arc::clone(&objects)), on(Arc::clone(&objects)));
        died.commit(&tenant(), Kind::Samples, samples(0..5), reach(0, 1)).await.unwrap();
        if open_before {
            now.load(&tenant(), Kind::Samples).await.unwrap();
        }
        died.commit(&tenant(), Kind::Samples, samples(5..9), reach(1, 2)).await.unwrap();
        let error = now.commit(&tenant(), Kind::Samples, samples(5..20), reach(1, 3)).await.unwrap_err();
        assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
        let state = on(objects).load(&tenant(), Kind::Samples).await.unwrap().unwrap();
        assert_eq!(times(&now, &state).await, (0..9).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_create_one_table() {
    for _ in 0..10 {
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (one, other) = (on(Arc::clone(&objects)), on(Arc::clone(&objects)));
        let tenant = tenant();
        let (a, b) = tokio::join!(
            one.commit(&tenant, Kind::Samples, samples(0..9), reach(0, 2)),
            other.commit(&tenant, Kind::Samples, samples(0..9), reach(0, 2)),
        );
        assert_eq!((a.unwrap().flushed, b.unwrap().flushed), (2, 2));
        let reopened = on(objects);
        let state = reopened.load(&tenant, Kind::Samples).await.unwrap().unwrap();
        assert_eq!(times(&reopened, &state).await, (0..9).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_change_nothing_that_is_read() {
    let tables = on(Arc::new(InMemory::new()));
    for up_to in 1..=105_i64 {
        let state =
            tables.commit(&tenant(), Kind::Samples, samples(up_to..up_to + 1), next(up_to)).await.unwrap();
        assert_eq!((state.version, state.files.len() as i64), (up_to, up_to));
    }
    let checkpoints =
        objects_in(&tables).await.into_iter().filter(|name| name.ends_with(".checkpoint.parquet"));
    assert!(checkpoints.count() >= 1);
    let reopened = on(tables.objects());
    let state = reopened.load(&tenant(), Kind::Samples).await.unwrap().unwrap();
    assert_eq!(state.flushed, 105);
    assert_eq!(times(&reopened, &state).await, (1..=105).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_checkpoint_harms_no_commit() {
    let faulty = FaultyStore::new(Arc::new(InMemory::new()));
    let tables = on(Arc::new(faulty.clone()));
    faulty.fail(Call::Put, Moment::Before, "checkpoint", 0, 1_000);
    for up_to in 1..=102_i64 {
        tables.commit(&tenant(), Kind::Samples, samples(up_to..up_to + 1), next(up_to)).await.unwrap();
    }
    let state = tables.load(&tenant(), Kind::Samples).await.unwrap().unwrap();
    assert_eq!((state.flushed, state.files.len()), (102, 102));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_tables_than_are_held_open() {
    let tables = on(Arc::new(InMemory::new()));
    for number in 0..1_200 {
        let name = Tenant::new(&format!("t{number}")).unwrap();
        assert!(tables.load(&name, Kind::Logs).await.unwrap().is_none());
    }
    assert!(tables.open_tables() <= 512);
    tables.commit(&tenant(), Kind::Samples, samples(0..1), reach(0, 1)).await.unwrap();
}

fn series_batch(rows: &[(i64, &str, &[(&str, &str)], Option<&str>)]) -> RecordBatch {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut labels = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    let mut metric = StringDictionaryBuilder::<Int32Type>::new();
    let mut temporality = StringDictionaryBuilder::<Int32Type>::new();
    for (_, name, entries, kind) in rows {
        metric.append_value(name);
        temporality.append_option(*kind);
        for (key, value) in *entries {
            labels.keys().append_value(key);
            labels.values().append_value(value);
        }
        labels.append(true).unwrap();
    }
    let ids: Int64Array = rows.iter().map(|row| row.0).collect::<Vec<_>>().into();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("metric_id", Arc::new(ids.clone())),
        ("series_id", Arc::new(ids)),
        ("day", Arc::new(Date32Array::from(vec![20_777; rows.len()]))),
        ("metric", Arc::new(metric.finish())),
        ("labels", Arc::new(labels.finish())),
        ("temporality", Arc::new(temporality.finish())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_read_back() {
    let tables = on(Arc::new(InMemory::new()));
    let mut seen = Vec::new();
    tables.read_series(&tenant(), &mut |_| panic!("there is no table")).await.unwrap();
    let first =
        series_batch(&[(2, "up", &[("job", "a"), ("pod", "")], None), (1, "down", &[], Some("delta"))]);
    let second = series_batch(&[(3, "left", &[("ü", "\"x\"")], Some("cumulative"))]);
    tables.commit(&tenant(), Kind::Series, SortedRows::Batches(vec![first]), reach(0, 1)).await.unwrap();
    tables.commit(&tenant(), Kind::Series, SortedRows::Batches(vec![second]), reach(1, 2)).await.unwrap();
    tables
        .read_series(&tenant(), &mut |row| {
            let labels: Vec<String> =
                row.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            seen.push((row.series_id, row.day, row.metric.to_owned(), labels.join(","), row.temporality));
        })
        .await
        .unwrap();
    seen.sort_by_key(|row| row.0);
    let row = |id, metric: &str, labels: &str, temporality| {
        (id, 20_777, metric.to_owned(), labels.to_owned(), temporality)
    };
    assert_eq!(
        seen,
        [
            row(1, "down", "", Temporality::Delta),
            row(2, "up", "job=a,pod=", Temporality::Unspecified),
            row(3, "left", "ü=\"x\"", Temporality::Cumulative),
        ]
    );
}
