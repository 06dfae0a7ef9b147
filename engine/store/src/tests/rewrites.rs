//! Merges, retention and deletion, on real tables: whatever is rewritten, and whatever
//! dies when, every acknowledged row is seen exactly once until it is too old or deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::types::Int16Type;
use isinglass_testkit::faulty::{Call, FaultyStore, Moment};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::files::Tables;
use crate::tables::DataFile;
use crate::upkeep::{Keep, KeepByKind};

mod deletion;
mod indexes;
mod label_sets;
mod late;
mod quiet;
mod races;
mod replays;
mod replicas;
mod rules;
mod torn;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

/// A store on tables whose object store can be told to fail.
struct Real {
    clock: Arc<ManualClock>,
    disk: SimDisk,
    objects: FaultyStore,
    config: StoreConfig,
    store: Store,
}

async fn start(
    config: &StoreConfig,
    clock: &Arc<ManualClock>,
    disk: &SimDisk,
    objects: &FaultyStore,
) -> Store {
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let tables = Tables::on(Arc::new(objects.clone()), Arc::clone(&time));
    let (disk, tables) = (Arc::new(disk.clone()), Arc::new(tables));
    Store::open_on(config.clone(), time, Arc::new(NoObserver), disk, tables, None).await.unwrap()
}

impl Real {
    async fn new(mut config: StoreConfig) -> Self {
        // Rounds are the test's own.
        config.compaction.enabled = false;
        let clock = Arc::new(ManualClock::at(NOW_MS * 1_000_000));
        let (disk, objects) = (SimDisk::default(), FaultyStore::new(Arc::new(InMemory::new())));
        let store = start(&config, &clock, &disk, &objects).await;
        Self { clock, disk, objects, config, store }
    }

    async fn kill(self) -> Self {
        let disk = self.disk.kill();
        self.restart(disk).await
    }

    async fn cut_power(self, seed: u64) -> Self {
        let disk = self.disk.cut_power(seed);
        self.restart(disk).await
    }

    async fn restart(self, disk: SimDisk) -> Self {
        let Self { clock, objects, config, store, .. } = self;
        drop(store);
        objects.heal();
        let store = start(&config, &clock, &disk, &objects).await;
        Self { clock, disk, objects, config, store }
    }

    async fn append(&self, bodies: &[String]) {
        self.store.append(log_append(&tenant("a"), bodies)).await.unwrap();
    }

    async fn flushed(&self, bodies: &[&str]) {
        for body in bodies {
            self.append(&[(*body).to_owned()]).await;
            self.store.flush().await.unwrap();
        }
    }

    async fn view(&self) -> Arc<View> {
        self.store.view(&tenant("a")).await.unwrap()
    }

    async fn rows(&self, kind: Kind) -> Vec<String> {
        rows_of_view(&*self.view().await, kind).await
    }

    async fn mortal(&self) -> Vec<String> {
        rows_of_view(&*self.store.view(&tenant("mortal")).await.unwrap(), Kind::Logs).await
    }

    async fn files(&self, kind: Kind) -> Vec<DataFile> {
        self.view().await.table(kind).files.to_vec()
    }

    /// Hours pass; there is a round in each.
    async fn live(&self, hours: u32) {
        for _ in 0..hours {
            self.clock.advance(HOUR);
            self.store.core.upkeep.round().await;
        }
    }
}

/// All rows that a view has, read as a query reads them, sorted.
pub(super) async fn rows_of_view(view: &View, kind: Kind) -> Vec<String> {
    try_rows_of_view(view, kind).await.unwrap()
}

pub(super) async fn try_rows_of_view(view: &View, kind: Kind) -> object_store::Result<Vec<String>> {
    let table = view.table(kind);
    let mut rows = Vec::new();
    for file in table.files.iter() {
        let bytes = view.objects().get(&file.path).await?.bytes().await?;
        for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
            rows.extend(file_texts(kind, &batch.unwrap()));
        }
    }
    let head = table.head_batches(&HeadFilter::default()).unwrap();
    rows.extend(head.iter().flat_map(|batch| texts(kind, batch)));
    rows.sort();
    Ok(rows)
}

fn file_texts(kind: Kind, batch: &RecordBatch) -> Vec<String> {
    if kind != Kind::Samples {
        return texts(kind, batch);
    }
    let (ids, times) = (&batch["series_id"], &batch["time"]);
    let (double, int) = (batch["value"].as_primitive::<Float64Type>(), &batch["value_int"]);
    let int = int.as_primitive::<Int64Type>();
    let scale = batch["value_scale"].as_primitive::<Int16Type>();
    let text = |row: usize| {
        let value = match arrow_array::Array::is_valid(int, row) {
            true => int.value(row) as f64 / 10_f64.powi(i32::from(scale.value(row))),
            false => double.value(row),
        };
        let id = ids.as_primitive::<Int64Type>().value(row);
        format!("{id}@{}={value}", times.as_primitive::<TimestampMicrosecondType>().value(row) / 1_000)
    };
    (0..batch.num_rows()).map(text).collect()
}

fn check(got: Vec<String>, want: &[&str]) {
    assert_eq!(got, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_window_that_is_over_become_one() {
    let real = Real::new(small()).await;
    real.flushed(&["a", "b", "c"]).await;
    real.live(1).await;
    assert_eq!(real.files(Kind::Logs).await.len(), 3);
    real.live(4).await;
    let files = real.files(Kind::Logs).await;
    assert_eq!((files.len(), files[0].level, files[0].rows), (1, 1, 3));
    real.live(24).await;
    assert_eq!(real.files(Kind::Logs).await[0].level, 2);
    check(real.rows(Kind::Logs).await, &["a", "b", "c"]);
    let real = real.kill().await;
    check(real.rows(Kind::Logs).await, &["a", "b", "c"]);
    assert_eq!(real.files(Kind::Logs).await[0].level, 2);
}

/// A flush around midnight.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_cut_at_the_borders_of_days() {
    let real = Real::new(small()).await;
    let acme = tenant("a");
    for time in [NOW_MS - 2, NOW_MS - 1, NOW_MS, NOW_MS + 86_400_000] {
        let append = sample_append(&real.store, &acme, time, &["x", "y"], 1.5).await;
        real.store.append(append).await.unwrap();
    }
    let before = real.rows(Kind::Samples).await;
    real.store.flush().await.unwrap();
    let files = real.files(Kind::Samples).await;
    let mut rows: Vec<u64> = files.iter().map(|file| file.rows).collect();
    rows.sort_unstable();
    assert_eq!(rows, [2, 2, 4]);
    let one_day = |(first, last): (i64, i64)| first / 86_400_000_000 == last / 86_400_000_000;
    assert!(files.iter().all(|file| file.time.is_some_and(one_day)));
    assert_eq!(real.rows(Kind::Samples).await, before);
    let real = real.kill().await;
    assert_eq!(real.rows(Kind::Samples).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_conflicting_samples_the_first_accepted_stays() {
    let real = Real::new(small()).await;
    for value in [1.0, 2.0, 1.0] {
        let append = sample_append(&real.store, &tenant("a"), NOW_MS, &["x"], value).await;
        real.store.append(append).await.unwrap();
        real.store.flush().await.unwrap();
    }
    assert_eq!(real.rows(Kind::Samples).await.len(), 3);
    real.store.compact().await.unwrap();
    let rows = real.rows(Kind::Samples).await;
    assert!(rows.len() == 1 && rows[0].ends_with("=1"), "{rows:?}");
    let stats = real.store.stats();
    assert_eq!((stats.merged_duplicates, stats.merged_conflicts), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_file_stays_while_a_view_names_it_and_for_a_grace() {
    let real = Real::new(small()).await;
    real.flushed(&["a", "b"]).await;
    let old = real.view().await;
    real.store.compact().await.unwrap();
    assert_eq!(real.files(Kind::Logs).await.len(), 1);
    real.live(3).await;
    check(rows_of_view(&old, Kind::Logs).await, &["a", "b"]);
    let replaced = old.table(Kind::Logs).files[0].path.clone();
    drop(old);
    real.live(1).await;
    let gone = real.objects.head(&replaced).await.unwrap_err();
    assert!(matches!(gone, object_store::Error::NotFound { .. }), "{gone}");
    check(real.rows(Kind::Logs).await, &["a", "b"]);
    assert_eq!(real.store.stats().deleted_files, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_go_when_they_are_too_old_and_not_by_a_clock_that_was_set() {
    let mut config = small();
    config.retention.all = KeepByKind { logs: Some(Keep::For(3 * 86_400_000)), ..KeepByKind::default() };
    let real = Real::new(config).await;
    real.flushed(&["a", "b"]).await;
    let append = sample_append(&real.store, &tenant("a"), NOW_MS, &["x"], 1.0).await;
    real.store.append(append).await.unwrap();
    real.store.flush().await.unwrap();
    // Ten years ahead, for an hour.
    let right = real.clock.now_unix_nanos();
    real.store.core.upkeep.round().await;
    real.clock.jump_to(right + 3_650 * DAY.as_nanos() as i64);
    real.live(1).await;
    real.clock.jump_to(right);
    real.live(48).await;
    check(real.rows(Kind::Logs).await, &["a", "b"]);
    real.live(26).await;
    check(real.rows(Kind::Logs).await, &[]);
    assert_eq!(real.store.stats().expired_rows, 2);
    assert_eq!(real.rows(Kind::Samples).await.len(), 1, "metrics are kept forever");
}

fn rewrite(inputs: Vec<DataFile>) -> crate::tables::Rewrite {
    crate::tables::Rewrite {
        inputs,
        level: 1,
        drop_all: false,
        keep_from: None,
        drop_rows: None,
        kept: None,
        ha: None,
        zstd_level: 1,
        file_bytes: 1 << 20,
        memory_bytes: 16 << 20,
        attribute_columns_max: 16,
    }
}

/// Two processes on one object store, the second of which has merged already.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_merges_of_the_same_files_one_counts() {
    let real = Real::new(small()).await;
    real.flushed(&["a", "b", "c"]).await;
    let other = start(&real.config, &real.clock, &SimDisk::default(), &real.objects).await;
    // Its view is from before the merge.
    let before = other.view(&tenant("a")).await.unwrap();
    assert_eq!(before.table(Kind::Logs).files.len(), 3);
    real.store.compact().await.unwrap();
    let rewrite = rewrite(before.table(Kind::Logs).files.to_vec());
    let gate = tokio::sync::Mutex::new(());
    let files = &other.core.upkeep.files;
    let merged = files.rewrite(&tenant("a"), Kind::Logs, &rewrite, &gate, &|_| ()).await.unwrap();
    assert!(merged.is_none(), "{merged:?}");
    let dropped = crate::tables::Rewrite { drop_all: true, ..rewrite };
    let done = files.rewrite(&tenant("a"), Kind::Logs, &dropped, &gate, &|_| ()).await.unwrap();
    assert!(done.is_none_or(|done| done.rows_out == 0));
    let real = real.kill().await;
    check(real.rows(Kind::Logs).await, &["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_merge_that_died_left_behind_is_collected_after_a_day() {
    let real = Real::new(small()).await;
    real.flushed(&["a", "b"]).await;
    real.objects.fail(Call::Put, Moment::Before, "_delta_log", 0, 100);
    real.store.compact().await.unwrap_err();
    real.objects.heal();
    let objects = async || real.store.core.upkeep.files.list(&tenant("a"), Kind::Logs).await.unwrap().len();
    assert_eq!(objects().await, 3, "two files of the table and one that nobody names");
    // Objects in memory have the time of the system.
    real.clock.jump_to(isinglass_model::clock::SystemClock::new().now_unix_nanos());
    real.live(23).await;
    assert_eq!(objects().await, 2, "the merged file, and the one that may still be on its way");
    real.live(8).await;
    assert_eq!(objects().await, 1);
    check(real.rows(Kind::Logs).await, &["a", "b"]);
}

/// The same where the tenant is not used again: nobody loads its tables.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_merge_of_an_idle_tenant_left_behind_is_collected_too() {
    let real = Real::new(small()).await;
    real.flushed(&["a", "b"]).await;
    real.objects.fail(Call::Put, Moment::Before, "_delta_log", 0, 100);
    real.store.compact().await.unwrap_err();
    real.objects.heal();
    real.clock.jump_to(isinglass_model::clock::SystemClock::new().now_unix_nanos());
    // Another machine takes over, whose log knows nothing of the tenant.
    let real = real.restart(SimDisk::default()).await;
    let objects = async || real.store.core.upkeep.files.list(&tenant("a"), Kind::Logs).await.unwrap().len();
    assert!(real.store.core.flusher.tenants.loaded(&tenant("a")).is_none());
    real.live(23).await;
    assert_eq!(objects().await, 3, "one that nobody names");
    real.live(4).await;
    assert_eq!(objects().await, 2);
    assert!(real.store.core.flusher.tenants.loaded(&tenant("a")).is_none());
    check(real.rows(Kind::Logs).await, &["a", "b"]);
}

#[derive(Debug, Clone)]
enum Step {
    Append {
        rows: usize,
    },
    Samples {
        series: usize,
    },
    Flush,
    Compact,
    /// Rows of a tenant whose rows are removed when they are old.
    Mortal {
        rows: usize,
    },
    Live {
        hours: u32,
    },
    Fail {
        call: Call,
        moment: Moment,
        log: bool,
        skip: usize,
    },
    Hold,
    Delete,
    Kill,
    CutPower {
        seed: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let call = prop_oneof![3 => Just(Call::Put), 1 => Just(Call::Get), 1 => Just(Call::Delete), 1 => Just(Call::Multipart)];
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::After)];
    let step = prop_oneof![
        4 => (1..6_usize).prop_map(|rows| Step::Append { rows }),
        3 => (1..4_usize).prop_map(|series| Step::Samples { series }),
        5 => Just(Step::Flush),
        3 => Just(Step::Compact),
        2 => (1..4_usize).prop_map(|rows| Step::Mortal { rows }),
        3 => (1..30_u32).prop_map(|hours| Step::Live { hours }),
        3 => (call, moment, any::<bool>(), 0..3_usize)
            .prop_map(|(call, moment, log, skip)| Step::Fail { call, moment, log, skip }),
        1 => Just(Step::Hold),
        1 => Just(Step::Delete),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(|seed| Step::CutPower { seed }),
    ];
    vec(step, 1..24)
}

#[derive(Default)]
struct Model {
    logs: BTreeSet<String>,
    samples: usize,
    /// Sent for the tenant whose rows are removed.
    mortal: BTreeSet<String>,
}

/// A view, and the rows of both kinds that it had when it was taken.
type Held = (Arc<View>, Vec<String>, Vec<String>);

async fn audit(real: &Real, model: &Model) {
    // Right after a start, an append may be acknowledged and left to the reader of the log.
    real.store.caught_up().await.unwrap();
    let want: Vec<String> = model.logs.iter().cloned().collect();
    assert_eq!(real.rows(Kind::Logs).await, want);
    assert_eq!(real.rows(Kind::Samples).await.len(), model.samples);
    let mortal = real.mortal().await;
    let seen: BTreeSet<String> = mortal.iter().cloned().collect();
    assert!(seen.len() == mortal.len() && seen.is_subset(&model.mortal), "{mortal:?}");
}

fn with_retention() -> StoreConfig {
    let mut config = small();
    let keep = KeepByKind { default: Some(Keep::For(6 * 3_600_000)), ..KeepByKind::default() };
    config.retention.tenants.insert("mortal".to_owned(), keep);
    config
}

async fn interleave(steps: Vec<Step>) {
    let (mut real, mut model) = (Real::new(with_retention()).await, Model::default());
    let mut held = Vec::<Held>::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Append { rows } => {
                let bodies: Vec<String> = (0..rows).map(|row| format!("{number:03}-{row}")).collect();
                real.append(&bodies).await;
                model.logs.extend(bodies);
            }
            Step::Samples { series } => {
                let names = ["x", "y", "z"];
                let time = NOW_MS + number as i64;
                let append = sample_append(&real.store, &tenant("a"), time, &names[..series], 0.5).await;
                real.store.append(append).await.unwrap();
                model.samples += series;
            }
            Step::Flush => drop(real.store.flush().await),
            Step::Compact => drop(real.store.compact().await),
            Step::Mortal { rows } => {
                let bodies: Vec<String> = (0..rows).map(|row| format!("{number:03}-{row}")).collect();
                // Refused where its tables have to be looked at and cannot be.
                let _ = real.store.append(log_append(&tenant("mortal"), &bodies)).await;
                model.mortal.extend(bodies);
            }
            Step::Live { hours } => real.live(hours).await,
            Step::Fail { call, moment, log, skip } => {
                real.objects.fail(call, moment, if log { "_delta_log" } else { ".parquet" }, skip, 2);
            }
            Step::Hold => {
                real.objects.heal();
                let view = real.view().await;
                let rows = (rows_of_view(&view, Kind::Logs).await, rows_of_view(&view, Kind::Samples).await);
                held.push((view, rows.0, rows.1));
            }
            Step::Delete => {
                // An error says that nothing is deleted.
                if real.store.delete_tenant(&tenant("a")).await.is_ok() {
                    model = Model { mortal: model.mortal, ..Model::default() };
                }
            }
            Step::Kill => {
                // A view does not outlive its process.
                held.clear();
                real = real.kill().await;
            }
            Step::CutPower { seed } => {
                held.clear();
                real = real.cut_power(seed).await;
            }
        }
    }
    real.objects.heal();
    audit(&real, &model).await;
    for (view, logs, samples) in held {
        assert_eq!(rows_of_view(&view, Kind::Logs).await, logs);
        assert_eq!(rows_of_view(&view, Kind::Samples).await, samples);
    }
    real.store.compact().await.unwrap();
    audit(&real, &model).await;
    let real = real.kill().await;
    audit(&real, &model).await;
    real.store.flush().await.unwrap();
    real.live(10).await;
    audit(&real, &model).await;
    assert_eq!(real.mortal().await, Vec::<String>::new(), "rows past their retention");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_there_once_whatever_is_rewritten_meanwhile(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(interleave(steps));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn flushes_merges_and_queries_at_the_same_time() {
    let real = Arc::new(Real::new(small()).await);
    let writer = {
        let real = Arc::clone(&real);
        tokio::spawn(async move {
            for number in 0..60 {
                real.append(&[format!("{number:03}")]).await;
                real.store.flush().await.unwrap();
            }
        })
    };
    let merger = {
        let real = Arc::clone(&real);
        tokio::spawn(async move {
            while real.store.stats().flushes < 60 {
                real.store.core.upkeep.compact().await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    while !writer.is_finished() {
        let rows = real.rows(Kind::Logs).await;
        let want: Vec<String> = (0..rows.len()).map(|number| format!("{number:03}")).collect();
        assert_eq!(rows, want);
    }
    writer.await.unwrap();
    merger.await.unwrap();
    assert_eq!(real.rows(Kind::Logs).await.len(), 60);
    assert!(real.store.stats().merges > 0);
}
