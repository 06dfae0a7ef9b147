//! Replays in the background of a server, one at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use isinglass_model::{ErrorKind, SystemTable, Tenant};
use parking_lot::Mutex;

use super::{ReplayError, ReplayProgress, ReplayReport, ReplayRequest};
use crate::ingest::Ingest;

/// Replays that are remembered.
const JOBS_MAX: usize = 64;

/// How long a stop waits for the one that runs to give up.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// A replay that was begun.
#[derive(Debug)]
pub struct ReplayJob {
    /// Counted from 1 since the server started.
    pub id: u64,
    /// Whose rows.
    pub tenant: Tenant,
    /// Name of the binding.
    pub name: String,
    /// The first millisecond since 1970.
    pub from_ms: i64,
    /// The first that was not asked for, or when it began.
    pub to_ms: i64,
    /// Whether its result takes the place of what is stored.
    pub write: bool,
    /// When it began, milliseconds since 1970.
    pub begun_unix_ms: i64,
    /// How far it is.
    pub progress: Arc<ReplayProgress>,
    outcome: Mutex<Option<Outcome>>,
}

/// What became of it.
pub type Outcome = Result<Arc<ReplayReport>, (ErrorKind, String)>;

impl ReplayJob {
    /// What became of it; `None` while it runs.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().clone()
    }

    /// `running`, `done`, `failed` or `cancelled`.
    pub fn state(&self) -> &'static str {
        match self.outcome() {
            None => "running",
            Some(Ok(_)) => "done",
            Some(Err(_)) if self.progress.is_cancelled().is_err() => "cancelled",
            Some(Err(_)) => "failed",
        }
    }
}

/// All replays of a server.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    jobs: Mutex<(u64, VecDeque<Arc<ReplayJob>>)>,
    stopping: AtomicBool,
}

impl Jobs {
    fn begin(&self, request: &ReplayRequest, now_unix_ms: i64) -> Result<Arc<ReplayJob>, ReplayError> {
        let mut jobs = self.jobs.lock();
        let (last, jobs) = &mut *jobs;
        if self.stopping.load(Ordering::Acquire) {
            return Err(ReplayError::Cancelled);
        }
        if let Some(running) = jobs.iter().find(|job| job.outcome().is_none()) {
            return Err(ReplayError::Busy { id: running.id });
        }
        *last += 1;
        let job = Arc::new(ReplayJob {
            id: *last,
            tenant: request.tenant.clone(),
            name: request.name.clone(),
            from_ms: request.from_ms,
            to_ms: request.to_ms.min(now_unix_ms),
            write: request.write,
            begun_unix_ms: now_unix_ms,
            progress: Arc::default(),
            outcome: Mutex::new(None),
        });
        jobs.push_back(Arc::clone(&job));
        if jobs.len() > JOBS_MAX {
            jobs.pop_front();
        }
        Ok(job)
    }

    fn all(&self) -> Vec<Arc<ReplayJob>> {
        self.jobs.lock().1.iter().map(Arc::clone).collect()
    }

    /// Gives up what runs, and waits for it, but not for long.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let until = tokio::time::Instant::now() + STOP_WAIT;
        for job in self.all() {
            if job.outcome().is_none() {
                job.progress.cancel();
            }
            while job.outcome().is_none() && tokio::time::Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

impl Ingest {
    /// Begins a replay, which goes on when the caller goes away.
    pub fn begin_replay(&self, request: ReplayRequest) -> Result<Arc<ReplayJob>, ReplayError> {
        let job = self.replays().begin(&request, self.clock().now_unix_millis())?;
        let (ingest, of) = (self.clone(), Arc::clone(&job));
        tokio::spawn(async move {
            let progress = Arc::clone(&of.progress);
            let work = tokio::spawn(async move { ingest.replay(request, progress).await });
            let ended = |error| Err(ReplayError::Internal(format!("a replay ended early: {error}")));
            let outcome = work.await.unwrap_or_else(ended);
            match &outcome {
                Ok(report) => tracing::info!(
                    tenant = %of.tenant, plugin = of.name, rows = of.progress.rows(), reconciled = report.reconciled,
                    written = report.written.is_some(), "replayed"
                ),
                Err(error) => tracing::warn!(tenant = %of.tenant, plugin = of.name, %error, "replay failed"),
            }
            let told = outcome.map(Arc::new).map_err(|error| (error.kind(), error.to_string()));
            *of.outcome.lock() = Some(told);
        });
        Ok(job)
    }

    /// A replay of a tenant by its number.
    pub fn replay_of(&self, tenant: &Tenant, id: u64) -> Option<Arc<ReplayJob>> {
        self.replays().all().into_iter().find(|job| job.id == id && job.tenant == *tenant)
    }
}

/// `system.replays`: the last replays of a tenant since the server started.
#[derive(Debug)]
pub(crate) struct ReplaysTable(Arc<Jobs>);

impl ReplaysTable {
    pub(crate) fn new(jobs: &Arc<Jobs>) -> Self {
        Self(Arc::clone(jobs))
    }
}

impl SystemTable for ReplaysTable {
    fn name(&self) -> &'static str {
        "replays"
    }

    fn schema(&self) -> SchemaRef {
        schema_of(&columns(&[]))
    }

    fn rows(&self, tenant: &Tenant) -> Result<RecordBatch, ArrowError> {
        let jobs: Vec<_> = self.0.all().into_iter().filter(|job| job.tenant == *tenant).collect();
        let columns = columns(&jobs);
        RecordBatch::try_new(schema_of(&columns), columns.into_iter().map(|(_, array)| array).collect())
    }
}

fn schema_of(columns: &[(&str, ArrayRef)]) -> SchemaRef {
    let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn columns(jobs: &[Arc<ReplayJob>]) -> Vec<(&'static str, ArrayRef)> {
    let reports: Vec<Option<Arc<ReplayReport>>> =
        jobs.iter().map(|job| job.outcome().and_then(Result::ok)).collect();
    let number = |of: &dyn Fn(&ReplayJob) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(jobs.iter().map(|job| of(job))))
    };
    let found = |of: &dyn Fn(&ReplayReport) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(reports.iter().map(|report| of(report.as_deref()?))))
    };
    let said = |of: &dyn Fn(&ReplayReport) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter(reports.iter().map(|report| report.as_deref().map(of))))
    };
    let text = |of: &dyn Fn(&ReplayJob) -> Option<String>| -> ArrayRef {
        Arc::new(StringArray::from_iter(jobs.iter().map(|job| of(job))))
    };
    let reconciled = reports.iter().map(|report| report.as_deref().map(|report| report.reconciled));
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    vec![
        ("replay", number(&|job| count(job.id))),
        ("name", text(&|job| Some(job.name.clone()))),
        ("state", text(&|job| Some(job.state().to_owned()))),
        ("begun_unix_ms", number(&|job| job.begun_unix_ms)),
        ("from_unix_ms", number(&|job| job.from_ms)),
        ("to_unix_ms", number(&|job| job.to_ms)),
        ("rows", number(&|job| count(job.progress.rows()))),
        ("plugin", said(&|report| report.provenance.plugin.clone())),
        ("digest", said(&|report| report.provenance.digest.clone())),
        ("config_digest", said(&|report| report.provenance.config_digest.clone())),
        ("samples_digest", said(&|report| report.provenance.samples_digest.clone())),
        ("reconciled", Arc::new(BooleanArray::from_iter(reconciled))),
        ("version", found(&|report| report.written.map(|written| written.version))),
        ("removed", found(&|report| report.written.map(|written| count(written.removed)))),
        ("added", found(&|report| report.written.map(|written| count(written.added)))),
        ("error", text(&|job| job.outcome().and_then(Result::err).map(|(_, error)| error))),
    ]
}
