//! Native histograms of some metrics, as they are stored.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use crate::StoreError;
use crate::files::{Gone, ScannedSeries, scan_metrics};
use crate::tables::{DataFile, StoredHistogram};
use crate::view::{HeadFilter, View};

const MICROS: i64 = 1_000;

impl View {
    /// Native histograms of the metrics of these ids from a time to another, which is excluded, in
    /// milliseconds; by metric, series and time, each once. It is an error if they need more
    /// than `memory_bytes`.
    pub async fn histograms_of(
        &self,
        metrics: &HashSet<i64>,
        time_ms: Range<i64>,
        memory_bytes: usize,
    ) -> Result<Vec<StoredHistogram>, StoreError> {
        let time = time_ms.start.saturating_mul(MICROS)..time_ms.end.saturating_mul(MICROS);
        let wanted = Gone { metrics: metrics.clone(), time: time.clone() };
        let table = self.table(Kind::Histograms);
        let mut files: Vec<DataFile> = table.files.to_vec();
        // Of two with one key the first accepted counts, as in merges.
        files.sort_by(|a, b| (a.accepted, &a.path).cmp(&(b.accepted, &b.path)));
        let mut held = Held { histograms: Vec::new(), bytes: 0, limit: memory_bytes };
        let too_many = || {
            let (what, span_ms) = (Kind::Histograms, time_ms.end.saturating_sub(time_ms.start));
            StoreError::Dense { what, span_ms, limit: memory_bytes }
        };
        let column = |columns: &[Option<ArrayRef>], name: &str| {
            Table::of(Kind::Histograms).position(name).and_then(|at| columns[at].clone())
        };
        let mut take = |some: ScannedSeries<'_>| {
            let columns = Columns::of(|name| column(some.columns, name)).ok_or("a column is missing")?;
            let rows = some.rows.map(|row| {
                let time_ms = some.times[row].div_euclid(MICROS);
                columns.row(row, some.metric_id, some.series_id, time_ms)
            });
            Ok(held.take(rows))
        };
        if scan_metrics(&self.objects(), Kind::Histograms, &files, &wanted, &mut take).await?.is_break() {
            return Err(too_many());
        }
        for metric in metrics {
            let last = time.end.saturating_sub(1);
            let filter =
                HeadFilter { time: Some((time.start, last)), metric_id: Some(*metric), series_ids: None };
            for batch in table.head_batches(&filter)? {
                if held.take(of_head(&batch).into_iter()).is_break() {
                    return Err(too_many());
                }
            }
        }
        let mut histograms = held.histograms;
        // Stable: of equal times the first stays.
        histograms.sort_by_key(|one| (one.metric_id, one.series_id, one.time_ms));
        histograms.dedup_by_key(|one| (one.metric_id, one.series_id, one.time_ms));
        Ok(histograms)
    }
}

struct Held {
    histograms: Vec<StoredHistogram>,
    bytes: usize,
    limit: usize,
}

impl Held {
    fn take(&mut self, histograms: impl Iterator<Item = StoredHistogram>) -> ControlFlow<()> {
        for one in histograms {
            self.bytes += one.bytes();
            if self.bytes > self.limit {
                return ControlFlow::Break(());
            }
            self.histograms.push(one);
        }
        ControlFlow::Continue(())
    }
}

fn of_head(batch: &RecordBatch) -> Vec<StoredHistogram> {
    let ids = |name: &str| batch.column_by_name(name).map(|column| column.as_primitive::<Int64Type>());
    let time = batch.column_by_name("time").map(|column| column.as_primitive::<TimestampMicrosecondType>());
    let columns = Columns::of(|name| batch.column_by_name(name).cloned());
    let (Some(metric), Some(series), Some(time), Some(columns)) =
        (ids("metric_id"), ids("series_id"), time, columns)
    else {
        return Vec::new();
    };
    let histogram = |row: usize| {
        let time_ms = time.value(row).div_euclid(MICROS);
        columns.row(row, metric.value(row), series.value(row), time_ms)
    };
    (0..batch.num_rows()).map(histogram).collect()
}

/// What is read of histograms; a column is `None` if all its values are null.
struct Columns {
    start: Option<ArrayRef>,
    count: Option<ArrayRef>,
    sum: Option<ArrayRef>,
    schema: ArrayRef,
    zero_count: Option<ArrayRef>,
    spans: Option<ArrayRef>,
    buckets: Option<ArrayRef>,
}

impl Columns {
    fn of(column: impl Fn(&str) -> Option<ArrayRef>) -> Option<Self> {
        Some(Self {
            start: column("start_time"),
            count: column("count"),
            sum: column("sum"),
            schema: column("schema")?,
            zero_count: column("zero_count"),
            spans: column("positive_spans"),
            buckets: column("positive_buckets"),
        })
    }

    fn row(&self, row: usize, metric_id: i64, series_id: i64, time_ms: i64) -> StoredHistogram {
        let double = |column: &Option<ArrayRef>| {
            let column = column.as_ref().filter(|column| column.is_valid(row))?;
            Some(column.as_primitive::<Float64Type>().value(row))
        };
        let start = self.start.as_ref().filter(|start| start.is_valid(row));
        let start = start.map(|start| start.as_primitive::<TimestampMicrosecondType>().value(row));
        StoredHistogram {
            metric_id,
            series_id,
            time_ms,
            start_ms: start.map_or(0, |start| start.div_euclid(MICROS)),
            count: double(&self.count),
            sum: double(&self.sum).unwrap_or(0.0),
            schema: self.schema.as_primitive::<Int16Type>().value(row),
            zero_count: double(&self.zero_count).unwrap_or(0.0),
            buckets: self.buckets(row),
        }
    }

    fn buckets(&self, row: usize) -> Vec<(i32, f64)> {
        let (Some(spans), Some(counts)) = (&self.spans, &self.buckets) else { return Vec::new() };
        if spans.is_null(row) || counts.is_null(row) {
            return Vec::new();
        }
        let (spans, counts) = (spans.as_list::<i32>().value(row), counts.as_list::<i32>().value(row));
        let spans = spans.as_struct();
        let (offsets, lengths) =
            (spans.column(0).as_primitive::<Int32Type>(), spans.column(1).as_primitive::<Int32Type>());
        let mut next = 0_i32;
        let indexes = offsets.values().iter().zip(lengths.values()).flat_map(|(offset, length)| {
            let first = next.saturating_add(*offset);
            next = first.saturating_add((*length).max(0));
            first..next
        });
        indexes.zip(counts.as_primitive::<Float64Type>().values().iter().copied()).collect()
    }
}
