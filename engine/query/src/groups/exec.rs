//! The plan node.

use std::sync::Arc;
use std::{fmt, mem};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties,
};
use futures::{StreamExt as _, TryStreamExt as _};

use super::keys::Keys;

/// Groups at once; whoever has more gives them on. Tests have more.
const GROUPS_MAX: usize = if cfg!(test) { 1 << 12 } else { 1 << 18 };

/// States of groups by a text, or by several texts, times and integers.
#[derive(Debug)]
pub(crate) struct PartialGroupsExec {
    /// What it takes the place of, over the same input.
    replaced: AggregateExec,
    /// The types of the columns that groups are made by.
    types: Arc<[DataType]>,
    metrics: ExecutionPlanMetricsSet,
}

impl PartialGroupsExec {
    /// In place of a partial aggregation, if it is one that can be done here.
    pub(crate) fn in_place_of(aggregate: &AggregateExec) -> Result<Option<Self>> {
        let groups = aggregate.group_expr();
        let plain = *aggregate.mode() == AggregateMode::Partial
            && !groups.has_grouping_set()
            && groups.groups().len() == 1
            && *aggregate.input_order_mode() == InputOrderMode::Linear
            && aggregate.limit_options().is_none();
        let in_any_order = |function: &Arc<AggregateFunctionExpr>| {
            function.groups_accumulator_supported() && function.order_bys().is_empty()
        };
        if !plain || !aggregate.aggr_expr().iter().all(in_any_order) {
            return Ok(None);
        }
        let schema = aggregate.input_schema();
        let types = groups.expr().iter().map(|(expr, _)| expr.data_type(&schema));
        let types = types.collect::<Result<Vec<_>>>()?;
        Ok(Keys::new(&types).is_some().then(|| Self {
            replaced: aggregate.clone(),
            types: types.into(),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }

    fn new_partition(&self, partition: usize, context: &TaskContext) -> Result<Partition> {
        let exprs = |exprs: &[(Arc<dyn PhysicalExpr>, String)]| {
            exprs.iter().map(|(expr, _)| Arc::clone(expr)).collect()
        };
        let functions = self.replaced.aggr_expr().iter().zip(self.replaced.filter_expr());
        let functions =
            functions.map(|(function, filter)| Function::new(Arc::clone(function), filter.clone()));
        let consumer = MemoryConsumer::new(format!("PartialGroups[{partition}]"));
        Ok(Partition {
            by: exprs(self.replaced.group_expr().expr()),
            keys: new_keys(&self.types)?,
            types: Arc::clone(&self.types),
            functions: functions.collect::<Result<_>>()?,
            numbers: Vec::new(),
            groups: Vec::new(),
            schema: self.schema(),
            reservation: consumer.register(context.memory_pool()),
            batch_rows: context.session_config().batch_size(),
            probe: Some(Probe::of(context)),
            rows: 0,
            given: 0,
            passes: false,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        })
    }
}

impl DisplayAs for PartialGroupsExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by: Vec<_> = self.replaced.group_expr().expr().iter().map(|(expr, _)| expr.to_string()).collect();
        let functions: Vec<_> = self.replaced.aggr_expr().iter().map(|function| function.name()).collect();
        let (by, functions) = (by.join(", "), functions.join(", "));
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "PartialGroupsExec: gby=[{by}], aggr=[{functions}]")
            }
            DisplayFormatType::TreeRender => writeln!(f, "gby={by}\naggr={functions}"),
        }
    }
}

impl ExecutionPlan for PartialGroupsExec {
    fn name(&self) -> &'static str {
        "PartialGroupsExec"
    }

    fn schema(&self) -> SchemaRef {
        self.replaced.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.replaced.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.replaced.children()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.replaced.apply_expressions(f)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let replaced = Arc::new(self.replaced.clone()).replace_children(children, options)?;
        let groups = replaced.downcast_ref::<AggregateExec>().map(Self::in_place_of).transpose()?.flatten();
        Ok(groups.map_or(replaced, |groups| Arc::new(groups)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let groups = self.new_partition(partition, &context)?;
        let input = self.replaced.input().execute(partition, context)?;
        let steps = futures::stream::try_unfold(Some((input, groups)), |state| async move {
            let Some((mut input, mut groups)): Option<(SendableRecordBatchStream, Partition)> = state else {
                return Ok::<_, DataFusionError>(None);
            };
            while let Some(batch) = input.next().await {
                let batch = batch?;
                if groups.passes {
                    return Ok(Some((vec![groups.pass(&batch)?], Some((input, groups)))));
                }
                if groups.take(&batch)? {
                    return Ok(Some((groups.give()?, Some((input, groups)))));
                }
            }
            Ok(Some((groups.give()?, None)))
        });
        let batches =
            steps.map_ok(|batches| futures::stream::iter(batches.into_iter().map(Ok))).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

fn new_keys(types: &[DataType]) -> Result<Keys> {
    Keys::new(types).map_or_else(|| internal_err!("groups by {types:?}"), Ok)
}

/// An aggregate function over the groups.
struct Function {
    expr: Arc<AggregateFunctionExpr>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    states: Box<dyn GroupsAccumulator>,
}

impl Function {
    fn new(expr: Arc<AggregateFunctionExpr>, filter: Option<Arc<dyn PhysicalExpr>>) -> Result<Self> {
        let (arguments, states) = (expr.expressions(), expr.create_groups_accumulator()?);
        Ok(Self { expr, arguments, filter, states })
    }

    fn take(&mut self, batch: &RecordBatch, groups: &[usize], count: usize) -> Result<()> {
        let arguments = evaluate(&self.arguments, batch)?;
        self.states.update_batch(&arguments, groups, self.wanted(batch)?.as_ref(), count)
    }

    /// The state of each row by itself.
    fn of_rows(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.states.convert_to_state(&evaluate(&self.arguments, batch)?, self.wanted(batch)?.as_ref())
    }

    /// Rows that the function's own filter lets.
    fn wanted(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let filter = filter.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(Some(datafusion::common::cast::as_boolean_array(&filter)?.clone()))
    }
}

fn evaluate(exprs: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect()
}

/// When to look whether there are many groups, and how many a row that is: DataFusion's settings
/// for its own partial aggregation.
#[derive(Clone, Copy)]
struct Probe {
    rows: usize,
    ratio: f64,
}

impl Probe {
    fn of(context: &TaskContext) -> Self {
        let settings = &context.session_config().options().execution;
        Self {
            rows: settings.skip_partial_aggregation_probe_rows_threshold,
            ratio: settings.skip_partial_aggregation_probe_ratio_threshold,
        }
    }
}

/// The groups of one partition.
struct Partition {
    by: Vec<Arc<dyn PhysicalExpr>>,
    keys: Keys,
    types: Arc<[DataType]>,
    functions: Vec<Function>,
    /// The group of each row of a batch, kept for their room: as they are numbered, and as
    /// functions want them.
    numbers: Vec<u32>,
    groups: Vec<usize>,
    schema: SchemaRef,
    reservation: MemoryReservation,
    batch_rows: usize,
    /// Until it is known whether grouping here is worth it.
    probe: Option<Probe>,
    /// Rows taken, and groups given on.
    rows: usize,
    given: usize,
    /// Whether rows are given on as groups of one.
    passes: bool,
    metrics: BaselineMetrics,
}

impl Partition {
    /// Takes rows. Says whether the groups are to be given on.
    fn take(&mut self, batch: &RecordBatch) -> Result<bool> {
        let elapsed = self.metrics.elapsed_compute().clone();
        let _timer = elapsed.timer();
        let by = evaluate(&self.by, batch)?;
        self.keys.number(&by, &mut self.numbers)?;
        self.groups.clear();
        self.groups.extend(self.numbers.iter().map(|number| *number as usize));
        let count = self.keys.len();
        for function in &mut self.functions {
            function.take(batch, &self.groups, count)?;
        }
        self.rows += batch.num_rows();
        self.look();
        Ok(self.passes || count >= GROUPS_MAX || self.reservation.try_resize(self.size()).is_err())
    }

    /// Where nearly every row is a group, who merges groups may as well have the rows.
    fn look(&mut self) {
        let Some(probe) = self.probe.take_if(|probe| self.rows >= probe.rows) else { return };
        let groups = self.given + self.keys.len();
        self.passes = groups as f64 >= self.rows as f64 * probe.ratio;
    }

    /// Rows as groups of one.
    fn pass(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let _timer = self.metrics.elapsed_compute().timer();
        let mut columns = evaluate(&self.by, batch)?;
        for function in &self.functions {
            columns.extend(function.of_rows(batch)?);
        }
        self.metrics.record_output(batch.num_rows());
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn size(&self) -> usize {
        let states: usize = self.functions.iter().map(|function| function.states.size()).sum();
        self.keys.size() + states + self.groups.capacity() * (size_of::<usize>() + size_of::<u32>())
    }

    /// The states of all groups; there are none afterwards.
    fn give(&mut self) -> Result<Vec<RecordBatch>> {
        let _timer = self.metrics.elapsed_compute().timer();
        if self.keys.len() == 0 {
            return Ok(Vec::new());
        }
        self.given += self.keys.len();
        let mut columns = mem::replace(&mut self.keys, new_keys(&self.types)?).arrays()?;
        for function in &mut self.functions {
            columns.extend(function.states.state(EmitTo::All)?);
            function.states = function.expr.create_groups_accumulator()?;
        }
        self.reservation.free();
        let all = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.metrics.record_output(all.num_rows());
        let starts = (0..all.num_rows()).step_by(self.batch_rows);
        Ok(starts.map(|start| all.slice(start, self.batch_rows.min(all.num_rows() - start))).collect())
    }
}
