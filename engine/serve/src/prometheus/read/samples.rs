//! An answer as one message of samples.

use isinglass_promql::histogram::{BucketSpan, Histogram, ResetHint};
use isinglass_promql::{Labels, Sample};
use isinglass_query::RawSeries;
use prost::Message;

use super::super::failure::Failure;
use super::message::{FloatSample, HistogramSample, Label, QueryResult, ReadResponse, Span, TimeSeries};

/// Snappy over protobuf.
pub(super) fn encode(results: Vec<Vec<RawSeries>>) -> Result<Vec<u8>, Failure> {
    let results =
        results.into_iter().map(|series| QueryResult { series: series.into_iter().map(of_series).collect() });
    let message = ReadResponse { results: results.collect() }.encode_to_vec();
    let packed = snap::raw::Encoder::new().compress_vec(&message);
    packed.map_err(|error| Failure::bad_data(format!("the answer is too large for one message: {error}")))
}

fn of_series(series: RawSeries) -> TimeSeries {
    let mut written = TimeSeries { labels: labels(&series.labels), ..TimeSeries::default() };
    for point in &series.points {
        match &point.sample {
            Sample::Float(value) => {
                written.samples.push(FloatSample { value: *value, time_ms: point.time_ms });
            }
            Sample::Histogram(histogram) => {
                written.histograms.push(of_histogram(histogram, point.time_ms));
            }
        }
    }
    written
}

pub(super) fn labels(labels: &Labels) -> Vec<Label> {
    let label = |(name, value): (&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    labels.iter().map(label).collect()
}

fn of_histogram(histogram: &Histogram, time_ms: i64) -> HistogramSample {
    HistogramSample {
        count: Some(histogram.count),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: Some(histogram.zero_count),
        negative_spans: spans(&histogram.negative_spans),
        negative_counts: histogram.negative.clone(),
        positive_spans: spans(&histogram.positive_spans),
        positive_counts: histogram.positive.clone(),
        reset_hint: match histogram.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            ResetHint::Gauge => 3,
        },
        time_ms,
        custom_bounds: histogram.custom_bounds.to_vec(),
    }
}

fn spans(spans: &[BucketSpan]) -> Vec<Span> {
    spans.iter().map(|span| Span { offset: span.offset, length: span.length }).collect()
}
