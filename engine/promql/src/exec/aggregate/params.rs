//! What the parameters of aggregations may be. Texts are upstream's.

use isinglass_lang::promql::ast::Span;

use crate::annotations::Annotations;
use crate::error::{EvalError, Result};

fn range(values: &[f64]) -> (f64, f64) {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (smallest, largest)
}

/// As Go's `%v` writes a float in a message.
fn shown(value: f64) -> String {
    crate::histogram::format_float(value)
}

/// Warns of quantiles that are none.
pub(in crate::exec) fn warn_of_quantiles(values: &[f64], span: Span, annotations: &Annotations) {
    if values.iter().any(|value| value.is_nan()) {
        warn_of_quantile(f64::NAN, span, annotations);
    }
    let (smallest, largest) = range(values);
    warn_of_quantile(largest.max(0.0), span, annotations);
    warn_of_quantile(smallest.min(1.0), span, annotations);
}

/// Warns of a quantile that is none.
pub(in crate::exec) fn warn_of_quantile(value: f64, span: Span, annotations: &Annotations) {
    if !(0.0..=1.0).contains(&value) {
        let text = format!("quantile value should be between 0 and 1, got {}", shown(value));
        annotations.warn(span, text);
    }
}

/// How many series at each step; `None` where there are none at any.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
pub(super) fn counts(values: &[f64]) -> Result<Option<Vec<usize>>> {
    let (smallest, largest) = range(values);
    if values.iter().all(|value| *value < 1.0) {
        return Ok(None);
    }
    if values.iter().any(|value| value.is_nan()) {
        return Err(EvalError::execution("Parameter value is NaN"));
    }
    if smallest <= i64::MIN as f64 {
        let text = format!("Scalar value {} underflows int64", shown(smallest));
        return Err(EvalError::execution(text));
    }
    if largest >= i64::MAX as f64 {
        let text = format!("Scalar value {} overflows int64", shown(largest));
        return Err(EvalError::execution(text));
    }
    Ok(Some(values.iter().map(|value| value.max(0.0) as usize).collect()))
}

/// Which share of the series at each step, within -1 and 1; `None` where it is none at any.
pub(super) fn ratios(values: &[f64], span: Span, annotations: &Annotations) -> Result<Option<Vec<f64>>> {
    if values.iter().all(|value| *value == 0.0) {
        return Ok(None);
    }
    if values.iter().any(|value| value.is_nan()) {
        return Err(EvalError::execution("Ratio value is NaN"));
    }
    let (smallest, largest) = range(values);
    let warn = |value: f64, cap: f64| {
        let (value, cap) = (shown(value), shown(cap));
        let text = format!("ratio value should be between -1 and 1, got {value}, capping to {cap}");
        annotations.warn(span, text);
    };
    if largest > 1.0 {
        warn(largest, 1.0);
    }
    if smallest < -1.0 {
        warn(smallest, -1.0);
    }
    Ok(Some(values.iter().map(|value| value.clamp(-1.0, 1.0)).collect()))
}
