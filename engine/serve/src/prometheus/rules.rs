//! `rules` and `alerts`, of whoever evaluates rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use isinglass_lang::promql::quoted;
use isinglass_model::Tenant;
use isinglass_promql::{Labels, Matchers};
use isinglass_rules::view::{AlertView, AlertingView, GroupView, RuleView};
use isinglass_rules::{GroupFigures, Sent};

use super::call::{Answer, Call};
use super::envelope::{Notes, success};
use super::failure::Failure;
use super::params::{Parameters, integer};
use super::text::{write_html, write_labels};
use crate::rules::RulesError;

/// Whoever evaluates rules, as the front door sees it.
#[async_trait]
pub trait RulesView: Send + Sync + std::fmt::Debug {
    /// The groups of a tenant by file and name.
    fn groups(&self, tenant: &Tenant) -> Vec<Arc<GroupView>>;

    /// Reads the files again. Where one is bad everything stays as it was.
    async fn reload(&self) -> Result<(), RulesError>;

    /// What was done.
    fn figures(&self) -> RulesFigures;
}

/// What was done by whoever evaluates rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RulesFigures {
    /// Whether the last reload went well; the start is one.
    pub reload_succeeded: bool,
    /// When the last reload that went well did, nanoseconds since the epoch; `None` = never.
    pub reload_success_at: Option<i64>,
    /// Groups of all tenants.
    pub groups: Vec<GroupFigures>,
    /// Alertmanagers and what was sent to them.
    pub alertmanagers: Vec<Sent>,
    /// Alerts that may wait for each of them.
    pub queue_alerts_max: usize,
}

/// Nobody evaluates rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRules;

#[async_trait]
impl RulesView for NoRules {
    fn groups(&self, _tenant: &Tenant) -> Vec<Arc<GroupView>> {
        Vec::new()
    }

    async fn reload(&self) -> Result<(), RulesError> {
        Ok(())
    }

    fn figures(&self) -> RulesFigures {
        RulesFigures {
            reload_succeeded: true,
            reload_success_at: None,
            groups: Vec::new(),
            alertmanagers: Vec::new(),
            queue_alerts_max: 0,
        }
    }
}

/// `rules`: all rules by group.
pub(super) async fn rules(call: Call) -> Answer {
    let filter = Filter::of(&call.parameters)?;
    let groups = call.app.rules.groups(&call.tenant);
    let (groups, next) = filter.page(&groups)?;
    let mut out = Vec::from(b"{\"groups\":[".as_slice());
    for (at, (group, rules)) in groups.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_group(group, rules, filter.with_alerts, &mut out);
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
    let mut out = Vec::from(b"{\"alerts\":".as_slice());
    write_alerts(groups.iter().flat_map(|group| group.alerts()), &mut out);
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
    /// Sets of matchers; the labels of a rule have to match one of them.
    matchers: Vec<Matchers>,
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
            matchers: matchers(parameters)?,
            page,
            token,
        })
    }

    fn takes_group(&self, group: &GroupView) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file))
    }

    fn takes(&self, rule: &RuleView) -> bool {
        let (kind, name, labels) = match rule {
            RuleView::Alerting(rule) => (self.alerting, &rule.name, &rule.labels),
            RuleView::Recording(rule) => (self.recording, &rule.name, &rule.labels),
        };
        kind && (self.names.is_empty() || self.names.contains(name)) && self.matches(labels)
    }

    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matchers.is_empty() || {
            let labels = Labels::new(labels);
            self.matchers.iter().any(|matchers| matchers.matches(&labels))
        }
    }

    /// The groups of one page with those of their rules that are asked for; groups without any are
    /// left out. The text names the first group of the next page.
    fn page<'a>(&self, groups: &'a [Arc<GroupView>]) -> Result<(Vec<Chosen<'a>>, Option<String>), Failure> {
        let from = match self.token.as_str() {
            "" => 0,
            wanted => groups.iter().position(|group| token(group) == wanted).ok_or_else(|| {
                Failure::bad_data(format!(
                    "invalid group_next_token {}: there is no such group",
                    quoted(wanted)
                ))
            })?,
        };
        let chosen = groups[from..].iter().filter(|group| self.takes_group(group));
        let chosen = chosen.map(|group| {
            let rules: Vec<_> = group.rules.iter().filter(|rule| self.takes(rule)).collect();
            (&**group, rules)
        });
        let mut chosen = chosen.filter(|(_, rules)| !rules.is_empty());
        let page = chosen.by_ref().take(self.page.unwrap_or(usize::MAX)).collect();
        Ok((page, chosen.next().map(|(group, _)| token(group))))
    }
}

/// A group and those of its rules that are asked for.
type Chosen<'a> = (&'a GroupView, Vec<&'a RuleView>);

fn matchers(parameters: &Parameters) -> Result<Vec<Matchers>, Failure> {
    let sets = parameters.matchers().map_err(|reason| Failure::parameter("match[]", reason))?;
    let compile = |set: &Vec<_>| Matchers::new(set).map_err(|error| Failure::parameter("match[]", error));
    sets.iter().map(compile).collect()
}

fn token(group: &GroupView) -> String {
    format!("{};{}", group.file, group.name)
}

fn write_group(group: &GroupView, rules: &[&RuleView], with_alerts: bool, out: &mut Vec<u8>) {
    write_field(b"{\"name\":", &group.name, out);
    write_field(b",\"file\":", &group.file, out);
    out.extend_from_slice(b",\"rules\":[");
    for (at, rule) in rules.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_rule(rule, with_alerts, out);
    }
    let rest = format!(
        "],\"interval\":{},\"limit\":{},\"evaluationTime\":{},\"lastEvaluation\":\"{}\"}}",
        group.interval, group.limit, group.evaluation_time, group.last_evaluation
    );
    out.extend_from_slice(rest.as_bytes());
}

/// What both kinds of rules say of their last evaluation.
struct Evaluation<'a> {
    health: &'a str,
    error: Option<&'a str>,
    seconds: f64,
    at: &'a str,
    kind: &'a str,
}

fn write_rule(rule: &RuleView, with_alerts: bool, out: &mut Vec<u8>) {
    let last = match rule {
        RuleView::Alerting(rule) => {
            write_alerting(rule, with_alerts, out);
            Evaluation {
                health: rule.health,
                error: rule.last_error.as_deref(),
                seconds: rule.evaluation_time,
                at: &rule.last_evaluation,
                kind: "alerting",
            }
        }
        RuleView::Recording(rule) => {
            write_field(b"{\"name\":", &rule.name, out);
            write_field(b",\"query\":", &rule.query, out);
            if !rule.labels.is_empty() {
                write_set(b",\"labels\":", &rule.labels, out);
            }
            Evaluation {
                health: rule.health,
                error: rule.last_error.as_deref(),
                seconds: rule.evaluation_time,
                at: &rule.last_evaluation,
                kind: "recording",
            }
        }
    };
    write_evaluation(&last, out);
}

fn write_evaluation(last: &Evaluation<'_>, out: &mut Vec<u8>) {
    write_field(b",\"health\":", last.health, out);
    if let Some(error) = last.error {
        write_field(b",\"lastError\":", error, out);
    }
    let Evaluation { seconds, at, kind, .. } = last;
    let rest = format!(",\"evaluationTime\":{seconds},\"lastEvaluation\":\"{at}\",\"type\":\"{kind}\"}}");
    out.extend_from_slice(rest.as_bytes());
}

fn write_alerting(rule: &AlertingView, with_alerts: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{\"state\":\"{}\"", rule.state).as_bytes());
    write_field(b",\"name\":", &rule.name, out);
    write_field(b",\"query\":", &rule.query, out);
    let (hold, keep) = (rule.duration, rule.keep_firing_for);
    out.extend_from_slice(format!(",\"duration\":{hold},\"keepFiringFor\":{keep}").as_bytes());
    write_set(b",\"labels\":", &rule.labels, out);
    write_set(b",\"annotations\":", &rule.annotations, out);
    out.extend_from_slice(b",\"alerts\":");
    write_alerts(rule.alerts.iter().filter(|_| with_alerts), out);
}

fn write_alerts<'a>(alerts: impl Iterator<Item = &'a AlertView>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, alert) in alerts.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_set(b"{\"labels\":", &alert.labels, out);
        write_set(b",\"annotations\":", &alert.annotations, out);
        write_field(b",\"state\":", &alert.state.to_string(), out);
        write_field(b",\"activeAt\":", &alert.active_at, out);
        if let Some(since) = &alert.keep_firing_since {
            write_field(b",\"keepFiringSince\":", since, out);
        }
        write_field(b",\"value\":", &alert.value, out);
        out.push(b'}');
    }
    out.push(b']');
}

fn write_field(name: &[u8], text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    write_html(text, out);
}

fn write_set(name: &[u8], labels: &BTreeMap<String, String>, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    write_labels(labels.iter().map(|(name, value)| (&**name, &**value)), out);
}

/// RFC 3339 with as many decimals as there are; what never was is Go's zero time.
pub(super) fn written_time(time_ms: Option<i64>) -> String {
    // Years beyond 9999 cannot be written.
    let time_ms =
        time_ms.and_then(|time_ms| u64::try_from(time_ms).ok()).filter(|ms| *ms < 253_402_300_800_000);
    let Some(time_ms) = time_ms else { return "0001-01-01T00:00:00Z".to_owned() };
    let text = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(time_ms)).to_string();
    let digits = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    // Without decimals there is nothing to cut.
    format!("{}Z", if time_ms.is_multiple_of(1_000) { &text[..19] } else { digits })
}
