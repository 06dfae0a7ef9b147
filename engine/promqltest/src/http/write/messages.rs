//! Messages that both versions share.

use isinglass_promql::histogram::{BucketSpan, ResetHint};

/// `prometheus.Histogram` and `io.prometheus.write.v2.Histogram`: the same but for the last field.
/// Of the two ways to write counts only that of floats is here.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Histogram {
    #[prost(double, optional, tag = "2")]
    pub(super) count: Option<f64>,
    #[prost(double, tag = "3")]
    pub(super) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(super) schema: i32,
    #[prost(double, tag = "5")]
    pub(super) zero_threshold: f64,
    #[prost(double, optional, tag = "7")]
    pub(super) zero_count: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    pub(super) negative_spans: Vec<Span>,
    #[prost(double, repeated, tag = "10")]
    pub(super) negative: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    pub(super) positive_spans: Vec<Span>,
    #[prost(double, repeated, tag = "13")]
    pub(super) positive: Vec<f64>,
    #[prost(int32, tag = "14")]
    pub(super) reset_hint: i32,
    #[prost(int64, tag = "15")]
    pub(super) time_ms: i64,
    #[prost(double, repeated, tag = "16")]
    pub(super) custom_bounds: Vec<f64>,
    /// 2.0 only; 0 = nobody says.
    #[prost(int64, tag = "17")]
    pub(super) start_ms: i64,
}

/// `BucketSpan` of both versions.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Span {
    #[prost(sint32, tag = "1")]
    pub(super) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(super) length: u32,
}

pub(super) fn histogram(histogram: &isinglass_promql::Histogram, time_ms: i64, start_ms: i64) -> Histogram {
    Histogram {
        count: Some(histogram.count),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: Some(histogram.zero_count),
        negative_spans: spans(&histogram.negative_spans),
        negative: histogram.negative.clone(),
        positive_spans: spans(&histogram.positive_spans),
        positive: histogram.positive.clone(),
        reset_hint: match histogram.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            ResetHint::Gauge => 3,
        },
        time_ms,
        custom_bounds: histogram.custom_bounds.to_vec(),
        start_ms,
    }
}

fn spans(spans: &[BucketSpan]) -> Vec<Span> {
    spans.iter().map(|span| Span { offset: span.offset, length: span.length }).collect()
}
