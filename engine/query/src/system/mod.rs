//! The schema `system`: what the engine knows about itself, as tables.
//!
//! | table | a row is | made in |
//! |---|---|---|
//! | `tables` | a kind of the tenant: files, unflushed rows, times | `tables` |
//! | `files` | a live data file of the tenant | `files` |
//! | `cardinality`, `label_values` | a label of a metric; a value of it | `cardinality` |
//! | `queries`, `slow_queries` | a query of the tenant, running or lately finished; one that was slow | `queries` |
//! | `caches` | a cache that queries read through | `caches` |
//! | `wal`, `wal_totals` | a segment of the log; the log as a whole | `wal` |
//! | anything else | what a [`SystemTable`] says | whoever handed it in |
//!
//! Rows are made while the query runs, not when it is planned, so that they are under its
//! deadline. What belongs to the process and not to a tenant names no tenant. The columns
//! stand in `docs/formats/system-tables.md`.

mod caches;
mod cardinality;
mod columns;
mod files;
mod provider;
mod queries;
mod tables;
mod wal;
mod wanted;

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use futures::stream::{self, BoxStream, StreamExt};
use isinglass_model::{SystemTable, Tenant};
use isinglass_store::{Store, View};

use crate::caches::Caches;
use crate::queries::Queries;
use cardinality::{LabelTable, Labels};
use provider::SystemProvider;
use wanted::Wanted;

/// Where rows of a system table come from.
trait Source: fmt::Debug + Send + Sync {
    /// Its columns.
    fn schema(&self) -> SchemaRef;

    /// Its rows with all columns. Rows and columns that are not wanted may be left out or
    /// left empty; the query looks at the filters again.
    fn rows(&self, wanted: &Wanted) -> BoxStream<'static, Result<RecordBatch>>;
}

/// What system tables are made of, beside the view of the query.
#[derive(Clone)]
pub(crate) struct System {
    pub(crate) store: Store,
    pub(crate) queries: Arc<Queries>,
    pub(crate) caches: Arc<Caches>,
    pub(crate) others: Arc<[Arc<dyn SystemTable>]>,
    pub(crate) rows_max: u64,
}

const OWN: [&str; 9] = [
    "caches",
    "cardinality",
    "files",
    "label_values",
    "queries",
    "slow_queries",
    "tables",
    "wal",
    "wal_totals",
];

impl System {
    /// Names of all tables.
    pub(crate) fn names(&self) -> Vec<String> {
        let others = self.others.iter().map(|table| table.name());
        OWN.into_iter().chain(others).map(str::to_owned).collect()
    }

    /// A table for whoever looks through this view.
    pub(crate) fn table(&self, name: &str, view: &Arc<View>) -> Option<Arc<dyn TableProvider>> {
        let labels = |table| Arc::new(LabelTable::new(table, view.series().clone())) as Arc<dyn Source>;
        let source: Arc<dyn Source> = match name {
            "cardinality" => labels(Labels::Cardinality),
            "label_values" => labels(Labels::Values),
            "files" => Arc::new(files::Files(Arc::clone(view))),
            "tables" => Arc::new(tables::Tables(Arc::clone(view))),
            "queries" => Arc::new(queries::QueryRows::all(&self.queries, &view.tenant)),
            "slow_queries" => Arc::new(queries::QueryRows::slow(&self.queries, &view.tenant)),
            "caches" => Arc::new(caches::CacheRows(Arc::clone(&self.caches))),
            "wal" => Arc::new(wal::Segments(self.store.clone())),
            "wal_totals" => Arc::new(wal::Totals(self.store.clone())),
            other => {
                let table = self.others.iter().find(|table| table.name() == other)?;
                Arc::new(Handed { table: Arc::clone(table), tenant: view.tenant.clone() })
            }
        };
        Some(Arc::new(SystemProvider { name: name.to_owned(), source, rows_max: self.rows_max }))
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "System({} tables)", OWN.len() + self.others.len())
    }
}

/// A table that somebody else makes.
#[derive(Debug)]
struct Handed {
    table: Arc<dyn SystemTable>,
    tenant: Tenant,
}

impl Source for Handed {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn rows(&self, _: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        once(self.table.rows(&self.tenant).map_err(Into::into))
    }
}

/// All rows at once.
fn once(rows: Result<RecordBatch>) -> BoxStream<'static, Result<RecordBatch>> {
    stream::once(std::future::ready(rows)).boxed()
}
