//! The notation of test scripts.

use std::sync::Arc;

use super::{BucketSpan, Histogram, ResetHint};

impl Histogram {
    /// Reads `{{schema:1 sum:3 count:22 z_bucket:2 z_bucket_w:0.001 buckets:[5 10 7] offset:-1 n_buckets:[1]
    /// n_offset:2 custom_values:[1 2] counter_reset_hint:gauge}}`; all keys may be missing.
    ///
    /// Returns the histogram and whether a hint about resets was given. Only the notation is checked: see
    /// [`Histogram::validate`].
    ///
    /// # Errors
    ///
    /// A text that is none of these, in words for the author of the script.
    pub fn parse_test(text: &str) -> Result<(Histogram, bool), String> {
        let inner = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let mut rest = inner.ok_or("a histogram stands between {{ and }}")?.trim();
        let mut fields = Fields::default();
        while !rest.is_empty() {
            let (key, value, behind) = next_field(rest)?;
            fields.set(key, value)?;
            rest = behind.trim_start();
        }
        let hint_given = fields.seen.contains(&"counter_reset_hint");
        Ok((fields.histogram(), hint_given))
    }
}

/// Splits off `key:value`; a value in brackets comes with them.
fn next_field(text: &str) -> Result<(&str, &str, &str), String> {
    let (key, rest) =
        text.split_once(':').ok_or_else(|| format!("expected a key and a colon at {text:?}"))?;
    let rest = rest.trim_start();
    let end = if rest.starts_with('[') {
        rest.find(']').map(|at| at + 1).ok_or_else(|| format!("missing ] after {key}"))?
    } else {
        rest.find(char::is_whitespace).unwrap_or(rest.len())
    };
    let (value, behind) = rest.split_at(end);
    Ok((key.trim(), value, behind))
}

/// What has been read so far.
#[derive(Default)]
struct Fields<'a> {
    seen: Vec<&'a str>,
    histogram: Histogram,
    offset: i32,
    negative_offset: i32,
}

impl<'a> Fields<'a> {
    fn set(&mut self, key: &'a str, value: &str) -> Result<(), String> {
        if self.seen.contains(&key) {
            return Err(format!("duplicate key {key:?} in histogram"));
        }
        self.seen.push(key);
        let histogram = &mut self.histogram;
        match key {
            "schema" => histogram.schema = integer(key, value)?,
            "sum" => histogram.sum = number(key, value)?,
            "count" => histogram.count = number(key, value)?,
            "z_bucket" => histogram.zero_count = number(key, value)?,
            "z_bucket_w" => histogram.zero_threshold = number(key, value)?,
            "custom_values" => histogram.custom_bounds = Arc::from(numbers(key, value)?),
            "buckets" => histogram.positive = numbers(key, value)?,
            "offset" => self.offset = integer(key, value)?,
            "n_buckets" => histogram.negative = numbers(key, value)?,
            "n_offset" => self.negative_offset = integer(key, value)?,
            "counter_reset_hint" => histogram.reset_hint = hint(value)?,
            _ => return Err(format!("bad histogram descriptor found: {key:?}")),
        }
        Ok(())
    }

    fn histogram(self) -> Histogram {
        let mut histogram = self.histogram;
        histogram.positive_spans = one_span(self.offset, &histogram.positive);
        histogram.negative_spans = one_span(self.negative_offset, &histogram.negative);
        histogram
    }
}

fn one_span(offset: i32, counts: &[f64]) -> Vec<BucketSpan> {
    match u32::try_from(counts.len()) {
        Ok(length @ 1..) => vec![BucketSpan { offset, length }],
        _ => Vec::new(),
    }
}

fn hint(value: &str) -> Result<ResetHint, String> {
    match value {
        "unknown" => Ok(ResetHint::Unknown),
        "reset" => Ok(ResetHint::Reset),
        "not_reset" => Ok(ResetHint::NotReset),
        "gauge" => Ok(ResetHint::Gauge),
        _ => Err(format!("unknown counter_reset_hint {value:?}")),
    }
}

fn integer(key: &str, value: &str) -> Result<i32, String> {
    value.parse().map_err(|_| format!("{key} is no integer: {value:?}"))
}

fn number(key: &str, value: &str) -> Result<f64, String> {
    hexadecimal(value).or_else(|| value.parse().ok()).ok_or_else(|| format!("{key} is no number: {value:?}"))
}

fn hexadecimal(value: &str) -> Option<f64> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, value.strip_prefix('+').unwrap_or(value)),
    };
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))?;
    u64::from_str_radix(digits, 16).ok().map(|value| sign * value as f64)
}

fn numbers(key: &str, value: &str) -> Result<Vec<f64>, String> {
    let inner = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inner = inner.ok_or_else(|| format!("{key} is no list in brackets: {value:?}"))?;
    inner.split_whitespace().map(|value| number(key, value)).collect()
}
