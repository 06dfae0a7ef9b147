//! Histograms as text.

use std::fmt::{self, Display, Formatter, Write as _};

use isinglass_lang::shortest::Shortest;

use super::{Bucket, Histogram, ResetHint};

/// A float as Prometheus writes it in messages: the shortest digits that give the same number, with an
/// exponent from `1e+06` up and below `0.0001`.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let shortest = Shortest::of(value);
    if (-4..6).contains(&shortest.exponent()) { shortest.plain() } else { shortest.scientific() }
}

impl Display for Bucket {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let [lower, upper, count] = [self.lower, self.upper, self.count].map(format_float);
        write!(out, "{open}{lower},{upper}{close}:{count}")
    }
}

/// Count, sum and the populated buckets from the lowest to the highest:
/// `{count:4, sum:3, [-2,-1):1, (1,2]:3}`.
impl Display for Histogram {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{{count:{}, sum:{}", format_float(self.count), format_float(self.sum))?;
        let zero = std::iter::once(self.zero_bucket());
        let all = self.negative_buckets().rev().chain(zero).chain(self.positive_buckets());
        for bucket in all.filter(|bucket| bucket.count != 0.0) {
            write!(out, ", {bucket}")?;
        }
        out.write_char('}')
    }
}

impl Histogram {
    /// The notation of test scripts, which [`Histogram::parse_test`] reads:
    /// `{{schema:1 count:22 sum:3 buckets:[5 10 7]}}`.
    ///
    /// All buckets of a side stand in one list, empty ones between them included. Only spans farther apart
    /// than any two floats, which no sender writes, come out closer together than they are.
    pub fn to_test_text(&self) -> String {
        let mut joined = self.clone();
        joined.compact(usize::MAX);
        let mut fields = joined.test_fields();
        fields.extend(joined.test_hint());
        fields.extend(side_fields(
            "",
            joined.positive_spans.first().map(|span| span.offset),
            &joined.positive,
        ));
        fields.extend(side_fields(
            "n_",
            joined.negative_spans.first().map(|span| span.offset),
            &joined.negative,
        ));
        format!("{{{{{}}}}}", fields.join(" "))
    }

    fn test_fields(&self) -> Vec<String> {
        let mut fields = Vec::new();
        if self.schema != 0 {
            fields.push(format!("schema:{}", self.schema));
        }
        let numbers = [
            ("count", self.count),
            ("sum", self.sum),
            ("z_bucket", self.zero_count),
            ("z_bucket_w", self.zero_threshold),
        ];
        for (key, value) in numbers.into_iter().filter(|(_, value)| *value != 0.0) {
            fields.push(format!("{key}:{}", format_float(value)));
        }
        if self.uses_custom_buckets() {
            fields.push(format!("custom_values:[{}]", list(&self.custom_bounds)));
        }
        fields
    }

    fn test_hint(&self) -> Option<String> {
        let hint = match self.reset_hint {
            ResetHint::Unknown => return None,
            ResetHint::Reset => "reset",
            ResetHint::NotReset => "not_reset",
            ResetHint::Gauge => "gauge",
        };
        Some(format!("counter_reset_hint:{hint}"))
    }
}

fn side_fields(prefix: &str, offset: Option<i32>, counts: &[f64]) -> Vec<String> {
    let mut fields = Vec::new();
    if let Some(offset) = offset.filter(|offset| *offset != 0) {
        fields.push(format!("{prefix}offset:{offset}"));
    }
    if !counts.is_empty() {
        fields.push(format!("{prefix}buckets:[{}]", list(counts)));
    }
    fields
}

fn list(values: &[f64]) -> String {
    values.iter().map(|value| format_float(*value)).collect::<Vec<_>>().join(" ")
}
