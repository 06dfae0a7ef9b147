//! What a deriver gives back: increments of derived metrics, as columns.

use crate::texts::Texts;

/// What kind of metric a deriver writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerivedKind {
    /// `values` holds one increment per series.
    Counter,
    /// `values` holds the value of each series.
    Gauge,
    /// `values` holds the sum, `buckets` the counts per bucket.
    Histogram,
}

/// A metric that a deriver writes, declared once when the plugin is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedMetric {
    /// Metric name, for a histogram without `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// Its kind.
    pub kind: DerivedKind,
    /// Help text.
    pub help: String,
    /// Unit, may be empty.
    pub unit: String,
    /// Whether a histogram is written as series of cumulative buckets.
    pub classic: bool,
    /// Upper bounds of these, ascending, without +Inf.
    pub bounds: Vec<f64>,
    /// Buckets that its exponential form may have; 0 = it has none.
    pub exponential_buckets_max: u32,
}

impl DerivedMetric {
    /// A counter or gauge, or a classic histogram of these bounds.
    pub fn new(name: &str, kind: DerivedKind, bounds: Vec<f64>) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            help: String::new(),
            unit: String::new(),
            classic: kind == DerivedKind::Histogram,
            bounds,
            exponential_buckets_max: 0,
        }
    }

    /// Entries that increments have per series for its classic buckets.
    pub fn classic_buckets(&self) -> usize {
        if self.classic { self.bounds.len() + 1 } else { 0 }
    }
}

/// One label of the derived series, dictionary-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedLabel {
    /// Label name.
    pub name: String,
    /// One key per derived series into `values`.
    pub keys: Vec<u32>,
    /// Distinct values.
    pub values: Texts,
}

impl DerivedLabel {
    /// The value that a series has; empty = it does not have this label.
    pub fn of(&self, series: usize) -> &str {
        self.keys.get(series).map_or("", |key| &self.values[*key as usize])
    }
}

/// Increments of one metric for the `series` derived series of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedIncrements {
    /// Index into the plugin's declared metrics.
    pub metric: u16,
    /// Per series: the increment of a counter, the value of a gauge, the sum of a histogram.
    pub values: Vec<f64>,
    /// Classic histograms: per series `bounds.len() + 1` counts, not cumulative, the
    /// last one for +Inf. Else empty.
    pub buckets: Vec<f64>,
    /// Of histograms with an exponential form.
    pub exponential: Option<ExponentialIncrements>,
}

/// Increments of exponential buckets: bucket `index` holds what is above
/// `2^((index - 1) / 2^scale)` and not above `2^(index / 2^scale)`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExponentialIncrements {
    /// Resolution, -4 to 8.
    pub scale: i8,
    /// (series, index, count).
    pub buckets: Vec<(u32, i32, f64)>,
    /// Observations of zero per series; empty = none.
    pub zeros: Vec<f64>,
}

/// An exemplar of a derived histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivedExemplar {
    /// Index into the plugin's declared metrics.
    pub metric: u16,
    /// Which derived series.
    pub series: u32,
    /// The observed value.
    pub value: f64,
    /// Row of the input batch it came from: time and ids are taken from there
    /// by the host.
    pub row: u32,
}

/// How a deriver's halves become pairs, declared once when the plugin is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// How long a half waits for the other one, in milliseconds.
    pub wait_ms: u32,
    /// How many halves of a tenant wait at once.
    pub pending_max: u32,
    /// What pairs add to which metric.
    pub additions: Vec<(PairRule, u16)>,
    /// Whether histograms get exemplars.
    pub exemplars: bool,
}

/// What a pair adds to a metric. A half that counts alone adds what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairRule {
    /// Counter: its weight.
    Pairs,
    /// Counter: its weight if one of its halves is marked.
    Marked,
    /// Gauge: 1.
    Presence,
    /// Histogram: the value of the first half.
    FirstValue,
    /// Histogram: the value of the second half.
    SecondValue,
    /// Histogram: seconds between the times of the halves.
    Gap,
    /// Counter: halves that stayed alone and do not count so.
    Unpaired,
    /// Counter: halves for which there was no place.
    Dropped,
}

impl PairRule {
    /// The kind of metric that it adds to.
    pub const fn kind(self) -> DerivedKind {
        match self {
            Self::Pairs | Self::Marked | Self::Unpaired | Self::Dropped => DerivedKind::Counter,
            Self::Presence => DerivedKind::Gauge,
            Self::FirstValue | Self::SecondValue | Self::Gap => DerivedKind::Histogram,
        }
    }
}

/// What a half is found by: such as the id of a trace and that of a span.
pub type HalfKey = [u8; 24];

/// Rows that wait for another to be a pair, as columns of equal length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Halves {
    /// Row of the input batch.
    pub rows: Vec<u32>,
    /// Two halves of one key, a first and a second, are a pair.
    pub keys: Vec<HalfKey>,
    /// [`Halves::SECOND`], [`Halves::MARKED`], [`Halves::ALONE`].
    pub flags: Vec<u8>,
    /// What is observed.
    pub values: Vec<f64>,
    /// Nanoseconds since 1970, 0 = none; empty = none has one.
    pub times: Vec<i64>,
    /// Empty = 1 each.
    pub weights: Vec<f64>,
    /// Which label set each has.
    pub sets: Vec<u32>,
    /// How many label sets there are.
    pub set_count: u32,
    /// One key per label set.
    pub labels: Vec<DerivedLabel>,
    /// Labels of halves that count alone, one key per label set.
    pub alone: Vec<DerivedLabel>,
}

impl Halves {
    /// It is the second of a pair.
    pub const SECOND: u8 = 1;
    /// It is marked, such as failed.
    pub const MARKED: u8 = 2;
    /// It counts even if the other one never comes.
    pub const ALONE: u8 = 4;

    /// How many they are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The result of one deriver over one batch, checked by the host: every key,
/// series and row lies in range, every text is UTF-8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deltas {
    /// Which binding of the chain it came from.
    pub binding: u16,
    /// Number of derived series.
    pub series: u32,
    /// Labels, each with `series` keys.
    pub labels: Vec<DerivedLabel>,
    /// Increments, each with `series` values.
    pub increments: Vec<DerivedIncrements>,
    /// Exemplars.
    pub exemplars: Vec<DerivedExemplar>,
    /// Rows that wait for others; of the first table of a batch only.
    pub halves: Option<Box<Halves>>,
}
