//! Samples, histograms and exemplars: rows that point to a series.

use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};

use crate::columns::{Column, ColumnData, Columns, Encoding, Shape, TextBuffers};
use crate::labels::{LabelSet, METRIC_NAME};
use crate::series::SeriesRef;

/// The bits of Prometheus' stale marker.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Float samples as columns of equal length.
#[derive(Debug, Clone, Default)]
pub struct SampleBatch {
    /// Series of each sample.
    pub series: Vec<SeriesRef>,
    /// Milliseconds since 1970.
    pub time_ms: Vec<i64>,
    /// Values; a stale marker keeps its NaN bits ([`STALE_NAN_BITS`]).
    pub value: Vec<f64>,
    /// Start time in milliseconds, 0 = unknown. Empty = unknown for all.
    pub start_ms: Vec<i64>,
    /// Bytes of these samples on the wire.
    pub bytes: usize,
}

impl SampleBatch {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Appends a sample. `start_ms` 0 = unknown.
    pub fn push(&mut self, series: SeriesRef, time_ms: i64, value: f64, start_ms: i64) {
        if start_ms != 0 && self.start_ms.is_empty() {
            self.start_ms.resize(self.series.len(), 0);
        }
        if start_ms != 0 || !self.start_ms.is_empty() {
            self.start_ms.push(start_ms);
        }
        self.series.push(series);
        self.time_ms.push(time_ms);
        self.value.push(value);
    }

    /// Start time of a sample in milliseconds, 0 = unknown.
    pub fn start_ms_at(&self, row: usize) -> i64 {
        self.start_ms.get(row).copied().unwrap_or(0)
    }

    /// Keeps the rows for which `keep` is true, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(usize) -> bool) {
        self.retain_with(|row, _| keep(row));
    }

    /// Keeps the rows of the series for which `keep` is true, in order.
    pub fn retain_series(&mut self, mut keep: impl FnMut(SeriesRef) -> bool) {
        self.retain_with(|_, series| keep(series));
    }

    fn retain_with(&mut self, mut keep: impl FnMut(usize, SeriesRef) -> bool) {
        let mut to = 0;
        for row in 0..self.len() {
            if keep(row, self.series[row]) {
                self.series[to] = self.series[row];
                self.time_ms[to] = self.time_ms[row];
                self.value[to] = self.value[row];
                if !self.start_ms.is_empty() {
                    self.start_ms[to] = self.start_ms[row];
                }
                to += 1;
            }
        }
        self.series.truncate(to);
        self.time_ms.truncate(to);
        self.value.truncate(to);
        self.start_ms.truncate(to);
    }
}

/// A sample batch as plugins see it: `time` in nanoseconds (saturating).
impl Columns for SampleBatch {
    fn shape(&self) -> Shape {
        Shape::Samples
    }

    fn rows(&self) -> usize {
        self.len()
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        let data = match name {
            "time" => {
                let nanos: Vec<i64> = self.time_ms.iter().map(|ms| ms.saturating_mul(1_000_000)).collect();
                ColumnData::I64(nanos.into())
            }
            "value" => ColumnData::F64(ScalarBuffer::from(self.value.clone())),
            _ => return None,
        };
        Some(Column::new(data))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// One native histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramRow {
    /// Its series.
    pub series: SeriesRef,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Start time in milliseconds, 0 = unknown.
    pub start_ms: i64,
    /// Observations; `None` = stale marker.
    pub count: Option<f64>,
    /// Sum of observations, if the sender keeps one.
    pub sum: Option<f64>,
    /// -4 to 8, or -53 for custom bounds.
    pub schema: i16,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// (offset, length) runs.
    pub positive_spans: Vec<(i32, i32)>,
    /// Absolute counts.
    pub positive_buckets: Vec<f64>,
    /// (offset, length) runs.
    pub negative_spans: Vec<(i32, i32)>,
    /// Absolute counts.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds where `schema` is -53.
    pub custom_bounds: Vec<f64>,
    /// `unknown`, `yes`, `no` or `gauge`.
    pub reset_hint: &'static str,
    /// Whether counts are floats on the wire.
    pub float: bool,
    /// Smallest observation, if known.
    pub min: Option<f64>,
    /// Largest observation, if known.
    pub max: Option<f64>,
}

/// Native histograms. One object each: they are hundreds of bytes, not sixteen.
#[derive(Debug, Clone, Default)]
pub struct HistogramBatch {
    /// The histograms.
    pub rows: Vec<HistogramRow>,
}

impl HistogramBatch {
    /// Number of histograms.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// A histogram batch as plugins see it: `time`.
impl Columns for HistogramBatch {
    fn shape(&self) -> Shape {
        Shape::Samples
    }

    fn rows(&self) -> usize {
        self.len()
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        (name == "time").then(|| {
            let nanos: Vec<i64> = self.rows.iter().map(|row| row.time_ms.saturating_mul(1_000_000)).collect();
            Column::new(ColumnData::I64(nanos.into()))
        })
    }

    fn bytes(&self) -> usize {
        self.rows.iter().map(|row| 64 + 8 * (row.positive_buckets.len() + row.negative_buckets.len())).sum()
    }
}

/// Exemplars as columns of equal length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExemplarBatch {
    /// Series of the sample or histogram that each belongs to.
    pub series: Vec<SeriesRef>,
    /// Milliseconds since 1970.
    pub time_ms: Vec<i64>,
    /// Observed values.
    pub value: Vec<f64>,
    /// Trace ids, where known.
    pub trace_id: Vec<Option<[u8; 16]>>,
    /// Span ids, where known.
    pub span_id: Vec<Option<[u8; 8]>>,
    /// All other labels of each exemplar: (name, value as JSON text).
    pub attributes: Vec<Vec<(String, String)>>,
}

impl ExemplarBatch {
    /// Number of exemplars.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// Label sets that wait for a verdict, one row each.
///
/// Columns: `metric` (text), `label.offsets`, `label.name` and `label.value`
/// (text; `__name__` included).
#[derive(Debug, Clone, Default)]
pub struct SeriesBatch {
    /// The label sets.
    pub labels: Vec<LabelSet>,
}

impl Columns for SeriesBatch {
    fn shape(&self) -> Shape {
        Shape::Series
    }

    fn rows(&self) -> usize {
        self.labels.len()
    }

    fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        let sets = self.labels.iter();
        let data = match name {
            "metric" => {
                let validity: NullBuffer =
                    self.labels.iter().map(|set| set.get(METRIC_NAME).is_some()).collect();
                let data = text_column(sets.map(LabelSet::metric), encoding);
                let validity = (validity.null_count() > 0).then_some(validity);
                return Some(Column { data, validity });
            }
            "label.offsets" => {
                let mut at = 0_i32;
                let ends = sets.map(|set| {
                    at += i32::try_from(set.len()).unwrap_or(i32::MAX - at);
                    at
                });
                ColumnData::Offsets(std::iter::once(0).chain(ends).collect::<Vec<_>>().into())
            }
            "label.name" => text_column(sets.flat_map(LabelSet::iter).map(|(name, _)| name), encoding),
            "label.value" => text_column(sets.flat_map(LabelSet::iter).map(|(_, value)| value), encoding),
            _ => return None,
        };
        Some(Column::new(data))
    }

    fn bytes(&self) -> usize {
        self.labels.iter().map(|set| set.as_bytes().len()).sum()
    }

    fn labels_of(&self, row: usize, read: &mut dyn FnMut(&LabelSet)) {
        read(&self.labels[row]);
    }
}

/// Builds a text column in the wanted encoding.
pub(crate) fn text_column<'a>(values: impl Iterator<Item = &'a str>, encoding: Encoding) -> ColumnData {
    match encoding {
        Encoding::Lengths => {
            let lengths: Vec<u32> = values.map(|v| u32::try_from(v.len()).unwrap_or(u32::MAX)).collect();
            ColumnData::U32(lengths.into())
        }
        Encoding::Values => ColumnData::Text(text_buffers(values)),
        Encoding::Dictionary => {
            let mut known = hashbrown::HashMap::<&str, i32, ahash::RandomState>::default();
            let mut distinct = Vec::new();
            // Values of resources come in runs.
            let mut last: Option<(&str, i32)> = None;
            let key = |value| match last {
                Some((same, key)) if same == value => key,
                _ => {
                    let key = *known.entry(value).or_insert_with(|| {
                        distinct.push(value);
                        i32::try_from(distinct.len() - 1).unwrap_or(i32::MAX)
                    });
                    last = Some((value, key));
                    key
                }
            };
            let keys: Vec<i32> = values.map(key).collect();
            ColumnData::Dictionary { keys: keys.into(), values: text_buffers(distinct.into_iter()) }
        }
    }
}

fn text_buffers<'a>(values: impl Iterator<Item = &'a str>) -> TextBuffers {
    let mut offsets = vec![0_i32];
    let mut data = Vec::new();
    for value in values {
        data.extend_from_slice(value.as_bytes());
        offsets.push(i32::try_from(data.len()).unwrap_or(i32::MAX));
    }
    TextBuffers { offsets: offsets.into(), data: Buffer::from(data) }
}
