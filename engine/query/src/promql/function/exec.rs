//! Evaluates an expression while a statement runs.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use isinglass_promql::{Answer, Used};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::columns::Columns;
use super::rows::{Rows, bytes_of};
use super::{Asked, Statement};
use crate::error::QueryError;
use crate::promql::Brought;
use crate::promql::ending::{Ending, Waiting};
use crate::promql::engine::{broken_off, evaluate, options, start};
use crate::promql::facts::ScanFacts;
use crate::promql::request::PromqlTime;
use crate::promql::scan::Reads;
use crate::promql::source::StoreSource;
use crate::promql::views::ViewReader;

/// One call in a plan.
#[derive(Debug)]
pub(crate) struct PromqlExec {
    statement: Arc<Statement>,
    asked: Asked,
    /// The plan of the expression.
    plan: Arc<str>,
    columns: Arc<Columns>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PromqlExec {
    pub(super) fn new(
        statement: Arc<Statement>,
        asked: Asked,
        plan: Arc<str>,
        columns: Arc<Columns>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&columns.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { statement, asked, plan, columns, properties: Arc::new(properties), metrics }
    }
}

impl DisplayAs for PromqlExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expr, plan) = (&self.asked.text, nested(&self.plan));
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "PromqlExec: {}, expr={expr}, plan={plan}", written(self.asked.time))
            }
            DisplayFormatType::TreeRender => writeln!(f, "expr={expr}\nplan={plan}"),
        }
    }
}

/// `time=1.5`, or `start=0, end=60, step=15`, in seconds.
fn written(time: PromqlTime) -> String {
    let seconds = |millis: i64| millis as f64 / 1e3;
    match time {
        PromqlTime::Instant { time_ms } => format!("time={}", seconds(time_ms)),
        PromqlTime::Range { start_ms, end_ms, step_ms } => {
            format!("start={}, end={}, step={}", seconds(start_ms), seconds(end_ms), seconds(step_ms))
        }
    }
}

/// A tree of lines in one line: what a node reads stands in brackets behind it.
fn nested(plan: &str) -> String {
    let depth = |line: &str| (line.len() - line.trim_start().len()) / 2;
    let (mut text, mut last) = (String::new(), None);
    for line in plan.lines() {
        let now = depth(line);
        match last {
            None => {}
            Some(before) if now > before => text.push_str(" ["),
            Some(before) => {
                text.push_str(&"]".repeat(before - now));
                text.push_str(", ");
            }
        }
        text.push_str(line.trim_start());
        last = Some(now);
    }
    text.push_str(&"]".repeat(last.unwrap_or_default()));
    text
}

impl ExecutionPlan for PromqlExec {
    fn name(&self) -> &'static str {
        "PromqlExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
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
        if children.is_empty() { Ok(self) } else { internal_err!("PromqlExec has no children") }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(Recompute))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let evaluation = Evaluation {
            statement: Arc::clone(&self.statement),
            asked: self.asked.clone(),
            memory: Arc::clone(context.memory_pool()),
            metrics: self.metrics.clone(),
        };
        let columns = Arc::clone(&self.columns);
        let batch_rows = context.session_config().batch_size();
        let rows = stream::once(async move {
            let (answer, held) = evaluation.run().await?;
            Ok::<_, QueryError>((Rows::new(answer.value, columns, batch_rows), held))
        });
        // The memory of the value is held until its last row was read.
        let batches = rows.map_ok(|state| {
            stream::try_unfold(state, |(mut rows, held)| async move {
                Ok(rows.next()?.map(|batch| (batch, (rows, held))))
            })
        });
        let batches = batches.map_err(DataFusionError::from).try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.columns.schema), batches)))
    }
}

/// What one execution needs.
struct Evaluation {
    statement: Arc<Statement>,
    asked: Asked,
    memory: Arc<dyn MemoryPool>,
    metrics: ExecutionPlanMetricsSet,
}

impl Evaluation {
    /// Evaluates on a thread of its own. Dropping the future ends that.
    async fn run(self) -> Result<(Answer, MemoryReservation), QueryError> {
        let statement = &self.statement;
        let _turn = statement.turn.acquire().await.map_err(|_| broken_off())?;
        let ending = Ending::new(statement.until, statement.deadline);
        let waiting = Waiting(Arc::clone(&ending));
        let source = self.source(&ending);
        let (sender, answer) = oneshot::channel();
        let (engine, sessions) = (Arc::clone(&statement.engine), Arc::clone(&statement.sessions));
        let Asked { text, time } = self.asked.clone();
        let options = options(sessions.configs.of(&statement.view.tenant), None);
        start(move || {
            let cache = &sessions.system.caches.results;
            let result = evaluate(&text, time, &source, Some(cache), &options).map_err(QueryError::of_promql);
            source.thread_ended();
            let facts = source.facts();
            drop((source, engine));
            // Nobody may wait any more.
            let _ = sender.send((result, facts));
        })?;
        let (result, facts) = answer.await.map_err(|_| broken_off())?;
        drop(waiting);
        let answer = result?;
        self.note(&answer.used, &facts);
        let said = answer.warnings.iter().chain(&answer.infos);
        said.for_each(|text| statement.warnings.add(text));
        let held = MemoryConsumer::new("the result of promql").register(&self.memory);
        held.try_grow(bytes_of(&answer.value)).map_err(|error| QueryError::from(&error))?;
        Ok((answer, held))
    }

    fn source(&self, ending: &Arc<Ending>) -> StoreSource {
        let Statement { view, sessions, .. } = self.statement.as_ref();
        let footers = sessions.footers();
        let memory = Arc::clone(&self.memory);
        // Statements run on the threads of queries, which read for this one, too.
        let config = sessions.configs.of(&view.tenant);
        let views = ViewReader::new(sessions, view, &memory, self.statement.until);
        let reads =
            Reads::new(view, Handle::current(), footers, Arc::clone(ending), memory, config.read_bytes_max);
        let samples = Arc::clone(&sessions.system.caches.samples);
        let brought = Brought::new(sessions.plugins_of(&view.tenant));
        StoreSource::new(Arc::clone(view), reads, samples, views, brought, config.promql.series_max)
    }

    /// Figures that `EXPLAIN ANALYZE` and the list of queries show.
    fn note(&self, used: &Used, facts: &ScanFacts) {
        let figures = [
            ("bytes_scanned", facts.bytes_read),
            ("files", facts.files),
            ("files_pruned", facts.files_pruned),
            ("row_groups", facts.row_groups),
            ("row_groups_pruned", facts.row_groups_pruned),
            ("rows_scanned", facts.rows),
            ("rows_pruned", facts.rows_pruned),
            ("head_rows", facts.head_rows),
            ("series_kept", facts.kept),
            ("series", facts.series),
            ("samples", facts.samples),
            ("cache_hits", used.cache_hits),
            ("cpu_nanos", facts.cpu_nanos),
        ];
        for (name, figure) in figures {
            let counter = MetricBuilder::new(&self.metrics).global_counter(name);
            counter.add(usize::try_from(figure).unwrap_or(usize::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_in_one_line() {
        assert_eq!(nested("a\n"), "a");
        assert_eq!(nested("a\n  b\n    c\n  d\n"), "a [b [c], d]");
        assert_eq!(nested("a\n  b\n    c\n"), "a [b [c]]");
    }
}
