//! What derivers answer, checked and resolved.

use hashbrown::HashSet;
use isinglass_model::counts::truncate_text;
use isinglass_model::deltas::{
    Deltas, DerivedExemplar, DerivedIncrements, DerivedKind, DerivedLabel, DerivedMetric,
};

use crate::abi::{
    DeltasOut, ExemplarsOut, IncrementsOut, LabelOut, LabelValuesOut, MetricKindOut, MetricOut, TextOut,
};
use crate::columns::{Data, Text};
use crate::failure::{Failure, shorten};
use crate::plugin::Cut;

/// Series in the answer to one call.
pub(crate) const SERIES_MAX: u32 = 10_000;
const LABELS_MAX: usize = 64;
const EXEMPLARS_MAX: usize = 20_000;
const METRICS_MAX: usize = 100;
const BOUNDS_MAX: usize = 200;
const NAME_BYTES_MAX: usize = 255;
const TEXT_BYTES_MAX: usize = 1 << 10;

/// Checks the metrics that a deriver declares.
pub(crate) fn check_metrics(metrics: Vec<MetricOut>) -> Result<Vec<DerivedMetric>, Failure> {
    if metrics.len() > METRICS_MAX {
        return Err(Failure::contract(format!("{} metrics, the limit is {METRICS_MAX}", metrics.len())));
    }
    let mut names = HashSet::new();
    for metric in &metrics {
        check_name("metric", &metric.name)?;
        if !names.insert(metric.name.clone()) {
            return Err(Failure::contract(format!("metric {:?} is declared twice", metric.name)));
        }
        check_metric(metric)?;
    }
    Ok(metrics.into_iter().map(declared).collect())
}

fn check_metric(metric: &MetricOut) -> Result<(), Failure> {
    let fault = |text: &str| Err(Failure::contract(format!("metric {:?}: {text}", metric.name)));
    if metric.help.len() > TEXT_BYTES_MAX || metric.unit.len() > NAME_BYTES_MAX {
        return fault("help or unit is too long");
    }
    match metric.kind {
        MetricKindOut::Counter if !metric.bounds.is_empty() => return fault("a counter has no bounds"),
        MetricKindOut::Histogram if metric.bounds.len() > BOUNDS_MAX => return fault("too many bounds"),
        _ => {}
    }
    let finite = metric.bounds.iter().all(|bound| bound.is_finite());
    let ascending = metric.bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if finite && ascending { Ok(()) } else { fault("bounds must be finite and ascending") }
}

fn declared(metric: MetricOut) -> DerivedMetric {
    let kind = match metric.kind {
        MetricKindOut::Counter => DerivedKind::Counter,
        MetricKindOut::Histogram => DerivedKind::Histogram,
    };
    let MetricOut { name, help, unit, bounds, .. } = metric;
    DerivedMetric { name, kind, help, unit, bounds }
}

fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let rest = |c: char| first(c) || c.is_ascii_digit() || (c == ':' && what == "metric");
    if name.starts_with(first) && name.chars().all(rest) && name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(Failure::contract(format!("{:?} is no {what} name", shorten(name))))
}

/// Checks the answer to a call and resolves its labels to text.
pub(crate) fn check(
    out: DeltasOut,
    binding: u16,
    metrics: &[DerivedMetric],
    cut: &Cut<'_>,
) -> Result<Deltas, Failure> {
    let series = out.series;
    if series > SERIES_MAX {
        return Err(Failure::contract(format!("{series} series, the limit is {SERIES_MAX}")));
    }
    if out.labels.len() > LABELS_MAX {
        return Err(Failure::contract(format!("{} labels, the limit is {LABELS_MAX}", out.labels.len())));
    }
    check_label_names(&out.labels)?;
    let mut written = vec![false; metrics.len()];
    Ok(Deltas {
        binding,
        series,
        increments: out
            .increments
            .into_iter()
            .map(|increments| check_increments(increments, series, metrics, &mut written))
            .collect::<Result<_, _>>()?,
        exemplars: exemplars(out.exemplars, series, metrics, cut)?,
        labels: out.labels.into_iter().map(|label| resolve(label, series, cut)).collect::<Result<_, _>>()?,
    })
}

fn check_label_names(labels: &[LabelOut]) -> Result<(), Failure> {
    let mut names = HashSet::new();
    for label in labels {
        check_name("label", &label.name)?;
        // The metric name and the bucket's bound are the host's to write.
        if label.name.starts_with("__") || label.name == "le" {
            return Err(Failure::contract(format!("label {:?} is reserved", label.name)));
        }
        if !names.insert(label.name.as_str()) {
            return Err(Failure::contract(format!("label {:?} is given twice", label.name)));
        }
    }
    Ok(())
}

fn check_increments(
    increments: IncrementsOut,
    series: u32,
    metrics: &[DerivedMetric],
    written: &mut [bool],
) -> Result<DerivedIncrements, Failure> {
    let IncrementsOut { metric, values, buckets } = increments;
    let fault = |text: String| Err(Failure::contract(format!("increments of metric {metric}: {text}")));
    let Some(declared) = metrics.get(usize::from(metric)) else {
        return fault(format!("only {} metrics are declared", metrics.len()));
    };
    if std::mem::replace(&mut written[usize::from(metric)], true) {
        return fault("given twice".to_owned());
    }
    if values.len() != series as usize {
        return fault(format!("{} values for {series} series", values.len()));
    }
    let counter = declared.kind == DerivedKind::Counter;
    let wanted = if counter { 0 } else { series as usize * (declared.bounds.len() + 1) };
    if buckets.len() != wanted {
        return fault(format!("{} bucket counts, expected {wanted}", buckets.len()));
    }
    match values.iter().find(|value| !value.is_finite() || (counter && **value < 0.0)) {
        Some(value) => fault(format!("a value of {value}")),
        None => Ok(DerivedIncrements { metric, values, buckets }),
    }
}

fn exemplars(
    out: ExemplarsOut,
    series: u32,
    metrics: &[DerivedMetric],
    cut: &Cut<'_>,
) -> Result<Vec<DerivedExemplar>, Failure> {
    let count = out.metric.len();
    if count > EXEMPLARS_MAX {
        return Err(Failure::contract(format!("{count} exemplars, the limit is {EXEMPLARS_MAX}")));
    }
    if [out.series.len(), out.value.len(), out.row.len()] != [count; 3] {
        return Err(Failure::contract("the columns of the exemplars differ in length"));
    }
    let first_row = u32::try_from(cut.rows.start).unwrap_or(u32::MAX);
    let columns = out.metric.into_iter().zip(out.series).zip(out.value.into_iter().zip(out.row));
    columns
        .map(|((metric, of), (value, row))| {
            let inside =
                usize::from(metric) < metrics.len() && of < series && (row as usize) < cut.rows.len();
            match inside && value.is_finite() {
                true => Ok(DerivedExemplar { metric, series: of, value, row: first_row.saturating_add(row) }),
                false => Err(Failure::contract(format!(
                    "an exemplar of metric {metric}, series {of}, row {row} and value {value}"
                ))),
            }
        })
        .collect()
}

fn resolve(label: LabelOut, series: u32, cut: &Cut<'_>) -> Result<DerivedLabel, Failure> {
    let LabelOut { name, keys, values } = label;
    let fault = |text: String| Failure::contract(format!("label {name:?}: {text}"));
    if keys.len() != series as usize {
        return Err(fault(format!("{} keys for {series} series", keys.len())));
    }
    let own;
    let (text, trusted) = match values {
        LabelValuesOut::Input(slot) => match cut.column(slot).map(|column| &column.data) {
            Some(Data::Dictionary { values, .. }) => (values, true),
            _ => return Err(fault(format!("slot {slot} is no dictionary column of this batch"))),
        },
        LabelValuesOut::Own(text) => {
            own = own_text(text).map_err(fault)?;
            (&own, false)
        }
    };
    if let Some(key) = keys.iter().find(|key| **key as usize >= text.len()) {
        return Err(fault(format!("key {key} of {} values", text.len())));
    }
    let (keys, values) = used_values(&keys, text, trusted).map_err(fault)?;
    Ok(DerivedLabel { name, keys, values })
}

/// Checks offsets, so that the values can be read.
fn own_text(text: TextOut) -> Result<Text, String> {
    let starts_at_0 = text.offsets.first() == Some(&0);
    let ends_with_data =
        text.offsets.last().and_then(|last| usize::try_from(*last).ok()) == Some(text.data.len());
    let ascending = text.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    if !(starts_at_0 && ends_with_data && ascending) {
        return Err("the offsets of its values do not fit their data".to_owned());
    }
    Ok(Text { offsets: text.offsets.into(), data: arrow_buffer::Buffer::from_vec(text.data) })
}

/// Only the values that series use, as text. Text of the batch itself may be
/// longer than a label may be; it is cut, because it is not the plugin's fault.
fn used_values(keys: &[u32], text: &Text, trusted: bool) -> Result<(Vec<u32>, Vec<String>), String> {
    const UNUSED: u32 = u32::MAX;
    let mut new_key = vec![UNUSED; text.len()];
    let mut values = Vec::new();
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let new = &mut new_key[*key as usize];
        if *new == UNUSED {
            *new = u32::try_from(values.len()).unwrap_or(u32::MAX);
            values.push(value(text.value(*key as usize), trusted)?);
        }
        out.push(*new);
    }
    Ok((out, values))
}

fn value(bytes: &[u8], trusted: bool) -> Result<String, String> {
    let mut text = String::from_utf8(bytes.to_vec()).map_err(|_| "a value is not UTF-8".to_owned())?;
    if text.len() > TEXT_BYTES_MAX {
        if !trusted {
            return Err(format!("a value of {} bytes, the limit is {TEXT_BYTES_MAX}", text.len()));
        }
        truncate_text(&mut text, TEXT_BYTES_MAX);
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
