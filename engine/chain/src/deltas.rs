//! What derivers answer, checked and resolved.

use isinglass_model::counts::truncate_text;
use isinglass_model::deltas::{
    Deltas, DerivedExemplar, DerivedIncrements, DerivedKind, DerivedLabel, DerivedMetric,
    ExponentialIncrements,
};
use isinglass_model::texts::Texts;

use crate::abi::pairs::{DerivedOut, ExponentialOut, TableIncrementsOut, TableOut};
use crate::abi::{ExemplarsOut, LabelOut, LabelValuesOut, TextOut};
use crate::columns::{Data, Text};
use crate::declaration::{TEXT_BYTES_MAX, check_name};
use crate::failure::Failure;
use crate::showing::Cut;
use crate::variant::Variant;

/// Series in the answer to one call.
pub(crate) const SERIES_MAX: u32 = 10_000;
const LABELS_MAX: usize = 64;
const EXEMPLARS_MAX: usize = 20_000;
/// Tables in the answer to one call, and series in all of them: metrics about what sends have
/// one of each kind.
const TABLES_MAX: usize = 1_024;
const SERIES_OF_TABLES_MAX: u64 = 4 * SERIES_MAX as u64;
/// Exponential buckets in one table and metric.
const EXPONENTIAL_MAX: usize = 200_000;
/// The one label with two underscores that a deriver may give: who it runs in.
const GEN_INSTANCE: &str = "__metrics_gen_instance";

/// Checks the answer to a call, resolves its labels to text, and adds it to `all`.
pub(crate) fn check(
    out: DerivedOut,
    variant: &Variant,
    cut: &Cut<'_>,
    all: &mut Vec<Deltas>,
) -> Result<(), Failure> {
    let DerivedOut { tables, halves } = out;
    if tables.len() > TABLES_MAX {
        return Err(Failure::contract(format!("{} tables, the limit is {TABLES_MAX}", tables.len())));
    }
    let halves = match &variant.pairing {
        Some(_) => crate::halves::check(halves, cut)?,
        None => None,
    };
    let before = all.len();
    let mut series = 0;
    for table in tables {
        let deltas = check_table(table, variant.deriver, &variant.metrics, cut)?;
        series += u64::from(deltas.series);
        all.extend((deltas.series > 0).then_some(deltas));
    }
    if series > SERIES_OF_TABLES_MAX {
        let limit = SERIES_OF_TABLES_MAX;
        return Err(Failure::contract(format!("{series} series in all tables, the limit is {limit}")));
    }
    if halves.is_some() {
        // The first one carries them.
        match all.get_mut(before) {
            Some(first) => first.halves = halves,
            None => all.push(Deltas { binding: variant.deriver, halves, ..Deltas::default() }),
        }
    }
    Ok(())
}

/// Checks one table.
fn check_table(
    out: TableOut,
    binding: u16,
    metrics: &[DerivedMetric],
    cut: &Cut<'_>,
) -> Result<Deltas, Failure> {
    let series = out.series;
    if series > SERIES_MAX {
        return Err(Failure::contract(format!("{series} series, the limit is {SERIES_MAX}")));
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
        halves: None,
    })
}

/// Checks how many labels there are, and their names.
pub(crate) fn check_label_names(labels: &[LabelOut]) -> Result<(), Failure> {
    if labels.len() > LABELS_MAX {
        return Err(Failure::contract(format!("{} labels, the limit is {LABELS_MAX}", labels.len())));
    }
    for (at, label) in labels.iter().enumerate() {
        check_name("label", &label.name)?;
        // The metric name and the bucket's bound are the host's to write.
        if (label.name.starts_with("__") && label.name != GEN_INSTANCE) || label.name == "le" {
            return Err(Failure::contract(format!("label {:?} is reserved", label.name)));
        }
        // They are few.
        if labels[..at].iter().any(|other| other.name == label.name) {
            return Err(Failure::contract(format!("label {:?} is given twice", label.name)));
        }
    }
    Ok(())
}

fn check_increments(
    increments: TableIncrementsOut,
    series: u32,
    metrics: &[DerivedMetric],
    written: &mut [bool],
) -> Result<DerivedIncrements, Failure> {
    let TableIncrementsOut { metric, values, buckets, exponential } = increments;
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
    let wanted = series as usize * declared.classic_buckets();
    if buckets.len() != wanted {
        return fault(format!("{} bucket counts, expected {wanted}", buckets.len()));
    }
    if !are_counts(&buckets) {
        return fault("a count that is none".to_owned());
    }
    let exponential = match declared.exponential_buckets_max {
        0 => None,
        _ => match check_exponential(exponential, series) {
            Ok(checked) => Some(checked),
            Err(text) => return fault(text.to_owned()),
        },
    };
    let counter = declared.kind == DerivedKind::Counter;
    match values.iter().find(|value| !value.is_finite() || (counter && **value < 0.0)) {
        Some(value) => fault(format!("a value of {value}")),
        None => Ok(DerivedIncrements { metric, values, buckets, exponential }),
    }
}

/// Whether all are finite and not negative. Without a way out of the loop, which is what makes it fast.
pub(crate) fn are_counts(values: &[f64]) -> bool {
    values.iter().fold(true, |all, value| all & (*value >= 0.0) & (*value <= f64::MAX))
}

fn check_exponential(out: ExponentialOut, series: u32) -> Result<ExponentialIncrements, &'static str> {
    let ExponentialOut { scale, series: of, index, count, zeros } = out;
    if !(-4..=8).contains(&scale) {
        return Err("the scale of exponential buckets must be -4 to 8");
    }
    if of.len() > EXPONENTIAL_MAX || [index.len(), count.len()] != [of.len(); 2] {
        return Err("the columns of exponential buckets differ in length or are too long");
    }
    if !(zeros.is_empty() || zeros.len() == series as usize) {
        return Err("there must be a count of zeros for each series");
    }
    let counts = are_counts(&count) && are_counts(&zeros);
    // Of any finite number at the highest resolution.
    let indexes = index.iter().all(|index| index.unsigned_abs() <= 1 << 19);
    if !(counts && indexes && of.iter().all(|of| *of < series)) {
        return Err("an exponential bucket that is not there, or a count that is none");
    }
    let buckets = of.into_iter().zip(index).zip(count).map(|((of, index), count)| (of, index, count));
    Ok(ExponentialIncrements { scale, buckets: buckets.collect(), zeros })
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
    let columns = out.metric.into_iter().zip(out.series).zip(out.value.into_iter().zip(out.row));
    columns
        .map(|((metric, of), (value, row))| {
            let inside =
                usize::from(metric) < metrics.len() && of < series && (row as usize) < cut.rows.len();
            match inside && value.is_finite() {
                true => Ok(DerivedExemplar { metric, series: of, value, row: cut.row_of(row) }),
                false => Err(Failure::contract(format!(
                    "an exemplar of metric {metric}, series {of}, row {row} and value {value}"
                ))),
            }
        })
        .collect()
}

/// A label with its values as text.
pub(crate) fn resolve(label: LabelOut, series: u32, cut: &Cut<'_>) -> Result<DerivedLabel, Failure> {
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
fn used_values(keys: &[u32], text: &Text, trusted: bool) -> Result<(Vec<u32>, Texts), String> {
    const UNUSED: u32 = u32::MAX;
    let mut new_key = vec![UNUSED; text.len()];
    let mut values = Texts::default();
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let new = &mut new_key[*key as usize];
        if *new == UNUSED {
            *new = u32::try_from(values.len()).unwrap_or(u32::MAX);
            push_value(&mut values, text.value(*key as usize), trusted)?;
        }
        out.push(*new);
    }
    Ok((out, values))
}

fn push_value(values: &mut Texts, bytes: &[u8], trusted: bool) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a value is not UTF-8".to_owned())?;
    if text.len() <= TEXT_BYTES_MAX {
        values.push(text);
        return Ok(());
    }
    if !trusted {
        return Err(format!("a value of {} bytes, the limit is {TEXT_BYTES_MAX}", text.len()));
    }
    let mut text = text.to_owned();
    truncate_text(&mut text, TEXT_BYTES_MAX);
    values.push(&text);
    Ok(())
}

#[cfg(test)]
mod tests;
