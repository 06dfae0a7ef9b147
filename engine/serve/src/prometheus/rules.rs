//! `rules` and `alerts`, of whoever evaluates rules.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use isinglass_lang::promql::quoted;
use isinglass_model::Tenant;
use isinglass_promql::Labels;

use super::call::{Answer, Call};
use super::envelope::{Notes, success};
use super::failure::Failure;
use super::number::exponent;
use super::params::{Parameters, integer};
use super::text::{write_html, write_labels};

/// Shows the rules of a tenant and what became of them.
pub trait RulesView: Send + Sync + std::fmt::Debug {
    /// Groups by file and name.
    fn groups(&self, tenant: &Tenant) -> Vec<Arc<RuleGroup>>;
}

/// Nobody evaluates rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRules;

impl RulesView for NoRules {
    fn groups(&self, _tenant: &Tenant) -> Vec<Arc<RuleGroup>> {
        Vec::new()
    }
}

/// Rules that are evaluated one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleGroup {
    /// Its name.
    pub name: String,
    /// Where it was read from, or its namespace.
    pub file: String,
    /// How often it is evaluated.
    pub interval: Duration,
    /// Series that a rule may yield, 0 = no limit.
    pub limit: usize,
    /// How long the last evaluation took.
    pub evaluation: Duration,
    /// When it began, milliseconds since the epoch; `None` = never.
    pub last_evaluation_ms: Option<i64>,
    /// Its rules in their order.
    pub rules: Vec<Rule>,
}

/// A rule and its last evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The series that it records, or the alert.
    pub name: String,
    /// Its expression.
    pub query: String,
    /// Labels that it adds.
    pub labels: Labels,
    /// How its last evaluation went.
    pub health: RuleHealth,
    /// How long it took.
    pub evaluation: Duration,
    /// When it began, milliseconds since the epoch; `None` = never.
    pub last_evaluation_ms: Option<i64>,
    /// What it does.
    pub kind: RuleKind,
}

/// How an evaluation went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleHealth {
    /// There was none yet.
    Unknown,
    /// Well.
    Good,
    /// It failed for this reason.
    Bad(String),
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleKind {
    /// Writes a series.
    Recording,
    /// Raises alerts.
    Alerting(Alerting),
}

/// The alerts of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Alerting {
    /// The most serious state of its alerts.
    pub state: AlertState,
    /// `for`.
    pub hold: Duration,
    /// `keep_firing_for`.
    pub keep_firing: Duration,
    /// Annotations as written.
    pub annotations: Labels,
    /// Alerts that are pending or firing.
    pub alerts: Vec<Alert>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Labels of the series and of the rule.
    pub labels: Labels,
    /// Annotations, expanded.
    pub annotations: Labels,
    /// Its state.
    pub state: AlertState,
    /// Since when its expression has a value, milliseconds since the epoch.
    pub active_at_ms: i64,
    /// Since when it fires only because of `keep_firing_for`, milliseconds since the epoch.
    pub keep_firing_since_ms: Option<i64>,
    /// The last value.
    pub value: f64,
}

/// States of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// Its expression has no value.
    Inactive,
    /// It has one, but not for long enough.
    Pending,
    /// It has had one for long enough.
    Firing,
}

impl AlertState {
    fn text(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// `rules`: all rules by group.
pub(super) async fn rules(call: Call) -> Answer {
    let filter = Filter::of(&call.parameters)?;
    let mut groups = call.app.rules.groups(&call.tenant);
    groups.retain(|group| filter.takes_group(group));
    let next = filter.page(&mut groups)?;
    let mut out = Vec::from(b"{\"groups\":[".as_slice());
    for (at, group) in groups.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_group(group, &filter, &mut out);
    }
    out.push(b']');
    if let Some(next) = next {
        out.extend_from_slice(b",\"groupNextToken\":");
        write_html(&next, &mut out);
    }
    out.push(b'}');
    Ok(success(&out, &Notes::default()))
}

/// `alerts`: all alerts that are pending or firing.
pub(super) async fn alerts(call: Call) -> Answer {
    let groups = call.app.rules.groups(&call.tenant);
    let rules = groups.iter().flat_map(|group| &group.rules);
    let alerts = rules.filter_map(|rule| match &rule.kind {
        RuleKind::Alerting(alerting) => Some(&alerting.alerts),
        RuleKind::Recording => None,
    });
    let mut out = Vec::from(b"{\"alerts\":".as_slice());
    write_alerts(alerts.flatten(), &mut out);
    out.push(b'}');
    Ok(success(&out, &Notes::default()))
}

/// Which rules are asked for.
struct Filter {
    alerting: bool,
    recording: bool,
    with_alerts: bool,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    page: Option<usize>,
    token: String,
}

impl Filter {
    fn of(parameters: &Parameters) -> Result<Self, Failure> {
        let kind = parameters.get("type").to_lowercase();
        if !["", "alert", "record"].contains(&kind.as_str()) {
            return Err(Failure::parameter("type", format_args!("not supported value {}", quoted(&kind))));
        }
        let exclude = match parameters.get("exclude_alerts").to_lowercase().as_str() {
            "" | "0" | "f" | "false" => false,
            "1" | "t" | "true" => true,
            _ => return Err(Failure::parameter("exclude_alerts", "error converting exclude_alerts")),
        };
        let page = match parameters.get("group_limit") {
            "" => None,
            text => {
                let limit = integer(text).map_err(|reason| Failure::parameter("group_limit", reason))?;
                let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
                Some(limit.ok_or_else(|| {
                    Failure::parameter("group_limit", "group_limit needs to be greater than 0")
                })?)
            }
        };
        let token = parameters.get("group_next_token").to_owned();
        if page.is_none() && !token.is_empty() {
            let reason = "group_limit needs to be specified in addition to group_next_token";
            return Err(Failure::parameter("group_next_token", reason));
        }
        let all = |name| parameters.all(name).map(str::to_owned).collect();
        Ok(Self {
            alerting: kind != "record",
            recording: kind != "alert",
            with_alerts: !exclude,
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            page,
            token,
        })
    }

    fn takes_group(&self, group: &RuleGroup) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
            && (self.names.is_empty() || group.rules.iter().any(|rule| self.takes(rule)))
    }

    fn takes(&self, rule: &Rule) -> bool {
        let kind = match rule.kind {
            RuleKind::Alerting(_) => self.alerting,
            RuleKind::Recording => self.recording,
        };
        kind && (self.names.is_empty() || self.names.contains(&rule.name))
    }

    /// Cuts to one page; what is returned names the first group of the next one.
    fn page(&self, groups: &mut Vec<Arc<RuleGroup>>) -> Result<Option<String>, Failure> {
        let Some(limit) = self.page else { return Ok(None) };
        if !self.token.is_empty() {
            let at = groups.iter().position(|group| token(group) == self.token).ok_or_else(|| {
                Failure::bad_data(format!(
                    "invalid group_next_token {}: there is no such group",
                    quoted(&self.token)
                ))
            })?;
            groups.drain(..at);
        }
        let next = groups.get(limit).map(|group| token(group));
        groups.truncate(limit);
        Ok(next)
    }
}

fn token(group: &RuleGroup) -> String {
    format!("{};{}", group.file, group.name)
}

fn write_group(group: &RuleGroup, filter: &Filter, out: &mut Vec<u8>) {
    write_field(b"{\"name\":", &group.name, out);
    write_field(b",\"file\":", &group.file, out);
    out.extend_from_slice(b",\"rules\":[");
    for (at, rule) in group.rules.iter().filter(|rule| filter.takes(rule)).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_rule(rule, filter, out);
    }
    let rest = format!(
        "],\"interval\":{},\"limit\":{},\"evaluationTime\":{},\"lastEvaluation\":\"{}\"}}",
        group.interval.as_secs_f64(),
        group.limit,
        group.evaluation.as_secs_f64(),
        written_time(group.last_evaluation_ms)
    );
    out.extend_from_slice(rest.as_bytes());
}

fn write_rule(rule: &Rule, filter: &Filter, out: &mut Vec<u8>) {
    out.push(b'{');
    if let RuleKind::Alerting(alerting) = &rule.kind {
        out.extend_from_slice(format!("\"state\":\"{}\",", alerting.state.text()).as_bytes());
    }
    write_field(b"\"name\":", &rule.name, out);
    write_field(b",\"query\":", &rule.query, out);
    match &rule.kind {
        RuleKind::Alerting(alerting) => write_alerting(alerting, &rule.labels, filter, out),
        RuleKind::Recording if rule.labels.is_empty() => {}
        RuleKind::Recording => write_set(b",\"labels\":", &rule.labels, out),
    }
    let (health, error) = match &rule.health {
        RuleHealth::Unknown => ("unknown", None),
        RuleHealth::Good => ("ok", None),
        RuleHealth::Bad(reason) => ("err", Some(reason)),
    };
    write_field(b",\"health\":", health, out);
    if let Some(error) = error {
        write_field(b",\"lastError\":", error, out);
    }
    let kind = if matches!(rule.kind, RuleKind::Recording) { "recording" } else { "alerting" };
    let rest = format!(
        ",\"evaluationTime\":{},\"lastEvaluation\":\"{}\",\"type\":\"{kind}\"}}",
        rule.evaluation.as_secs_f64(),
        written_time(rule.last_evaluation_ms)
    );
    out.extend_from_slice(rest.as_bytes());
}

fn write_alerting(alerting: &Alerting, labels: &Labels, filter: &Filter, out: &mut Vec<u8>) {
    let (hold, keep) = (alerting.hold.as_secs_f64(), alerting.keep_firing.as_secs_f64());
    out.extend_from_slice(format!(",\"duration\":{hold},\"keepFiringFor\":{keep}").as_bytes());
    write_set(b",\"labels\":", labels, out);
    write_set(b",\"annotations\":", &alerting.annotations, out);
    out.extend_from_slice(b",\"alerts\":");
    write_alerts(alerting.alerts.iter().filter(|_| filter.with_alerts), out);
}

fn write_alerts<'a>(alerts: impl Iterator<Item = &'a Alert>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, alert) in alerts.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_set(b"{\"labels\":", &alert.labels, out);
        write_set(b",\"annotations\":", &alert.annotations, out);
        write_field(b",\"state\":", alert.state.text(), out);
        write_field(b",\"activeAt\":", &written_time(Some(alert.active_at_ms)), out);
        if let Some(since_ms) = alert.keep_firing_since_ms {
            write_field(b",\"keepFiringSince\":", &written_time(Some(since_ms)), out);
        }
        write_field(b",\"value\":", &exponent(alert.value), out);
        out.push(b'}');
    }
    out.push(b']');
}

fn write_field(name: &[u8], text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    write_html(text, out);
}

fn write_set(name: &[u8], labels: &Labels, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    write_labels(labels.iter(), out);
}

/// RFC 3339; what never was is Go's zero time.
pub(super) fn written_time(time_ms: Option<i64>) -> String {
    match time_ms.map(u64::try_from) {
        Some(Ok(time_ms)) => {
            humantime::format_rfc3339(UNIX_EPOCH + Duration::from_millis(time_ms)).to_string()
        }
        Some(Err(_)) | None => "0001-01-01T00:00:00Z".to_owned(),
    }
}
