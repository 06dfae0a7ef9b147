//! What a deriver answers: increments of metrics, as columns.

use crate::columns::TextData;
use crate::group::Groups;
use crate::views::Dictionary;

/// What kind of metric is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only goes up.
    Counter,
    /// Counts per bucket, and a sum.
    Histogram,
}

/// A metric that the plugin writes under its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Name, for a histogram without `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// Its kind.
    pub kind: MetricKind,
    /// Help text.
    pub help: String,
    /// Unit, may be empty.
    pub unit: String,
    /// Upper bounds of a histogram's buckets, ascending, without +Inf.
    pub bounds: Vec<f64>,
}

/// The values that a label's keys point to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelValues {
    /// The distinct values of an input column, by its slot: nothing is copied.
    Input(u16),
    /// Values of the plugin's own.
    Own(TextData),
}

/// A label of the derived series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// One key per series.
    pub keys: Vec<u32>,
    /// What the keys mean. An empty value is the same as no label.
    pub values: LabelValues,
}

/// Increments of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Increments {
    /// Index into the declared metrics.
    pub metric: u16,
    /// Per series the increment of a counter or the sum of a histogram.
    pub values: Vec<f64>,
    /// Per series `bounds + 1` counts, not cumulative; empty for counters.
    pub buckets: Vec<u64>,
}

/// Exemplars, as columns of equal length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exemplars {
    /// Index into the declared metrics.
    pub metric: Vec<u16>,
    /// Which series.
    pub series: Vec<u32>,
    /// The observed value.
    pub value: Vec<f64>,
    /// The row of the input; the host takes time and ids from there.
    pub row: Vec<u32>,
}

/// The increments of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deltas {
    series: u32,
    labels: Vec<Label>,
    increments: Vec<Increments>,
    exemplars: Exemplars,
}

impl Deltas {
    /// Of `series` derived series, without labels and increments so far.
    pub fn of(series: usize) -> Self {
        Self { series: u32::try_from(series).unwrap_or(u32::MAX), ..Self::default() }
    }

    /// Adds a label whose values are those of an input column, one per group.
    /// A null row gives an empty value.
    pub fn label(&mut self, name: &str, column: Dictionary<'_>, groups: &Groups) {
        let rows = || groups.first_rows().iter().map(|row| *row as usize);
        if column.validity().is_full() {
            let keys = rows().map(|row| column.keys()[row]).collect();
            self.push_label(name, keys, LabelValues::Input(column.slot()));
        } else {
            let values = rows().map(|row| column.get(row).unwrap_or_default()).collect();
            let keys = (0..self.series).collect();
            self.push_label(name, keys, LabelValues::Own(values));
        }
    }

    /// Adds a label whose values are those of an input column, each distinct one
    /// replaced by what `rename` makes of it. A null row gives an empty value.
    pub fn renamed_label<'a, 'b>(
        &mut self,
        name: &str,
        column: Dictionary<'a>,
        groups: &Groups,
        rename: impl FnMut(&'a str) -> &'b str,
    ) {
        // Null rows point to an empty value behind all others.
        let null = u32::try_from(column.distinct().len()).unwrap_or(u32::MAX);
        let values = column.distinct().iter().map(rename).chain([""]).collect();
        let key = |row: &u32| {
            let row = *row as usize;
            if column.validity().is_valid(row) { column.keys()[row] } else { null }
        };
        let keys = groups.first_rows().iter().map(key).collect();
        self.push_label(name, keys, LabelValues::Own(values));
    }

    /// Adds a label with one key per series.
    pub fn push_label(&mut self, name: &str, keys: Vec<u32>, values: LabelValues) {
        self.labels.push(Label { name: name.to_owned(), keys, values });
    }

    /// Adds a counter's increments, one per series.
    pub fn counter(&mut self, metric: u16, values: Vec<f64>) {
        self.increments.push(Increments { metric, values, buckets: Vec::new() });
    }

    /// Adds a histogram's sums, one per series, and its counts, `bounds + 1` per series.
    pub fn histogram(&mut self, metric: u16, sums: Vec<f64>, buckets: Vec<u64>) {
        self.increments.push(Increments { metric, values: sums, buckets });
    }

    /// Adds an exemplar.
    pub fn exemplar(&mut self, metric: u16, series: u32, value: f64, row: u32) {
        self.exemplars.metric.push(metric);
        self.exemplars.series.push(series);
        self.exemplars.value.push(value);
        self.exemplars.row.push(row);
    }

    /// The rows that exemplars point to, for who was shown some of the rows only.
    pub fn exemplar_rows(&mut self) -> &mut [u32] {
        &mut self.exemplars.row
    }

    /// Number of series.
    pub fn series(&self) -> u32 {
        self.series
    }

    /// Labels so far.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Increments so far.
    pub fn increments(&self) -> &[Increments] {
        &self.increments
    }

    /// Exemplars so far.
    pub fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    /// Everything, for the host.
    pub fn into_parts(self) -> (u32, Vec<Label>, Vec<Increments>, Exemplars) {
        (self.series, self.labels, self.increments, self.exemplars)
    }
}
