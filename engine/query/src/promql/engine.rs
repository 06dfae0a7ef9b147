//! The way of a query in PromQL: turn, thread, value.

use std::sync::Arc;
use std::time::Duration;

use isinglass_lang::promql::ast::Matcher;
use isinglass_model::{ErrorKind, Tenant};
use isinglass_promql::front::{Cached, ResultCache};
use isinglass_promql::{Answer, EvalError, LimitNames, Limits, Options, Value};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::brought::Brought;
use super::ending::{Ending, Waiting};
use super::facts::ScanFacts;
use super::request::{
    Cardinality, ExemplarRequest, Found, MetadataSelection, MetricMetadata, PromqlAnswer, PromqlRequest,
    PromqlTime, RawSeries, SeriesExemplars,
};
use super::scan::Reads;
use super::source::StoreSource;
use super::views::ViewReader;
use super::{cardinality, exemplars, metadata, samples};
use crate::QueryEngine;
use crate::config::{PromqlConfig, QueryConfig};
use crate::engine::Admitted;
use crate::error::QueryError;
use crate::queries::{Entry, Language};
use crate::read::Read;
use crate::workers::STACK_BYTES;

impl QueryEngine {
    /// Evaluates an expression over the series of a tenant. It takes a turn, has a deadline and is
    /// in `system.queries` as a statement of SQL is. Dropping the future ends the query.
    pub async fn promql(&self, tenant: &Tenant, request: PromqlRequest) -> Result<PromqlAnswer, QueryError> {
        let config = self.inner.sessions.configs.of(tenant);
        check(request.time, &config.promql)?;
        let options = options(config, request.lookback_ms);
        let asked = Asked { text: &request.text, deadline: request.deadline, strong: request.strong };
        let (text, time) = (request.text.clone(), request.time);
        let cache = (!request.fresh).then(|| Arc::clone(&self.inner.sessions.system.caches.results));
        let work = move |source: &StoreSource| evaluate(&text, time, source, cache.as_deref(), &options);
        let rows = |answer: &Answer| points(&answer.value);
        let Done { result, warnings: partial, facts, waited, ran } =
            self.run_counted(tenant, asked, work, rows).await?;
        let Answer { value, mut warnings, infos, used } = result;
        warnings.extend(partial);
        Ok(PromqlAnswer { value, warnings, infos, used, scan: facts, waited, evaluated: ran })
    }

    /// Label sets of series.
    pub async fn promql_series(
        &self,
        tenant: &Tenant,
        selection: MetadataSelection,
    ) -> Result<Found<Vec<isinglass_promql::Labels>>, QueryError> {
        let limit = self.limit(&selection);
        let text = format!("series{}", metadata::written(&selection));
        self.ask(tenant, &text, move |source| metadata::series(source, &selection, limit)).await
    }

    /// Names of labels.
    pub async fn promql_label_names(
        &self,
        tenant: &Tenant,
        selection: MetadataSelection,
    ) -> Result<Found<Vec<String>>, QueryError> {
        let limit = self.limit(&selection);
        let text = format!("label names{}", metadata::written(&selection));
        self.ask(tenant, &text, move |source| metadata::label_names(source, &selection, limit)).await
    }

    /// Values of a label.
    pub async fn promql_label_values(
        &self,
        tenant: &Tenant,
        label: &str,
        selection: MetadataSelection,
    ) -> Result<Found<Vec<String>>, QueryError> {
        let limit = self.limit(&selection);
        let text = format!("label values of {label}{}", metadata::written(&selection));
        let label = label.to_owned();
        let work = move |source: &StoreSource| metadata::label_values(source, &label, &selection, limit);
        self.ask(tenant, &text, work).await
    }

    /// Type, help and unit of all metric families that somebody described, or of one; by name.
    pub async fn promql_metadata(
        &self,
        tenant: &Tenant,
        metric: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<MetricMetadata>, QueryError> {
        let (view, _) = self.inner.view(tenant).await?;
        Ok(metadata::families(&view, metric, limit.unwrap_or(usize::MAX)))
    }

    /// Exemplars of the series that an expression selects.
    pub async fn promql_exemplars(
        &self,
        tenant: &Tenant,
        request: ExemplarRequest,
    ) -> Result<Vec<SeriesExemplars>, QueryError> {
        let limits = options(self.inner.sessions.configs.of(tenant), None).limits;
        let asked = Asked { text: &request.text.clone(), deadline: None, strong: false };
        let work = move |source: &StoreSource| exemplars::read(&request, source, &limits);
        Ok(self.run(tenant, asked, work).await?.result)
    }

    /// Samples as they are stored, of the series for which all matchers hold, from `start_ms` to
    /// `end_ms`, both included. Stale markers are floats.
    pub async fn promql_samples(
        &self,
        tenant: &Tenant,
        matchers: Vec<Matcher>,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<RawSeries>, QueryError> {
        let limits = options(self.inner.sessions.configs.of(tenant), None).limits;
        let text = format!("samples of {}", metadata::selector(&matchers));
        let work = move |source: &StoreSource| samples::read(matchers, (start_ms, end_ms), source, &limits);
        let asked = Asked { text: &text, deadline: None, strong: false };
        Ok(self.run(tenant, asked, work).await?.result)
    }

    /// What the series of a tenant are made of: the `limit` largest of each list.
    pub async fn promql_cardinality(&self, tenant: &Tenant, limit: usize) -> Result<Cardinality, QueryError> {
        let work = move |source: &StoreSource| cardinality::of(source.view(), limit, &|| source.ended());
        let asked = Asked { text: "cardinality", deadline: None, strong: false };
        Ok(self.run(tenant, asked, work).await?.result)
    }

    /// Steps of a range query of a tenant after the first.
    pub fn points_max(&self, tenant: &Tenant) -> u64 {
        self.inner.sessions.configs.of(tenant).promql.points_max
    }

    fn limit(&self, selection: &MetadataSelection) -> usize {
        let most = usize::try_from(self.inner.config.promql.series_max).unwrap_or(usize::MAX);
        selection.limit.map_or(most, |limit| limit.min(most))
    }

    /// A question that the index answers.
    async fn ask<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        text: &str,
        work: impl FnOnce(&StoreSource) -> Result<Found<T>, EvalError> + Send + 'static,
    ) -> Result<Found<T>, QueryError> {
        let asked = Asked { text, deadline: None, strong: false };
        let mut done = self.run(tenant, asked, work).await?;
        done.result.warnings.extend(done.warnings);
        Ok(done.result)
    }

    async fn run<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        asked: Asked<'_>,
        work: impl FnOnce(&StoreSource) -> Result<T, EvalError> + Send + 'static,
    ) -> Result<Done<T>, QueryError> {
        self.run_counted(tenant, asked, work, |_| 0).await
    }

    /// The same where the answer has a number of rows.
    async fn run_counted<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        asked: Asked<'_>,
        work: impl FnOnce(&StoreSource) -> Result<T, EvalError> + Send + 'static,
        rows: impl FnOnce(&T) -> u64,
    ) -> Result<Done<T>, QueryError> {
        let tracked = self.inner.sessions.system.queries.begin(tenant, Language::Promql, asked.text);
        let result = self.run_tracked(tenant, asked, tracked.entry(), work).await;
        match &result {
            Ok(done) => {
                tracked.rows(rows(&done.result), 0);
                tracked.done();
            }
            Err(error) => tracked.failed(error),
        }
        result
    }

    async fn run_tracked<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        asked: Asked<'_>,
        entry: &Arc<Entry>,
        work: impl FnOnce(&StoreSource) -> Result<T, EvalError> + Send + 'static,
    ) -> Result<Done<T>, QueryError> {
        let inner = &self.inner;
        let arrived = Instant::now();
        let config = inner.sessions.configs.of(tenant);
        let deadline = config.deadline(asked.deadline);
        let Admitted { view, warnings, until, deadline, turn } =
            inner.admit(tenant, deadline, asked.strong, entry).await?;
        let begun = Instant::now();
        let ending = Ending::new(until, deadline);
        let waiting = Waiting(Arc::clone(&ending));
        let memory = inner.sessions.pool(tenant, entry.memory_peak());
        let seat = inner.pressure.enter(Arc::clone(&memory));
        let stopped = || QueryError::new(ErrorKind::Unavailable, "the server is stopping");
        let handle = inner.workers.handle().ok_or_else(stopped)?;
        let views = ViewReader::new(&inner.sessions, &view, &memory, until);
        let (footers, bytes_max) = (inner.sessions.footers(), config.read_bytes_max);
        let reads = Reads::new(&view, handle, footers, Arc::clone(&ending), memory, bytes_max);
        let samples = Arc::clone(&inner.sessions.system.caches.samples);
        let brought = Brought::new(inner.sessions.plugins_of(tenant));
        let source = StoreSource::new(view, reads, samples, views, brought, config.promql.series_max);
        entry.evaluating();
        let (sender, answer) = oneshot::channel();
        // The thread holds the engine, so that the runtime that reads for it stays.
        let (engine, noted) = (self.clone(), Arc::clone(entry));
        let work = move || {
            let result = work(&source).map_err(QueryError::of_promql);
            source.thread_ended();
            let facts = source.facts();
            noted.read(Read::of_promql(&facts));
            drop((source, turn, engine));
            // Nobody may wait any more.
            let _ = sender.send((result, facts));
        };
        start(work)?;
        let (result, facts) = tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| broken_off())?,
            error = seat.evicted() => {
                ending.end(&error);
                return Err(error);
            }
            () = tokio::time::sleep_until(ending.until()) => return Err(ending.timeout()),
        };
        drop(waiting);
        Ok(Done { result: result?, warnings, facts, waited: begun - arrived, ran: begun.elapsed() })
    }
}

/// A question before it has its turn.
#[derive(Clone, Copy)]
struct Asked<'a> {
    text: &'a str,
    deadline: Option<Duration>,
    strong: bool,
}

/// An answer, and what it took.
struct Done<T> {
    result: T,
    /// Why rows may be missing.
    warnings: Vec<String>,
    facts: ScanFacts,
    waited: Duration,
    ran: Duration,
}

/// Evaluation waits for what the runtime's threads read, so it is on none of them. There are as
/// many of these threads as there are turns, plus those that were told to end and will soon.
pub(super) fn start(work: impl FnOnce() + Send + 'static) -> Result<(), QueryError> {
    let thread = std::thread::Builder::new().name("promql".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).map(drop).map_err(|error| {
        QueryError::new(ErrorKind::Unavailable, format!("cannot start a thread for the query: {error}"))
    })
}

fn points(value: &Value) -> u64 {
    match value {
        Value::Scalar(..) | Value::Text(..) => 1,
        Value::Vector(series) | Value::Matrix(series) => {
            series.iter().map(|one| one.points.len() as u64).sum()
        }
    }
}

pub(super) fn broken_off() -> QueryError {
    QueryError::new(ErrorKind::Internal, "the query broke off")
}

pub(super) fn options(config: &QueryConfig, lookback_ms: Option<i64>) -> Options {
    let own = &config.promql;
    let configured = i64::try_from(own.lookback_ms).unwrap_or(i64::MAX);
    Options {
        lookback_ms: lookback_ms.unwrap_or(configured),
        parts: config.threads(),
        limits: Limits {
            samples_max: own.samples_max,
            series_max: own.series_max,
            memory_bytes_max: config.query_memory_bytes,
            names: LimitNames {
                samples_max: "query.promql.samples_max",
                series_max: "query.promql.series_max",
                memory_bytes_max: "query.query_memory_bytes",
                ..LimitNames::default()
            },
            ..Limits::default()
        },
        ..Options::default()
    }
}

pub(super) fn check(time: PromqlTime, config: &PromqlConfig) -> Result<(), QueryError> {
    let PromqlTime::Range { start_ms, end_ms, step_ms } = time else { return Ok(()) };
    let refused = |message: String| Err(QueryError::new(ErrorKind::Malformed, message));
    if end_ms < start_ms {
        return refused("end timestamp must not be before start time".to_owned());
    }
    if step_ms <= 0 {
        return refused(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
                .to_owned(),
        );
    }
    let steps = end_ms.abs_diff(start_ms) / step_ms.unsigned_abs();
    if steps > config.points_max {
        return refused(too_many_points(config.points_max));
    }
    Ok(())
}

/// As Prometheus says it, with the setting where it is another one than there.
pub fn too_many_points(limit: u64) -> String {
    let own = if limit == 11_000 { "" } else { "; the limit is query.promql.points_max" };
    format!(
        "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution \
         (?step=XX){own}",
        grouped(limit)
    )
}

/// 11000 as `11,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group));
    groups.collect::<Vec<_>>().join(",")
}

pub(super) fn evaluate(
    text: &str,
    time: PromqlTime,
    source: &StoreSource,
    cache: Option<&ResultCache>,
    options: &Options,
) -> Result<Answer, EvalError> {
    let ended = || source.ended();
    let view = source.view();
    let versions = |from_ms: i64, to_ms: i64| view.changed(from_ms, to_ms);
    // A view that lacks samples has other ones than its versions say, and rows of SQL have none.
    let has_versions = !view.replaying && !source.views().are_read(text)?;
    let cache = cache.filter(|_| has_versions);
    let answer = match time {
        PromqlTime::Instant { time_ms } => isinglass_promql::instant(text, time_ms, source, options, &ended),
        PromqlTime::Range { start_ms, end_ms, step_ms } => {
            let range = (start_ms, end_ms, step_ms);
            match cache {
                Some(cache) => {
                    let cached = Cached { cache, namespace: view.tenant.as_str(), versions: &versions };
                    cached.range(text, range, source, options, &ended)
                }
                None => isinglass_promql::range(text, range, source, options, &ended),
            }
        }
    }?;
    debug_assert!(!matches!((&answer.value, time), (Value::Vector(_), PromqlTime::Range { .. })));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_refused() {
        let check = |start_ms, end_ms, step_ms| {
            let range = PromqlTime::Range { start_ms, end_ms, step_ms };
            super::check(range, &PromqlConfig::default()).map_err(|error| error.message().to_owned())
        };
        assert_eq!(check(0, 11_000, 1), Ok(()));
        let error = check(0, 11_001, 1).unwrap_err();
        assert!(
            error.starts_with("exceeded maximum resolution of 11,000 points per timeseries. Try"),
            "{error}"
        );
        assert!(check(i64::MIN, i64::MAX, 1).is_err());
        assert!(check(1, 0, 1).unwrap_err().contains("end timestamp"));
        assert!(check(0, 1, 0).unwrap_err().starts_with("zero or negative"));
        assert_eq!([grouped(7), grouped(1_000), grouped(1_234_567)], ["7", "1,000", "1,234,567"]);
    }
}
