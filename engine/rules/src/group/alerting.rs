//! Alerting rules: each series of a result is an alert.

use std::collections::BTreeMap;
use std::sync::Arc;

use isinglass_promql::labels::METRIC_NAME;
use isinglass_promql::{Labels, Sample};

use super::evaluate::{Row, rows};
use super::{Environment, Group, MILLI, Rule};
use crate::alert::{Alert, AlertState, Holds, Missed};
use crate::file::AlertSpec;
use crate::ports::{Notification, RuleError, UnixNanos};
use crate::template::time::SECOND;
use crate::template::{Data, Template, TemplateSeries, Value, table_link};

/// The series that says which alerts there are.
pub const ALERTS: &str = "ALERTS";
/// The series that says since when alerts are active.
pub const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label that holds the name of an alert.
pub const ALERT_NAME: &str = "alertname";
const ALERT_STATE: &str = "alertstate";

/// What a result says: alerts by their labels, all as if they had just come.
type Found = BTreeMap<Labels, Alert>;

impl Group {
    pub(super) async fn alerting(
        &mut self,
        at: usize,
        now: UnixNanos,
        env: &Environment,
    ) -> Result<Vec<Row>, RuleError> {
        let rule = &self.rules[at];
        let Some(spec) = rule.alerting() else { return Ok(Vec::new()) };
        let holds = Holds {
            hold: spec.hold_ms.saturating_mul(MILLI),
            keep_firing: spec.keep_firing_ms.saturating_mul(MILLI),
        };
        let time_ms = self.sample_time_ms(now);
        let rows = self.result(&rule.spec, time_ms, env).await?;
        let found = self.found(rule, spec, rows, now, env).await?;
        let limit = self.limit;
        let rule = &mut self.rules[at];
        rule.update(found, now, holds);
        rule.check_limit(limit)?;
        let news = rule.news(now, self.interval, env);
        let rows = rule.samples();
        if !news.is_empty() {
            env.notify.notify(&self.tenant, news);
        }
        Ok(rows)
    }

    async fn found(
        &self,
        rule: &Rule,
        spec: &AlertSpec,
        rows: Vec<Row>,
        now: UnixNanos,
        env: &Environment,
    ) -> Result<Found, RuleError> {
        let mut found = Found::new();
        for (labels, sample) in rows {
            let expand = Expand { group: self, env, now, data: data(&labels, &sample, env) };
            let mut builder = labels.builder();
            builder.remove(METRIC_NAME);
            for (name, template) in &spec.labels {
                builder.set(name, &expand.text(template).await);
            }
            builder.set(ALERT_NAME, &rule.spec.name);
            let mut annotations = Vec::with_capacity(spec.annotations.len());
            for (name, template) in &spec.annotations {
                annotations.push((name.clone(), expand.text(template).await));
            }
            let value = if let Sample::Float(value) = sample { value } else { 0.0 };
            let labels = builder.build();
            let alert = Alert::pending(labels.clone(), annotations, value, now);
            if found.insert(labels, alert).is_some() {
                return Err(RuleError::SameAlert);
            }
        }
        Ok(found)
    }
}

impl Rule {
    /// Takes over what was found: new alerts are pending, others go on, and those that were not
    /// found are resolved.
    fn update(&mut self, found: Found, now: UnixNanos, holds: Holds) {
        let mut before = std::mem::take(&mut self.active);
        for (labels, new) in found {
            let old = before.remove(&labels).filter(|old| old.state != AlertState::Inactive);
            let mut alert = match old {
                Some(old) => Alert { value: new.value, annotations: new.annotations, ..old },
                None => new,
            };
            alert.seen(now, holds);
            self.active.insert(labels, alert);
        }
        for (labels, mut alert) in before {
            if alert.missed(now, holds) != Missed::Gone {
                self.active.insert(labels, alert);
            }
        }
    }

    /// Too many alerts are as none at all: what a rule that went wild says helps nobody.
    fn check_limit(&mut self, limit: usize) -> Result<(), RuleError> {
        let got = self.alerts().count();
        if limit == 0 || got <= limit {
            return Ok(());
        }
        self.active.clear();
        Err(RuleError::Limit { limit, got, what: "alerts" })
    }

    fn news(&mut self, now: UnixNanos, interval: i64, env: &Environment) -> Vec<Notification> {
        let resend = env.settings.resend_delay_ms.saturating_mul(MILLI);
        // An alert lives through two evaluations or messages that fail.
        let valid_until = now.saturating_add(interval.max(resend).saturating_mul(4));
        let url = Arc::<str>::from(format!("{}{}", env.settings.external_url, table_link(&self.spec.expr)));
        let mut news = Vec::new();
        for alert in self.active.values_mut().filter(|alert| alert.needs_sending(now, resend)) {
            alert.last_sent_at = Some(now);
            alert.valid_until = Some(valid_until);
            news.push(Notification {
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.fired_at.unwrap_or(alert.active_at),
                ends_at: alert.resolved_at.unwrap_or(valid_until),
                generator_url: Arc::clone(&url),
            });
        }
        news
    }

    /// `ALERTS` and `ALERTS_FOR_STATE` of what is pending or fires.
    fn samples(&self) -> Vec<Row> {
        if !self.restored {
            return Vec::new();
        }
        let mut rows = Vec::new();
        for alert in self.alerts() {
            let mut builder = alert.labels.builder();
            builder.set(METRIC_NAME, ALERTS_FOR_STATE);
            let since = alert.active_at.div_euclid(SECOND) as f64;
            let for_state = builder.build();
            builder.set(METRIC_NAME, ALERTS).set(ALERT_STATE, &alert.state.to_string());
            rows.push((builder.build(), Sample::Float(1.0)));
            rows.push((for_state, Sample::Float(since)));
        }
        rows
    }
}

fn data(labels: &Labels, sample: &Sample, env: &Environment) -> Arc<Data> {
    Arc::new(Data {
        labels: map(labels),
        external_labels: Arc::clone(&env.settings.external_labels),
        external_url: Arc::clone(&env.settings.external_url),
        value: value(sample),
    })
}

fn map(labels: &Labels) -> Arc<BTreeMap<String, String>> {
    Arc::new(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn value(sample: &Sample) -> Value {
    match sample {
        Sample::Float(value) => Value::Float(*value),
        Sample::Histogram(histogram) => Value::Histogram(Arc::clone(histogram)),
    }
}

/// Expands templates of one series.
struct Expand<'a> {
    group: &'a Group,
    env: &'a Environment,
    now: UnixNanos,
    data: Arc<Data>,
}

impl Expand<'_> {
    /// What a template writes. What went wrong is written in its place: an alert without its
    /// description is better than none.
    async fn text(&self, template: &Template) -> String {
        let expanded = template.expand(&self.data, self.now, |expr| self.query(expr)).await;
        expanded.unwrap_or_else(|error| {
            tracing::warn!(
                tenant = %self.group.tenant, file = %self.group.file, group = %self.group.spec.name, %error,
                "alert template failed"
            );
            format!("<error expanding template: {error}>")
        })
    }

    /// A query of a template. As in Prometheus it does not look back by the query offset.
    async fn query(&self, expr: String) -> Result<Value, String> {
        let time_ms = self.now.div_euclid(MILLI);
        let result = self.env.evaluate.instant(&self.group.tenant, &expr, time_ms).await;
        let rows = result.and_then(|result| rows(result.value)).map_err(|error| error.to_string())?;
        let series =
            |(labels, sample): &Row| Arc::new(TemplateSeries { labels: map(labels), value: value(sample) });
        Ok(Value::List(Arc::new(rows.iter().map(series).collect())))
    }
}
