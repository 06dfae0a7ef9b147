//! Results of the built-in plugins do not depend on how they are run.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;

type Sums = BTreeMap<String, (f64, Vec<f64>)>;

/// Sums of a batch's deltas by metric and label values.
fn sums(chain: &Chain, all: &[Deltas]) -> Sums {
    let mut sums = Sums::new();
    for deltas in all {
        let deriver = &chain.derivers()[usize::from(deltas.binding)];
        for increments in &deltas.increments {
            let metric = &deriver.metrics[usize::from(increments.metric)];
            let width = if increments.buckets.is_empty() { 0 } else { metric.bounds.len() + 1 };
            for series in 0..deltas.series as usize {
                let mut name = metric.name.clone();
                for label in &deltas.labels {
                    let value = &label.values[label.keys[series] as usize];
                    write!(name, " {}={value}", label.name).unwrap();
                }
                let sum = sums.entry(name).or_insert_with(|| (0.0, vec![0.0; width]));
                sum.0 += increments.values[series];
                for (to, from) in sum.1.iter_mut().zip(&increments.buckets[series * width..]) {
                    *to += from;
                }
            }
        }
    }
    // Sums of floats depend on their order in the last bits.
    sums.values_mut().for_each(|(value, _)| *value = (*value * 1e6).round() / 1e6);
    sums
}

#[test]
fn spans_become_metrics() {
    let chain = load(json!({}));
    let deltas = chain.derive(&tenant("acme"), &spans(60), NOW);
    let sums = sums(&chain, &deltas);
    let labels = "service=service-0 span_name=GET / span_kind=SPAN_KIND_SERVER status_code=STATUS_CODE_UNSET";
    // Rows 0, 6, 12, … 54 but without 0 and 30, which are errors.
    assert_eq!(sums[&format!("traces_spanmetrics_calls_total {labels}")].0, 8.0);
    assert_eq!(sums[&format!("traces_spanmetrics_size_total {labels}")].0, 8.0 * 481.0);
    let (seconds, buckets) = &sums[&format!("traces_spanmetrics_latency {labels}")];
    assert_eq!(*seconds, 0.240);
    assert_eq!(buckets.iter().sum::<f64>(), 8.0);
    for exemplar in &deltas[0].exemplars {
        assert!((exemplar.row as usize) < 60 && exemplar.series < deltas[0].series);
    }
}

#[test]
fn a_series_per_row_is_no_fault() {
    let rows = 25_000;
    let names: Vec<String> = (0..rows).map(|row| format!("unique-{row}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut batch = spans(rows);
    let keys: Vec<i32> = (0..rows as i32).collect();
    let unique = ColumnData::Dictionary { keys: keys.into(), values: text_buffers(&names) };
    batch.columns.retain(|(name, _)| *name != "name");
    batch.columns.push(("name", Column::new(unique)));
    let chain = load(json!({}));
    let deltas = chain.derive(&tenant("acme"), &batch, NOW);
    let of_spans = deltas.iter().filter(|deltas| deltas.increments[0].metric == 0);
    assert_eq!(of_spans.map(|deltas| deltas.series).sum::<u32>(), rows as u32);
    let last = deltas.iter().flat_map(|deltas| &deltas.exemplars).map(|exemplar| exemplar.row).max();
    assert_eq!(last, Some(rows as u32 - 1));
    assert!(chain.validate(&tenant("acme"), &batch, NOW).keeps_all());
}

#[test]
fn verdicts_name_plugin_and_reason() {
    let chain = load(json!({}));
    let verdicts = chain.validate(&tenant("acme"), &spans_without_trace(100, |row| row % 7 == 3), NOW);
    for row in 0..100 {
        assert_eq!(verdicts.refusal(row).is_some(), row % 7 == 3, "row {row}");
    }
    let refusal = verdicts.refusal(3).unwrap();
    assert_eq!((&*refusal.reason, refusal.plugin.as_str()), ("invalid_trace_id", "validate@0.1.0"));
    assert_eq!(refusal.digest, stats_of(&chain, "validate").digest);
    assert_eq!(stats_of(&chain, "validate").rejects["invalid_trace_id"], 14);
    let kept = chain.validate(&tenant("acme"), &spans(100), NOW);
    assert_eq!(kept, Verdicts::default(), "nothing is allocated for a batch that is kept");
}

#[test]
fn bindings_see_only_their_signals() {
    let chain = load(json!({ "bindings": [
        { "name": "v", "source": "builtin:validate", "world": "validator", "signals": ["logs"] },
    ]}));
    assert!(chain.validate(&tenant("acme"), &spans_without_trace(3, |_| true), NOW).keeps_all());
    assert_eq!(stats_of(&chain, "v").rows, 0);
}

#[test]
fn empty_batches_are_not_shown() {
    let chain = load(json!({}));
    assert!(chain.validate(&tenant("acme"), &spans(0), NOW).keeps_all());
    assert!(chain.derive(&tenant("acme"), &spans(0), NOW).is_empty());
    assert!(chain.stats().iter().all(|stats| stats.calls == 0));
}

#[test]
fn neither_cuts_nor_instances_change_an_answer() {
    let batch = spans_without_trace(1_000, |row| row % 13 == 5);
    let whole = load(json!({ "instances_max": 1 }));
    let verdicts = whole.validate(&tenant("acme"), &batch, NOW);
    let expected = sums(&whole, &whole.derive(&tenant("acme"), &batch, NOW));
    for (rows_max, instances_max) in [(7, 1), (64, 4), (999, 2), (16_384, 4)] {
        let chain = load(json!({ "call_rows_max": rows_max, "instances_max": instances_max }));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        assert_eq!(chain.validate(&tenant("acme"), &batch, NOW), verdicts);
                        assert_eq!(sums(&chain, &chain.derive(&tenant("acme"), &batch, NOW)), expected);
                    }
                });
            }
        });
        assert!(stats_of(&chain, "validate").instances <= instances_max);
        assert_eq!(stats_of(&chain, "validate").rows, 20_000);
    }
}
