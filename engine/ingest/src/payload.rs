//! Samples, histograms and exemplars as they are set aside in `rejected`: JSON text that says all
//! that is needed to send them again.

use std::collections::BTreeMap;

use isinglass_model::batch::{ExemplarBatch, HistogramBatch, HistogramRow, SampleBatch};
use isinglass_model::labels::{LabelSet, Temporality};
use isinglass_model::series::SeriesRef;
use serde::{Deserialize, Serialize};

use crate::transform::WITHHELD;

/// A number as text that reads back to the same bits: JSON has neither NaN nor infinities.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Exact(f64);

impl From<Exact> for String {
    fn from(Exact(value): Exact) -> Self {
        match value.is_nan() && value.to_bits() != f64::NAN.to_bits() {
            true => format!("NaN({:#x})", value.to_bits()),
            false => value.to_string(),
        }
    }
}

impl TryFrom<String> for Exact {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bits = text.strip_prefix("NaN(0x").and_then(|rest| rest.strip_suffix(')'));
        let value = match bits {
            Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
            None => text.parse().ok(),
        };
        value.map(Exact).ok_or_else(|| format!("{text:?} is no number"))
    }
}

/// A refused item of metrics.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// For people.
    series: String,
    /// `None` = nobody may know them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    temporality: u8,
    time_ms: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    start_ms: i64,
    /// Of a histogram its sum.
    value: Option<Exact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    histogram: Option<Histogram>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exemplar: Option<Exemplar>,
}

fn is_zero<T: PartialEq + Default>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Serialize, Deserialize)]
struct Histogram {
    count: Option<Exact>,
    schema: i16,
    zero_threshold: Exact,
    zero_count: Exact,
    positive_spans: Vec<(i32, i32)>,
    positive_buckets: Vec<Exact>,
    negative_spans: Vec<(i32, i32)>,
    negative_buckets: Vec<Exact>,
    custom_bounds: Vec<Exact>,
    reset_hint: String,
    float: bool,
    min: Option<Exact>,
    max: Option<Exact>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Exemplar {
    trace_id: Option<String>,
    span_id: Option<String>,
    attributes: Vec<(String, String)>,
}

/// What an item is, apart from its series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    /// Time, value, start.
    Sample(i64, f64, i64),
    /// Its series is to be put in.
    Histogram(Box<HistogramRow>),
    /// One row, its series to be put in.
    Exemplar(Box<ExemplarBatch>),
}

impl Payload {
    fn new(labels: Option<LabelSet>, time_ms: i64, value: Option<f64>) -> Self {
        let series = labels.as_ref().map_or_else(|| WITHHELD.to_owned(), ToString::to_string);
        let temporality = labels.as_ref().map_or(0, |labels| labels.temporality() as u8);
        let pairs = |labels: LabelSet| labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Self {
            series,
            labels: labels.map(pairs),
            temporality,
            time_ms,
            start_ms: 0,
            value: value.map(Exact),
            histogram: None,
            exemplar: None,
        }
    }

    pub(crate) fn sample(samples: &SampleBatch, row: usize, labels: Option<LabelSet>) -> Self {
        let payload = Self::new(labels, samples.time_ms[row], Some(samples.value[row]));
        Self { start_ms: samples.start_ms_at(row), ..payload }
    }

    pub(crate) fn histogram(row: &HistogramRow, labels: Option<LabelSet>) -> Self {
        let all = |values: &[f64]| values.iter().copied().map(Exact).collect();
        let histogram = Histogram {
            count: row.count.map(Exact),
            schema: row.schema,
            zero_threshold: Exact(row.zero_threshold),
            zero_count: Exact(row.zero_count),
            positive_spans: row.positive_spans.clone(),
            positive_buckets: all(&row.positive_buckets),
            negative_spans: row.negative_spans.clone(),
            negative_buckets: all(&row.negative_buckets),
            custom_bounds: all(&row.custom_bounds),
            reset_hint: row.reset_hint.to_owned(),
            float: row.float,
            min: row.min.map(Exact),
            max: row.max.map(Exact),
        };
        let payload = Self::new(labels, row.time_ms, row.sum);
        Self { start_ms: row.start_ms, histogram: Some(histogram), ..payload }
    }

    pub(crate) fn exemplar(exemplars: &ExemplarBatch, row: usize, labels: Option<LabelSet>) -> Self {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let exemplar = Exemplar {
            trace_id: exemplars.trace_id[row].map(|id| hex(&id)),
            span_id: exemplars.span_id[row].map(|id| hex(&id)),
            // Labels of exemplars are shown to transformers after those of series.
            attributes: if labels.is_some() { exemplars.attributes[row].clone() } else { Vec::new() },
        };
        let payload = Self::new(labels, exemplars.time_ms[row], Some(exemplars.value[row]));
        Self { exemplar: Some(exemplar), ..payload }
    }

    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Back to labels and the rest; `None` if it does not say enough.
    pub(crate) fn read(text: &str) -> Option<(LabelSet, Point)> {
        let payload: Self = serde_json::from_str(text).ok()?;
        let labels = payload.labels.as_ref()?;
        let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels = LabelSet::of_sorted(labels, Temporality::from_byte(payload.temporality)?).ok()?;
        Some((labels, payload.point()?))
    }

    fn point(self) -> Option<Point> {
        let value = self.value.map(|Exact(value)| value);
        if let Some(histogram) = self.histogram {
            let row = histogram.row(self.time_ms, self.start_ms, value)?;
            return Some(Point::Histogram(Box::new(row)));
        }
        let Some(exemplar) = self.exemplar else {
            return Some(Point::Sample(self.time_ms, value?, self.start_ms));
        };
        let batch = ExemplarBatch {
            series: vec![SeriesRef(0)],
            time_ms: vec![self.time_ms],
            value: vec![value?],
            trace_id: vec![exemplar.trace_id.map(|id| of_hex(&id)).transpose().ok()?],
            span_id: vec![exemplar.span_id.map(|id| of_hex(&id)).transpose().ok()?],
            attributes: vec![exemplar.attributes],
        };
        Some(Point::Exemplar(Box::new(batch)))
    }
}

impl Histogram {
    fn row(self, time_ms: i64, start_ms: i64, sum: Option<f64>) -> Option<HistogramRow> {
        let all = |values: Vec<Exact>| values.into_iter().map(|Exact(value)| value).collect();
        let plain = |value: Option<Exact>| value.map(|Exact(value)| value);
        let hints = ["unknown", "yes", "no", "gauge"];
        Some(HistogramRow {
            series: SeriesRef(0),
            time_ms,
            start_ms,
            count: plain(self.count),
            sum,
            schema: self.schema,
            zero_threshold: self.zero_threshold.0,
            zero_count: self.zero_count.0,
            positive_spans: self.positive_spans,
            positive_buckets: all(self.positive_buckets),
            negative_spans: self.negative_spans,
            negative_buckets: all(self.negative_buckets),
            custom_bounds: all(self.custom_bounds),
            reset_hint: hints.into_iter().find(|hint| *hint == self.reset_hint)?,
            float: self.float,
            min: plain(self.min),
            max: plain(self.max),
        })
    }
}

fn of_hex<const N: usize>(text: &str) -> Result<[u8; N], ()> {
    let mut id = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return Err(());
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| ())?;
    }
    Ok(id)
}

/// Puts a point into the batch of its sort, under a series.
pub(crate) fn put(
    point: Point,
    series: SeriesRef,
    samples: &mut SampleBatch,
    histograms: &mut HistogramBatch,
    exemplars: &mut ExemplarBatch,
) {
    match point {
        Point::Sample(time_ms, value, start_ms) => samples.push(series, time_ms, value, start_ms),
        Point::Histogram(row) => histograms.rows.push(HistogramRow { series, ..*row }),
        Point::Exemplar(mut one) => {
            exemplars.series.push(series);
            exemplars.time_ms.append(&mut one.time_ms);
            exemplars.value.append(&mut one.value);
            exemplars.trace_id.append(&mut one.trace_id);
            exemplars.span_id.append(&mut one.span_id);
            exemplars.attributes.append(&mut one.attributes);
        }
    }
}

#[cfg(test)]
mod tests {
    use isinglass_model::batch::STALE_NAN_BITS;

    use super::*;

    fn labels() -> LabelSet {
        LabelSet::new(&mut [("__name__", "up"), ("a", "x\"\\é")], Temporality::Delta).unwrap()
    }

    #[test]
    fn values_keep_their_bits() {
        let bits = [
            0,
            1,
            STALE_NAN_BITS,
            f64::NAN.to_bits(),
            f64::INFINITY.to_bits(),
            (-0.0_f64).to_bits(),
            u64::MAX,
        ];
        let others = [0.1, 1e300, -5e-324, f64::MIN_POSITIVE, f64::MAX].map(f64::to_bits);
        for bits in bits.into_iter().chain(others) {
            let mut samples = SampleBatch::default();
            samples.push(SeriesRef(7), -5, f64::from_bits(bits), 3);
            let text = Payload::sample(&samples, 0, Some(labels())).text();
            let (read, point) = Payload::read(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read, labels());
            let Point::Sample(-5, value, 3) = point else { panic!("{point:?}") };
            assert_eq!(value.to_bits(), bits, "{text}");
        }
    }

    #[test]
    fn histograms_and_exemplars_come_back_whole() {
        let row = HistogramRow {
            series: SeriesRef(0),
            time_ms: 5,
            start_ms: 1,
            count: None,
            sum: Some(f64::from_bits(STALE_NAN_BITS >> 1)),
            schema: -53,
            zero_threshold: 1e-128,
            zero_count: 2.0,
            positive_spans: vec![(-3, 2), (1, 1)],
            positive_buckets: vec![1.0, 2.5, 3.0],
            negative_spans: vec![],
            negative_buckets: vec![],
            custom_bounds: vec![0.1, f64::INFINITY],
            reset_hint: "gauge",
            float: true,
            min: Some(-1.5),
            max: None,
        };
        let text = Payload::histogram(&row, Some(labels())).text();
        assert_eq!(Payload::read(&text), Some((labels(), Point::Histogram(Box::new(row)))), "{text}");

        let exemplars = ExemplarBatch {
            series: vec![SeriesRef(0)],
            time_ms: vec![9],
            value: vec![0.5],
            trace_id: vec![Some([0xab; 16])],
            span_id: vec![None],
            attributes: vec![vec![("k".into(), "\"v\"".into())]],
        };
        let text = Payload::exemplar(&exemplars, 0, Some(labels())).text();
        let Some((_, Point::Exemplar(read))) = Payload::read(&text) else { panic!("{text}") };
        assert_eq!(
            (read.trace_id, read.span_id, read.attributes),
            (exemplars.trace_id, exemplars.span_id, exemplars.attributes)
        );
    }

    #[test]
    fn what_does_not_say_enough_is_not_read() {
        let mut samples = SampleBatch::default();
        samples.push(SeriesRef(7), 5, 1.0, 0);
        for text in [
            Payload::sample(&samples, 0, None).text(),
            // As earlier releases wrote it.
            r#"{"series":"up{}","time_ms":5,"value":"1"}"#.to_owned(),
            r#"{"labels":{"a":"b"},"series":"","time_ms":5,"value":"x"}"#.to_owned(),
            WITHHELD.to_owned(),
            "{\"series\":\"cut of".to_owned(),
        ] {
            assert_eq!(Payload::read(&text), None, "{text}");
        }
    }
}
