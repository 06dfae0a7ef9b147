//! Classic histograms once more as native histograms with custom buckets.
//!
//! The series `x_bucket`, `x_count` and `x_sum` of the same labels, `le` aside, become one series
//! `x`: at each time at which one of them has a sample, one histogram.

use std::collections::BTreeMap;
use std::sync::Arc;

use isinglass_promql::histogram::convert::from_classic;
use isinglass_promql::labels::METRIC_NAME;
use isinglass_promql::{Labels, Sample};

use crate::backend::{LoadedPoint, LoadedSeries};

const BUCKET_LABEL: &str = "le";

/// What is known of a classic histogram at a time.
#[derive(Debug, Clone, Default)]
struct Classic {
    /// Upper bounds and cumulative counts, in any order.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: Option<f64>,
}

/// Which series of a classic histogram.
#[derive(Debug, Clone, Copy)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// The native histograms of all classic histograms among these series.
///
/// # Errors
///
/// Buckets that make no histogram, such as counts that are not cumulative.
pub fn convert(series: &[LoadedSeries]) -> Result<Vec<LoadedSeries>, String> {
    let mut classic: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for series in series {
        let Some((part, labels)) = part(&series.labels)? else { continue };
        let by_time = classic.entry(labels).or_default();
        for point in &series.points {
            if let Sample::Float(value) = point.sample {
                by_time.entry(point.time_ms).or_default().set(part, value);
            }
        }
    }
    classic.into_iter().map(|(labels, by_time)| native(labels, by_time)).collect()
}

fn native(labels: Labels, by_time: BTreeMap<i64, Classic>) -> Result<LoadedSeries, String> {
    let mut points = Vec::with_capacity(by_time.len());
    for (time_ms, classic) in by_time {
        let histogram = from_classic(&classic.buckets, classic.count, classic.sum)
            .map_err(|fault| format!("{labels} at {time_ms} ms: {fault}"))?;
        points.push(LoadedPoint { time_ms, start_ms: None, sample: Sample::Histogram(Arc::new(histogram)) });
    }
    Ok(LoadedSeries { labels, points })
}

impl Classic {
    fn set(&mut self, part: Part, value: f64) {
        match part {
            Part::Count => self.count = Some(value),
            Part::Sum => self.sum = Some(value),
            Part::Bucket(bound) => self.buckets.push((bound, value)),
        }
    }
}

/// Which part of which classic histogram a series is; bounds that are no numbers are passed over.
fn part(labels: &Labels) -> Result<Option<(Part, Labels)>, String> {
    let name = labels.metric_name();
    let (part, base) = if let Some(base) = name.strip_suffix("_bucket") {
        let bound = labels.get(BUCKET_LABEL);
        if bound.is_empty() {
            return Err(format!("no label {BUCKET_LABEL} in {labels}"));
        }
        match bound.parse::<f64>() {
            Ok(bound) if !bound.is_nan() => (Part::Bucket(bound), base),
            _ => return Ok(None),
        }
    } else if let Some(base) = name.strip_suffix("_count") {
        (Part::Count, base)
    } else if let Some(base) = name.strip_suffix("_sum") {
        (Part::Sum, base)
    } else {
        return Ok(None);
    };
    let mut builder = labels.builder();
    builder.set(METRIC_NAME, base).remove(BUCKET_LABEL);
    Ok(Some((part, builder.build())))
}

#[cfg(test)]
mod tests {
    use crate::script::{CommandKind, Script};

    use super::*;

    fn load(text: &str) -> Vec<LoadedSeries> {
        let mut script = Script::parse("test", text).unwrap();
        match script.commands.pop().unwrap().kind {
            CommandKind::Load(series) => series,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn buckets_count_and_sum_become_one_series() {
        let loaded = load(
            "load_with_nhcb 1m
               m_bucket{a=\"b\", le=\"1\"} 1 2
               m_bucket{a=\"b\", le=\"+Inf\"} 3 5
               m_count{a=\"b\"} 3 5
               m_sum{a=\"b\"} 9 10
               other 1",
        );
        assert_eq!(loaded.len(), 6);
        let native = &loaded[5];
        assert_eq!(native.labels.to_string(), r#"{__name__="m", a="b"}"#);
        let points: Vec<_> = native
            .points
            .iter()
            .map(|point| match &point.sample {
                Sample::Histogram(h) => {
                    (point.time_ms, h.count, h.sum, h.positive.clone(), h.custom_bounds.to_vec())
                }
                Sample::Float(_) => panic!("{point:?}"),
            })
            .collect();
        assert_eq!(
            points,
            [(0, 3.0, 9.0, vec![1.0, 2.0], vec![1.0]), (60_000, 5.0, 10.0, vec![2.0, 3.0], vec![1.0])]
        );
    }

    #[test]
    fn what_is_no_classic_histogram() {
        assert_eq!(load("load_with_nhcb 1m\n up 1\n m_bucket{le=\"x\"} 1").len(), 2);
        assert!(Script::parse("test", "load_with_nhcb 1m\n m_bucket 1").is_err());
    }
}
