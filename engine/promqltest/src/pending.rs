//! Shim.

use isinglass_promql::Histogram;
use isinglass_promql::histogram::{BucketSpan, CUSTOM_BUCKETS, ResetHint};

pub(crate) fn parse_histogram(text: &str) -> Result<(Histogram, bool), String> {
    let inner = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")).ok_or("no braces")?;
    let mut h = Histogram {
        schema: 0,
        reset_hint: ResetHint::Unknown,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 0.0,
        sum: 0.0,
        positive_spans: vec![],
        positive: vec![],
        negative_spans: vec![],
        negative: vec![],
        custom_bounds: [].into(),
    };
    let (mut offset, mut n_offset, mut hint) = (0, 0, false);
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (key, tail) = rest.split_once(':').ok_or("no colon")?;
        let (value, tail) = match tail.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or("no bracket")?,
            None => tail.split_once(' ').unwrap_or((tail, "")),
        };
        let number = || value.parse::<f64>().map_err(|e| format!("{value}: {e}"));
        let list = || -> Result<Vec<f64>, String> {
            value.split_whitespace().map(|v| v.parse::<f64>().map_err(|e| e.to_string())).collect()
        };
        match key {
            "schema" => h.schema = number()? as i32,
            "sum" => h.sum = number()?,
            "count" => h.count = number()?,
            "z_bucket" => h.zero_count = number()?,
            "z_bucket_w" => h.zero_threshold = number()?,
            "buckets" => h.positive = list()?,
            "n_buckets" => h.negative = list()?,
            "custom_values" => h.custom_bounds = list()?.into(),
            "offset" => offset = number()? as i32,
            "n_offset" => n_offset = number()? as i32,
            "counter_reset_hint" => {
                hint = true;
                h.reset_hint = match value {
                    "gauge" => ResetHint::Gauge,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "unknown" => ResetHint::Unknown,
                    _ => return Err("hint".into()),
                }
            }
            _ => return Err(format!("key {key}")),
        }
        rest = tail.trim_start();
    }
    let span =
        |offset: i32, n: usize| if n == 0 { vec![] } else { vec![BucketSpan { offset, length: n as u32 }] };
    h.positive_spans = span(offset, h.positive.len());
    h.negative_spans = span(n_offset, h.negative.len());
    Ok((h, hint))
}

pub(crate) fn combine(base: &mut Histogram, other: &Histogram, sign: f64) -> Result<(), String> {
    base.count += sign * other.count;
    base.sum += sign * other.sum;
    base.zero_count += sign * other.zero_count;
    for (a, b) in [(&mut base.positive, &other.positive), (&mut base.negative, &other.negative)] {
        for (a, b) in a.iter_mut().zip(b) {
            *a += sign * b;
        }
    }
    Ok(())
}

pub(crate) fn from_classic(
    buckets: &[(f64, f64)],
    count: Option<f64>,
    sum: Option<f64>,
) -> Result<Histogram, String> {
    let mut h = parse_histogram("{{}}")?.0;
    h.schema = CUSTOM_BUCKETS;
    h.count = count.or(buckets.last().map(|b| b.1)).ok_or("no count")?;
    h.sum = sum.unwrap_or_default();
    h.custom_bounds = buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect();
    let mut before = 0.0;
    for (_, count) in buckets {
        h.positive.push(count - before);
        before = *count;
    }
    h.positive_spans = vec![BucketSpan { offset: 0, length: buckets.len() as u32 }];
    Ok(h)
}

pub(crate) fn parse(_text: &str) -> Result<isinglass_lang::promql::ast::Expr, String> {
    Err("no parser yet".into())
}

pub(crate) fn print(_expr: &isinglass_lang::promql::ast::Expr) -> String {
    String::new()
}
