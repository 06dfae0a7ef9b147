//! `metrics.<name>`: the samples of one metric with their labels as columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, lit};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use isinglass_model::labels::METRIC_NAME;
use isinglass_store::{MatchOp, Matcher, Metric, SeriesSelection, View};

use super::columns::{MetricColumn, MetricColumns};
use super::labels::{LabelExpr, SeriesRows, SeriesSet, per_series};
use super::matchers::matchers;
use crate::shown::{ShownColumn, ShownExec};
use crate::table::{Layout, Means, RowsWanted, Scan, pruning, rows_by_marks, unqualified};

/// So many series are named one by one to page indexes; more are only searched.
const NAMED_SERIES_MAX: usize = 20;

/// One metric of one view.
#[derive(Debug)]
pub(crate) struct MetricTable {
    view: Arc<View>,
    metric_id: i64,
    name: Arc<str>,
    columns: MetricColumns,
}

impl MetricTable {
    pub(crate) fn new(view: Arc<View>, metric: &Metric) -> Self {
        let columns = MetricColumns::new(metric, &view.series().names_of_metric(&metric.name));
        Self { view, metric_id: metric.metric_id, name: Arc::clone(&metric.name), columns }
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
        let system =
            |name: &str| self.columns.schema.column_with_name(name).is_some() && !self.columns.is_label(name);
        filter.column_refs().iter().all(|column| system(&column.name))
    }

    /// The series for which all filters hold, each of which is on labels only.
    fn matching(&self, filters: &[&Expr], session: &dyn Session) -> Result<SeriesSelection> {
        let label = |column: &str| self.columns.label(column);
        let (mut asked, mut left) = (Vec::new(), Vec::new());
        for filter in filters {
            match matchers(filter, &label) {
                Some(matchers) => asked.extend(matchers),
                None => left.push(*filter),
            }
        }
        match self.select(asked) {
            Ok(series) => self.filtered(series, &left, session),
            // Beyond a limit of the index, such as a list of very many values.
            Err(_) => self.filtered(self.select(Vec::new())?, filters, session),
        }
    }

    /// The series of the metric for which all matchers hold.
    fn select(&self, mut matchers: Vec<Matcher>) -> Result<SeriesSelection> {
        matchers.push(Matcher::new(METRIC_NAME, MatchOp::Equal, &*self.name));
        self.view.series().select(&matchers).map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// Those of some series for which filters hold that the index cannot answer.
    fn filtered(
        &self,
        series: SeriesSelection,
        filters: &[&Expr],
        session: &dyn Session,
    ) -> Result<SeriesSelection> {
        if filters.is_empty() || series.is_empty() {
            return Ok(series);
        }
        let rows = series.len();
        let labels = self.labels_of(&series, filters)?;
        let schema = DFSchema::try_from(labels.schema())?;
        let mut left: Vec<bool> = vec![true; rows];
        for filter in filters {
            let filter = session.create_physical_expr(unqualified(filter)?, &schema)?;
            let passed = filter.evaluate(&labels)?.into_array(rows)?;
            for (left, passed) in left.iter_mut().zip(passed.as_boolean()) {
                *left &= passed == Some(true);
            }
        }
        Ok(series.filter(&left))
    }

    /// The labels that filters look at, a row per series.
    fn labels_of(&self, series: &SeriesSelection, filters: &[&Expr]) -> Result<RecordBatch> {
        let wanted: HashSet<&str> =
            filters.iter().flat_map(|filter| filter.column_refs()).map(|column| column.name()).collect();
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for (field, column) in self.columns.schema.fields().iter().zip(&self.columns.columns) {
            if let MetricColumn::Label(label) = column
                && wanted.contains(field.name().as_str())
            {
                fields.push(Arc::clone(field));
                arrays.push(per_series(series, label)?);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(series.len()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
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

    /// The columns of an answer, whose labels are those of `series`.
    fn shown(
        &self,
        wanted: &[usize],
        input: &Schema,
        series: Option<SeriesSelection>,
    ) -> Result<Vec<ShownColumn>> {
        let labels = wanted.iter().any(|at| matches!(self.columns.columns[*at], MetricColumn::Label(_)));
        let series = match series {
            Some(series) => series,
            None if labels => self.select(Vec::new())?,
            None => self.view.series().none(),
        };
        let series = Arc::new(SeriesRows::new(series));
        let make = |at: &usize| match &self.columns.columns[*at] {
            MetricColumn::System(shown) => self.layout().column(*shown, input),
            MetricColumn::Label(label) => {
                let series_id = Arc::new(Column::new("series_id", input.index_of("series_id")?));
                let expr = Arc::new(LabelExpr::new(label, series_id, &series));
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

/// Whether a filter is a constant that lets nothing pass. `a NOT IN ('x', NULL)` becomes
/// `a <> 'x'` and the constant NULL, which DataFusion 55.2 does not ask of rows again.
fn is_never_true(filter: &Expr) -> bool {
    matches!(filter, Expr::Literal(ScalarValue::Boolean(None | Some(false)) | ScalarValue::Null, _))
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
        if series.as_ref().is_some_and(SeriesSelection::is_empty) || filters.iter().any(is_never_true) {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let ids = series.as_ref().map(|series| series.ids().map(|(_, series_id)| series_id).collect());
        let exactly = self.rows_of(ids.as_ref())?;
        let on_system: Vec<Expr> =
            on_rows.iter().filter(|filter| self.on_system(filter)).map(|f| (*f).clone()).collect();
        let mut known = pruning(self.layout(), &on_system, session)?;
        known.push(Arc::clone(&exactly));
        let mut scan = Scan {
            layout: self.layout(),
            columns: self.read_columns(&wanted),
            pruning: known,
            exactly: Some(exactly),
            metric_id: Some(self.metric_id),
            series_ids: ids.as_ref(),
            limit: limit.filter(|_| on_rows.is_empty()),
            rows: &RowsWanted::default(),
            attributes: Arc::default(),
        };
        let means = Means::of(session);
        let footers = means.runtime.cache_manager.get_file_metadata_cache();
        let rows = rows_by_marks(&self.view, &scan, footers.as_ref())?;
        scan.rows = &rows;
        let input = scan.plan(&self.view, &means)?;
        let columns = self.shown(&wanted, &input.schema(), series)?;
        Ok(Arc::new(ShownExec::try_new(input, columns, schema)?))
    }
}
