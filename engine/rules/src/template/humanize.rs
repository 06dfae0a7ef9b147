//! Numbers for people: metric and binary prefixes, durations, percentages, times.

use super::number::general;
use super::time::format_time;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

fn four(value: f64) -> String {
    general(value, 4)
}

fn enlarged(mut value: f64, base: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

fn reduced(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1_000.0;
    }
    (value, prefix)
}

/// `1.235k`, `12m`.
pub(super) fn metric(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 { enlarged(value, 1_000.0, &LARGE) } else { reduced(value) };
    four(value) + prefix
}

/// `1.5Mi`.
pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four(value);
    }
    let (value, prefix) = enlarged(value, 1_024.0, &LARGE_BINARY);
    four(value) + prefix
}

/// `1d 2h 3m 4s`, `1.5s`, `12ms`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four(seconds);
    }
    if seconds == 0.0 {
        return four(seconds) + "s";
    }
    if seconds.abs() < 1.0 {
        let (value, prefix) = reduced(seconds);
        return format!("{}{prefix}s", four(value));
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    // Beyond 292 billion years a cast saturates, which nobody reads anyway.
    let whole = seconds as i64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {rest}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {rest}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {rest}s")
    } else {
        format!("{sign}{}s", four(seconds))
    }
}

/// `12.5%` of `0.125`.
pub(super) fn percentage(ratio: f64) -> String {
    four(ratio * 100.0) + "%"
}

/// A time of seconds since the epoch; what is no number stays as it is.
pub(super) fn timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(four(seconds));
    }
    time_of(seconds).map(format_time)
}

/// Nanoseconds of seconds since the epoch, to the millisecond.
pub(super) fn time_of(seconds: f64) -> Result<i64, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".into());
    }
    let nanos = seconds * 1e9;
    if nanos.abs() >= i64::MAX as f64 {
        let seconds = super::number::shortest(seconds);
        return Err(format!(
            "{seconds} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    Ok((nanos as i64).div_euclid(1_000_000) * 1_000_000)
}

/// Nanoseconds of a duration in seconds.
pub(super) fn duration_of(seconds: f64) -> Result<i64, String> {
    if !seconds.is_finite() {
        return Err("value is NaN or Inf".into());
    }
    let nanos = seconds * 1e9;
    if nanos.abs() >= i64::MAX as f64 {
        let seconds = super::number::shortest(seconds);
        return Err(format!(
            "{seconds} cannot be represented as a nanoseconds duration since it overflows int64"
        ));
    }
    Ok(nanos as i64)
}
