//! What each plugin did and what it cost.

use std::fmt;

use isinglass_chain::BindingStats;
use isinglass_ingest::ShadowStats;
use prometheus_client::encoding::DescriptorEncoder;

use super::engine::{Labels, counter, gauge};

pub(super) fn plugins(encoder: &mut DescriptorEncoder<'_>, stats: &[BindingStats]) -> fmt::Result {
    let info = stats.iter().map(|b| {
        let mut labels = name(b);
        labels.extend([
            ("component", b.plugin.clone()),
            ("digest", b.digest.clone()),
            ("world", b.world.as_str().to_owned()),
        ]);
        (labels, 1.0)
    });
    gauge(encoder, "isinglass_plugin_info", "Which component runs under which name", info)?;
    counter(encoder, "isinglass_plugin_calls", "Calls that ended well", each(stats, |b| b.calls))?;
    counter(encoder, "isinglass_plugin_rows", "Rows shown to plugins", each(stats, |b| b.rows))?;
    let cpu = stats.iter().map(|b| (name(b), b.cpu_seconds));
    counter(
        encoder,
        "isinglass_plugin_cpu_seconds",
        "CPU time spent in plugins, conversion of columns included",
        cpu,
    )?;
    counter(
        encoder,
        "isinglass_plugin_slow_calls",
        "Calls over the soft CPU budget",
        each(stats, |b| b.slow_calls),
    )?;
    let errors = stats.iter().flat_map(|b| b.failures.iter().map(|(kind, n)| (with(b, "kind", kind), *n)));
    counter(encoder, "isinglass_plugin_errors", "Failed calls by kind", errors)?;
    let open = stats.iter().map(|b| (name(b), b.open as f64));
    let help = "Tenants for which a plugin failed so often that it is left alone for a while";
    gauge(encoder, "isinglass_plugin_breakers_open", help, open)?;
    let help = "Whiles in which a plugin is left alone for a tenant";
    counter(encoder, "isinglass_plugin_breakers_opened", help, each(stats, |b| b.opened))?;
    let rejects =
        stats.iter().flat_map(|b| b.rejects.iter().map(|(reason, n)| (with(b, "reason", reason), *n)));
    counter(encoder, "isinglass_plugin_rejects", "Rows or requests refused by plugins, by reason", rejects)?;
    let instances = stats.iter().map(|b| (name(b), b.instances as f64));
    gauge(encoder, "isinglass_plugin_instances", "Instances, warm or busy", instances)?;
    counter(
        encoder,
        "isinglass_plugin_instances_started",
        "Instances made",
        each(stats, |b| b.instances_started),
    )?;
    let memory = stats.iter().map(|b| (name(b), b.memory_bytes as f64));
    gauge(encoder, "isinglass_plugin_memory_bytes", "Linear memory of all instances", memory)?;
    counter(
        encoder,
        "isinglass_plugin_log_lines",
        "Log lines written by plugins",
        each(stats, |b| b.log_lines),
    )?;
    let dropped = each(stats, |b| b.log_lines_dropped);
    counter(encoder, "isinglass_plugin_log_lines_dropped", "Log lines over the rate", dropped)?;
    let own = stats.iter().flat_map(|b| b.counters.iter().map(|(counter, n)| (with(b, "name", counter), *n)));
    counter(encoder, "isinglass_plugin_counter", "Counters that plugins keep themselves", own)
}

/// How plugins that are tried out keep up.
pub(super) fn shadows(encoder: &mut DescriptorEncoder<'_>, stats: ShadowStats) -> fmt::Result {
    let mut count = |name, help, value: u64| counter(encoder, name, help, [(Labels::new(), value)]);
    count("isinglass_shadow_requests", "Requests shown to plugins that are tried out", stats.requests)?;
    let help = "Requests not shown to plugins that are tried out, because they were too far behind";
    count("isinglass_shadow_skipped_requests", help, stats.skipped)?;
    count("isinglass_shadow_rows", "Rows written to the table shadow", stats.rows)?;
    let help = "Sums of the table shadow that were added to another one, because there were too many";
    count("isinglass_shadow_folded_sums", help, stats.folded)
}

fn name(binding: &BindingStats) -> Labels {
    named(binding.binding.clone(), binding.shadow)
}

/// One that is tried out may have the name of one that is enforced.
pub(super) fn named(binding: String, shadow: bool) -> Labels {
    let mut labels = vec![("plugin", binding)];
    labels.extend(shadow.then(|| ("shadow", "true".to_owned())));
    labels
}

fn with(binding: &BindingStats, label: &'static str, value: &str) -> Labels {
    let mut labels = name(binding);
    labels.push((label, value.to_owned()));
    labels
}

fn each(stats: &[BindingStats], value: impl Fn(&BindingStats) -> u64) -> Vec<(Labels, u64)> {
    stats.iter().map(|binding| (name(binding), value(binding))).collect()
}
