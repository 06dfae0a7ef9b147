//! Numbers as Go reads and writes them.

use crate::shortest::Shortest;

/// The value of a number's token: an integer with the prefixes of Go (`0x1F`, `0755`, `1_000`),
/// else a decimal.
///
/// # Errors
/// In the words of Go's `strconv`.
pub(super) fn parse(written: &str) -> Result<f64, String> {
    let fault = |what: &str| {
        Err(format!("error parsing number: strconv.ParseFloat: parsing {}: {what}", super::quoted(written)))
    };
    if !underscores_separate_digits(written) {
        return fault("invalid syntax");
    }
    let plain = written.replace('_', "");
    if let Some(integer) = integer(&plain) {
        return Ok(integer as f64);
    }
    match plain.parse::<f64>() {
        Ok(value) if value.is_infinite() && plain.contains(|c: char| c.is_ascii_digit()) => {
            fault("value out of range")
        }
        Ok(value) => Ok(value),
        Err(_) => fault("invalid syntax"),
    }
}

fn integer(plain: &str) -> Option<i64> {
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok();
    }
    match plain.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok(),
        _ => plain.parse().ok(),
    }
}

/// An underscore stands between two digits, or after the prefix of a hexadecimal number.
fn underscores_separate_digits(written: &str) -> bool {
    let bytes = written.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let after_prefix = |at: usize| at == 2 && matches!(bytes, [b'0', b'x' | b'X', ..]);
    bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'_')
        .all(|(at, _)| digit(Some(at + 1)) && (after_prefix(at) || digit(at.checked_sub(1))))
}

/// As Go's `FormatFloat(value, 'f', -1, 64)`: the shortest decimal without an exponent.
pub(super) fn plain(value: f64) -> String {
    match not_finite(value) {
        Some(name) => name.into(),
        None => Shortest::of(value).plain(),
    }
}

/// As Go's `%v`: the shortest decimal, with an exponent where it is below -4 or above 20.
pub(super) fn general(value: f64) -> String {
    if let Some(name) = not_finite(value) {
        return name.into();
    }
    let shortest = Shortest::of(value);
    if (-4..21).contains(&shortest.exponent()) { shortest.plain() } else { shortest.scientific() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let cases = [
            ("1", 1.0),
            ("0x1F", 31.0),
            ("0X_1f", 31.0),
            ("0755", 493.0),
            ("08", 8.0),
            ("1_000", 1_000.0),
            ("1_000.5", 1_000.5),
            ("5.", 5.0),
            (".5", 0.5),
            ("1e3", 1_000.0),
            ("Inf", f64::INFINITY),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ];
        for (written, value) in cases {
            assert_eq!(parse(written), Ok(value), "{written}");
        }
        assert!(parse("nAn").is_ok_and(f64::is_nan));
        for (written, wanted) in
            [("1e999", "value out of range"), ("1__0", "invalid syntax"), ("0x", "invalid")]
        {
            let got = parse(written).expect_err(written);
            assert!(got.contains(wanted), "{written}: {got}");
        }
    }

    #[test]
    fn numbers_are_written() {
        let cases = [
            (1.0, "1", "1"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1000000000000000000000", "1e+21"),
            (0.0001, "0.0001", "0.0001"),
            (0.000_012_5, "0.0000125", "1.25e-05"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
        ];
        for (value, in_full, short) in cases {
            assert_eq!((plain(value).as_str(), general(value).as_str()), (in_full, short));
        }
    }
}
