//! Two nodes around a window that count what it holds.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, Statistics, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::{StandardWindowExpr, WindowExpr};
use datafusion::physical_plan::execution_plan::{
    CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::BoundedWindowAggExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::held::Held;

/// A row so far in that nothing before the first one is reached back to.
const FAR: usize = 1 << 40;

/// A window whose rows are charged while it holds them; `None` where each batch comes out as it
/// went in and nothing stays.
pub(crate) fn metered(window: &BoundedWindowAggExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(behind) = holds(window.window_expr())? else { return Ok(None) };
    let partitions = Arc::new(Partitions::default());
    let node = |input: Arc<dyn ExecutionPlan>, side: Side| -> Arc<dyn ExecutionPlan> {
        Arc::new(WindowRowsExec { input, side, behind, partitions: Arc::clone(&partitions) })
    };
    let input = node(Arc::clone(window.input()), Side::Taken);
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    let window = Arc::new(window.clone()).replace_children(vec![input], options)?;
    Ok(Some(node(window, Side::Given)))
}

/// How many rows stay behind the last one that was given on; `None` if none stays and none waits.
fn holds(exprs: &[Arc<dyn WindowExpr>]) -> Result<Option<u64>> {
    let (mut waits, mut behind) = (false, 0);
    for expr in exprs {
        let standard = expr.as_any().downcast_ref::<StandardWindowExpr>();
        let function = standard.map(|expr| expr.get_standard_func_expr().create_evaluator()).transpose()?;
        match function.filter(|function| !function.uses_window_frame()) {
            Some(function) => {
                waits |= !function.is_causal();
                // Functions that leave out NULLs cannot say yet, and begin at the first row.
                let start = function.get_range(FAR, FAR + 1)?.start;
                behind = behind.max(if start == 0 { 0 } else { (FAR - start) as u64 });
            }
            None => {
                waits |= !expr.get_window_frame().is_causal();
                behind = behind.max(reach(expr.get_window_frame()));
            }
        }
    }
    Ok((waits || behind > 0).then_some(behind))
}

/// How many rows a frame reaches back, if it is so many whatever the rows are. A frame that begins
/// with the partition reaches back to none: what was seen is in the function's state.
fn reach(frame: &WindowFrame) -> u64 {
    match (&frame.units, &frame.start_bound) {
        (WindowFrameUnits::Rows, WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows)))) => *rows,
        _ => 0,
    }
}

/// What each partition holds, handed from the node above the window to the one below.
type Partitions = Mutex<HashMap<usize, Arc<Mutex<Held>>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Above the window.
    Given,
    /// Below it.
    Taken,
}

/// Counts the rows that pass.
#[derive(Debug, Clone)]
struct WindowRowsExec {
    input: Arc<dyn ExecutionPlan>,
    side: Side,
    behind: u64,
    partitions: Arc<Partitions>,
}

impl WindowRowsExec {
    fn given(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("WindowRows[{partition}]"));
        let held = Held::new(self.behind, consumer.register(context.memory_pool()));
        let held = Arc::new(Mutex::new(held));
        self.partitions.lock().insert(partition, Arc::clone(&held));
        let rows = self.input.execute(partition, context)?;
        let rows = rows.inspect(move |batch| {
            if let Ok(batch) = batch {
                held.lock().give(batch.num_rows());
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn taken(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(held) = self.partitions.lock().remove(&partition) else {
            return internal_err!("nobody counts the rows that partition {partition} of a window gives");
        };
        let rows = self.input.execute(partition, context)?;
        let rows = rows.map(move |batch| {
            let batch = batch?;
            held.lock().take(&batch)?;
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

impl DisplayAs for WindowRowsExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.side, self.behind) {
            (Side::Taken, _) => "charged".to_owned(),
            (Side::Given, 0) => "given back".to_owned(),
            (Side::Given, rows) => format!("given back, behind={rows}"),
        };
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, "WindowRowsExec: {text}"),
            DisplayFormatType::TreeRender => writeln!(f, "{text}"),
        }
    }
}

impl ExecutionPlan for WindowRowsExec {
    fn name(&self) -> &'static str {
        "WindowRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] =
            <[_; 1]>::try_from(children).or_else(|_| internal_err!("WindowRowsExec has one child"))?;
        Ok(Arc::new(Self { input, ..Arc::unwrap_or_clone(self) }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match self.side {
            Side::Given => self.given(partition, context),
            Side::Taken => self.taken(partition, context),
        }
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(inputs.first().map_or_else(|| Arc::new(Statistics::new_unknown(&self.schema())), Arc::clone))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}
