//! The way of a query: gate, turn, plan, run, stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use datafusion::catalog::Session as _;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use isinglass_model::functions::FunctionSource;
use isinglass_model::{ErrorKind, MemoryLimit, SystemTable, Tenant};
use isinglass_store::{Store, View};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::caches::{CacheFigures, Caches};
use crate::config::{QueryConfig, SqlOptions};
use crate::error::QueryError;
use crate::functions::Room;
use crate::interrupt::{Interrupt, interruptible};
use crate::plain::plain;
use crate::planning::Planning;
use crate::pressure::Pressure;
use crate::promql::Statement;
use crate::queries::{Entry, Kept, Language, Queries};
use crate::session::{QuerySession, Sessions};
use crate::stream::{Budget, Message, ResultStream};
use crate::system::System;
use crate::table::TokenStats;
use crate::turns::{NoTurn, Turn, Turns};
use crate::warnings::Warnings;
use crate::workers::Workers;
use crate::{hints, patterns, statement, width, wildcard};

/// Answers SQL over the tables of a store. Cheap to clone.
#[derive(Clone)]
pub struct QueryEngine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) config: QueryConfig,
    pub(crate) sessions: Arc<Sessions>,
    turns: Turns,
    /// For those that plan, also if nobody waits for them any more.
    planners: Arc<Semaphore>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) workers: Workers,
}

/// A query that has its turn, and what it sees.
pub(crate) struct Admitted {
    pub(crate) view: Arc<View>,
    /// Why the view may lack rows.
    pub(crate) warnings: Vec<String>,
    pub(crate) until: Instant,
    pub(crate) deadline: Duration,
    /// To be held until the query really ended.
    pub(crate) turn: Turn,
}

/// An answer: its columns, and its rows as they come.
#[derive(Debug)]
pub struct SqlResult {
    /// Names and types of the columns.
    pub schema: SchemaRef,
    /// The rows. Dropping it ends the query.
    pub stream: ResultStream,
    /// Why the answer may lack rows, such as a log that is still being replayed. More may come
    /// while rows are read.
    pub warnings: Warnings,
}

impl QueryEngine {
    /// An engine over a store, with threads of its own.
    pub fn new(store: Store, config: QueryConfig) -> Result<Self, QueryError> {
        Self::within(store, config, Vec::new(), MemoryLimit::none())
    }

    /// The same with more tables in the schema `system`, of which one whose name is taken is not
    /// seen, in a process that may hold no more than `limit`: beyond it queries end.
    pub fn within(
        store: Store,
        config: QueryConfig,
        tables: Vec<Arc<dyn SystemTable>>,
        limit: MemoryLimit,
    ) -> Result<Self, QueryError> {
        let system = System {
            store: store.clone(),
            caches: Arc::new(Caches::new(store.clone(), &config)),
            queries: Queries::new(Arc::clone(store.clock()), Kept::of(&config)),
            others: tables.into(),
            rows_max: config.system_rows_max,
        };
        let sessions = Arc::new(Sessions::new(&config, system, &Room(limit.clone()))?);
        let turns = Turns::new(config.concurrent_max);
        let planners = Arc::new(Semaphore::new(config.planners_max.max(1)));
        let workers = Workers::start(config.threads(), config.concurrent_max)?;
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                config,
                sessions,
                turns,
                planners,
                pressure: Pressure::new(limit),
                workers,
            }),
        })
    }

    /// Runs one statement for a tenant. It sees that tenant's tables at this
    /// moment and nothing else. Returns once the first rows can come; errors later
    /// than that come through the stream.
    pub async fn sql(
        &self,
        tenant: &Tenant,
        text: &str,
        options: SqlOptions,
    ) -> Result<SqlResult, QueryError> {
        let tracked = self.inner.sessions.system.queries.begin(tenant, Language::Sql, text);
        match self.answer(tenant, text, options, tracked.entry()).await {
            Ok(result) => Ok(SqlResult { stream: result.stream.tracked(tracked), ..result }),
            Err(error) => {
                tracked.failed(&error);
                Err(error)
            }
        }
    }

    async fn answer(
        &self,
        tenant: &Tenant,
        text: &str,
        options: SqlOptions,
        entry: &Arc<Entry>,
    ) -> Result<SqlResult, QueryError> {
        let inner = &self.inner;
        let deadline = inner.sessions.configs.of(tenant).deadline(options.deadline);
        // Cheap texts are refused before they wait for a turn.
        isinglass_lang::gate::check(text, &inner.config.gate()).map_err(|fault| {
            QueryError::from(fault).at(Some(isinglass_lang::Position::of(text, fault.offset())))
        })?;
        let admitted = inner.admit(tenant, deadline, options.strong, entry).await?;
        let Admitted { view, warnings, until, deadline, turn } = admitted;
        let budget = Budget {
            rows: options
                .rows_max
                .map_or(inner.config.result_rows_max, |max| max.min(inner.config.result_rows_max)),
            bytes: inner.config.result_bytes_max,
            until,
            deadline,
        };
        let warnings = Warnings::new(warnings);
        let (planned, plan) = oneshot::channel();
        let (sender, receiver) = mpsc::channel(2);
        let interrupt = Interrupt::default();
        let job = Job {
            inner: Arc::clone(inner),
            text: text.to_owned(),
            view,
            budget,
            interrupt: interrupt.clone(),
            entry: Arc::clone(entry),
            warnings: warnings.clone(),
            _turn: turn,
        };
        let task = inner.workers.spawn(job.run(planned, sender));
        let stream = ResultStream::new(receiver, task, interrupt, budget);
        let schema = match tokio::time::timeout_at(until, plan).await {
            Ok(Ok(schema)) => schema?,
            Ok(Err(_)) => {
                return Err(QueryError::new(ErrorKind::Internal, "the query ended without an answer"));
            }
            Err(_) => return Err(QueryError::timeout(deadline)),
        };
        Ok(SqlResult { schema, stream, warnings })
    }

    /// From now on queries may call these functions, in SQL and PromQL. A name that either has
    /// already stays what it is there.
    pub fn set_functions(&self, source: Arc<dyn FunctionSource>) {
        self.inner.sessions.set_plugins(source);
    }

    /// Limits in force.
    pub fn config(&self) -> &QueryConfig {
        &self.inner.config
    }

    /// What the process may hold.
    pub fn memory_limit(&self) -> &MemoryLimit {
        self.inner.pressure.limit()
    }

    /// Figures of the cache of footers and page indexes.
    pub fn metadata_stats(&self) -> CacheFigures {
        self.inner.sessions.system.caches.metadata.figures()
    }

    /// What is held of the token indexes of log lines.
    pub fn token_stats(&self) -> TokenStats {
        self.inner.sessions.indexes.tokens.stats()
    }

    /// Queries that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.inner.turns.waiting()
    }

    /// Queries that run now.
    pub fn running(&self) -> usize {
        self.inner.turns.running()
    }
}

impl fmt::Debug for QueryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryEngine").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Inner {
    /// Waits for the turn of a query, and takes what it sees.
    pub(crate) async fn admit(
        &self,
        tenant: &Tenant,
        deadline: Duration,
        strong: bool,
        entry: &Entry,
    ) -> Result<Admitted, QueryError> {
        let until = Instant::now() + deadline;
        if strong {
            // Before the turn: who waits for the log must not keep others from asking.
            let settled = tokio::time::timeout_at(until, self.store.settled(tenant)).await;
            settled.map_err(|_| QueryError::timeout(deadline))?.map_err(QueryError::of_store)?;
        }
        let turn = self.turn(tenant, until, deadline).await?;
        self.pressure.admit()?;
        entry.planning();
        let (view, warnings) = self.view(tenant).await?;
        Ok(Admitted { view, warnings, until, deadline, turn })
    }

    /// What a tenant has now, and why rows of it may be missing.
    pub(crate) async fn view(&self, tenant: &Tenant) -> Result<(Arc<View>, Vec<String>), QueryError> {
        let view = self.store.view(tenant).await.map_err(QueryError::of_store)?;
        let warnings = if view.replaying { vec!["partial: replay".to_owned()] } else { Vec::new() };
        Ok((view, warnings))
    }

    async fn turn(&self, tenant: &Tenant, until: Instant, deadline: Duration) -> Result<Turn, QueryError> {
        let wait = Instant::now() + Duration::from_millis(self.config.queue_wait_ms);
        let config = self.sessions.configs.of(tenant);
        match self.turns.take(tenant, config.turns(), wait.min(until)).await {
            Ok(turn) => Ok(turn),
            Err(NoTurn::TooLate { .. }) if wait >= until => Err(QueryError::timeout(deadline)),
            Err(why) => Err(QueryError::no_turn(why, config)),
        }
    }
}

/// How often a query looks how much it has read.
const READ_INTERVAL: Duration = Duration::from_millis(50);

/// One query on the threads of queries. Holds its turn until it really ended,
/// even if nobody waits for it any more.
struct Job {
    inner: Arc<Inner>,
    text: String,
    view: Arc<View>,
    budget: Budget,
    interrupt: Interrupt,
    entry: Arc<Entry>,
    warnings: Warnings,
    _turn: Turn,
}

impl Job {
    async fn run(
        self,
        mut planned: oneshot::Sender<Result<SchemaRef, QueryError>>,
        reader: mpsc::Sender<Message>,
    ) {
        let statement = Statement::new(
            &self.view,
            &self.inner.sessions,
            (self.budget.until, self.budget.deadline),
            self.warnings.clone(),
            Arc::clone(&self.inner) as _,
        );
        let session = self.inner.sessions.open(statement, self.entry.memory_peak());
        let seat = self.inner.pressure.enter(Arc::clone(&session.runtime_env().memory_pool));
        let started = tokio::select! {
            biased;
            error = seat.evicted() => Err(error),
            () = planned.closed() => Err(QueryError::timeout(self.budget.deadline)),
            started = self.start(session) => started,
        };
        let (stream, _spent) = match started {
            Ok(started) => started,
            Err(error) => {
                // Whoever still plans it may stop.
                self.interrupt.set();
                // Nobody waits for an answer that has timed out.
                let _ = planned.send(Err(error));
                return;
            }
        };
        if planned.send(Ok(stream.schema())).is_err() {
            return;
        }
        // The stream is dropped, and with it whatever runs for it, before the turn; what planning
        // left comes last, when all rows are on their way.
        tokio::select! {
            biased;
            () = reader.closed() => {}
            () = tokio::time::sleep_until(self.budget.until) => {}
            error = seat.evicted() => { let _ = reader.send(Message::Failed(error)).await; }
            error = self.reads_too_much() => { let _ = reader.send(Message::Failed(error)).await; }
            () = self.send(stream, &reader) => {}
        }
    }

    /// Returns once more was read of files than may be.
    async fn reads_too_much(&self) -> QueryError {
        if self.read_max() == 0 {
            return std::future::pending().await;
        }
        loop {
            if let Some(error) = self.over_read() {
                return error;
            }
            tokio::time::sleep(READ_INTERVAL).await;
        }
    }

    fn read_max(&self) -> u64 {
        self.inner.sessions.configs.of(&self.view.tenant).read_bytes_max
    }

    fn over_read(&self) -> Option<QueryError> {
        let max = self.read_max();
        (max > 0 && self.entry.read_so_far().bytes > max).then(|| QueryError::reads_too_much(max))
    }

    async fn send(&self, mut stream: SendableRecordBatchStream, reader: &mpsc::Sender<Message>) {
        loop {
            let message = match stream.next().await {
                Some(Ok(batch)) => Message::Rows(batch),
                Some(Err(error)) => Message::Failed(QueryError::of(&error, &self.text)),
                // It may be over before anybody has looked.
                None => self.over_read().map_or(Message::End, Message::Failed),
            };
            let last = !matches!(message, Message::Rows(_));
            if reader.send(message).await.is_err() || last {
                return;
            }
        }
    }

    async fn start(&self, session: QuerySession) -> Result<(SendableRecordBatchStream, Planner), QueryError> {
        let (planned, planner) = self.planned(session).await?;
        let (physical, context) = planned?;
        let of = |error| QueryError::of(&error, &self.text);
        let physical = interruptible(physical, &self.interrupt).map_err(of)?;
        self.entry.running(&physical);
        let rows = execute_stream(physical, context).map_err(of)?;
        Ok((plain(rows), planner))
    }

    /// Waits for the plan as long as it may take, and no longer. Who made it comes with it: plans
    /// on the way take long to drop.
    async fn planned(
        &self,
        session: QuerySession,
    ) -> Result<(Result<Planned, QueryError>, Planner), QueryError> {
        let inner = &self.inner;
        let limit = inner.config.planning();
        let until = self.budget.until.min(Instant::now() + limit);
        let place = tokio::time::timeout_at(until, Arc::clone(&inner.planners).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message =
                format!("{} queries are being planned, which is the limit", inner.config.planners_max);
            return Err(QueryError::new(ErrorKind::Unavailable, message));
        };
        let mut planner = Planner {
            inner: Arc::clone(inner),
            text: self.text.clone(),
            view: Arc::clone(&self.view),
            session,
            spent: Vec::new(),
        };
        let planning = Planning::new(until.into_std(), limit, self.interrupt.clone());
        let planned = inner.workers.plan(planning, async move {
            let planned = planner.run().await;
            drop(place);
            (planned, planner)
        });
        let broken_off = || QueryError::new(ErrorKind::Internal, "planning the query broke off");
        let planned = planned.ok_or_else(broken_off)?;
        match tokio::time::timeout_at(until, planned).await {
            Ok(planned) => planned.map_err(|_| broken_off()),
            Err(_) if until == self.budget.until => Err(QueryError::timeout(self.budget.deadline)),
            Err(_) => Err(QueryError::planning(limit)),
        }
    }
}

/// A plan, and what it runs with.
type Planned = (Arc<dyn ExecutionPlan>, Arc<TaskContext>);

/// Who makes the plan of one query, on a thread for that.
struct Planner {
    inner: Arc<Inner>,
    text: String,
    view: Arc<View>,
    session: QuerySession,
    /// Plans on the way, which take long to drop.
    spent: Vec<LogicalPlan>,
}

impl Planner {
    async fn run(&mut self) -> Result<Planned, QueryError> {
        let logical = self.logical().await?;
        let of = |error| QueryError::of(&error, &self.text);
        let plan = self.session.optimized(&logical).map_err(of)?;
        if let Some(rows) = width::batch_rows(&plan).map_err(of)? {
            self.session.state.config_mut().options_mut().execution.batch_size = rows;
        }
        let physical = self.session.physical(&plan).await.map_err(of);
        self.spent.extend([logical, plan]);
        physical
    }

    async fn logical(&self) -> Result<LogicalPlan, QueryError> {
        let statement = statement::parse(&self.text, &self.inner.config)?;
        let of = |error| {
            hints::explain(
                QueryError::of(&error, &self.text),
                &self.text,
                &self.view,
                &self.inner.sessions.system,
            )
        };
        let plan = match wildcard::plan(&self.session.state, &statement).await {
            Some(plan) => plan,
            None => self.session.state.statement_to_plan(statement).await.map_err(of)?,
        };
        statement::options().verify_plan(&plan).map_err(|error| QueryError::forbidden(error.message()))?;
        patterns::check(&plan, self.inner.config.regex_bytes_max).map_err(of)?;
        Ok(plan)
    }
}
