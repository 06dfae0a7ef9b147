//! `promql('expr', start, end, step)`: the value of an expression as a table of SQL.
//!
//! ```text
//! call ─▶ arguments ─▶ times ─▶ describe ─▶ columns        when the statement is planned
//!                                  │
//!                               PromqlExec ─▶ evaluation on a thread of its own ─▶ rows
//! ```
//!
//! It reads the view of the statement that it stands in, within the statement's memory and
//! deadline, and ends with it.

mod arguments;
mod columns;
mod exec;
mod rows;

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use isinglass_lang::promql::ast::Matcher;
use isinglass_promql::{Description, Times, describe};
use isinglass_store::View;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::engine::{check, options};
use super::request::PromqlTime;
use super::series;
use crate::error::QueryError;
use crate::session::Sessions;
use crate::warnings::Warnings;
use columns::Columns;
pub(crate) use exec::PromqlExec;

/// Labels that become columns of their own; of more, none does that the expression does not name.
const LABEL_COLUMNS_MAX: usize = 64;

/// The statement that calls stand in.
pub(crate) struct Statement {
    pub(crate) view: Arc<View>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) until: Instant,
    pub(crate) deadline: Duration,
    /// What is said beside the rows.
    pub(crate) warnings: Warnings,
    /// Held by threads that read for it, so that the runtime stays.
    pub(crate) engine: Arc<dyn Any + Send + Sync>,
    /// Calls are evaluated one after the other: each has several threads and much memory.
    turn: Semaphore,
}

impl Statement {
    pub(crate) fn new(
        view: &Arc<View>,
        sessions: &Arc<Sessions>,
        (until, deadline): (Instant, Duration),
        warnings: Warnings,
        engine: Arc<dyn Any + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            view: Arc::clone(view),
            sessions: Arc::clone(sessions),
            until,
            deadline,
            warnings,
            engine,
            turn: Semaphore::new(1),
        })
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement({})", self.view.tenant)
    }
}

/// The function, for one statement.
#[derive(Debug)]
pub(crate) struct PromqlFunction(pub(crate) Arc<Statement>);

impl TableFunctionImpl for PromqlFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let now = args.session().execution_props().query_execution_start_time;
        let asked = arguments::read(args.exprs(), now.map(|now| now.timestamp_millis()))?;
        Ok(Arc::new(PromqlTable::new(Arc::clone(&self.0), asked)?))
    }
}

/// An expression, and when it is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    text: Arc<str>,
    time: PromqlTime,
}

/// One call.
#[derive(Debug)]
struct PromqlTable {
    statement: Arc<Statement>,
    asked: Asked,
    plan: Arc<str>,
    columns: Arc<Columns>,
}

impl PromqlTable {
    fn new(statement: Arc<Statement>, asked: Asked) -> Result<Self, QueryError> {
        let config = statement.sessions.configs.of(&statement.view.tenant);
        check(asked.time, &config.promql)?;
        let names = |matchers: &[Matcher]| label_names(&statement, matchers);
        let options = options(config, None);
        let described = describe(&asked.text, times(asked.time), &options, &names);
        let Description { value_type, labels, plan } = described.map_err(QueryError::of_promql)?;
        let columns = Arc::new(Columns::new(value_type, &labels.unwrap_or_default()));
        Ok(Self { statement, asked, plan: plan.into(), columns })
    }
}

fn times(time: PromqlTime) -> Times {
    match time {
        PromqlTime::Instant { time_ms } => Times::Instant(time_ms),
        PromqlTime::Range { start_ms, end_ms, step_ms } => Times::Range { start_ms, end_ms, step_ms },
    }
}

/// Names of the labels of all series that matchers find, of whatever day; `None` if there are too
/// many for columns.
fn label_names(statement: &Statement, matchers: &[Matcher]) -> Option<BTreeSet<String>> {
    let view = &statement.view;
    let found = series::select(view, matchers, None).ok()?.label_names(LABEL_COLUMNS_MAX + 1);
    let mut names: BTreeSet<String> = found.items.iter().map(|name| name.to_string()).collect();
    names.extend(statement.sessions.views.label_names(&view.tenant, matchers)?);
    (names.len() <= LABEL_COLUMNS_MAX).then_some(names)
}

#[async_trait]
impl TableProvider for PromqlTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = match projection {
            Some(wanted) => Arc::new(self.columns.project(wanted)?),
            None => Arc::clone(&self.columns),
        };
        let statement = Arc::clone(&self.statement);
        Ok(Arc::new(PromqlExec::new(statement, self.asked.clone(), Arc::clone(&self.plan), columns)))
    }
}
