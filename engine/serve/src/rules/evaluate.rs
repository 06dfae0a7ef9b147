//! Expressions of rules over the series of a tenant.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use isinglass_ingest::Ingest;
use isinglass_lang::promql;
use isinglass_model::Tenant;
use isinglass_promql::Sample;
use isinglass_query::{PromqlRequest, PromqlTime, QueryEngine, QueryError, RawSeries};
use isinglass_rules::{Evaluate, Evaluated, ForState, RuleError};
use tokio_util::sync::CancellationToken;

/// Evaluates by the engine that answers everybody: with its turns, its deadline and its limits.
pub(super) struct StoreEvaluate {
    query: QueryEngine,
    ingest: Ingest,
    /// Whether all that was acknowledged before the start has been seen.
    is_whole: AtomicBool,
    stopping: CancellationToken,
    cut_off: CancellationToken,
}

impl StoreEvaluate {
    /// A start is waited for until `stopping`, a query until `cut_off`.
    pub(super) fn new(
        query: QueryEngine,
        ingest: Ingest,
        stopping: CancellationToken,
        cut_off: CancellationToken,
    ) -> Self {
        Self { query, ingest, is_whole: AtomicBool::new(false), stopping, cut_off }
    }

    /// While the log is read after a start, series are not there that will be: alerts would be
    /// resolved, and their `for` forgotten.
    async fn whole(&self) -> Result<(), RuleError> {
        if self.is_whole.load(Ordering::Relaxed) {
            return Ok(());
        }
        let store = self.ingest.store();
        let caught_up = self.stopping.run_until_cancelled(store.caught_up()).await;
        caught_up.ok_or_else(stopped)?.map_err(|error| RuleError::Evaluation(error.to_string()))?;
        self.is_whole.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn ask<T>(&self, question: impl Future<Output = Result<T, QueryError>>) -> Result<T, RuleError> {
        self.whole().await?;
        let answer = self.cut_off.run_until_cancelled(question).await.ok_or_else(stopped)?;
        answer.map_err(|error| RuleError::Evaluation(error.message().to_owned()))
    }
}

fn stopped() -> RuleError {
    RuleError::Evaluation("the server is stopping".to_owned())
}

#[async_trait]
impl Evaluate for StoreEvaluate {
    async fn instant(&self, tenant: &Tenant, expr: &str, time_ms: i64) -> Result<Evaluated, RuleError> {
        let request = PromqlRequest {
            text: expr.to_owned(),
            time: PromqlTime::Instant { time_ms },
            lookback_ms: None,
            deadline: None,
            // Rules of a group build on each other.
            strong: true,
            fresh: false,
        };
        let answer = self.ask(self.query.promql(tenant, request)).await?;
        Ok(Evaluated { value: answer.value, warnings: answer.warnings })
    }

    async fn newest(
        &self,
        tenant: &Tenant,
        selector: &str,
        after_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<ForState>, RuleError> {
        let read = promql::parse_selector(selector);
        let matchers = read.map_err(|error| RuleError::Evaluation(error.to_string()))?.matchers;
        let first_ms = after_ms.saturating_add(1);
        let series = self.ask(self.query.promql_samples(tenant, matchers, first_ms, until_ms)).await?;
        Ok(series.iter().filter_map(newest_of).collect())
    }
}

fn newest_of(series: &RawSeries) -> Option<ForState> {
    let point = series.points.last()?;
    // `ALERTS_FOR_STATE` are floats; a histogram of that name is none of ours.
    let Sample::Float(value) = point.sample else { return None };
    Some(ForState { labels: series.labels.clone(), time_ms: point.time_ms, value })
}
