//! `metrics.<name>`: the samples of one metric with their labels as columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, lit};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use isinglass_store::{Metric, View};

use super::columns::{MetricColumn, MetricColumns};
use super::labels::{LabelExpr, SeriesRows, SeriesSet};
use crate::shown::{ShownColumn, ShownExec};
use crate::table::{Layout, RowsWanted, Scan, pruning, unqualified};

/// So many series are named one by one to page indexes; more are only searched.
const NAMED_SERIES_MAX: usize = 20;

/// One metric of one view.
#[derive(Debug)]
pub(crate) struct MetricTable {
    view: Arc<View>,
    metric_id: i64,
    series: Arc<SeriesRows>,
    columns: MetricColumns,
}

impl MetricTable {
    pub(crate) fn new(view: Arc<View>, metric: &Metric) -> Self {
        let series = view.series().of_metric(&metric.name);
        let columns = MetricColumns::new(metric, &series);
        Self { view, metric_id: metric.metric_id, series: Arc::new(SeriesRows::new(series)), columns }
    }

    fn layout(&self) -> &'static Layout {
        self.columns.layout
    }

    /// Whether a filter can be answered from labels alone.
    fn on_labels(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        !columns.is_empty() && !filter.is_volatile() && columns.iter().all(|c| self.columns.is_label(&c.name))
    }

    /// Whether a filter is on columns of the table of record alone.
    fn on_system(&self, filter: &Expr) -> bool {
        let system = |name: &str| self.columns.schema.index_of(name).is_ok() && !self.columns.is_label(name);
        filter.column_refs().iter().all(|column| system(&column.name))
    }

    /// The series for which all filters hold, each of which is on labels only.
    fn matching(&self, filters: &[&Expr], session: &dyn Session) -> Result<HashSet<i64>> {
        let wanted: HashSet<&str> =
            filters.iter().flat_map(|filter| filter.column_refs()).map(|column| column.name()).collect();
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (field, column) in self.columns.schema.fields().iter().zip(&self.columns.columns) {
            if let MetricColumn::Label(label) = column
                && wanted.contains(field.name().as_str())
            {
                fields.push(Arc::clone(field));
                arrays.push(self.series.label(label).per_series()?);
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let rows = self.series.series.len();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let labels = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
        let schema = DFSchema::try_from(schema)?;
        let mut left: Vec<bool> = vec![true; rows];
        for filter in filters {
            let filter = session.create_physical_expr(unqualified(filter)?, &schema)?;
            let passed = filter.evaluate(&labels)?.into_array(rows)?;
            for (left, passed) in left.iter_mut().zip(passed.as_boolean()) {
                *left &= passed == Some(true);
            }
        }
        let series = self.series.series.iter().zip(left).filter(|(_, left)| *left);
        Ok(series.map(|(series, _)| series.series_id).collect())
    }

    /// What every row of these series fulfils, on the read schema.
    fn rows_of(&self, series: Option<&HashSet<i64>>) -> Result<Arc<dyn PhysicalExpr>> {
        let column = |name: &str| -> Result<Arc<dyn PhysicalExpr>> {
            Ok(Arc::new(Column::new(name, self.layout().read.index_of(name)?)))
        };
        let id = lit(ScalarValue::Int64(Some(self.metric_id)));
        let mut all: Vec<Arc<dyn PhysicalExpr>> =
            vec![Arc::new(BinaryExpr::new(column("metric_id")?, Operator::Eq, id))];
        if let Some(series) = series {
            let named = series.iter().map(|id| lit(ScalarValue::Int64(Some(*id))));
            if series.len() <= NAMED_SERIES_MAX {
                let list =
                    InListExpr::try_new(column("series_id")?, named.collect(), false, &self.layout().read)?;
                all.push(Arc::new(list));
            } else {
                all.push(Arc::new(SeriesSet::new(column("series_id")?, series.iter().copied())));
            }
        }
        Ok(conjunction(all))
    }

    fn shown(&self, wanted: &[usize], input: &Schema) -> Result<Vec<ShownColumn>> {
        let make = |at: &usize| match &self.columns.columns[*at] {
            MetricColumn::System(shown) => self.layout().column(*shown, input),
            MetricColumn::Label(label) => {
                let series_id = Arc::new(Column::new("series_id", input.index_of("series_id")?));
                let expr = Arc::new(LabelExpr::new(label, series_id, &self.series));
                Ok(ShownColumn { expr, in_files: false })
            }
        };
        wanted.iter().map(make).collect()
    }

    /// Columns of files that `wanted` is made of.
    fn read_columns(&self, wanted: &[usize]) -> Vec<usize> {
        let system: Vec<usize> = wanted
            .iter()
            .filter_map(|at| match self.columns.columns[*at] {
                MetricColumn::System(shown) => Some(shown),
                MetricColumn::Label(_) => None,
            })
            .collect();
        let mut columns = self.layout().columns_of(&system);
        if system.len() < wanted.len() {
            columns.extend(self.layout().read_position("series_id"));
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

#[async_trait]
impl TableProvider for MetricTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match self.on_labels(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wanted: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..self.columns.columns.len()).collect());
        let (on_labels, on_rows): (Vec<&Expr>, Vec<&Expr>) =
            filters.iter().partition(|filter| self.on_labels(filter));
        let series = match on_labels.as_slice() {
            [] => None,
            filters => Some(self.matching(filters, session)?),
        };
        let schema = Arc::new(self.columns.schema.project(&wanted)?);
        if series.as_ref().is_some_and(HashSet::is_empty) {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let exactly = self.rows_of(series.as_ref())?;
        let on_system: Vec<Expr> =
            on_rows.iter().filter(|filter| self.on_system(filter)).map(|f| (*f).clone()).collect();
        let mut known = pruning(self.layout(), &on_system, session)?;
        known.push(Arc::clone(&exactly));
        let scan = Scan {
            layout: self.layout(),
            columns: self.read_columns(&wanted),
            pruning: known,
            exactly: Some(exactly),
            metric_id: Some(self.metric_id),
            series_ids: series.as_ref(),
            limit: limit.filter(|_| on_rows.is_empty()),
            rows: RowsWanted::default(),
        };
        let input = scan.plan(&self.view, session)?;
        let columns = self.shown(&wanted, &input.schema())?;
        Ok(Arc::new(ShownExec::try_new(input, columns, schema)?))
    }
}
