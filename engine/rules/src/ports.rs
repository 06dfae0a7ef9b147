//! What rules need and are given: an engine, a writer, a notifier and a clock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isinglass_lang::promql;
use isinglass_model::clock::{Clock, SystemClock};
use isinglass_model::tenant::Tenant;
use isinglass_promql::source::Selection;
use isinglass_promql::{Labels, Sample, Source, Value};

/// Nanoseconds since the epoch.
pub type UnixNanos = i64;

/// Why a rule has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The expression has no value; the message is that of the engine.
    #[error("{0}")]
    Evaluation(String),
    /// The value is a text or a range.
    #[error("rule result is not a vector or scalar")]
    ResultType,
    /// Two series are one once they have the labels of the recording rule.
    #[error("vector contains metrics with the same labelset after applying rule labels")]
    SameSeries,
    /// Two series are one once they have the labels of the alerting rule.
    #[error("vector contains metrics with the same labelset after applying alert labels")]
    SameAlert,
    /// More series or alerts than the group allows.
    #[error("exceeded limit of {limit} with {got} {what}")]
    Limit {
        /// What the group allows.
        limit: usize,
        /// What there was.
        got: usize,
        /// `series` or `alerts`.
        what: &'static str,
    },
    /// The result could not be written; nothing of it was.
    #[error("{0}")]
    Write(String),
    /// Some samples of the result were refused; the others were written.
    #[error("{0}")]
    Refused(String),
}

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The value.
    pub value: Value,
    /// Reasons why it may not be what was wanted.
    pub warnings: Vec<String>,
}

/// The newest sample of a series of `ALERTS_FOR_STATE`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForState {
    /// Its labels, with the metric's name.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Since when the alert was active, seconds since the epoch; a stale marker where it was not.
    pub value: f64,
}

/// Evaluates expressions over the series of a tenant.
#[async_trait]
pub trait Evaluate: Send + Sync {
    /// The value at a time, milliseconds since the epoch.
    async fn instant(&self, tenant: &Tenant, expr: &str, time_ms: i64) -> Result<Evaluated, RuleError>;

    /// The newest sample of each series that a selector matches, later than `after_ms` and not
    /// later than `until_ms`, stale markers among them: no expression tells those.
    /// [`newest_samples`] does it for a [`Source`].
    async fn newest(
        &self,
        tenant: &Tenant,
        selector: &str,
        after_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<ForState>, RuleError>;
}

/// [`Evaluate::newest`] of a source.
///
/// # Errors
/// A selector that cannot be read, and what the source says.
pub fn newest_samples(
    source: &dyn Source,
    selector: &str,
    after_ms: i64,
    until_ms: i64,
) -> Result<Vec<ForState>, RuleError> {
    let failed = |fault: &dyn std::fmt::Display| RuleError::Evaluation(fault.to_string());
    let matchers = promql::parse_selector(selector).map_err(|fault| failed(&fault))?.matchers;
    let selection = Selection { matchers, after_ms, until_ms, start_times: false, latest: false, step_ms: 0 };
    let mut newest = Vec::new();
    for mut part in source.select(&selection, 1).map_err(|fault| failed(&fault))? {
        while let Some(series) = part.next().map_err(|fault| failed(&fault))? {
            let sample = series.times.last().zip(series.values.last());
            newest.extend(sample.map(|(time_ms, value)| ForState {
                labels: series.labels.clone(),
                time_ms: *time_ms,
                value: *value,
            }));
        }
    }
    Ok(newest)
}

/// A sample that a rule writes; a stale marker is the float
/// [`STALE`](isinglass_promql::value::STALE).
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSample {
    /// Labels, with the metric's name.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// A float, a stale marker or a native histogram.
    pub sample: Sample,
}

/// Writes what rules make.
#[async_trait]
pub trait Write: Send + Sync {
    /// Writes samples so that the next evaluation sees them: rules of a group build on each other.
    /// All or none are written, but for those that nobody would take, see [`RuleError::Refused`].
    async fn samples(&self, tenant: &Tenant, samples: Vec<RuleSample>) -> Result<(), RuleError>;
}

/// What is told of an alert that fires or has been resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its labels.
    pub labels: Labels,
    /// Its annotations, by name.
    pub annotations: Vec<(String, String)>,
    /// Since when it fires.
    pub starts_at: UnixNanos,
    /// When it was resolved, or when it counts as resolved if nothing is heard of it.
    pub ends_at: UnixNanos,
    /// Where the expression can be looked at.
    pub generator_url: Arc<str>,
}

/// Tells of alerts. It takes them at once; how they are sent is its own affair.
pub trait Notify: Send + Sync {
    /// Takes the news of one rule.
    fn notify(&self, tenant: &Tenant, alerts: Vec<Notification>);
}

/// Wall clock and sleep.
#[async_trait]
pub trait RuleClock: Send + Sync {
    /// Now.
    fn now(&self) -> UnixNanos;

    /// Returns at a time of the wall clock, or soon if it is past. It may return early where the
    /// clock is set while it sleeps.
    async fn sleep_until(&self, time: UnixNanos);
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemRuleClock(SystemClock);

#[async_trait]
impl RuleClock for SystemRuleClock {
    fn now(&self) -> UnixNanos {
        self.0.now_unix_nanos()
    }

    async fn sleep_until(&self, time: UnixNanos) {
        let nanos = u64::try_from(time.saturating_sub(self.now())).unwrap_or(0);
        tokio::time::sleep(Duration::from_nanos(nanos)).await;
    }
}
