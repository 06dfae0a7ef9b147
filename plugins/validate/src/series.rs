//! Label sets that were not judged before.

use isinglass_plugin::{Batch, Dictionary, Lengths, Offsets, Shape, Verdicts, blocks, columns};

use crate::attributes::{self, Repeats};
use crate::limits::Limits;
use crate::messages::quoted;
use crate::reason;

columns! {
    /// What is read of every label set.
    pub(crate) struct Series<'a> of Shape::Series {
        metric: Lengths<'a> = "metric",
        label_offsets: Offsets<'a> = "label.offsets",
        label_name: Dictionary<'a> = "label.name",
        label_value: Lengths<'a> = "label.value",
    }
}

pub(crate) fn check(batch: &Batch, limits: &Limits, verdicts: &mut Verdicts) {
    let series = Series::of(batch);
    metric_name(&series, verdicts);
    label_count(&series, limits, verdicts);
    label_names(&series, limits, verdicts);
    label_values(&series, limits, verdicts);
    attributes::each_repeat(series.label_offsets, series.label_name, |Repeats { row, key }| {
        verdicts.refuse(row, reason::DUPLICATE_LABEL_NAMES, || {
            format!("label name {} occurs twice", quoted(key))
        });
    });
}

fn metric_name(series: &Series<'_>, verdicts: &mut Verdicts) {
    for row in 0..series.rows {
        match series.metric.get(row) {
            None => {
                verdicts.refuse(row, reason::MISSING_METRIC_NAME, || "there is no label __name__".to_owned())
            }
            Some(0) => {
                verdicts.refuse(row, reason::METRIC_NAME_INVALID, || "the metric name is empty".to_owned())
            }
            Some(_) => {}
        }
    }
}

fn label_count(series: &Series<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.labels_per_series_max;
    series.label_offsets.each_longer(max as usize, |row| {
        verdicts.refuse(row, reason::MAX_LABEL_NAMES_PER_SERIES, || {
            let got = series.label_offsets.range(row).len();
            format!("there are {got} labels, the limit is {max} (labels_per_series_max)")
        });
    });
}

fn label_names(series: &Series<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.label_name_bytes_max;
    series.label_name.rows_where(str::is_empty, |at, _| {
        let row = series.label_offsets.row_of(at);
        verdicts.refuse(row, reason::LABEL_INVALID, || "a label name is empty".to_owned());
    });
    series.label_name.rows_where(
        |name| name.len() > max as usize,
        |at, name| {
            let row = series.label_offsets.row_of(at);
            verdicts.refuse(row, reason::LABEL_NAME_TOO_LONG, || {
                let (name, got) = (quoted(name), name.len());
                format!("label name {name} has {got} bytes, the limit is {max} (label_name_bytes_max)")
            });
        },
    );
}

fn label_values(series: &Series<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.label_value_bytes_max;
    blocks::each_over(series.label_value.values(), max, |at| {
        let row = series.label_offsets.row_of(at);
        verdicts.refuse(row, reason::LABEL_VALUE_TOO_LONG, || {
            let name = quoted(series.label_name.get(at).unwrap_or_default());
            let got = series.label_value.values()[at];
            format!("the value of label {name} has {got} bytes, the limit is {max} (label_value_bytes_max)")
        });
    });
}
