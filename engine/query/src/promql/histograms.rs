//! Rows of `histograms` as native histograms.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int32Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int16Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use isinglass_promql::EvalError;
use isinglass_promql::histogram::{BucketSpan, Histogram, ResetHint, hint_after};
use isinglass_promql::source::HistogramSample;

use super::floats::{Floats, millis, other};
use super::scan::{known, unreadable};

/// Columns beside the key.
pub(super) const COLUMNS: [&str; 12] = [
    "start_time",
    "count",
    "sum",
    "schema",
    "zero_threshold",
    "zero_count",
    "positive_spans",
    "positive_buckets",
    "negative_spans",
    "negative_buckets",
    "custom_bounds",
    "reset_hint",
];

/// What comes so long before the samples that are wanted is read, too: whether counts were reset
/// is told by the sample before. Where there is none the first sample says nothing of resets.
pub(super) const EARLIER_MS: i64 = 3_600_000;

/// A histogram, or `None` for a marker that the series ended.
struct Read {
    time_ms: i64,
    start_ms: i64,
    histogram: Option<Histogram>,
}

/// The histograms of one series.
pub(super) struct Histograms {
    /// Those of this time and before only tell what came before.
    after_ms: i64,
    read: Vec<Read>,
    samples: Vec<HistogramSample>,
}

impl Histograms {
    pub(super) fn new(after_ms: i64) -> Self {
        Self { after_ms, read: Vec::new(), samples: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.read.clear();
        self.samples.clear();
    }

    pub(super) fn samples(&self) -> &[HistogramSample] {
        &self.samples
    }

    /// Adds rows of a batch.
    pub(super) fn push(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<(), EvalError> {
        let columns = Columns::of(batch)?;
        let times = millis(batch, "time", rows.clone())?;
        let mut starts = match known(batch, "start_time") {
            Some(_) => Some(millis(batch, "start_time", rows.clone())?.into_iter()),
            None => None,
        };
        for (row, time_ms) in rows.zip(times) {
            let start_ms = starts.as_mut().and_then(Iterator::next).unwrap_or_default();
            self.read.push(Read { time_ms, start_ms, histogram: columns.histogram(row)? });
        }
        Ok(())
    }

    /// Orders what came from several inputs, of which the first counts; hints at resets as
    /// Prometheus gives them back. Markers become floats. A time that has a float has no
    /// histogram.
    pub(super) fn settle(&mut self, floats: &mut Floats) {
        if self.read.is_empty() {
            return;
        }
        if !self.read.is_sorted_by(|one, next| one.time_ms < next.time_ms) {
            self.read.sort_by_key(|read| read.time_ms);
            self.read.dedup_by_key(|read| read.time_ms);
        }
        let mut before: Option<(i64, Arc<Histogram>)> = None;
        let mut stale = Vec::new();
        for Read { time_ms, start_ms, histogram } in self.read.drain(..) {
            let is_float = || floats.times().binary_search(&time_ms).is_ok();
            let Some(mut histogram) = histogram.filter(|_| !is_float()) else {
                before = None;
                stale.push(time_ms);
                continue;
            };
            let before_it = before.filter(|(since_ms, _)| !floats.any_between(*since_ms, time_ms));
            histogram.reset_hint = hint_after(before_it.as_ref().map(|(_, one)| &**one), &histogram);
            let histogram = Arc::new(histogram);
            before = Some((time_ms, Arc::clone(&histogram)));
            if time_ms > self.after_ms {
                self.samples.push(HistogramSample { time_ms, start_ms, histogram });
            }
        }
        // Behind the floats, so that one of the same time stays.
        stale
            .into_iter()
            .filter(|time_ms| *time_ms > self.after_ms)
            .for_each(|time_ms| floats.push_stale(time_ms));
        floats.settle();
    }
}

/// The columns of a batch.
struct Columns {
    count: Option<Float64Array>,
    sum: Option<Float64Array>,
    schema: Int16Array,
    zero_threshold: Option<Float64Array>,
    zero_count: Option<Float64Array>,
    positive: (Option<ArrayRef>, Option<ArrayRef>),
    negative: (Option<ArrayRef>, Option<ArrayRef>),
    custom_bounds: Option<ArrayRef>,
    reset_hint: StringArray,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, EvalError> {
        let double = |name| match known(batch, name) {
            Some(column) => match column.as_primitive_opt::<Float64Type>() {
                Some(column) => Ok(Some(column.clone())),
                None => Err(other(name)),
            },
            None => Ok(None),
        };
        let column = |name: &'static str| batch.column_by_name(name).ok_or_else(|| other(name));
        let schema =
            column("schema")?.as_primitive_opt::<Int16Type>().cloned().ok_or_else(|| other("schema"))?;
        let hint = cast(column("reset_hint")?, &DataType::Utf8).map_err(unreadable)?;
        Ok(Self {
            count: double("count")?,
            sum: double("sum")?,
            schema,
            zero_threshold: double("zero_threshold")?,
            zero_count: double("zero_count")?,
            positive: (known(batch, "positive_spans"), known(batch, "positive_buckets")),
            negative: (known(batch, "negative_spans"), known(batch, "negative_buckets")),
            custom_bounds: known(batch, "custom_bounds"),
            reset_hint: hint.as_string_opt::<i32>().cloned().ok_or_else(|| other("reset_hint"))?,
        })
    }

    /// `None` if it is a stale marker.
    fn histogram(&self, row: usize) -> Result<Option<Histogram>, EvalError> {
        let value = |column: &Option<Float64Array>| {
            column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row))
        };
        let Some(count) = value(&self.count) else { return Ok(None) };
        Ok(Some(Histogram {
            schema: i32::from(self.schema.value(row)),
            reset_hint: match self.reset_hint.value(row) {
                "yes" => ResetHint::Reset,
                "no" => ResetHint::NotReset,
                "gauge" => ResetHint::Gauge,
                _ => ResetHint::Unknown,
            },
            zero_threshold: value(&self.zero_threshold).unwrap_or_default(),
            zero_count: value(&self.zero_count).unwrap_or_default(),
            count,
            // Prometheus takes a sum that the sender does not keep for 0.
            sum: value(&self.sum).unwrap_or_default(),
            positive_spans: spans(self.positive.0.as_ref(), row)?,
            positive: doubles(self.positive.1.as_ref(), row)?,
            negative_spans: spans(self.negative.0.as_ref(), row)?,
            negative: doubles(self.negative.1.as_ref(), row)?,
            custom_bounds: doubles(self.custom_bounds.as_ref(), row)?.into(),
        }))
    }
}

/// The element of a column of lists.
fn list(column: Option<&ArrayRef>, row: usize) -> Result<Option<ArrayRef>, EvalError> {
    let Some(column) = column.filter(|column| column.is_valid(row)) else { return Ok(None) };
    let list = column.as_list_opt::<i32>().ok_or_else(|| other("of a list"))?;
    Ok(Some(list.value(row)))
}

fn doubles(column: Option<&ArrayRef>, row: usize) -> Result<Vec<f64>, EvalError> {
    let Some(values) = list(column, row)? else { return Ok(Vec::new()) };
    let values = values.as_primitive_opt::<Float64Type>().ok_or_else(|| other("of buckets"))?;
    Ok(values.values().to_vec())
}

fn spans(column: Option<&ArrayRef>, row: usize) -> Result<Vec<BucketSpan>, EvalError> {
    let Some(spans) = list(column, row)? else { return Ok(Vec::new()) };
    let spans = spans.as_struct_opt().ok_or_else(|| other("of spans"))?;
    let part = |name| {
        spans
            .column_by_name(name)
            .and_then(|part| part.as_primitive_opt::<Int32Type>())
            .ok_or_else(|| other(name))
    };
    let (offsets, lengths) = (part("offset")?, part("length")?);
    let span = |(offset, length): (&i32, &i32)| BucketSpan {
        offset: *offset,
        length: u32::try_from(*length).unwrap_or_default(),
    };
    Ok(offsets.values().iter().zip(lengths.values()).map(span).collect())
}
