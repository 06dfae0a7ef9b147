//! `io.prometheus.write.v2.Request`.
//!
//! Start timestamps go to samples, as the draft has it, and once more to the series where all its
//! samples share one, as 2.0 had it at first (`created_timestamp`).

use std::collections::HashMap;

use isinglass_promql::Sample;
use prost::Message as _;

use super::messages::{self, Histogram};
use crate::backend::{LoadedPoint, LoadedSeries};

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Series {
    /// Name, value, name, value: places in the symbols.
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Float>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Histogram>,
    /// Receivers may insist on it.
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
    #[prost(int64, tag = "6")]
    created_ms: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Float {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    time_ms: i64,
    #[prost(int64, tag = "3")]
    start_ms: i64,
}

/// Nothing is known of type, help and unit: all are 0, which is unknown and the empty symbol.
#[derive(Clone, PartialEq, prost::Message)]
struct Metadata {}

/// The bytes of a request.
pub(super) fn message(part: &[LoadedSeries]) -> Vec<u8> {
    let mut symbols = Symbols::default();
    // The first symbol is the empty text, so that 0 means "none".
    let _empty = symbols.place("");
    let series = part.iter().map(|one| series(one, &mut symbols)).collect();
    Request { symbols: symbols.texts, series }.encode_to_vec()
}

fn series(series: &LoadedSeries, symbols: &mut Symbols) -> Series {
    let labels = series.labels.iter().flat_map(|(name, value)| [name, value]);
    let labels = labels.map(|text| symbols.place(text)).collect();
    let (mut samples, mut histograms) = (Vec::new(), Vec::new());
    for point in &series.points {
        let (time_ms, start_ms) = (point.time_ms, point.start_ms.unwrap_or_default());
        match &point.sample {
            Sample::Float(value) => samples.push(Float { value: *value, time_ms, start_ms }),
            Sample::Histogram(histogram) => {
                histograms.push(messages::histogram(histogram, time_ms, start_ms))
            }
        }
    }
    Series {
        labels,
        samples,
        histograms,
        metadata: Some(Metadata {}),
        created_ms: created_ms(&series.points),
    }
}

/// The start timestamp that all points share, else 0.
fn created_ms(points: &[LoadedPoint]) -> i64 {
    let first = points.first().and_then(|point| point.start_ms);
    first.filter(|start_ms| points.iter().all(|point| point.start_ms == Some(*start_ms))).unwrap_or_default()
}

/// Texts and their places.
#[derive(Debug, Default)]
struct Symbols {
    texts: Vec<String>,
    places: HashMap<String, u32>,
}

impl Symbols {
    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }
}

#[cfg(test)]
mod tests {
    use isinglass_promql::Labels;
    use isinglass_promql::value::STALE;

    use super::*;

    fn point(time_ms: i64, start_ms: Option<i64>, value: f64) -> LoadedPoint {
        LoadedPoint { time_ms, start_ms, sample: Sample::Float(value) }
    }

    fn decoded(points: Vec<LoadedPoint>) -> Request {
        let labels = Labels::new([("__name__", "m"), ("a", "m")]);
        Request::decode(&message(&[LoadedSeries { labels, points }])[..]).unwrap()
    }

    #[test]
    fn texts_stand_once_in_a_request() {
        let request = decoded(vec![point(1, None, 2.0)]);
        assert_eq!(request.symbols, ["", "__name__", "m", "a"]);
        assert_eq!(request.series[0].labels, [1, 2, 3, 2]);
    }

    #[test]
    fn start_timestamps_stand_where_both_drafts_look() {
        let check = |starts: &[Option<i64>], created_ms: i64| {
            let points = starts.iter().enumerate().map(|(at, start)| point(at as i64 + 10, *start, 1.0));
            let request = decoded(points.collect());
            let sent: Vec<_> = request.series[0].samples.iter().map(|sample| sample.start_ms).collect();
            let wanted: Vec<_> = starts.iter().map(|start| start.unwrap_or_default()).collect();
            assert_eq!((sent, request.series[0].created_ms), (wanted, created_ms), "{starts:?}");
        };
        check(&[Some(5), Some(5)], 5);
        check(&[Some(5), Some(6)], 0);
        check(&[Some(5), None], 0);
        check(&[None, None], 0);
    }

    #[test]
    fn stale_markers_keep_their_bits() {
        let request = decoded(vec![point(1, None, STALE)]);
        assert_eq!(request.series[0].samples[0].value.to_bits(), STALE.to_bits());
    }
}
