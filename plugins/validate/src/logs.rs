//! Log records.

use isinglass_plugin::{
    Batch, Counts, Dictionary, Integers, Lengths, Offsets, Shape, Verdicts, blocks, columns,
};

use crate::attributes::Attributes;
use crate::limits::Limits;
use crate::time::Age;
use crate::{reason, streams, time};

columns! {
    /// What is read of every log record.
    pub(crate) struct Logs<'a> of Shape::Logs {
        time: Integers<'a> = "time",
        body: Lengths<'a> = "body",
        stream: Option<Dictionary<'a>> = "stream",
        stream_labels: Option<Counts<'a>> = "stream.labels",
        attr_offsets: Option<Offsets<'a>> = "attr.offsets",
        attr_key: Option<Dictionary<'a>> = "attr.key",
        attr_value: Option<Lengths<'a>> = "attr.value",
    }
}

pub(crate) fn check(batch: &Batch, limits: &Limits, now: i64, verdicts: &mut Verdicts) {
    let logs = Logs::of(batch);
    if let Some(labels) = logs.stream_labels {
        stream_labels(labels, limits, verdicts);
    }
    if let Some(stream) = logs.stream {
        streams::check(stream, limits, verdicts);
    }
    let age =
        Age { ms: limits.log_age_max_ms, key: "log_age_max_ms", code: reason::GREATER_THAN_MAX_SAMPLE_AGE };
    time::check(logs.time.values(), now, limits.future_grace_ms, age, verdicts);
    line(logs.body, limits, verdicts);
    if let Some(attributes) = Attributes::of(logs.attr_offsets, logs.attr_key, logs.attr_value) {
        metadata_allowed(attributes, limits, verdicts);
        metadata_bytes(attributes, limits, verdicts);
        metadata_count(attributes, limits, verdicts);
        attributes.check_keys(limits, verdicts);
    }
}

fn stream_labels(labels: Counts<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.labels_per_stream_max;
    blocks::each_over(labels.values(), max, |row| {
        verdicts.refuse(row, reason::MAX_LABEL_NAMES_PER_SERIES, || {
            let got = labels.values()[row];
            format!("the stream has {got} labels, the limit is {max} (labels_per_stream_max)")
        });
    });
}

fn line(body: Lengths<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.line_bytes_max;
    blocks::each_over(body.values(), max, |row| {
        verdicts.refuse(row, reason::LINE_TOO_LONG, || {
            let got = body.values()[row];
            format!("the line has {got} bytes, the limit is {max} (line_bytes_max)")
        });
    });
}

fn metadata_allowed(attributes: Attributes<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    if limits.log_attributes_allowed {
        return;
    }
    attributes.offsets.each_longer(0, |row| {
        verdicts.refuse(row, reason::DISALLOWED_STRUCTURED_METADATA, || {
            let got = attributes.offsets.range(row).len();
            format!("there are {got} attributes, and none is allowed (log_attributes_allowed)")
        });
    });
}

fn metadata_count(attributes: Attributes<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.log_attributes_max;
    attributes.offsets.each_longer(max as usize, |row| {
        verdicts.refuse(row, reason::STRUCTURED_METADATA_TOO_MANY, || {
            let got = attributes.offsets.range(row).len();
            format!("there are {got} attributes, the limit is {max} (log_attributes_max)")
        });
    });
}

fn metadata_bytes(attributes: Attributes<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let max = limits.log_attributes_bytes_max;
    let key_bytes = attributes.keys.per_distinct(str::len);
    let (keys, values) = (attributes.keys.keys(), attributes.values.values());
    // Most batches have no attribute long enough to look at single rows.
    let longest = key_bytes.iter().max().copied().unwrap_or(0) as u64
        + u64::from(values.iter().max().copied().unwrap_or(0));
    for (row, range) in attributes.offsets.ranges().enumerate() {
        if range.len() as u64 * longest <= u64::from(max) {
            continue;
        }
        let bytes_of = |at: usize| key_bytes[keys[at] as usize] as u64 + u64::from(values[at]);
        let got = range.map(bytes_of).sum::<u64>();
        if got > u64::from(max) {
            verdicts.refuse(row, reason::STRUCTURED_METADATA_TOO_LARGE, || {
                format!("the attributes have {got} bytes, the limit is {max} (log_attributes_bytes_max)")
            });
        }
    }
}
