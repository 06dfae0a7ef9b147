//! The same samples in memory and in a store.

use std::sync::Arc;

use isinglass_model::Tenant;
use isinglass_model::batch::{HistogramRow, STALE_NAN_BITS};
use isinglass_model::labels::{LabelSet, Temporality};
use isinglass_model::series::SeriesRef;
use isinglass_promql::histogram::{BucketSpan, ResetHint, hint_after};
use isinglass_promql::value::is_stale;
use isinglass_promql::{Histogram, Labels, MemorySource, Sample};
use isinglass_promqltest::{LoadedPoint, LoadedSeries};
use isinglass_store::{Append, Store};

/// Stores series of a tenant, all in one append.
pub(super) async fn store(store: &Store, tenant: &Tenant, series: &[LoadedSeries]) {
    let mut append = Append::new(tenant.clone());
    let mut resolver = store.resolver(tenant).await.unwrap();
    for LoadedSeries { labels, points } in series {
        let mut pairs: Vec<(&str, &str)> = labels.iter().collect();
        let set = LabelSet::new(&mut pairs, Temporality::Unspecified).unwrap();
        let series = resolver.intern_labels(set).unwrap().series;
        let mut is_histogram = false;
        for LoadedPoint { time_ms, start_ms, sample } in points {
            let start_ms = start_ms.unwrap_or_default();
            match sample {
                Sample::Histogram(histogram) => {
                    is_histogram = true;
                    append.histograms.rows.push(row(series, *time_ms, start_ms, Some(histogram)));
                }
                Sample::Float(value) if is_stale(*value) && is_histogram => {
                    append.histograms.rows.push(row(series, *time_ms, start_ms, None));
                }
                Sample::Float(value) => {
                    is_histogram = false;
                    append.samples.push(series, *time_ms, *value, start_ms);
                }
            }
        }
    }
    assert_eq!(isinglass_promql::value::STALE.to_bits(), STALE_NAN_BITS);
    store.append(append).await.unwrap();
}

fn row(series: SeriesRef, time_ms: i64, start_ms: i64, histogram: Option<&Arc<Histogram>>) -> HistogramRow {
    let none = Arc::new(Histogram::default());
    let of = histogram.unwrap_or(&none);
    let spans = |spans: &[BucketSpan]| spans.iter().map(|span| (span.offset, span.length as i32)).collect();
    HistogramRow {
        series,
        time_ms,
        start_ms,
        count: histogram.map(|of| of.count),
        sum: histogram.map(|of| of.sum),
        schema: i16::try_from(of.schema).unwrap(),
        zero_threshold: of.zero_threshold,
        zero_count: of.zero_count,
        positive_spans: spans(&of.positive_spans),
        positive_buckets: of.positive.clone(),
        negative_spans: spans(&of.negative_spans),
        negative_buckets: of.negative.clone(),
        custom_bounds: of.custom_bounds.to_vec(),
        reset_hint: match of.reset_hint {
            ResetHint::Unknown => "unknown",
            ResetHint::Reset => "yes",
            ResetHint::NotReset => "no",
            ResetHint::Gauge => "gauge",
        },
        float: true,
        min: None,
        max: None,
    }
}

/// The same in memory. What is there already stays.
pub(super) fn remember(source: &mut MemorySource, series: &[LoadedSeries]) {
    for LoadedSeries { labels, points } in series {
        let mut before: Option<Arc<Histogram>> = None;
        for LoadedPoint { time_ms, start_ms, sample } in points {
            let start_ms = start_ms.unwrap_or_default();
            match sample {
                Sample::Float(value) => {
                    source.add_float(labels, *time_ms, start_ms, *value);
                    before = None;
                }
                Sample::Histogram(histogram) => {
                    let mut stored = Histogram::clone(histogram);
                    stored.reset_hint = hint_after(before.as_deref(), &stored);
                    let stored = Arc::new(stored);
                    before = Some(Arc::clone(&stored));
                    source.add_histogram(labels, *time_ms, start_ms, stored);
                }
            }
        }
    }
}

/// A series of floats: (milliseconds, value).
pub(super) fn floats(labels: &[(&str, &str)], points: impl IntoIterator<Item = (i64, f64)>) -> LoadedSeries {
    let point = |(time_ms, value)| LoadedPoint { time_ms, start_ms: None, sample: Sample::Float(value) };
    LoadedSeries {
        labels: Labels::new(labels.iter().copied()),
        points: points.into_iter().map(point).collect(),
    }
}
