//! A view is planned and run.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use datafusion::common::{Column, DFSchema, DataFusionError, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt as _;
use isinglass_lang::promql::ast::{MatchOp, Matcher};
use isinglass_model::ErrorKind;
use isinglass_promql::labels::METRIC_NAME;
use isinglass_promql::source::{Selection, SeriesStream, Source as _};
use isinglass_promql::{EvalError, Labels, MemorySource};
use isinglass_store::View;
use tokio::time::Instant;

use super::rows::series_of;
use crate::config::{PromqlView, QueryConfig};
use crate::engine::Inner;
use crate::error::QueryError;
use crate::interrupt::{Interrupt, interruptible};
use crate::planning::Planning;
use crate::promql::scan::Reads;
use crate::session::{QuerySession, Sessions};
use crate::shown::convert::{UTC, nanos_type};
use crate::{patterns, statement};

/// Columns that every view has.
pub(super) const TIME: &str = "time";
pub(super) const VALUE: &str = "value";

/// How far back views are read for questions about labels that name no time.
const DAY_MS: i64 = 86_400_000;

/// What reads views for one query.
pub(in crate::promql) struct ViewReader {
    sessions: Arc<Sessions>,
    view: Arc<View>,
    memory: Arc<dyn MemoryPool>,
    /// Of rows that were read, until the query ends.
    held: MemoryReservation,
    until: Instant,
}

impl ViewReader {
    pub(in crate::promql) fn new(
        sessions: &Arc<Sessions>,
        view: &Arc<View>,
        memory: &Arc<dyn MemoryPool>,
        until: Instant,
    ) -> Self {
        let held = MemoryConsumer::new("rows of views of PromQL").register(memory);
        let (sessions, view, memory) = (Arc::clone(sessions), Arc::clone(view), Arc::clone(memory));
        Self { sessions, view, memory, held, until }
    }

    /// Whether an expression reads any view.
    pub(in crate::promql) fn are_read(&self, text: &str) -> Result<bool, EvalError> {
        self.sessions.views.are_read(&self.view.tenant, text)
    }

    /// The series of all views that the selection finds by name.
    pub(in crate::promql) fn select(
        &self,
        selection: &Selection,
        reads: &Reads,
    ) -> Result<Vec<Box<dyn SeriesStream>>, EvalError> {
        let mut parts = Vec::new();
        for (name, view) in self.sessions.views.matching(&self.view.tenant, &selection.matchers)? {
            let source = self.read(name, view, selection, reads)?;
            parts.extend(source.select(selection, 1)?);
        }
        Ok(parts)
    }

    /// The names of views that matchers find; all if there are none.
    pub(in crate::promql) fn names(&self, matchers: &[Matcher]) -> Result<Vec<String>, EvalError> {
        let (views, tenant) = (&self.sessions.views, &self.view.tenant);
        if matchers.is_empty() {
            return Ok(views.of(tenant).map(|(name, _)| name.clone()).collect());
        }
        let found = views.matching(tenant, matchers)?;
        Ok(found.into_iter().map(|(name, _)| name.clone()).collect())
    }

    /// The label sets of views that matchers find by name.
    pub(in crate::promql) fn labels(
        &self,
        matchers: &[Matcher],
        (start_ms, end_ms): (Option<i64>, Option<i64>),
        reads: &Reads,
    ) -> Result<Vec<Labels>, EvalError> {
        let now_ms = self.sessions.system.store.clock().now_unix_nanos().div_euclid(1_000_000);
        let until_ms = end_ms.unwrap_or(now_ms).min(now_ms.saturating_add(DAY_MS));
        let after_ms = start_ms.unwrap_or(until_ms.saturating_sub(DAY_MS)).saturating_sub(1);
        let matchers = matchers.to_vec();
        let selection =
            Selection { matchers, after_ms, until_ms, start_times: false, latest: false, step_ms: 0 };
        let mut all = Vec::new();
        for mut part in self.select(&selection, reads)? {
            while let Some(series) = part.next()? {
                all.push(series.labels.clone());
            }
        }
        Ok(all)
    }

    fn read(
        &self,
        name: &str,
        view: &PromqlView,
        selection: &Selection,
        reads: &Reads,
    ) -> Result<MemorySource, EvalError> {
        let of = |error: QueryError| {
            let error = error.to_promql();
            EvalError::of(error.kind, format!("view {name}: {}", error.message))
        };
        let interrupt = Interrupt::default();
        let rows = self.rows(view, selection, reads, &interrupt);
        // Whatever still runs for it may stop.
        interrupt.set();
        let rows = rows.map_err(of)?;
        if let Some(first) = rows.first() {
            let labels = check_columns_of(first.schema_ref()).map_err(of)?;
            self.sessions.views.planned(name, labels);
        }
        series_of(name, &rows).map_err(of)
    }

    fn rows(
        &self,
        view: &PromqlView,
        selection: &Selection,
        reads: &Reads,
        interrupt: &Interrupt,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let config = self.sessions.configs.of(&self.view.tenant);
        let session = self.sessions.of_view(&self.view, Some(&self.memory));
        let until = self.until.min(Instant::now() + config.planning()).into_std();
        let planning = Planning::new(until, config.planning(), interrupt.clone());
        let ended = QueryError::of_promql;
        let (plan, context) = planning.run(|| {
            reads.wait(async { Ok(planned(&session, view, selection, config).await) }).map_err(ended)
        })??;
        let plan = interruptible(plan, interrupt)?;
        reads.wait(async { Ok(self.collect(plan, context, config).await) }).map_err(ended)?
    }

    async fn collect(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        config: &QueryConfig,
    ) -> Result<Vec<RecordBatch>, QueryError> {
        let mut stream = execute_stream(plan, context)?;
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            bytes += batch.get_array_memory_size() as u64;
            for (got, max, name) in [
                (rows, config.result_rows_max, "query.result_rows_max"),
                (bytes, config.result_bytes_max, "query.result_bytes_max"),
            ] {
                if got > max {
                    let message = format!("its result has more than {name} = {max} allows");
                    return Err(QueryError::new(ErrorKind::TooLarge, message));
                }
            }
            // Once as rows, once as series.
            self.held.try_grow(2 * batch.get_array_memory_size())?;
            batches.push(batch);
        }
        Ok(batches)
    }
}

/// The labels that the rows of a view have, if it can be a view.
pub(super) async fn labels(
    inner: &Arc<Inner>,
    seen: &Arc<View>,
    view: &PromqlView,
) -> Result<Vec<String>, QueryError> {
    let state = inner.sessions.of_view(seen, None).state;
    let plan = logical(&state, view, (0, 0), &inner.config).await?;
    let plan = state.optimize(&plan)?;
    check_columns(plan.schema())
}

async fn planned(
    session: &QuerySession,
    view: &PromqlView,
    selection: &Selection,
    config: &QueryConfig,
) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>), QueryError> {
    let times = (selection.after_ms, selection.until_ms);
    let plan = logical(&session.state, view, times, config).await?;
    let plan = filtered(plan, selection, config)?;
    let plan = session.state.optimize(&plan)?;
    Ok(session.physical(&plan).await?)
}

/// The statement with the ends of the time as `$start` and `$end`.
async fn logical(
    state: &SessionState,
    view: &PromqlView,
    (after_ms, until_ms): (i64, i64),
    config: &QueryConfig,
) -> Result<LogicalPlan, QueryError> {
    let statement = statement::parse(&view.sql, config)?;
    let of = |error: DataFusionError| {
        let error = QueryError::of(&error, &view.sql);
        match error.message().contains("table function 'promql' not found") {
            true => QueryError::new(ErrorKind::Rejected, "a view of PromQL cannot call promql"),
            false => error,
        }
    };
    let plan = state.statement_to_plan(statement).await.map_err(of)?;
    statement::options().verify_plan(&plan).map_err(|error| QueryError::forbidden(error.message()))?;
    patterns::check(&plan, config.regex_bytes_max).map_err(of)?;
    let values = vec![("start", moment(after_ms)), ("end", moment(until_ms))];
    plan.with_param_values(values).map_err(of)
}

/// Rows of the time and with the labels that are wanted. Matchers that say more are asked of series.
fn filtered(
    plan: LogicalPlan,
    selection: &Selection,
    config: &QueryConfig,
) -> Result<LogicalPlan, QueryError> {
    check_columns(plan.schema())?;
    let time = match plan.schema().field_with_unqualified_name(TIME)?.data_type() {
        ty if *ty == nanos_type() => ident(TIME),
        _ => cast(ident(TIME), nanos_type()),
    };
    let mut filter = time.clone().gt(lit(moment(selection.after_ms)));
    filter = filter.and(time.lt_eq(lit(moment(selection.until_ms))));
    for Matcher { label, op, value } in &selection.matchers {
        let column = plan.schema().field_with_unqualified_name(label).is_ok();
        if *op == MatchOp::Equal && label != METRIC_NAME && !value.is_empty() && column {
            filter = filter.and(Expr::Column(Column::from_name(label)).eq(lit(value.as_str())));
        }
    }
    let rows_max = usize::try_from(config.result_rows_max).unwrap_or(usize::MAX);
    let builder = LogicalPlanBuilder::from(plan).filter(filter)?;
    Ok(builder.limit(0, Some(rows_max.saturating_add(1)))?.build()?)
}

fn moment(time_ms: i64) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(time_ms.saturating_mul(1_000_000)), Some(Arc::clone(&UTC)))
}

/// The names of the label columns, if all columns are what they have to be.
fn check_columns(schema: &DFSchema) -> Result<Vec<String>, QueryError> {
    check_columns_of(schema.as_arrow())
}

fn check_columns_of(schema: &Schema) -> Result<Vec<String>, QueryError> {
    let refused = |message: String| Err(QueryError::new(ErrorKind::Malformed, message));
    let (mut labels, mut time, mut value) = (Vec::new(), false, false);
    for field in schema.fields() {
        let (name, ty) = (field.name(), field.data_type());
        match name.as_str() {
            TIME if matches!(ty, DataType::Timestamp(..)) => time = true,
            VALUE if ty.is_numeric() => value = true,
            TIME => return refused(format!("the column time is a timestamp, not {ty}")),
            VALUE => return refused(format!("the column value is a number, not {ty}")),
            METRIC_NAME => {
                return refused(format!("the column {METRIC_NAME} is made of the name of the view"));
            }
            _ if is_text(ty) => labels.push(name.clone()),
            _ => return refused(format!("the column {name} is a label and so a text, not {ty}")),
        }
    }
    match (time, value) {
        (true, true) => Ok(labels),
        _ => refused(
            "a view of PromQL has the columns time and value, and its labels as columns of text".into(),
        ),
    }
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}
