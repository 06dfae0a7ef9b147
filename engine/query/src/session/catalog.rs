//! What a tenant can name: its own tables, views and metrics, and tables about the engine.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::TableType;
use isinglass_model::Kind;
use isinglass_store::View;

use super::Sessions;
use crate::library;
use crate::metric::MetricTable;
use crate::table::KindTable;

/// The name of the only catalog.
pub(crate) const CATALOG: &str = "isinglass";
/// The schema of tables and views.
pub(crate) const PUBLIC: &str = "public";
/// The schema whose tables are the metrics.
pub(crate) const METRICS: &str = "metrics";

/// The schema of tables about the engine itself.
pub(crate) const SYSTEM: &str = "system";

/// The one catalog of one tenant at one moment. Nothing can be added to it.
#[derive(Clone)]
pub(crate) struct TenantCatalog {
    view: Arc<View>,
    sessions: Arc<Sessions>,
}

impl TenantCatalog {
    pub(crate) fn new(view: Arc<View>, sessions: Arc<Sessions>) -> Self {
        Self { view, sessions }
    }
}

impl fmt::Debug for TenantCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantCatalog({})", self.view.tenant)
    }
}

impl CatalogProviderList for TenantCatalog {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as _)
    }
}

impl CatalogProvider for TenantCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![PUBLIC.to_owned(), METRICS.to_owned(), SYSTEM.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            PUBLIC => Some(Arc::new(PublicSchema(self.clone()))),
            METRICS => Some(Arc::new(MetricsSchema(Arc::clone(&self.view)))),
            SYSTEM => Some(Arc::new(SystemSchema(self.clone()))),
            _ => None,
        }
    }
}

/// Tables of record and shipped views.
#[derive(Debug)]
struct PublicSchema(TenantCatalog);

#[async_trait]
impl SchemaProvider for PublicSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = Kind::ALL.iter().map(|kind| kind.as_str());
        tables.chain(library::views().map(|view| view.name)).map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(kind) = Kind::from_name(name) {
            let table = KindTable::new(Arc::clone(&self.0.view), kind);
            return Ok(Some(Arc::new(table.with_indexes(&self.0.sessions.indexes))));
        }
        let Some(view) = library::views().find(|view| view.name == name) else { return Ok(None) };
        // Planned when it is named, in a session of its own over the same moment.
        let catalog = self.0.clone();
        let session = self.0.sessions.session(catalog, &self.0.view.tenant, None);
        let plan = session.state.create_logical_plan(view.sql).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.to_owned())))))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let view = library::views().any(|view| view.name == name);
        Ok(Kind::from_name(name).map(|_| TableType::Base).or(view.then_some(TableType::View)))
    }

    fn table_exist(&self, name: &str) -> bool {
        Kind::from_name(name).is_some() || library::views().any(|view| view.name == name)
    }
}

/// One table per metric name.
#[derive(Debug)]
struct MetricsSchema(Arc<View>);

#[async_trait]
impl SchemaProvider for MetricsSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.series().metrics().into_iter().map(|metric| metric.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(metric) = self.0.series().metric(name) else { return Ok(None) };
        Ok(Some(Arc::new(MetricTable::new(Arc::clone(&self.0), &metric))))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.series().metric(name).is_some()
    }
}

/// Tables about the engine itself.
#[derive(Debug)]
struct SystemSchema(TenantCatalog);

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.sessions.system.names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.0.sessions.system.table(name, &self.0.view))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.sessions.system.names().iter().any(|known| known == name)
    }
}
