//! Groups, rules and alerts as Prometheus writes them.

use std::collections::BTreeMap;

use isinglass_rules::view::{AlertView, AlertingView, GroupView, RuleView};

use super::super::text::{write_html, write_labels};

pub(super) fn write_group(group: &GroupView, rules: &[&RuleView], with_alerts: bool, out: &mut Vec<u8>) {
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
    match with_alerts {
        true => write_alerts(rule.alerts.iter(), out),
        false => out.extend_from_slice(b"null"),
    }
}

pub(super) fn write_alerts<'a>(alerts: impl Iterator<Item = &'a AlertView>, out: &mut Vec<u8>) {
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
