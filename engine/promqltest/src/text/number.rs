//! Numbers.

/// A number as Prometheus reads one that stands alone: an integer of Go with its prefixes, else a
/// float; `Inf` and `NaN` in any case.
pub(crate) fn parse(text: &str) -> Option<f64> {
    integer(text).or_else(|| text.parse().ok())
}

fn integer(text: &str) -> Option<f64> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (radix, digits) = match digits.get(..2).unwrap_or_default() {
        "0x" | "0X" => (16, &digits[2..]),
        "0b" | "0B" => (2, &digits[2..]),
        "0o" | "0O" => (8, &digits[2..]),
        start if start.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()? as f64;
    Some(if negative { -number } else { number })
}

/// The number with which a text begins, with or without a sign, and what follows. Not hexadecimal:
/// `0x5` is nought, six times.
pub(crate) fn prefix(text: &str) -> Option<(f64, &str)> {
    let sign = usize::from(text.starts_with(['-', '+']));
    let unsigned = &text[sign..];
    let length = word(unsigned).unwrap_or_else(|| decimal(unsigned));
    if length == 0 {
        return None;
    }
    let (number, rest) = text.split_at(sign + length);
    Some((number.parse().ok()?, rest))
}

fn word(text: &str) -> Option<usize> {
    let start = text.get(..3)?;
    ["inf", "nan"].iter().any(|word| start.eq_ignore_ascii_case(word)).then_some(3)
}

/// How many bytes are digits, a point and an exponent.
fn decimal(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = if bytes.len() > end + 1 + sign { digits(end + 1 + sign) } else { 0 };
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_stand_alone() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse(text).map(f64::to_bits), expected.map(f64::to_bits), "{text:?}");
        };
        check("5", Some(5.0));
        check("-1.5e3", Some(-1500.0));
        check("0x1F", Some(31.0));
        check("010", Some(8.0));
        check("08", Some(8.0));
        check("0", Some(0.0));
        check("+Inf", Some(f64::INFINITY));
        check("-inf", Some(f64::NEG_INFINITY));
        assert!(parse("NaN").is_some_and(f64::is_nan));
        for wrong in ["", "up", "{}", "1 2", "--1", "0x", "0x-1", "1x5"] {
            check(wrong, None);
        }
    }

    #[test]
    fn numbers_at_the_beginning() {
        let check = |text: &str, expected| assert_eq!(prefix(text), expected, "{text:?}");
        check("1+2x5", Some((1.0, "+2x5")));
        check("-1-2x5", Some((-1.0, "-2x5")));
        check("0x5", Some((0.0, "x5")));
        check("1e3x2", Some((1000.0, "x2")));
        check("1e-3", Some((0.001, "")));
        check("1e", Some((1.0, "e")));
        check(".5", Some((0.5, "")));
        check("1.", Some((1.0, "")));
        check("+Infx3", Some((f64::INFINITY, "x3")));
        check(".", None);
        check("x", None);
        check("", None);
        check("é", None);
    }
}
