//! The store as a whole, on a simulated disk and tables in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    types::Int32Type,
};
use arrow_schema::{DataType, Schema};
use isinglass_model::clock::ManualClock;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::SeriesRef;
use isinglass_model::tables::Table;
use isinglass_model::{Clock, Counts, Kind, Tenant};

use crate::append::{Append, Appended, BatchKey, NoObserver, Observer};
use crate::config::StoreConfig;
use crate::dedup::Begin;
use crate::error::StoreError;
use crate::store::Store;
use crate::tables::SortedRows;
use crate::view::{HeadFilter, View};
use crate::wal::sim::SimDisk;

mod backup;
mod basics;
mod damage;
mod doctor;
mod failing;
mod golden;
mod interleavings;
pub(crate) mod machine;
mod outage;
mod protocol;
mod real;
mod restart;
mod rewrites;
mod rot;
mod tables;
mod torture;
mod trickle;
mod zombie;

use tables::{Fault, MemoryTables};

/// 2026-01-01.
const NOW_MS: i64 = 1_767_225_600_000;

/// A store and the machine it runs on.
struct World {
    clock: Arc<ManualClock>,
    disk: SimDisk,
    tables: Arc<MemoryTables>,
    config: StoreConfig,
    observer: Arc<dyn Observer>,
    store: Store,
}

fn small() -> StoreConfig {
    StoreConfig { wal_segment_bytes: 16 << 10, append_wait_ms: 1_000, ..StoreConfig::default() }
}

impl World {
    async fn new(config: StoreConfig) -> Self {
        Self::on(SimDisk::default(), config, Arc::new(NoObserver)).await
    }

    async fn on(disk: SimDisk, config: StoreConfig, observer: Arc<dyn Observer>) -> Self {
        let clock = Arc::new(ManualClock::at(NOW_MS * 1_000_000));
        let tables = Arc::new(MemoryTables::default());
        let store = open(&config, &clock, &observer, &disk, &tables).await.unwrap();
        Self { clock, disk, tables, config, observer, store }
    }

    /// The process dies and is started again on what `disk` has become.
    async fn restart(self, disk: SimDisk) -> Self {
        let Self { clock, tables, config, observer, store, .. } = self;
        drop(store);
        let store = open(&config, &clock, &observer, &disk, &tables).await.unwrap();
        Self { clock, disk, tables, config, observer, store }
    }

    async fn kill(self) -> Self {
        let disk = self.disk.kill();
        self.restart(disk).await
    }

    async fn cut_power(self, seed: u64) -> Self {
        let disk = self.disk.cut_power(seed);
        self.restart(disk).await
    }

    /// Every row that a view of the tenant has, by kind, sorted.
    async fn rows(&self, tenant: &Tenant) -> BTreeMap<Kind, Vec<String>> {
        rows_in(&*self.store.view(tenant).await.unwrap(), &self.tables)
    }

    async fn logs(&self, tenant: &Tenant) -> Vec<String> {
        self.rows(tenant).await.remove(&Kind::Logs).unwrap_or_default()
    }
}

async fn open(
    config: &StoreConfig,
    clock: &Arc<ManualClock>,
    observer: &Arc<dyn Observer>,
    disk: &SimDisk,
    tables: &Arc<MemoryTables>,
) -> Result<Store, StoreError> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let disk = Arc::new(disk.clone());
    let tables = Arc::<MemoryTables>::clone(tables);
    Store::open_on(config.clone(), clock, Arc::clone(observer), disk, tables, None).await
}

fn rows_in(view: &View, tables: &MemoryTables) -> BTreeMap<Kind, Vec<String>> {
    let mut all = BTreeMap::new();
    for kind in Kind::ALL {
        let table = view.table(kind);
        let mut rows: Vec<String> = table.files.iter().flat_map(|file| tables.rows(file)).collect();
        let head = table.head_batches(&HeadFilter::default()).unwrap();
        assert_eq!(head.iter().map(RecordBatch::num_rows).sum::<usize>(), table.head_rows());
        rows.extend(head.iter().flat_map(|batch| texts(kind, batch)));
        rows.sort();
        if !rows.is_empty() {
            all.insert(kind, rows);
        }
    }
    all
}

/// Rows of a flush as texts.
fn rows_of(kind: Kind, rows: &SortedRows) -> Vec<String> {
    match rows {
        SortedRows::Batches(batches) => batches.iter().flat_map(|batch| texts(kind, batch)).collect(),
        SortedRows::Samples(samples) => {
            let ids =
                samples.runs.iter().flat_map(|run| std::iter::repeat_n(run.series_id, run.rows as usize));
            let times = samples.time_ms.iter().zip(&samples.value);
            ids.zip(times).map(|(id, (time, value))| format!("{id}@{time}={value}")).collect()
        }
    }
}

fn texts(kind: Kind, batch: &RecordBatch) -> Vec<String> {
    let names = (kind == Kind::Spans).then(|| arrow_cast::cast(&batch["name"], &DataType::Utf8).unwrap());
    let row = |row: usize| match kind {
        Kind::Spans => names.as_ref().unwrap().as_string::<i32>().value(row).to_owned(),
        Kind::Samples => {
            let id = batch["series_id"].as_primitive::<Int64Type>().value(row);
            let time = batch["time"].as_primitive::<TimestampMicrosecondType>().value(row) / 1_000;
            format!("{id}@{time}={}", batch["value"].as_primitive::<Float64Type>().value(row))
        }
        Kind::Logs => batch["body"].as_string::<i32>().value(row).to_owned(),
        _ => format!("{:?}", batch.slice(row, 1).columns().first()),
    };
    (0..batch.num_rows()).map(row).collect()
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

/// A batch of `logs` with these bodies.
fn logs(bodies: &[String]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(Int64Array::from(vec![NOW_MS * 1_000_000; bodies.len()]))),
        ("service", same("shop", bodies.len())),
        ("stream", same("{service=\"shop\"}", bodies.len())),
        ("body", Arc::new(StringArray::from_iter_values(bodies))),
    ];
    batch(Kind::Logs, columns)
}

/// A batch of `spans` with these names.
fn spans(names: &[String]) -> RecordBatch {
    let rows = names.len();
    // As many bytes of the name, from its end.
    let of = |name: &String, width: usize| format!("{name:>16}").as_bytes()[16 - width..][..width].to_vec();
    let id =
        |width: usize| FixedSizeBinaryArray::try_from_iter(names.iter().map(|name| of(name, width))).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(Int64Array::from(vec![NOW_MS * 1_000_000; rows]))),
        ("duration", Arc::new(Int64Array::from(vec![1_000; rows]))),
        ("trace_id", Arc::new(id(16))),
        ("span_id", Arc::new(id(8))),
        ("service", same("shop", rows)),
        ("name", Arc::new(names.iter().map(String::as_str).collect::<DictionaryArray<Int32Type>>())),
        ("kind", same("server", rows)),
        ("status", same("ok", rows)),
        ("size_bytes", Arc::new(Int32Array::from(vec![100; rows]))),
    ];
    batch(Kind::Spans, columns)
}

fn same(value: &str, rows: usize) -> ArrayRef {
    Arc::new(std::iter::repeat_n(value, rows).collect::<DictionaryArray<Int32Type>>())
}

fn batch(kind: Kind, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let table = Table::of(kind);
    let fields = columns.iter().map(|(name, _)| Arc::clone(table.batch_field(table.position(name).unwrap())));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, column)| column).collect()).unwrap()
}

fn log_append(tenant: &Tenant, bodies: &[String]) -> Append {
    let stored = bodies.len() as u64;
    let counts = Counts { received: stored, stored, ..Counts::default() };
    Append { logs: Some(logs(bodies)), counts, ..Append::new(tenant.clone()) }
}

fn span_append(tenant: &Tenant, names: &[String]) -> Append {
    let stored = names.len() as u64;
    let counts = Counts { received: stored, stored, ..Counts::default() };
    Append { spans: Some(spans(names)), counts, ..Append::new(tenant.clone()) }
}

fn labels(metric: &str, instance: &str) -> LabelSet {
    LabelSet::new(&mut [(METRIC_NAME, metric), ("instance", instance)], Temporality::Unspecified).unwrap()
}

async fn series(store: &Store, tenant: &Tenant, metric: &str, instance: &str) -> SeriesRef {
    let mut resolver = store.resolver(tenant).await.unwrap();
    resolver.intern_labels(labels(metric, instance)).unwrap().series
}

/// An append of one sample for each of some series.
async fn sample_append(
    store: &Store,
    tenant: &Tenant,
    time_ms: i64,
    instances: &[&str],
    value: f64,
) -> Append {
    let life = store.resolver(tenant).await.unwrap().life();
    let mut append = Append { life, ..Append::new(tenant.clone()) };
    for instance in instances {
        append.samples.push(series(store, tenant, "up", instance).await, time_ms, value, 0);
    }
    append
}

/// Appends under a key; `None` if it was a duplicate.
async fn append_once(store: &Store, key: u128, append: Append) -> Option<Result<Appended, StoreError>> {
    match store.begin(&append.tenant, BatchKey(key)).await {
        Begin::Duplicate(_) => None,
        Begin::First(ticket) => Some(store.append(Append { ticket: Some(ticket), ..append }).await),
    }
}
