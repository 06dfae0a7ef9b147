//! Rows of the table `series`, written and read back.

use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use isinglass_model::Kind;
use isinglass_model::labels::{LabelSet, LabelSetError, METRIC_NAME};
use isinglass_model::series::{MetricMeta, SeriesRef};

use super::table::SeriesTable;
use crate::StoreError;
use crate::head::{batch_of, map_builder};
use crate::tables::SeriesRow;

/// One row per (series, day), with the metadata known now.
pub(crate) fn series_rows(
    table: &SeriesTable,
    pairs: &[(SeriesRef, i32)],
) -> Result<RecordBatch, StoreError> {
    let refs: Vec<SeriesRef> = pairs.iter().map(|(series, _)| *series).collect();
    let all = table.series_of(&refs);
    if all.len() != pairs.len() {
        return Err(StoreError::Internal("a recorded series is not in the index".into()));
    }
    let text = StringDictionaryBuilder::<Int32Type>::new;
    let (mut metric, mut temporality, mut kind, mut unit, mut help) =
        (text(), text(), text(), text(), text());
    let mut labels = map_builder();
    for series in &all {
        let name = series.labels.metric();
        let meta = table.meta(name).unwrap_or_default();
        metric.append_value(name);
        temporality.append_option(series.labels.temporality().as_str());
        kind.append_option(non_empty(&meta.metric_type));
        unit.append_option(non_empty(&meta.unit));
        help.append_option(non_empty(&meta.help));
        for (name, value) in series.labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            labels.keys().append_value(name);
            labels.values().append_value(value);
        }
        labels.append(true)?;
    }
    let ids: (Vec<i64>, Vec<i64>) = all.iter().map(|series| (series.metric_id, series.series_id)).unzip();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("metric_id", Arc::new(Int64Array::from(ids.0))),
        ("series_id", Arc::new(Int64Array::from(ids.1))),
        ("day", Arc::new(pairs.iter().map(|(_, day)| Some(*day)).collect::<Date32Array>())),
        ("metric", Arc::new(metric.finish())),
        ("labels", Arc::new(labels.finish())),
        ("temporality", Arc::new(temporality.finish())),
        ("type", Arc::new(kind.finish())),
        ("unit", Arc::new(unit.finish())),
        ("help", Arc::new(help.finish())),
    ];
    batch_of(Kind::Series, columns)
}

/// Takes a row of the table back into the index.
pub(crate) fn restore_row(table: &SeriesTable, row: &SeriesRow<'_>) -> Result<(), LabelSetError> {
    let mut labels = Vec::with_capacity(row.labels.len() + 1);
    labels.push((METRIC_NAME, row.metric));
    labels.extend_from_slice(row.labels);
    let series = table.restore(row.series_id, LabelSet::new(&mut labels, row.temporality)?);
    table.days.of(row.day).insert(series);
    if !(row.metric_type.is_empty() && row.unit.is_empty() && row.help.is_empty()) {
        let meta = MetricMeta {
            metric_type: row.metric_type.to_owned(),
            unit: row.unit.to_owned(),
            help: row.help.to_owned(),
        };
        table.describe(row.metric, &meta);
    }
    Ok(())
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
