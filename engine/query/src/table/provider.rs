//! A table of record as DataFusion sees it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;

use isinglass_model::Kind;
use isinglass_store::View;

use super::ids::{FilterCache, Search};
use super::kind_scan::KindScan;
use super::layout::Layout;
use super::scan::Means;
use super::tokens::{RowsWanted, TokenCache};
use crate::objects::TABLES_URL;
use crate::shown::filter::to_files;

/// One of the seven tables of one view.
#[derive(Debug)]
pub(crate) struct KindTable {
    view: Arc<View>,
    layout: &'static Layout,
    indexes: Option<Indexes>,
}

/// What is known of the rows of files beside their footers.
#[derive(Debug, Clone)]
pub(crate) struct Indexes {
    /// Identifiers in log lines.
    pub(crate) tokens: Arc<TokenCache>,
    /// Filters of ids.
    pub(crate) filters: Arc<FilterCache>,
}

impl KindTable {
    pub(crate) fn new(view: Arc<View>, kind: Kind) -> Self {
        Self { view, layout: Layout::of(kind), indexes: None }
    }

    /// The same table, with what is known of rows put to use.
    pub(crate) fn with_indexes(self, indexes: &Indexes) -> Self {
        Self { indexes: Some(indexes.clone()), ..self }
    }

    /// Rows that lie in files, whatever a query asks of them.
    pub(crate) fn rows_in_files(&self) -> u64 {
        let files = &self.view.table(self.layout.table.kind).files;
        files.iter().map(|file| file.rows).fold(0, u64::saturating_add)
    }

    async fn rows(&self, filters: &[Arc<dyn PhysicalExpr>], session: &dyn Session) -> Result<RowsWanted> {
        let Some(indexes) = &self.indexes else { return Ok(RowsWanted::default()) };
        let runtime = session.runtime_env();
        let objects = runtime.object_store(&*TABLES_URL)?;
        let rows = RowsWanted::by_tokens(&self.view, self.layout, filters, &indexes.tokens, &objects).await?;
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let search = Search {
            view: &self.view,
            layout: self.layout,
            filters,
            footers: footers.as_ref(),
            cache: &indexes.filters,
            objects: &objects,
        };
        rows.with_ids(&search).await
    }
}

#[async_trait]
impl TableProvider for KindTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.layout.shown)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// All filters come in, to leave files out. They are asked of rows again by
    /// the filter above, which hands itself down as [`ShownExec`] allows.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let shown: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..self.layout.shown.fields().len()).collect());
        let pruning = pruning(self.layout, filters, session)?;
        let rows = self.rows(&pruning, session).await?;
        let scanned = KindScan {
            view: Arc::clone(&self.view),
            layout: self.layout,
            means: Means::of(session),
            shown,
            pruning,
            limit: limit.filter(|_| filters.is_empty()),
            rows,
        };
        let every: Vec<usize> = (0..scanned.shown.len()).collect();
        let plan = scanned.plan(&every, Arc::default())?;
        Ok(Arc::new(plan.of(Arc::new(scanned))))
    }
}

/// Filters of a plan on the read schema; those that files cannot answer are left out.
pub(crate) fn pruning(
    layout: &Layout,
    filters: &[Expr],
    session: &dyn Session,
) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    if filters.is_empty() {
        return Ok(Vec::new());
    }
    // Of many columns few are asked for, and each costs a name and an expression.
    let names: HashSet<&str> =
        filters.iter().flat_map(|filter| filter.column_refs()).map(|column| column.name()).collect();
    let asked =
        layout.shown.fields().iter().enumerate().filter(|(_, field)| names.contains(field.name().as_str()));
    let asked: Vec<usize> = asked.map(|(at, _)| at).collect();
    let schema = DFSchema::try_from(layout.shown.project(&asked)?)?;
    let makers = asked
        .iter()
        .map(|at| Ok(Some(layout.column(*at, &layout.read)?.expr)))
        .collect::<Result<Vec<_>>>()?;
    let mut found = Vec::with_capacity(filters.len());
    for filter in filters {
        let filter = session.create_physical_expr(crate::table::unqualified(filter)?, &schema)?;
        found.extend(to_files(&filter, &makers)?);
    }
    Ok(found)
}
