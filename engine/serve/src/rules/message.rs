//! Results of rules as a request of remote write 2.0: `io.prometheus.write.v2.Request`.

use std::collections::HashMap;

use isinglass_promql::histogram::{BucketSpan, Histogram as Buckets, ResetHint};
use isinglass_promql::{Labels, Sample};
use isinglass_rules::RuleSample;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Float>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Float {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    time_ms: i64,
}

/// With counts as floats: those of a result are.
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, optional, tag = "2")]
    count: Option<f64>,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(double, optional, tag = "7")]
    zero_count: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<Span>,
    #[prost(double, repeated, tag = "10")]
    negative: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(double, repeated, tag = "13")]
    positive: Vec<f64>,
    #[prost(int32, tag = "14")]
    reset_hint: i32,
    #[prost(int64, tag = "15")]
    time_ms: i64,
    #[prost(double, repeated, tag = "16")]
    custom_bounds: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

/// Texts of a request, each once; the first is empty.
#[derive(Default)]
struct Symbols {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Symbols {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn labels(&mut self, labels: &Labels) -> Vec<u32> {
        labels.iter().flat_map(|(name, value)| [self.number(name), self.number(value)]).collect()
    }
}

/// The request, not compressed.
pub(super) fn encode(samples: &[RuleSample]) -> Vec<u8> {
    let mut symbols = Symbols::default();
    symbols.number("");
    let series = samples.iter().map(|sample| series(sample, &mut symbols)).collect();
    Request { symbols: symbols.texts, series }.encode_to_vec()
}

fn series(sample: &RuleSample, symbols: &mut Symbols) -> Series {
    let mut series = Series { labels: symbols.labels(&sample.labels), ..Series::default() };
    match &sample.sample {
        Sample::Float(value) => series.samples.push(Float { value: *value, time_ms: sample.time_ms }),
        Sample::Histogram(buckets) => series.histograms.push(histogram(buckets, sample.time_ms)),
    }
    series
}

fn histogram(buckets: &Buckets, time_ms: i64) -> Histogram {
    Histogram {
        count: Some(buckets.count),
        sum: buckets.sum,
        schema: buckets.schema,
        zero_threshold: buckets.zero_threshold,
        zero_count: Some(buckets.zero_count),
        negative_spans: spans(&buckets.negative_spans),
        negative: buckets.negative.clone(),
        positive_spans: spans(&buckets.positive_spans),
        positive: buckets.positive.clone(),
        reset_hint: match buckets.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Reset => 1,
            ResetHint::NotReset => 2,
            ResetHint::Gauge => 3,
        },
        time_ms,
        custom_bounds: buckets.custom_bounds.to_vec(),
    }
}

fn spans(spans: &[BucketSpan]) -> Vec<Span> {
    spans.iter().map(|span| Span { offset: span.offset, length: span.length }).collect()
}

#[cfg(test)]
mod tests {
    use isinglass_promql::value::STALE;

    use super::*;

    #[test]
    fn texts_stand_once() {
        let sample = |instance: &str, value| RuleSample {
            labels: Labels::new([("__name__", "up"), ("instance", instance), ("job", "up")]),
            time_ms: 7,
            sample: Sample::Float(value),
        };
        let request = Request::decode(&*encode(&[sample("a", 1.0), sample("b", STALE)])).unwrap();
        assert_eq!(request.symbols, ["", "__name__", "up", "instance", "a", "job", "b"]);
        assert_eq!(request.series[1].labels, [1, 2, 3, 6, 5, 2]);
        let Float { value, time_ms } = request.series[1].samples[0];
        assert_eq!((value.to_bits(), time_ms), (STALE.to_bits(), 7));
    }
}
