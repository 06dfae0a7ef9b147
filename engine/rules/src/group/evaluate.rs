//! One evaluation of a group.

use std::collections::BTreeSet;

use isinglass_promql::value::STALE;
use isinglass_promql::{Labels, Sample, Value};

use super::{Environment, Group, Health};
use crate::file::RuleSpec;
use crate::ports::{RuleError, RuleSample, UnixNanos};

/// A series of a result and its value.
pub(super) type Row = (Labels, Sample);

impl Group {
    /// Evaluates all rules at one time, in order. Each sees what those before it have written.
    /// It ends early between two rules once `stopped` says so.
    pub async fn evaluate(&mut self, now: UnixNanos, env: &Environment, stopped: impl Fn() -> bool) {
        let start = env.clock.now();
        self.counts.iterations += 1;
        self.counts.samples_last = 0;
        for at in 0..self.rules.len() {
            if stopped() {
                return;
            }
            self.timed_rule(at, now, env).await;
        }
        self.mark_gone(now, env).await;
        self.last_evaluation = Some(start);
        self.evaluation_nanos = env.clock.now().saturating_sub(start);
    }

    async fn timed_rule(&mut self, at: usize, now: UnixNanos, env: &Environment) {
        let start = env.clock.now();
        let done = self.rule(at, now, env).await;
        self.counts.evaluations += 1;
        let rule = &mut self.rules[at];
        rule.last_evaluation = Some(start);
        rule.evaluation_nanos = env.clock.now().saturating_sub(start);
        match done {
            Ok(samples) => {
                self.counts.samples_last += u64::try_from(samples).unwrap_or(0);
                (rule.health, rule.last_error) = (Health::Ok, None);
            }
            Err(error) => {
                self.counts.failures += 1;
                tracing::warn!(
                    tenant = %self.tenant, file = %self.file, group = %self.spec.name,
                    rule = %rule.spec.name, %error, "rule evaluation failed"
                );
                (rule.health, rule.last_error) = (Health::Err, Some(error.to_string()));
            }
        }
    }

    async fn rule(&mut self, at: usize, now: UnixNanos, env: &Environment) -> Result<usize, RuleError> {
        let rows = if self.rules[at].alerting().is_some() {
            self.alerting(at, now, env).await?
        } else {
            self.recording(at, now, env).await?
        };
        let count = rows.len();
        self.write_rows(at, now, rows, env).await?;
        Ok(count)
    }

    /// What the expression of a rule says.
    pub(super) async fn result(
        &self,
        spec: &RuleSpec,
        time_ms: i64,
        env: &Environment,
    ) -> Result<Vec<Row>, RuleError> {
        let result = env.evaluate.instant(&self.tenant, &spec.expr, time_ms).await?;
        // They come with each evaluation again, so that nobody wants them louder.
        for warning in &result.warnings {
            tracing::debug!(tenant = %self.tenant, group = %self.spec.name, rule = %spec.name, %warning);
        }
        rows(result.value)
    }

    /// Writes what a rule has made, and stale markers for what it made before and no more. After a
    /// failure the series of before count as the last ones still.
    async fn write_rows(
        &mut self,
        at: usize,
        now: UnixNanos,
        rows: Vec<Row>,
        env: &Environment,
    ) -> Result<(), RuleError> {
        let time_ms = self.sample_time_ms(now);
        let written: BTreeSet<_> = rows.iter().map(|(labels, _)| labels.clone()).collect();
        let mut samples: Vec<_> =
            rows.into_iter().map(|(labels, sample)| RuleSample { labels, time_ms, sample }).collect();
        let ended = self.rules[at].written.difference(&written);
        samples.extend(ended.map(|labels| stale(labels.clone(), time_ms)));
        let done = if samples.is_empty() { Ok(()) } else { env.write.samples(&self.tenant, samples).await };
        // What was refused gets a marker, too, once it is no more: which samples those were is not told.
        if matches!(done, Ok(()) | Err(RuleError::Refused(_))) {
            self.rules[at].written = written;
        }
        done
    }

    /// Stale markers for series of rules that are no more.
    pub(crate) async fn mark_gone(&mut self, now: UnixNanos, env: &Environment) {
        if self.gone.is_empty() {
            return;
        }
        let time_ms = self.sample_time_ms(now);
        let samples = self.gone.iter().map(|labels| stale(labels.clone(), time_ms)).collect();
        match env.write.samples(&self.tenant, samples).await {
            Ok(()) | Err(RuleError::Refused(_)) => self.gone.clear(),
            // They are tried again after the next evaluation.
            Err(error) => tracing::warn!(
                tenant = %self.tenant, file = %self.file, group = %self.spec.name, %error,
                "stale markers of removed rules were not written"
            ),
        }
    }
}

fn stale(labels: Labels, time_ms: i64) -> RuleSample {
    RuleSample { labels, time_ms, sample: Sample::Float(STALE) }
}

/// The series of a value; a scalar is one without labels.
pub(super) fn rows(value: Value) -> Result<Vec<Row>, RuleError> {
    match value {
        Value::Scalar(_, value) => Ok(vec![(Labels::empty(), Sample::Float(value))]),
        Value::Vector(all) => {
            let row =
                |mut series: isinglass_promql::Series| Some((series.labels, series.points.pop()?.sample));
            Ok(all.into_iter().filter_map(row).collect())
        }
        Value::Text(..) | Value::Matrix(_) => Err(RuleError::ResultType),
    }
}
