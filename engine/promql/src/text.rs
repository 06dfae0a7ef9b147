//! How numbers are written.

use isinglass_lang::shortest::Shortest;

/// As Go's `strconv.FormatFloat(value, 'f', -1, 64)`: the shortest digits that read back the same,
/// never an exponent.
pub fn decimal(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        Shortest::of(value).plain()
    }
}

/// As OpenMetrics writes a float: always seen to be one.
pub fn openmetrics(value: f64) -> String {
    let mut text = crate::histogram::format_float(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1e21, "1000000000000000000000"),
            (1.5e-7, "0.00000015"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(decimal(value), text);
        }
    }
}
