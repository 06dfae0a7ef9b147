//! Durations as text: `1h30m`.

/// A unit, its milliseconds and nanoseconds of one. Units stand in this order, each at most once.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration in milliseconds: what 63 bits of nanoseconds hold, about 292 years.
pub(super) const MILLIS_MAX: i64 = i64::MAX / 1_000_000;

/// Milliseconds of a duration such as `1h30m`, `90s`, `1y2w3d4h5m6s7ms` or `0`.
///
/// # Errors
/// In the words of Prometheus: an unknown unit, units out of order, digits without a unit, and
/// what is beyond 292 years.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    match text {
        "0" => return Ok(0),
        "" => return Err("empty duration string".into()),
        _ => {}
    }
    let invalid = || format!("not a valid duration string: {}", super::quoted(text));
    let (mut rest, mut total, mut next_unit) = (text, 0_i64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let count: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit_bytes = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, behind) = rest.split_at(unit_bytes);
        rest = behind;
        let place = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(|| {
            format!("unknown unit {} in duration {}", super::quoted(unit), super::quoted(text))
        })?;
        if place < next_unit {
            return Err(invalid());
        }
        next_unit = place + 1;
        total = longer(total, count, UNITS[place].1).ok_or("duration out of range")?;
    }
    Ok(total)
}

fn longer(total: i64, count: u64, unit: i64) -> Option<i64> {
    let added = i64::try_from(count).ok()?.checked_mul(unit)?;
    total.checked_add(added).filter(|total| *total <= MILLIS_MAX)
}

/// A duration as Prometheus writes it: `1h30m`, `90d`, `0s`, `-5m`. Years and weeks only where
/// nothing remains, because `90d` reads easier than `12w6d`.
pub fn format_duration(millis: i64) -> String {
    if millis == 0 {
        return "0s".into();
    }
    let mut text = String::from(if millis < 0 { "-" } else { "" });
    let mut rest = millis.unsigned_abs();
    for (name, unit) in UNITS {
        let unit = unit.unsigned_abs();
        let whole_only = matches!(name, "y" | "w");
        if (whole_only && !rest.is_multiple_of(unit)) || rest < unit {
            continue;
        }
        text.push_str(&format!("{}{name}", rest / unit));
        rest %= unit;
    }
    text
}

/// Milliseconds of seconds, the nearest; `None` beyond what a duration holds.
pub(super) fn millis_of_seconds(seconds: f64) -> Option<i64> {
    let millis = seconds * 1_000.0;
    // A whole number below 2^53 times 1,000 is exact; beyond, the bound has been passed long ago.
    (millis.abs() <= MILLIS_MAX as f64).then_some(millis.round() as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let cases = [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("324ms", 324, "324ms"),
            ("3s", 3_000, "3s"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("4d", 345_600_000, "4d"),
            ("4d1h", 349_200_000, "4d1h"),
            ("14d", 1_209_600_000, "2w"),
            ("3w", 1_814_400_000, "3w"),
            ("3w2d1h", 1_990_800_000, "23d1h"),
            ("10y", 315_360_000_000, "10y"),
            ("90s", 90_000, "1m30s"),
            ("1y2w3d4h5m6s7ms", 33_019_506_007, "382d4h5m6s7ms"),
        ];
        for (text, millis, written) in cases {
            assert_eq!(parse_duration(text), Ok(millis), "{text}");
            assert_eq!(format_duration(millis), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        let cases = [
            ("", "empty duration string"),
            ("1", "not a valid duration string: \"1\""),
            ("-1w", "not a valid duration string: \"-1w\""),
            ("1.5d", "unknown unit \".\" in duration \"1.5d\""),
            ("d", "not a valid duration string: \"d\""),
            ("5m1h", "not a valid duration string: \"5m1h\""),
            ("5m1m", "not a valid duration string: \"5m1m\""),
            ("5y1hs", "unknown unit \"hs\" in duration \"5y1hs\""),
            ("294y", "duration out of range"),
            ("99999999999999999999s", "not a valid duration string: \"99999999999999999999s\""),
            ("é", "not a valid duration string: \"é\""),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_duration(text), Err(wanted.into()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_is_read_back(millis in 0..=MILLIS_MAX) {
            prop_assert_eq!(parse_duration(&format_duration(millis)), Ok(millis));
        }

        #[test]
        fn any_text_is_taken(text in "[0-9smhdwyé.]{0,12}") {
            let _ = parse_duration(&text);
        }
    }
}
