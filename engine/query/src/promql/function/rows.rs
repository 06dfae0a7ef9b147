//! A value as rows.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, MapArray, RecordBatch, RecordBatchOptions, StringArray,
    StructArray, TimestampNanosecondArray,
};
use arrow_buffer::OffsetBuffer;
use datafusion::common::{Result, internal_err};
use isinglass_model::tables::TEXT_MAP_ENTRIES;
use isinglass_promql::text::decimal;
use isinglass_promql::{Histogram, Labels, Point, Sample, Series, Value};

use super::columns::{Column, Columns};
use crate::shown::convert::UTC;

/// Rows of a value, some at a time.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Arc<Columns>,
    series: Vec<Series>,
    /// The next point: its series, and its place there.
    next: (usize, usize),
    /// The value of an expression that is a text.
    text: Option<(i64, String)>,
    batch_rows: usize,
}

/// Points of one series that go into a batch.
type Run<'a> = (&'a Labels, &'a [Point]);

impl Rows {
    pub(super) fn new(value: Value, columns: Arc<Columns>, batch_rows: usize) -> Self {
        let (mut series, mut text) = (Vec::new(), None);
        match value {
            Value::Scalar(time_ms, value) => {
                let points = vec![Point { time_ms, sample: Sample::Float(value) }];
                series.push(Series { labels: Labels::empty(), points });
            }
            Value::Text(time_ms, value) => text = Some((time_ms, value)),
            Value::Vector(all) | Value::Matrix(all) => series = all,
        }
        Self { columns, series, next: (0, 0), text, batch_rows: batch_rows.max(1) }
    }

    /// The next rows.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let Some((time_ms, text)) = self.text.take() {
            return self.of_text(time_ms, &text).map(Some);
        }
        let (mut runs, mut rows): (Vec<Run<'_>>, usize) = (Vec::new(), 0);
        while rows < self.batch_rows {
            let (at, from) = self.next;
            let Some(series) = self.series.get(at) else { break };
            let end = series.points.len().min(from + self.batch_rows - rows);
            if from < end {
                runs.push((&series.labels, &series.points[from..end]));
                rows += end - from;
            }
            self.next = if end == series.points.len() { (at + 1, 0) } else { (at, end) };
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = self.columns.all.iter().map(|column| of_column(column, &runs, rows));
        self.batch(arrays.collect::<Result<_>>()?, rows).map(Some)
    }

    fn of_text(&self, time_ms: i64, text: &str) -> Result<RecordBatch> {
        let array = |column: &Column| -> ArrayRef {
            match column {
                Column::Text => Arc::new(StringArray::from(vec![text])),
                _ => times(std::iter::once(time_ms)),
            }
        };
        self.batch(self.columns.all.iter().map(array).collect(), 1)
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.columns.schema), arrays, &options)?)
    }
}

/// What a value takes in memory, roughly.
pub(super) fn bytes_of(value: &Value) -> usize {
    let histogram = |point: &Point| match &point.sample {
        Sample::Float(_) => 0,
        Sample::Histogram(histogram) => histogram.size_bytes(),
    };
    let of = |series: &Series| {
        let points = series.points.capacity() * size_of::<Point>();
        let histograms: usize = series.points.iter().map(histogram).sum();
        size_of::<Series>() + series.labels.as_bytes().len() + points + histograms
    };
    match value {
        Value::Scalar(..) => 0,
        Value::Text(_, text) => text.len(),
        Value::Vector(series) | Value::Matrix(series) => series.iter().map(of).sum(),
    }
}

fn of_column(column: &Column, runs: &[Run<'_>], rows: usize) -> Result<ArrayRef> {
    let points = || runs.iter().flat_map(|(_, points)| points.iter());
    Ok(match column {
        Column::Time => times(points().map(|point| point.time_ms)),
        Column::Value => {
            let mut values = Float64Builder::with_capacity(rows);
            for point in points() {
                match &point.sample {
                    Sample::Float(value) => values.append_value(*value),
                    Sample::Histogram(_) => values.append_null(),
                }
            }
            Arc::new(values.finish())
        }
        Column::Histogram => {
            let mut texts = StringBuilder::new();
            for point in points() {
                match &point.sample {
                    Sample::Float(_) => texts.append_null(),
                    Sample::Histogram(histogram) => texts.append_value(json(histogram)),
                }
            }
            Arc::new(texts.finish())
        }
        Column::Labels => Arc::new(maps(runs)?),
        Column::Label(name) => Arc::new(label(name, runs)?),
        Column::Text => return internal_err!("series have no text"),
    })
}

fn times(times_ms: impl Iterator<Item = i64>) -> ArrayRef {
    let nanos = times_ms.map(|time_ms| time_ms.saturating_mul(1_000_000));
    Arc::new(TimestampNanosecondArray::from_iter_values(nanos).with_timezone(Arc::clone(&UTC)))
}

/// One value a series.
fn label(name: &str, runs: &[Run<'_>]) -> Result<DictionaryArray<Int32Type>> {
    let values = runs.iter().map(|(labels, _)| Some(labels.get(name)).filter(|value| !value.is_empty()));
    let values: StringArray = values.collect();
    let keys = runs.iter().zip(0_i32..).flat_map(|((_, points), key)| std::iter::repeat_n(key, points.len()));
    Ok(DictionaryArray::try_new(Int32Array::from_iter_values(keys), Arc::new(values))?)
}

fn maps(runs: &[Run<'_>]) -> Result<MapArray> {
    let (mut names, mut values) = (StringBuilder::new(), StringBuilder::new());
    let mut lengths = Vec::new();
    for (labels, points) in runs {
        for _ in *points {
            let mut count = 0;
            for (name, value) in labels.iter() {
                names.append_value(name);
                values.append_value(value);
                count += 1;
            }
            lengths.push(count);
        }
    }
    let arrow_schema::DataType::Struct(fields) = TEXT_MAP_ENTRIES.data_type() else {
        return internal_err!("entries of a map are a struct");
    };
    let entries: Vec<ArrayRef> = vec![Arc::new(names.finish()), Arc::new(values.finish())];
    let entries = StructArray::try_new(fields.clone(), entries, None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(MapArray::try_new(Arc::clone(&TEXT_MAP_ENTRIES), offsets, entries, None, false)?)
}

/// As Prometheus' API writes a histogram; numbers are texts, as there are infinities.
fn json(histogram: &Histogram) -> String {
    let buckets: Vec<String> = histogram
        .json_buckets()
        .map(|(rule, lower, upper, count)| {
            format!("[{rule},\"{}\",\"{}\",\"{}\"]", decimal(lower), decimal(upper), decimal(count))
        })
        .collect();
    let (count, sum) = (decimal(histogram.count), decimal(histogram.sum));
    match buckets.is_empty() {
        true => format!("{{\"count\":\"{count}\",\"sum\":\"{sum}\"}}"),
        false => format!("{{\"count\":\"{count}\",\"sum\":\"{sum}\",\"buckets\":[{}]}}", buckets.join(",")),
    }
}
