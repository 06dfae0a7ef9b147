//! The plan node between files and people.

use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionMapping, ProjectionTargets};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::execution_plan::{CardinalityEffect, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, FilterDescription, FilterPushdownPhase,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    apply_expression_roots,
};
use futures::StreamExt;
use hashbrown::HashSet;

use super::filter::to_files;
use crate::attributes::Wanted;

/// Makes shown columns from the columns of files.
#[derive(Debug)]
pub(crate) struct ShownExec {
    input: Arc<dyn ExecutionPlan>,
    columns: Vec<ShownColumn>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// What it was made of, as long as nothing below has changed.
    scanned: Option<Arc<dyn Scanned>>,
}

/// A scan that can be made again with other columns.
pub(crate) trait Scanned: fmt::Debug + Send + Sync {
    /// What an expression on the shown columns wants of an attribute, if it wants just that
    /// and some file has the attribute in a column of its own.
    fn attribute(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Wanted>>;

    /// The scan with only these of its columns, and with columns for these attributes after
    /// them.
    fn again(&self, columns: &[usize], wanted: Arc<[Wanted]>) -> Result<Arc<dyn ExecutionPlan>>;
}

/// A column of the output.
#[derive(Debug, Clone)]
pub(crate) struct ShownColumn {
    /// Makes it from the input.
    pub(crate) expr: Arc<dyn PhysicalExpr>,
    /// Whether filters on it can be asked of files.
    pub(crate) in_files: bool,
}

impl ShownExec {
    /// `schema` names the columns and has their types.
    pub(crate) fn try_new(
        input: Arc<dyn ExecutionPlan>,
        columns: Vec<ShownColumn>,
        schema: SchemaRef,
    ) -> Result<Self> {
        let mapping = promising(&input, &columns, &schema)?;
        let equivalences = input.equivalence_properties().project(&mapping, Arc::clone(&schema));
        let partitioning = input.output_partitioning().project(&mapping, input.equivalence_properties());
        let properties =
            PlanProperties::new(equivalences, partitioning, input.pipeline_behavior(), input.boundedness());
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { input, columns, schema, properties: Arc::new(properties), metrics, scanned: None })
    }

    /// The same, which knows how to be made again.
    pub(crate) fn of(self, scanned: Arc<dyn Scanned>) -> Self {
        Self { scanned: Some(scanned), ..self }
    }

    /// How to make it again with other columns.
    pub(crate) fn scanned(&self) -> Option<&Arc<dyn Scanned>> {
        self.scanned.as_ref()
    }
}

impl DisplayAs for ShownExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> = self.columns.iter().map(|column| column.expr.to_string()).collect();
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "ShownExec: columns=[{}]", columns.join(", "))
            }
            DisplayFormatType::TreeRender => writeln!(f, "columns={}", columns.join(", ")),
        }
    }
}

impl ExecutionPlan for ShownExec {
    fn name(&self) -> &'static str {
        "ShownExec"
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// Order is kept, as [`Self::properties`] say. But whoever reads `true` here
    /// takes columns to have the same positions above and below, which they have not.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    /// The scan below is split already; there is little to compute here.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.columns.iter().map(|column| &column.expr), f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children).or_else(|_| internal_err!("ShownExec has one child"))?;
        Ok(Arc::new(Self::try_new(input, self.columns.clone(), Arc::clone(&self.schema))?))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (columns, schema) = (self.columns.clone(), self.schema());
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let shown = input.map(move |batch| {
            let timer = metrics.elapsed_compute().timer();
            let batch = show(&batch?, &columns, &schema)?;
            timer.done();
            metrics.record_output(batch.num_rows());
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), shown)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    /// Rows stay; of columns only those that are shown as they are keep theirs.
    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut shown = Statistics::new_unknown(&self.schema);
        let Some(input) = inputs.first() else { return Ok(Arc::new(shown)) };
        shown.num_rows = input.num_rows;
        shown.total_byte_size = Precision::Absent;
        for (statistics, column) in shown.column_statistics.iter_mut().zip(&self.columns) {
            if let Some(from) = column.expr.downcast_ref::<Column>()
                && let Some(known) = input.column_statistics.get(from.index())
            {
                *statistics = known.clone();
            }
        }
        Ok(Arc::new(shown))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let columns: Vec<_> =
            self.columns.iter().map(|column| column.in_files.then(|| Arc::clone(&column.expr))).collect();
        let rewritten = filters
            .iter()
            .map(|filter| Ok(to_files(filter, &columns)?.unwrap_or_else(|| Arc::new(nowhere()))))
            .collect::<Result<Vec<_>>>()?;
        Ok(FilterDescription::new().with_child(ChildFilterDescription::from_child(&rewritten, &self.input)?))
    }
}

/// The columns of which something is known because it is known of the input: mostly those that files
/// are sorted by. Asking all of them was a twentieth of what a `SELECT *` took.
fn promising(
    input: &Arc<dyn ExecutionPlan>,
    columns: &[ShownColumn],
    schema: &SchemaRef,
) -> Result<ProjectionMapping> {
    let known = input.equivalence_properties();
    let shown = columns.iter().zip(schema.fields());
    if !known.eq_group().is_empty() {
        let named = shown.map(|(column, field)| (Arc::clone(&column.expr), field.name().clone()));
        return ProjectionMapping::try_new(named, &input.schema());
    }
    let orders = known.oeq_class().iter().flat_map(|order| order.iter());
    let sorted: HashSet<Column> = orders.flat_map(|sort| collect_columns(&sort.expr)).collect();
    let is_sorted = |expr: &Arc<dyn PhysicalExpr>| {
        expr.exists(|node| Ok(node.downcast_ref::<Column>().is_some_and(|column| sorted.contains(column))))
    };
    let mut promising = Vec::with_capacity(sorted.len());
    for (at, (column, field)) in shown.enumerate() {
        if !sorted.is_empty() && is_sorted(&column.expr)? {
            let target = Arc::new(Column::new(field.name(), at)) as Arc<dyn PhysicalExpr>;
            promising.push((Arc::clone(&column.expr), ProjectionTargets::from(vec![(target, at)])));
        }
    }
    Ok(promising.into_iter().collect())
}

/// A column that no input has: a filter on it stays above.
fn nowhere() -> Column {
    Column::new("", usize::MAX)
}

fn show(batch: &RecordBatch, columns: &[ShownColumn], schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let arrays = columns.iter().map(|column| column.expr.evaluate(batch)?.into_array(rows));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays.collect::<Result<_>>()?, &options)?)
}
