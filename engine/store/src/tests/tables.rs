//! Tables in memory that can be told to fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use async_trait::async_trait;
use isinglass_model::labels::Temporality;
use isinglass_model::{Kind, Tenant};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use parking_lot::Mutex;

use super::rows_of;
use crate::tables::{
    DataFile, FoundFile, Reach, Rewrite, Rewritten, SeriesRow, SortedRows, TableFiles, TableState,
};
use crate::{Seq, StoreError};

/// How the next commits fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Before anything is written.
    Before,
    /// After the commit landed: the caller cannot know.
    After,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<(Tenant, Kind), TableState>,
    rows: BTreeMap<String, Vec<String>>,
    series: BTreeMap<Tenant, Vec<RecordBatch>>,
    /// What the next commits do, the last one first.
    faults: Vec<Option<Fault>>,
    commits: u64,
    log: Vec<(Kind, Seq)>,
}

#[derive(Default)]
pub(super) struct MemoryTables {
    state: Mutex<State>,
}

impl MemoryTables {
    pub(super) fn fail_next(&self, fault: Fault) {
        self.fail_after(0, fault);
    }

    /// Lets `skip` commits pass, then one fails.
    pub(super) fn fail_after(&self, skip: usize, fault: Fault) {
        let mut state = self.state.lock();
        state.faults.push(Some(fault));
        state.faults.extend(std::iter::repeat_n(None, skip));
    }

    pub(super) fn forget_faults(&self) {
        self.state.lock().faults.clear();
    }

    pub(super) fn commits(&self) -> u64 {
        self.state.lock().commits
    }

    /// Commits in the order in which they landed.
    pub(super) fn log(&self) -> Vec<(Kind, Seq)> {
        self.state.lock().log.clone()
    }

    /// The rows of a file, as texts.
    pub(super) fn rows(&self, file: &DataFile) -> Vec<String> {
        self.state.lock().rows[file.path.as_ref()].clone()
    }
}

fn fault(tenant: &Tenant, kind: Kind) -> StoreError {
    StoreError::Table { tenant: tenant.clone(), kind, reason: "told to fail".into() }
}

#[async_trait]
impl TableFiles for MemoryTables {
    async fn load(&self, tenant: &Tenant, kind: Kind) -> Result<Option<TableState>, StoreError> {
        Ok(self.state.lock().tables.get(&(tenant.clone(), kind)).cloned())
    }

    async fn commit(
        &self,
        tenant: &Tenant,
        kind: Kind,
        rows: SortedRows,
        Reach { after, up_to }: Reach,
    ) -> Result<TableState, StoreError> {
        tokio::task::yield_now().await;
        let mut state = self.state.lock();
        let planned = state.faults.pop().flatten();
        if planned == Some(Fault::Before) {
            return Err(fault(tenant, kind));
        }
        let key = (tenant.clone(), kind);
        let before = state.tables.get(&key).cloned();
        let mut table = before.unwrap_or_else(|| TableState {
            version: -1,
            flushed: 0,
            highest: 0,
            files: Arc::from([]),
        });
        if table.flushed < up_to {
            assert_eq!(table.flushed, after, "the store does not know its own table");
            state.commits += 1;
            state.log.push((kind, up_to));
            let path = format!("{tenant}/{kind}/{up_to}");
            let file = DataFile {
                path: Path::from(path.as_str()),
                size_bytes: 1,
                rows: rows.rows() as u64,
                time: None,
                metric_id: None,
                level: 0,
                accepted: up_to,
                kept: None,
                crc32c: None,
                token_index_bytes: None,
                attribute_columns: Arc::default(),
            };
            if let (Kind::Series, SortedRows::Batches(batches)) = (kind, &rows) {
                state.series.entry(tenant.clone()).or_default().extend(batches.iter().cloned());
            }
            state.rows.insert(path, rows_of(kind, &rows));
            table.files = table.files.iter().cloned().chain([file]).collect();
            table.flushed = up_to;
            table.version += 1;
            state.tables.insert(key, table.clone());
        }
        if planned == Some(Fault::After) { Err(fault(tenant, kind)) } else { Ok(table) }
    }

    async fn erase(
        &self,
        tenant: &Tenant,
        kind: Kind,
        up_to: Seq,
    ) -> Result<(Option<TableState>, Vec<DataFile>), StoreError> {
        tokio::task::yield_now().await;
        let mut state = self.state.lock();
        let planned = state.faults.pop().flatten();
        if planned == Some(Fault::Before) {
            return Err(fault(tenant, kind));
        }
        let Some(table) = state.tables.get_mut(&(tenant.clone(), kind)) else {
            return Ok((None, Vec::new()));
        };
        let mut gone = Vec::new();
        if table.flushed < up_to {
            gone = table.files.to_vec();
            *table = TableState {
                version: table.version + 1,
                flushed: up_to,
                highest: up_to,
                files: Arc::from([]),
            };
        }
        let table = table.clone();
        if kind == Kind::Series && !gone.is_empty() {
            state.series.remove(tenant);
        }
        if planned == Some(Fault::After) { Err(fault(tenant, kind)) } else { Ok((Some(table), gone)) }
    }

    async fn rewrite(
        &self,
        _: &Tenant,
        _: Kind,
        _: &Rewrite,
        _: &tokio::sync::Mutex<()>,
        _: &(dyn for<'r> Fn(&'r TableState) + Send + Sync),
    ) -> Result<Option<Rewritten>, StoreError> {
        Err(StoreError::Internal("rewrites are tested on real tables".into()))
    }

    async fn list(&self, _: &Tenant, _: Kind) -> Result<Vec<FoundFile>, StoreError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: Vec<Path>) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn read_series(
        &self,
        tenant: &Tenant,
        each: &mut (dyn for<'r> FnMut(SeriesRow<'r>) + Send),
    ) -> Result<(), StoreError> {
        let batches = self.state.lock().series.get(tenant).cloned().unwrap_or_default();
        batches.iter().for_each(|batch| read(batch, each));
        Ok(())
    }

    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let mut tenants: Vec<Tenant> =
            self.state.lock().tables.keys().map(|(tenant, _)| tenant.clone()).collect();
        tenants.dedup();
        Ok(tenants)
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(InMemory::new())
    }
}

fn read(batch: &RecordBatch, each: &mut (dyn for<'r> FnMut(SeriesRow<'r>) + Send)) {
    let ids = batch["series_id"].as_primitive::<Int64Type>();
    let days = batch["day"].as_primitive::<Date32Type>();
    let labels = batch["labels"].as_map();
    let text = |name: &str, row: usize| {
        let column = batch[name].as_dictionary::<Int32Type>();
        column.key(row).map_or(String::new(), |key| column.values().as_string::<i32>().value(key).to_owned())
    };
    for row in 0..batch.num_rows() {
        let entries = labels.value(row);
        let (names, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        let labels: Vec<(&str, &str)> =
            (0..entries.len()).map(|at| (names.value(at), values.value(at))).collect();
        let temporality = match text("temporality", row).as_str() {
            "delta" => Temporality::Delta,
            "cumulative" => Temporality::Cumulative,
            _ => Temporality::Unspecified,
        };
        each(SeriesRow {
            series_id: ids.value(row),
            day: days.value(row),
            metric: &text("metric", row),
            labels: &labels,
            temporality,
            metric_type: &text("type", row),
            unit: &text("unit", row),
            help: &text("help", row),
        });
    }
}
