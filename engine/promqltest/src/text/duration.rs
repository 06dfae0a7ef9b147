//! Lengths of time.

const SECOND_MS: i64 = 1000;
const DAY_MS: i64 = 24 * 60 * 60 * SECOND_MS;

/// The units in the order in which they may follow each other.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * DAY_MS),
    ("w", 7 * DAY_MS),
    ("d", DAY_MS),
    ("h", 60 * 60 * SECOND_MS),
    ("m", 60 * SECOND_MS),
    ("s", SECOND_MS),
    ("ms", 1),
];

/// Milliseconds of a duration such as `1h30m`, `5ms` or `0`.
///
/// # Errors
///
/// Anything else, and what is longer than an `i64` holds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    total(text).ok_or_else(|| format!("{text:?} is no duration"))
}

fn total(text: &str) -> Option<i64> {
    let (mut rest, mut units, mut total) = (text, &UNITS[..], 0_i64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (digits, tail) = split(rest, |byte| byte.is_ascii_digit());
        let (unit, tail) = split(tail, |byte| byte.is_ascii_alphabetic());
        let at = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(units[at].1)?)?;
        (rest, units) = (tail, &units[at + 1..]);
    }
    Some(total)
}

/// The duration with which a text begins, with or without a sign, and what follows.
///
/// # Errors
///
/// No number with a unit at the beginning.
pub(crate) fn signed_prefix(text: &str) -> Result<(i64, &str), String> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, tail) = split(unsigned, |byte| byte.is_ascii_digit());
    // An `x` begins the repetition and is in no unit.
    let (unit, tail) = split(tail, |byte| byte.is_ascii_alphabetic() && byte != b'x');
    let length = &unsigned[..digits.len() + unit.len()];
    Ok((sign * parse(length)?, tail))
}

fn split(text: &str, pass: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|byte| pass(*byte)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse(text).ok(), expected, "{text:?}");
    }

    #[test]
    fn durations() {
        check("0", Some(0));
        check("0s", Some(0));
        check("5ms", Some(5));
        check("1m", Some(60_000));
        check("1h30m", Some(5_400_000));
        check("1y2w3d", Some((365 + 14 + 3) * DAY_MS));
        for wrong in ["", "5", "m", "1m1h", "1m1m", "-1m", "1.5m", "1 m", "99999999999999y", "1x"] {
            check(wrong, None);
        }
    }

    #[test]
    fn signed_durations_at_the_beginning() {
        let check = |text, expected| assert_eq!(signed_prefix(text).ok(), expected, "{text:?}");
        check("-30s-1mx2", Some((-30_000, "-1mx2")));
        check("-0msx15", Some((0, "x15")));
        check("+1m", Some((60_000, "")));
        check("0", Some((0, "")));
        check("x5", None);
        check("--1m", None);
    }
}
