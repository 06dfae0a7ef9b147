//! Lengths of time with a sign.

use isinglass_lang::promql::parse_duration;

/// Milliseconds of the duration with which a text begins, such as `-30s`, and what follows.
///
/// # Errors
///
/// No duration at the beginning.
pub(crate) fn signed_prefix(text: &str) -> Result<(i64, &str), String> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = length(unsigned, |byte| byte.is_ascii_digit());
    // An `x` begins the repetition and is in no unit.
    let unit = length(&unsigned[digits..], |byte| byte.is_ascii_alphabetic() && byte != b'x');
    let (duration, rest) = unsigned.split_at(digits + unit);
    Ok((sign * parse_duration(duration)?, rest))
}

fn length(text: &str, pass: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| pass(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_at_the_beginning() {
        let check = |text, expected| assert_eq!(signed_prefix(text).ok(), expected, "{text:?}");
        check("-30s-1mx2", Some((-30_000, "-1mx2")));
        check("-0msx15", Some((0, "x15")));
        check("+1m", Some((60_000, "")));
        check("1m5sx1", Some((60_000, "5sx1")));
        check("0", Some((0, "")));
        for wrong in ["", "x5", "--1m", "5", "5q"] {
            check(wrong, None);
        }
    }
}
