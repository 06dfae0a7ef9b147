//! `prometheus.WriteRequest`.

use isinglass_promql::Sample;
use prost::Message as _;

use super::messages::{self, Histogram};
use crate::backend::LoadedSeries;

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Float>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Float {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    time_ms: i64,
}

/// The bytes of a request.
pub(super) fn message(part: &[LoadedSeries]) -> Vec<u8> {
    Request { series: part.iter().map(series).collect() }.encode_to_vec()
}

fn series(series: &LoadedSeries) -> Series {
    let labels = series.labels.iter();
    let labels =
        labels.map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect();
    let (mut samples, mut histograms) = (Vec::new(), Vec::new());
    for point in &series.points {
        match &point.sample {
            Sample::Float(value) => samples.push(Float { value: *value, time_ms: point.time_ms }),
            Sample::Histogram(histogram) => histograms.push(messages::histogram(histogram, point.time_ms, 0)),
        }
    }
    Series { labels, samples, histograms }
}
