//! What a deriver that is tried out would add to its metrics.

use std::sync::Arc;

use isinglass_model::Tenant;
use isinglass_model::deltas::{Deltas, DerivedIncrements, DerivedKind, DerivedMetric};
use isinglass_model::tables::shadow::what;

use super::sums::{About, Group, Sums};

/// Adds increments, those of a histogram as its count and its sum.
pub(super) fn add(
    sums: &mut Sums,
    (tenant, about): (&Tenant, &Arc<About>),
    metrics: &[DerivedMetric],
    deltas: &Deltas,
) {
    let labels: Vec<String> = (0..deltas.series as usize).map(|series| labels_of(deltas, series)).collect();
    for increments in &deltas.increments {
        let Some(metric) = metrics.get(usize::from(increments.metric)) else { continue };
        let mut add = |suffix: &str, series: usize, value: f64| {
            let field = Some(format!("{}{suffix}", metric.name));
            let labels = Some(labels[series].clone());
            let group = Group { field, labels, ..Group::new(about, what::DERIVED, "") };
            sums.add_value(tenant, group, 1, value, |_| Vec::new());
        };
        for (series, value) in increments.values.iter().enumerate() {
            match metric.kind {
                DerivedKind::Counter => add("", series, *value),
                // It has no increments.
                DerivedKind::Gauge => {}
                DerivedKind::Histogram => {
                    add("_count", series, observations(increments, metric, series));
                    add("_sum", series, *value);
                }
            }
        }
    }
}

/// Observations of one series of a histogram, whichever form it has.
fn observations(increments: &DerivedIncrements, metric: &DerivedMetric, series: usize) -> f64 {
    let width = metric.bounds.len() + 1;
    if let Some(buckets) = increments.buckets.get(series * width..(series + 1) * width) {
        return buckets.iter().sum();
    }
    let Some(exponential) = &increments.exponential else { return 0.0 };
    let own = exponential.buckets.iter().filter(|(of, ..)| *of as usize == series);
    own.map(|(.., count)| count).sum::<f64>() + exponential.zeros.get(series).copied().unwrap_or(0.0)
}

/// The labels of a derived series as JSON text.
fn labels_of(deltas: &Deltas, series: usize) -> String {
    let labels = deltas.labels.iter().filter_map(|label| {
        let value = label.of(series);
        (!value.is_empty()).then(|| (label.name.clone(), serde_json::Value::from(value)))
    });
    serde_json::Value::Object(labels.collect()).to_string()
}
