//! Times and durations in parameters.

use std::time::Duration;

use isinglass_lang::promql::{parse_duration as prometheus_duration, quoted};

/// The earliest time that Prometheus' own client can name, milliseconds since the epoch.
pub(super) const TIME_MIN_MS: i64 = (i64::MIN / 1_000 + 62_135_596_801) * 1_000;
/// The latest.
pub(super) const TIME_MAX_MS: i64 = (i64::MAX / 1_000 - 62_135_596_801) * 1_000 + 999;
/// How that client writes them: their years have more digits than RFC 3339 allows.
const TIME_MIN: &str = "-292273086-05-16T16:47:06Z";
const TIME_MAX: &str = "292277025-08-18T07:12:54.999999999Z";

/// Milliseconds since the epoch of seconds with decimals or an RFC 3339 time. What is out of
/// range becomes the earliest or latest time.
pub(super) fn parse_time(text: &str) -> Result<i64, String> {
    if let Some(seconds) = number(text) {
        return Ok(of_seconds(seconds));
    }
    match text {
        TIME_MIN => return Ok(TIME_MIN_MS),
        TIME_MAX => return Ok(TIME_MAX_MS),
        _ => {}
    }
    rfc3339(text).ok_or_else(|| format!("cannot parse {} to a valid timestamp", quoted(text)))
}

/// A duration: seconds with decimals, or `1h30m`. May be negative.
///
/// In nanoseconds, because a step is compared with a range before it is cut to milliseconds.
pub(super) fn parse_duration_ns(text: &str) -> Result<i64, String> {
    if let Some(seconds) = number(text) {
        let nanos = seconds * 1e9;
        return if nanos.abs() <= i64::MAX as f64 {
            Ok(nanos as i64)
        } else {
            Err(format!("cannot parse {} to a valid duration. It overflows int64", quoted(text)))
        };
    }
    let millis = prometheus_duration(text).ok().and_then(|millis| millis.checked_mul(1_000_000));
    millis.ok_or_else(|| format!("cannot parse {} to a valid duration", quoted(text)))
}

/// A duration that is a deadline: what is negative is over at once.
pub(super) fn parse_timeout(text: &str) -> Result<Duration, String> {
    parse_duration_ns(text).map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

/// What Go's `ParseFloat` takes, but for NaN, infinities and hexadecimal: no time is meant by them.
fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// The steps of Prometheus, so that the last digit is the same.
fn of_seconds(seconds: f64) -> i64 {
    let whole = seconds.trunc();
    let fraction = ((seconds - whole) * 1_000.0).round() / 1_000.0;
    let nanos = (fraction * 1e9) as i64;
    // The cast saturates.
    let millis = (whole as i64).saturating_mul(1_000).saturating_add(nanos.div_euclid(1_000_000));
    millis.clamp(TIME_MIN_MS, TIME_MAX_MS)
}

/// `2026-01-02T03:04:05.678+02:00`, cut to milliseconds.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let [year, month, day] = fields(date, '-')?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.split_once(['.', ',']).map_or((clock, None), |(c, f)| (c, Some(f)));
    let [hour, minute, second] = fields(clock, ':')?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range || date.len() != 10 || clock.len() != 8 {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some((seconds - zone_seconds(zone)?) * 1_000 + millis_of(fraction)?)
}

fn fields(text: &str, by: char) -> Option<[i64; 3]> {
    let mut parts = text.split(by).map(digits);
    let fields = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(fields)
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn millis_of(fraction: Option<&str>) -> Option<i64> {
    let Some(fraction) = fraction else { return Some(0) };
    digits(fraction.get(..fraction.len().min(18))?)?;
    let padded = format!("{fraction:0<3}");
    digits(&padded[..3])
}

fn zone_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' => return (zone.len() == 1).then_some(0),
        b'+' => 1,
        _ => -1,
    };
    let (hours, minutes) = zone[1..].split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (zone.len() == 6 && hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_of(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, whose year is made to begin in March.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, want: Option<i64>| {
            let fault = format!("cannot parse {text:?} to a valid timestamp");
            assert_eq!(parse_time(text), want.ok_or(fault), "{text}");
        };
        check("0", Some(0));
        check("4", Some(4_000));
        check("1435781451.781", Some(1_435_781_451_781));
        check("-1.5", Some(-1_500));
        check("1.0005", Some(1_000));
        check("1.9996", Some(2_000));
        check("1e3", Some(1_000_000));
        // Grafana asks for exemplars in milliseconds.
        check("1700000000000", Some(1_700_000_000_000_000));
        check("99999999999999999999", Some(TIME_MAX_MS));
        check("-99999999999999999999", Some(TIME_MIN_MS));
        check("1970-01-01T00:00:00Z", Some(0));
        check("2020-01-01T00:00:00.1239+02:00", Some(1_577_829_600_123));
        check("2015-06-03T13:21:58.555Z", Some(1_433_337_718_555));
        check("1969-12-31T23:59:59.9Z", Some(-100));
        check("2024-02-29T12:00:00-00:30", Some(1_709_209_800_000));
        check(TIME_MIN, Some(TIME_MIN_MS));
        check(TIME_MAX, Some(TIME_MAX_MS));
        for text in [
            "",
            "abc",
            "NaN",
            "inf",
            "30s",
            "2015-06-03",
            "2015-13-03T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2015-06-03T24:00:00Z",
            "2015-06-03T13:21:58",
            "2015-06-03T13:21:58.Z",
            "2015-6-3T13:21:58Z",
            "2015-06-03T13:21:58+1:00",
            "2015-06-03 13:21:58Z",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn durations() {
        let check = |text: &str, want: Result<i64, &str>| {
            assert_eq!(parse_duration_ns(text), want.map_err(str::to_owned), "{text}");
        };
        check("1", Ok(1_000_000_000));
        check("0.0005", Ok(500_000));
        check("-1", Ok(-1_000_000_000));
        check("5m", Ok(300_000_000_000));
        check("1h30m", Ok(5_400_000_000_000));
        check("", Err("cannot parse \"\" to a valid duration"));
        check("x", Err("cannot parse \"x\" to a valid duration"));
        check("1e30", Err("cannot parse \"1e30\" to a valid duration. It overflows int64"));
        assert_eq!(parse_timeout("-3"), Ok(Duration::ZERO));
        assert_eq!(parse_timeout("1.5"), Ok(Duration::from_millis(1_500)));
    }

    proptest! {
        #[test]
        fn rfc3339_of_any_second_reads_back(seconds in 0_u64..253_402_300_800, millis in 0_u64..1_000) {
            let time = std::time::UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + millis);
            let text = humantime::format_rfc3339_millis(time).to_string();
            prop_assert_eq!(parse_time(&text), Ok((seconds * 1_000 + millis).cast_signed()));
        }

        #[test]
        fn any_text_is_taken(text in "[0-9TZ:+.,é-]{0,30}|\\PC{0,12}") {
            let _ = (parse_time(&text), parse_duration_ns(&text));
        }
    }
}
