//! Samples of some metrics, as they are stored.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use isinglass_model::Kind;
use isinglass_model::batch::STALE_NAN_BITS;

use crate::StoreError;
use crate::files::{Gone, scan_samples};
use crate::tables::{DataFile, StoredSample};
use crate::view::{HeadFilter, View};

const MICROS: i64 = 1_000;

impl View {
    /// Samples of the metrics of these ids from a time to another, which is excluded, in
    /// milliseconds; by metric, series and time, each once. It is an error if there are more
    /// than `limit`.
    pub async fn samples_of(
        &self,
        metrics: &HashSet<i64>,
        time_ms: Range<i64>,
        limit: usize,
    ) -> Result<Vec<StoredSample>, StoreError> {
        let time = time_ms.start.saturating_mul(MICROS)..time_ms.end.saturating_mul(MICROS);
        let wanted = Gone { metrics: metrics.clone(), time: time.clone() };
        let table = self.table(Kind::Samples);
        let mut files: Vec<DataFile> = table.files.to_vec();
        // Of two samples with one key the first accepted counts, as in merges.
        files.sort_by(|a, b| (a.accepted, &a.path).cmp(&(b.accepted, &b.path)));
        let mut samples = Vec::new();
        let mut take = |sample| {
            samples.push(sample);
            if samples.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let too_many = || {
            let (what, span_ms) = (Kind::Samples, time_ms.end.saturating_sub(time_ms.start));
            StoreError::Dense { what, span_ms, limit: limit * size_of::<StoredSample>() }
        };
        if scan_samples(&self.objects(), &files, &wanted, &mut take).await?.is_break() {
            return Err(too_many());
        }
        for metric in metrics {
            let last = time.end.saturating_sub(1);
            let filter =
                HeadFilter { time: Some((time.start, last)), metric_id: Some(*metric), series_ids: None };
            for batch in table.head_batches(&filter)? {
                samples.extend(of_head(&batch));
            }
        }
        if samples.len() > limit {
            return Err(too_many());
        }
        // Stable: of equal times the first stays.
        samples.sort_by_key(|sample| (sample.metric_id, sample.series_id, sample.time_ms));
        samples.dedup_by_key(|sample| (sample.metric_id, sample.series_id, sample.time_ms));
        Ok(samples)
    }
}

fn of_head(batch: &RecordBatch) -> Vec<StoredSample> {
    let ids = |name: &str| batch.column_by_name(name).map(|column| column.as_primitive::<Int64Type>());
    let times = |name: &str| {
        batch.column_by_name(name).map(|column| column.as_primitive::<TimestampMicrosecondType>())
    };
    let value = batch.column_by_name("value").map(|column| column.as_primitive::<Float64Type>());
    let (Some(metric), Some(series), Some(time), Some(value)) =
        (ids("metric_id"), ids("series_id"), times("time"), value)
    else {
        return Vec::new();
    };
    let start = times("start_time");
    let sample = |row: usize| StoredSample {
        metric_id: metric.value(row),
        series_id: series.value(row),
        time_ms: time.value(row).div_euclid(MICROS),
        value: if value.is_valid(row) { value.value(row) } else { f64::from_bits(STALE_NAN_BITS) },
        start_ms: start
            .filter(|start| start.is_valid(row))
            .map_or(0, |start| start.value(row).div_euclid(MICROS)),
    };
    (0..batch.num_rows()).map(sample).collect()
}

/// Ids of metric names.
pub(crate) fn ids<'a>(names: impl IntoIterator<Item = &'a str>) -> HashSet<i64> {
    names.into_iter().map(isinglass_model::ids::metric_id).collect()
}
