//! How many spans a span stands for, where senders keep only some.

use isinglass_plugin::{Batch, Encoding, Request, Shape};

use crate::attributes::{Values, request};
use crate::settings::Settings;

const RATIO: u16 = 512;
const TRACE_STATE: u16 = 513;

/// A number per row, or 1 for all.
#[derive(Debug, Default)]
pub(crate) struct Weights(Option<Vec<f64>>);

/// What to ask for.
pub(crate) fn requests(settings: &Settings) -> Vec<Request> {
    let mut requests = Vec::new();
    requests.extend(settings.ratio_attribute.as_ref().map(|name| request(RATIO, format!("own:{name}"))));
    requests.extend(settings.tracestate.then(|| Request {
        shape: Shape::Spans,
        slot: TRACE_STATE,
        name: "trace_state".into(),
        encoding: Encoding::Dictionary,
        optional: true,
    }));
    requests
}

impl Weights {
    /// Of the rows of a batch.
    pub(crate) fn of(batch: &Batch) -> Self {
        let ratio = Values::read(batch, RATIO).map(|values| values.per_row(batch.rows, None, of_ratio));
        let state = Values::read(batch, TRACE_STATE).map(|values| values.per_row(batch.rows, None, of_state));
        if ratio.is_none() && state.is_none() {
            return Self(None);
        }
        let of = |all: &Option<Vec<Option<f64>>>, row: usize| all.as_ref().and_then(|all| all[row]);
        Self(Some((0..batch.rows).map(|row| of(&ratio, row).or(of(&state, row)).unwrap_or(1.0)).collect()))
    }

    /// One per row; `None` = 1 each.
    pub(crate) fn all(&self) -> Option<&[f64]> {
        self.0.as_deref()
    }
}

/// A part of 0.25 means that a span stands for four.
fn of_ratio(text: &str) -> Option<f64> {
    let ratio: f64 = text.parse().ok()?;
    let weight = 1.0 / ratio;
    (ratio > 0.0 && weight.is_finite()).then_some(weight)
}

/// OpenTelemetry's threshold of rejection, `ot=th:c` in the trace state: up to 14 hexadecimal
/// digits, without the zeros at their end, as a part of 16^14.
fn of_state(state: &str) -> Option<f64> {
    let of_vendor = state.split(',').find_map(|member| member.trim().strip_prefix("ot="))?;
    let digits = of_vendor.split(';').find_map(|field| field.strip_prefix("th:"))?;
    if digits.is_empty() || digits.len() > 14 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let rejected = u64::from_str_radix(digits, 16).ok()? << (4 * (14 - digits.len()));
    let all = 1_u64 << 56;
    Some(all as f64 / (all - rejected) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        for (state, weight) in [
            ("ot=th:0", Some(1.0)),
            ("ot=th:8", Some(2.0)),
            ("vendor=x, ot=rv:1;th:c", Some(4.0)),
            ("ot=th:ffffffffffffff", Some((1_u64 << 56) as f64)),
            ("ot=th:", None),
            ("ot=th:xy", None),
            ("ot=th:000000000000000", None),
            ("ot=p:1", None),
            ("not=th:8", None),
            ("", None),
        ] {
            assert_eq!(of_state(state), weight, "{state}");
        }
    }

    #[test]
    fn ratios() {
        for (ratio, weight) in [("0.25", Some(4.0)), ("1", Some(1.0)), ("0", None), ("-1", None), ("x", None)]
        {
            assert_eq!(of_ratio(ratio), weight, "{ratio}");
        }
    }
}
