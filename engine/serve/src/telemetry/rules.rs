//! Groups of rules, reloads, and what was sent to Alertmanagers.

use std::fmt;
use std::sync::Arc;

use isinglass_rules::{GroupFigures, Sent};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::engine::{Labels, counter, gauge};
use crate::prometheus::{RulesFigures, RulesView};

const NANOS: f64 = 1e9;

/// Collects from whoever evaluates rules. Its groups and Alertmanagers are those of the
/// configuration, which bounds the labels.
#[derive(Debug)]
pub(super) struct OfRules(pub(super) Arc<dyn RulesView>);

impl Collector for OfRules {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (encoder, figures) = (&mut encoder, self.0.figures());
        reloads(encoder, &figures)?;
        if !figures.groups.is_empty() {
            counts(encoder, &figures.groups)?;
            latest(encoder, &figures.groups)?;
        }
        if !figures.alertmanagers.is_empty() {
            notifications(encoder, &figures)?;
        }
        Ok(())
    }
}

fn reloads(encoder: &mut DescriptorEncoder<'_>, figures: &RulesFigures) -> fmt::Result {
    let help = "Whether the last reload of rules went well";
    let succeeded = f64::from(u8::from(figures.reload_succeeded));
    gauge(encoder, "isinglass_config_last_reload_successful", help, [(Labels::new(), succeeded)])?;
    let help = "When the last reload that went well did";
    let at = figures.reload_success_at.map(|at| (Labels::new(), at as f64 / NANOS));
    gauge(encoder, "isinglass_config_last_reload_success_timestamp_seconds", help, at)
}

/// One row a group, with the labels that Prometheus has, and the tenant.
fn rows<'a, V>(
    groups: &'a [GroupFigures],
    value: impl Fn(&GroupFigures) -> V + 'a,
) -> impl Iterator<Item = (Labels, V)> + 'a {
    groups.iter().map(move |group| {
        let name = format!("{};{}", group.file, group.name);
        (vec![("tenant", group.tenant.to_string()), ("rule_group", name)], value(group))
    })
}

fn counts(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupFigures]) -> fmt::Result {
    let help = "Evaluations of rules";
    counter(encoder, "isinglass_rule_evaluations", help, rows(groups, |group| group.counts.evaluations))?;
    let help = "Evaluations of rules that failed, or whose result was not written whole";
    counter(
        encoder,
        "isinglass_rule_evaluation_failures",
        help,
        rows(groups, |group| group.counts.failures),
    )?;
    let help = "Times at which a group was due, missed ones among them";
    counter(encoder, "isinglass_rule_group_iterations", help, rows(groups, |group| group.counts.iterations))?;
    let help = "Times at which a group was due and not evaluated, because the time before took too long";
    let missed = rows(groups, |group| group.counts.iterations_missed);
    counter(encoder, "isinglass_rule_group_iterations_missed", help, missed)
}

fn latest(encoder: &mut DescriptorEncoder<'_>, groups: &[GroupFigures]) -> fmt::Result {
    let help = "Time between two evaluations of a group";
    let seconds = rows(groups, |group| group.interval as f64 / NANOS);
    gauge(encoder, "isinglass_rule_group_interval_seconds", help, seconds)?;
    let help = "How long the last evaluation of a group took";
    let seconds = rows(groups, |group| group.evaluation_nanos as f64 / NANOS);
    gauge(encoder, "isinglass_rule_group_last_duration_seconds", help, seconds)?;
    let help = "When a group was evaluated last; 0 = never";
    let at = rows(groups, |group| group.last_evaluation.unwrap_or(0) as f64 / NANOS);
    gauge(encoder, "isinglass_rule_group_last_evaluation_timestamp_seconds", help, at)?;
    let help = "Samples that the last evaluation of a group made";
    let samples = rows(groups, |group| group.counts.samples_last as f64);
    gauge(encoder, "isinglass_rule_group_last_evaluation_samples", help, samples)?;
    let help = "Rules of a group";
    gauge(encoder, "isinglass_rule_group_rules", help, rows(groups, |group| group.rules as f64))
}

fn notifications(encoder: &mut DescriptorEncoder<'_>, figures: &RulesFigures) -> fmt::Result {
    let rows = |value: fn(&Sent) -> u64| {
        figures.alertmanagers.iter().map(move |sent| (vec![("alertmanager", sent.url.clone())], value(sent)))
    };
    let help = "Alerts that an Alertmanager took";
    counter(encoder, "isinglass_notifications_sent", help, rows(|sent| sent.sent))?;
    let help = "Alerts of messages that were given up";
    counter(encoder, "isinglass_notifications_errors", help, rows(|sent| sent.failed))?;
    let help = "Messages that were sent again";
    counter(encoder, "isinglass_notifications_retries", help, rows(|sent| sent.retries))?;
    let help = "Alerts that made room for newer ones, or were left at a stop";
    counter(encoder, "isinglass_notifications_dropped", help, rows(|sent| sent.dropped))?;
    let waiting = rows(|sent| sent.waiting).map(|(labels, value)| (labels, value as f64));
    gauge(encoder, "isinglass_notifications_queue_length", "Alerts that wait", waiting)?;
    let room = [(Labels::new(), figures.queue_alerts_max as f64)];
    gauge(encoder, "isinglass_notifications_queue_capacity", "Alerts that may wait for each", room)
}
