//! Floats as text, as Go's `fmt` writes them.

use isinglass_lang::shortest::Shortest;

/// `%v`: the shortest digits that give the same number; an exponent from `1e+06` up and below
/// `0.0001`.
pub(super) fn shortest(value: f64) -> String {
    isinglass_promql::histogram::format_float(value)
}

/// `%.Ng`: N significant digits without zeros at the end; an exponent from N digits on and below
/// `0.0001`.
pub(super) fn general(value: f64, precision: usize) -> String {
    if let Some(text) = not_finite(value) {
        return text.into();
    }
    let precision = precision.max(1);
    let (negative, digits, exponent) = digits_of(&format!("{value:.*e}", precision - 1));
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let limit = i32::try_from(precision.max(digits.len())).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        return scientific(negative, digits, exponent, 'e');
    }
    let decimals = i32::try_from(digits.len()).unwrap_or(0) - 1 - exponent;
    format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// `%.Ne`.
pub(crate) fn exponential(value: f64, precision: Option<usize>, letter: char) -> String {
    if let Some(text) = not_finite(value) {
        return text.into();
    }
    let text =
        precision.map_or_else(|| Shortest::of(value).scientific(), |digits| format!("{value:.digits$e}"));
    let (negative, digits, exponent) = digits_of(&text);
    scientific(negative, &digits, exponent, letter)
}

/// `%.Nf`.
pub(super) fn fixed(value: f64, precision: usize) -> String {
    not_finite(value).map_or_else(|| format!("{value:.precision$}"), Into::into)
}

fn not_finite(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// Sign, digits without their point, and exponent of Rust's scientific notation.
fn digits_of(scientific: &str) -> (bool, String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let digits = mantissa.chars().filter(char::is_ascii_digit).collect();
    (mantissa.starts_with('-'), digits, exponent.parse().unwrap_or(0))
}

fn scientific(negative: bool, digits: &str, exponent: i32, letter: char) -> String {
    let sign = if negative { "-" } else { "" };
    let (first, rest) = digits.split_at(digits.len().min(1));
    let point = if rest.is_empty() { "" } else { "." };
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}{letter}{direction}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_writes_them() {
        for (value, plain, four_digits) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.0, "1", "1"),
            (0.1 + 0.2, "0.30000000000000004", "0.3"),
            (123_456.0, "123456", "1.235e+05"),
            (1234.0, "1234", "1234"),
            (9999.9, "9999.9", "1e+04"),
            (1e20, "1e+20", "1e+20"),
            (1_234_567.0, "1.234567e+06", "1.235e+06"),
            (0.0001, "0.0001", "0.0001"),
            (0.000_012_345_6, "1.23456e-05", "1.235e-05"),
            (-12.3456, "-12.3456", "-12.35"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            assert_eq!(shortest(value), plain);
            assert_eq!(general(value, 4), four_digits, "{value}");
        }
        assert_eq!(exponential(1.0, None, 'e'), "1e+00");
        assert_eq!(exponential(1234.5, Some(2), 'E'), "1.23E+03");
        assert_eq!(fixed(1.005, 1), "1.0");
    }
}
