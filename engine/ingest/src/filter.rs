//! Takes refused rows out of batches.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use isinglass_model::batch::{ExemplarBatch, HistogramBatch, SampleBatch};
use isinglass_model::counts::{RejectedItem, Rejections};
use isinglass_model::kind::Signal;
use isinglass_model::series::{Refusal, SeriesRef};
use isinglass_model::verdict::Verdicts;
use serde_json::json;

use crate::judge::RefusedSeries;

/// Renders labels of a series for people; called for refused rows only.
pub(crate) type LabelText<'a> = &'a dyn Fn(SeriesRef) -> String;

/// Takes out the rows of refused series.
pub(crate) fn drop_series(
    refused: &RefusedSeries,
    samples: &mut SampleBatch,
    histograms: &mut HistogramBatch,
    exemplars: &mut ExemplarBatch,
    label_text: LabelText<'_>,
    rejections: &mut Rejections,
) {
    if refused.is_empty() {
        return;
    }
    for row in 0..samples.len() {
        if let Some(refusal) = refused.get(&samples.series[row]) {
            rejections.push(refusal.reason.clone(), |_| {
                refused_item(refusal, sample_text(samples, row, label_text))
            });
        }
    }
    samples.retain_series(|series| !refused.contains_key(&series));
    histograms.rows.retain(|row| match refused.get(&row.series) {
        None => true,
        Some(refusal) => {
            let text = || item_text(label_text(row.series), row.time_ms, row.sum);
            rejections.push(refusal.reason.clone(), |_| refused_item(refusal, text()));
            false
        }
    });
    drop_exemplars(exemplars, |series| refused.get(&series).map(|r| &**r), label_text, rejections);
}

fn drop_exemplars<'a>(
    exemplars: &mut ExemplarBatch,
    refusal_of: impl Fn(SeriesRef) -> Option<&'a Refusal>,
    label_text: LabelText<'_>,
    rejections: &mut Rejections,
) {
    let keep: Vec<bool> = exemplars.series.iter().map(|series| refusal_of(*series).is_none()).collect();
    for (row, _) in keep.iter().enumerate().filter(|(_, keep)| !**keep) {
        let series = exemplars.series[row];
        let Some(refusal) = refusal_of(series) else { continue };
        let text = || item_text(label_text(series), exemplars.time_ms[row], Some(exemplars.value[row]));
        rejections.push(refusal.reason.clone(), |_| refused_item(refusal, text()));
    }
    retain_exemplars(exemplars, &keep);
}

/// Keeps the exemplars for which `keep` is true.
pub(crate) fn retain_exemplars(exemplars: &mut ExemplarBatch, keep: &[bool]) {
    retain_by(&mut exemplars.series, keep);
    retain_by(&mut exemplars.time_ms, keep);
    retain_by(&mut exemplars.value, keep);
    retain_by(&mut exemplars.trace_id, keep);
    retain_by(&mut exemplars.span_id, keep);
    retain_by(&mut exemplars.attributes, keep);
}

fn retain_by<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut row = 0;
    column.retain(|_| {
        row += 1;
        keep[row - 1]
    });
}

/// Takes out samples that the validators refused.
pub(crate) fn drop_samples(
    verdicts: &Verdicts,
    samples: &mut SampleBatch,
    label_text: LabelText<'_>,
    rejections: &mut Rejections,
) {
    if verdicts.keeps_all() {
        return;
    }
    for row in 0..samples.len() {
        let text = || sample_text(samples, row, label_text);
        push_refused(verdicts, row, Signal::Metrics, rejections, text);
    }
    samples.retain(|row| verdicts.refusal(row).is_none());
}

/// Takes out histograms that the validators refused.
pub(crate) fn drop_histograms(
    verdicts: &Verdicts,
    histograms: &mut HistogramBatch,
    label_text: LabelText<'_>,
    rejections: &mut Rejections,
) {
    if verdicts.keeps_all() {
        return;
    }
    let mut at = 0;
    histograms.rows.retain(|row| {
        let text = || item_text(label_text(row.series), row.time_ms, row.sum);
        at += 1;
        !push_refused(verdicts, at - 1, Signal::Metrics, rejections, text)
    });
}

/// Takes out log records or spans that the validators refused.
pub(crate) fn drop_rows(
    verdicts: &Verdicts,
    signal: Signal,
    table: RecordBatch,
    rejections: &mut Rejections,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    if verdicts.keeps_all() {
        return Ok(table);
    }
    for row in 0..table.num_rows() {
        push_refused(verdicts, row, signal, rejections, || crate::refused::row_text(&table, row));
    }
    weigh(verdicts, signal, &table, rejections);
    let keep: BooleanArray = (0..table.num_rows()).map(|row| Some(verdicts.refusal(row).is_none())).collect();
    filter_record_batch(&table, &keep)
}

/// Adds up the bytes of refused rows: of log records their lines, of spans what they had on the
/// wire.
fn weigh(verdicts: &Verdicts, signal: Signal, table: &RecordBatch, rejections: &mut Rejections) {
    let name = if signal == Signal::Logs { "body" } else { "size_bytes" };
    let Some(column) = table.column_by_name(name) else { return };
    let (lines, sizes) = (column.as_string_opt::<i32>(), column.as_primitive_opt::<Int32Type>());
    for row in 0..table.num_rows() {
        let Some(refusal) = verdicts.refusal(row) else { continue };
        let line = lines.map(|lines| lines.value(row).len() as u64);
        let size = sizes.map(|sizes| u64::from(sizes.value(row).unsigned_abs()));
        rejections.weigh(refusal.reason.clone(), line.or(size).unwrap_or(0));
    }
}

fn push_refused(
    verdicts: &Verdicts,
    row: usize,
    signal: Signal,
    rejections: &mut Rejections,
    text: impl FnOnce() -> String,
) -> bool {
    let Some(refusal) = verdicts.refusal(row) else { return false };
    rejections.push(refusal.reason.clone(), |reason| RejectedItem {
        signal,
        reason,
        message: refusal.message.clone(),
        plugin: refusal.plugin.clone(),
        digest: refusal.digest.clone(),
        item: text(),
    });
    true
}

fn refused_item(refusal: &Refusal, item: String) -> RejectedItem {
    RejectedItem {
        signal: Signal::Metrics,
        reason: refusal.reason.clone(),
        message: refusal.message.clone(),
        plugin: refusal.plugin.clone(),
        digest: refusal.digest.clone(),
        item,
    }
}

fn sample_text(samples: &SampleBatch, row: usize, label_text: LabelText<'_>) -> String {
    item_text(label_text(samples.series[row]), samples.time_ms[row], Some(samples.value[row]))
}

/// A NaN or an infinity has no JSON number, so values are text.
fn item_text(series: String, time_ms: i64, value: Option<f64>) -> String {
    json!({ "series": series, "time_ms": time_ms, "value": value.map(|v| v.to_string()) }).to_string()
}
