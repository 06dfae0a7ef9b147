//! What a deriver of the world `pairing-deriver` declares and answers: more than [`Deltas`] can say.

use crate::columns::TextData;
use crate::deltas::{Deltas, Label, LabelValues};

/// What kind of metric is written.
#[derive(Debug, Clone, PartialEq)]
pub enum DeclaredKind {
    /// Only goes up.
    Counter,
    /// A value of now.
    Gauge,
    /// Observations, in one form or in both.
    Histogram {
        /// Upper bounds of classic buckets, ascending, without +Inf; `None` = no classic buckets.
        classic: Option<Vec<f64>>,
        /// Buckets that the exponential (native) form may have; 0 = it has none.
        exponential_buckets_max: u32,
    },
}

/// A metric that the plugin writes under its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredMetric {
    /// Name, for a classic histogram without `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// Its kind.
    pub kind: DeclaredKind,
    /// Help text.
    pub help: String,
    /// Unit, may be empty.
    pub unit: String,
}

/// What a pair adds to a metric. A half that counts alone adds what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
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
    /// Histogram: seconds from the time of the first half to that of the second.
    Gap,
    /// Counter: halves that stayed alone and do not count so.
    Unpaired,
    /// Counter: halves for which there was no place.
    Dropped,
}

/// How halves become pairs. The host keeps them, per tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// How long a half waits for the other.
    pub wait_ms: u32,
    /// How many wait at once; others are dropped.
    pub pending_max: u32,
    /// What they add to which metric, by its number; at most one rule for a metric.
    pub additions: Vec<(Rule, u16)>,
    /// Whether histograms get exemplars.
    pub exemplars: bool,
}

/// What a plugin writes under its configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declaration {
    /// The metrics; increments and rules refer to them by number.
    pub metrics: Vec<DeclaredMetric>,
    /// What becomes of halves.
    pub pairing: Option<Pairing>,
    /// A label of exemplars that holds the trace's id once more; empty = none.
    pub exemplar_label: String,
}

/// Increments of exponential buckets: `index` holds what is above `2^((index - 1) / 2^scale)` and
/// not above `2^(index / 2^scale)`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exponential {
    /// Resolution, -4 to 8.
    pub scale: i8,
    /// Which series.
    pub series: Vec<u32>,
    /// Which bucket.
    pub index: Vec<i32>,
    /// How many more.
    pub count: Vec<f64>,
    /// Observations of zero per series; empty = none.
    pub zeros: Vec<f64>,
}

/// Increments of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramIncrements {
    /// Index into the declared metrics.
    pub metric: u16,
    /// Per series the sum.
    pub sums: Vec<f64>,
    /// Of a classic one `bounds + 1` counts per series, not cumulative, else empty.
    pub buckets: Vec<f64>,
    /// Of one with an exponential form.
    pub exponential: Exponential,
}

/// Series with the same label names, and what is added to them. Labels, counters, gauges and
/// exemplars are those of the `deltas`, whose histograms are not used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Labels, counters, gauges, exemplars.
    pub deltas: Deltas,
    /// Histograms.
    pub histograms: Vec<HistogramIncrements>,
}

impl Table {
    /// Of `series` series.
    pub fn of(series: usize) -> Self {
        Self { deltas: Deltas::of(series), histograms: Vec::new() }
    }

    /// Sets a gauge, one value per series.
    pub fn gauge(&mut self, metric: u16, values: Vec<f64>) {
        self.deltas.counter(metric, values);
    }

    /// A label with the same value for all series.
    pub fn constant_label(&mut self, name: &str, value: &str) {
        let Label { name, keys, values } = constant(name, value, self.deltas.series());
        self.deltas.push_label(&name, keys, values);
    }
}

/// Rows of which two are a pair: a first and a second of one key, in whatever order and batches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Halves {
    /// Row of the input, for exemplars.
    pub rows: Vec<u32>,
    /// 24 bytes each ([`Halves::push`]).
    pub keys: Vec<u8>,
    /// [`Halves::SECOND`], [`Halves::MARKED`], [`Halves::ALONE`].
    pub flags: Vec<u8>,
    /// What is observed.
    pub values: Vec<f64>,
    /// Nanoseconds since 1970 for [`Rule::Gap`], 0 = none; empty = none has one.
    pub times: Vec<i64>,
    /// Empty = 1 each.
    pub weights: Vec<f64>,
    /// Which label set each has.
    pub sets: Vec<u32>,
    /// How many label sets there are.
    pub set_count: u32,
    /// One key per label set. A pair has the labels of both halves.
    pub labels: Vec<Label>,
    /// What halves that count alone have besides.
    pub alone: Vec<Label>,
}

impl Halves {
    /// It is the second of a pair.
    pub const SECOND: u8 = 1;
    /// It is marked.
    pub const MARKED: u8 = 2;
    /// It counts even if the other never comes.
    pub const ALONE: u8 = 4;

    /// With room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self {
            rows: Vec::with_capacity(count),
            keys: Vec::with_capacity(24 * count),
            flags: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
            sets: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    /// A label with the same value for all label sets that there are.
    pub fn constant_label(&mut self, name: &str, value: &str) {
        self.labels.push(constant(name, value, self.set_count));
    }

    /// Adds a half.
    #[inline]
    pub fn push(&mut self, row: u32, key: (&[u8; 16], &[u8; 8]), flags: u8, value: f64, set: u32) {
        self.rows.push(row);
        self.keys.extend_from_slice(key.0);
        self.keys.extend_from_slice(key.1);
        self.flags.push(flags);
        self.values.push(value);
        self.sets.push(set);
    }
}

fn constant(name: &str, value: &str, count: u32) -> Label {
    let values: TextData = [value].into_iter().collect();
    Label { name: name.to_owned(), keys: vec![0; count as usize], values: LabelValues::Own(values) }
}

/// What a batch gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Derived {
    /// Series, by their label names.
    pub tables: Vec<Table>,
    /// Rows that wait for others.
    pub halves: Halves,
}
