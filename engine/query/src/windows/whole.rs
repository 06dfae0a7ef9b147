//! Windows that need their whole partition.

mod gathered;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::utils::evaluate_partition_ranges;
use datafusion::common::{DataFusionError, Result, ScalarValue, Statistics, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements, PlanProperties,
};
use futures::StreamExt as _;

use gathered::{Gathered, concat};

/// DataFusion's `WindowAggExec`, charged to the pool.
#[derive(Debug)]
pub(crate) struct WholeWindowExec {
    /// What it takes the place of, over the same input.
    replaced: WindowAggExec,
    metrics: ExecutionPlanMetricsSet,
}

impl WholeWindowExec {
    pub(crate) fn in_place_of(window: &WindowAggExec) -> Self {
        Self { replaced: window.clone(), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for WholeWindowExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = |expr: &Arc<dyn WindowExpr>| match format {
            DisplayFormatType::TreeRender => expr.name().to_owned(),
            _ => format!("{}, frame: {}", expr.name(), expr.get_window_frame()),
        };
        let windows: Vec<_> = self.replaced.window_expr().iter().map(window).collect();
        let windows = windows.join(", ");
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "WholeWindowExec: wdw=[{windows}]")
            }
            DisplayFormatType::TreeRender => writeln!(f, "select_list={windows}"),
        }
    }
}

impl ExecutionPlan for WholeWindowExec {
    fn name(&self) -> &'static str {
        "WholeWindowExec"
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

    fn maintains_input_order(&self) -> Vec<bool> {
        self.replaced.maintains_input_order()
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.replaced.required_input_ordering()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        self.replaced.input_distribution_requirements()
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let replaced = Arc::new(self.replaced.clone()).replace_children(children, options)?;
        match replaced.downcast_ref::<WindowAggExec>() {
            Some(window) => Ok(Arc::new(Self::in_place_of(window))),
            None => internal_err!("a window over other rows is no window"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("Window[{partition}]"));
        let window = Window {
            exprs: self.replaced.window_expr().to_vec(),
            keys: self.replaced.partition_by_sort_keys()?,
            schema: self.schema(),
            reservation: consumer.register(context.memory_pool()),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let input = self.replaced.input().execute(partition, context)?;
        let steps = futures::stream::try_unfold(Step::Gather(input, window), |step| async move {
            match step {
                Step::Gather(input, mut window) => {
                    let answer = window.answer(input).await?;
                    Ok::<_, DataFusionError>(answer.map(|rows| (rows, Step::Given { _window: window })))
                }
                Step::Given { .. } => Ok(None),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), steps)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.replaced.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        arguments: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.replaced.statistics_from_inputs(inputs, arguments)
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

enum Step {
    Gather(SendableRecordBatchStream, Window),
    /// The answer is with whoever asked, and charged until the next one is asked for.
    Given {
        _window: Window,
    },
}

/// The windows of one partition of the plan.
struct Window {
    exprs: Vec<Arc<dyn WindowExpr>>,
    /// By which the rows are sorted, and parted.
    keys: Vec<PhysicalSortExpr>,
    schema: SchemaRef,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

impl Window {
    async fn answer(&mut self, mut input: SendableRecordBatchStream) -> Result<Option<RecordBatch>> {
        let mut gathered = Gathered::new(input.schema());
        while let Some(batch) = input.next().await {
            let _timer = self.metrics.elapsed_compute().timer();
            gathered.push(&batch?, &self.reservation)?;
        }
        // What made the rows is not needed any more.
        drop(input);
        let _timer = self.metrics.elapsed_compute().timer();
        let rows = gathered.into_one(&self.reservation)?;
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let keys =
            self.keys.iter().map(|key| key.evaluate_to_sort_column(&rows)).collect::<Result<Vec<_>>>()?;
        let partitions = evaluate_partition_ranges(rows.num_rows(), &keys)?;
        let mut columns = rows.columns().to_vec();
        for expr in &self.exprs {
            columns.push(self.column(expr.as_ref(), &rows, &partitions)?);
        }
        self.metrics.record_output(rows.num_rows());
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?))
    }

    /// The values of a window, partition by partition.
    fn column(
        &self,
        expr: &dyn WindowExpr,
        rows: &RecordBatch,
        partitions: &[Range<usize>],
    ) -> Result<ArrayRef> {
        let by_row = is_by_row(expr)?;
        let (mut parts, mut bytes) = (Vec::with_capacity(partitions.len()), 0);
        for range in partitions {
            // A vector that has doubled until all values were in it.
            let scratch = if by_row { range.len().next_power_of_two() * size_of::<ScalarValue>() } else { 0 };
            self.reservation.try_grow(scratch)?;
            let part = expr.evaluate(&rows.slice(range.start, range.len()));
            self.reservation.shrink(scratch);
            let part = part?;
            self.reservation.try_grow(part.get_array_memory_size())?;
            bytes += part.get_array_memory_size();
            parts.push(part);
        }
        concat(parts, bytes, &self.reservation)
    }
}

/// Whether a window's values are first made one by one, because frames differ from row to row.
fn is_by_row(expr: &dyn WindowExpr) -> Result<bool> {
    if let Some(standard) = expr.as_any().downcast_ref::<StandardWindowExpr>() {
        return Ok(standard.get_standard_func_expr().create_evaluator()?.uses_window_frame());
    }
    let frame = expr.get_window_frame();
    let all_are_peers = frame.units == WindowFrameUnits::Range && expr.order_by().is_empty();
    let is_constant = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => all_are_peers,
        _ => bound.is_unbounded(),
    };
    Ok(!(is_constant(&frame.start_bound) && is_constant(&frame.end_bound)))
}
