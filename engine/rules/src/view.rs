//! What the API shows: the fields of `/api/v1/rules` and `/api/v1/alerts` of Prometheus.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#rules>

use std::collections::BTreeMap;

use isinglass_promql::Labels;
use serde::Serialize;

use crate::alert::{Alert, AlertState};
use crate::file::AlertSpec;
use crate::group::{Group, Health, Rule};
use crate::ports::UnixNanos;
use crate::template::exponential;
use crate::template::time::rfc3339;

/// The `data` of `/api/v1/rules`.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Rules {
    /// Groups by file and name.
    pub groups: Vec<GroupView>,
}

/// The `data` of `/api/v1/alerts`.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Alerts {
    /// Alerts that are pending or fire.
    pub alerts: Vec<AlertView>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// Its rules, in order.
    pub rules: Vec<RuleView>,
    /// Seconds between evaluations.
    pub interval: f64,
    /// Alerts or series that a rule may have; 0 = any number.
    pub limit: usize,
    /// Seconds that the last evaluation took.
    pub evaluation_time: f64,
    /// When it was evaluated last, RFC 3339; the year 1 where it was not.
    pub last_evaluation: String,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum RuleView {
    /// An alerting rule.
    Alerting(AlertingView),
    /// A recording rule.
    Recording(RecordingView),
}

/// An alerting rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingView {
    /// The most urgent state of its alerts.
    pub state: AlertState,
    /// Its name.
    pub name: String,
    /// Its expression.
    pub query: String,
    /// Seconds that an alert is pending.
    pub duration: f64,
    /// Seconds that an alert fires on.
    pub keep_firing_for: f64,
    /// Labels as they are written in the file.
    pub labels: BTreeMap<String, String>,
    /// Annotations as they are written in the file.
    pub annotations: BTreeMap<String, String>,
    /// Its alerts that are pending or fire.
    pub alerts: Vec<AlertView>,
    /// `ok`, `err` or `unknown`.
    pub health: &'static str,
    /// Why its last evaluation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Seconds that its last evaluation took.
    pub evaluation_time: f64,
    /// When it was evaluated last, RFC 3339.
    pub last_evaluation: String,
}

/// A recording rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingView {
    /// Its name.
    pub name: String,
    /// Its expression.
    pub query: String,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// `ok`, `err` or `unknown`.
    pub health: &'static str,
    /// Why its last evaluation failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Seconds that its last evaluation took.
    pub evaluation_time: f64,
    /// When it was evaluated last, RFC 3339.
    pub last_evaluation: String,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertView {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its state.
    pub state: AlertState,
    /// Since when its series is there, RFC 3339.
    pub active_at: String,
    /// Since when it fires without a series, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// Its value, as `1e+00`.
    pub value: String,
}

impl From<&Group> for GroupView {
    fn from(group: &Group) -> Self {
        Self {
            name: group.spec.name.clone(),
            file: group.file.to_string(),
            rules: group.rules.iter().map(RuleView::from).collect(),
            interval: seconds(group.interval),
            limit: group.spec.limit,
            evaluation_time: seconds(group.evaluation_nanos),
            last_evaluation: time(group.last_evaluation),
        }
    }
}

impl GroupView {
    /// Its alerts that are pending or fire.
    pub fn alerts(&self) -> impl Iterator<Item = &AlertView> {
        self.rules.iter().flat_map(|rule| match rule {
            RuleView::Alerting(rule) => rule.alerts.as_slice(),
            RuleView::Recording(_) => &[],
        })
    }
}

impl From<&Rule> for RuleView {
    fn from(rule: &Rule) -> Self {
        match rule.alerting() {
            Some(spec) => Self::Alerting(alerting(rule, spec)),
            None => Self::Recording(RecordingView {
                name: rule.spec.name.clone(),
                query: rule.spec.expr.clone(),
                labels: rule.spec.labels.iter().cloned().collect(),
                health: health(rule.health),
                last_error: rule.last_error.clone(),
                evaluation_time: seconds(rule.evaluation_nanos),
                last_evaluation: time(rule.last_evaluation),
            }),
        }
    }
}

fn alerting(rule: &Rule, spec: &AlertSpec) -> AlertingView {
    let annotations = spec.annotations.iter();
    AlertingView {
        state: rule.state(),
        name: rule.spec.name.clone(),
        query: rule.spec.expr.clone(),
        duration: spec.hold_ms as f64 / 1_000.0,
        keep_firing_for: spec.keep_firing_ms as f64 / 1_000.0,
        labels: rule.spec.labels.iter().cloned().collect(),
        annotations: annotations.map(|(name, text)| (name.clone(), text.source().to_owned())).collect(),
        alerts: rule.alerts().map(AlertView::from).collect(),
        health: health(rule.health),
        last_error: rule.last_error.clone(),
        evaluation_time: seconds(rule.evaluation_nanos),
        last_evaluation: time(rule.last_evaluation),
    }
}

impl From<&Alert> for AlertView {
    fn from(alert: &Alert) -> Self {
        Self {
            labels: map(&alert.labels),
            annotations: alert.annotations.iter().cloned().collect(),
            state: alert.state,
            active_at: rfc3339(alert.active_at),
            keep_firing_since: alert.keep_firing_since.map(rfc3339),
            value: exponential(alert.value, None, 'e'),
        }
    }
}

pub(crate) fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Ok => "ok",
        Health::Err => "err",
    }
}

fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// Go's zero time stands for never.
fn time(at: Option<UnixNanos>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".into(), rfc3339)
}
