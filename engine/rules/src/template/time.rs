//! Times and durations as text: calendar of UTC, layouts and words of Go's `time`.

/// Nanoseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A time of the proleptic Gregorian calendar in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    /// From 1.
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) nanos: i64,
    /// 0 = Sunday.
    pub(super) weekday: i64,
    /// From 1.
    pub(super) year_day: i64,
}

impl Civil {
    /// The calendar's view of nanoseconds since the epoch.
    ///
    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so
    /// that the leap day is their last.
    pub(super) fn of(unix_nanos: i64) -> Self {
        let seconds = unix_nanos.div_euclid(SECOND);
        let days = seconds.div_euclid(86_400);
        let of_day = seconds.rem_euclid(86_400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
        let year_day = if month > 2 { day_of_year + 60 + leap } else { day_of_year - 305 };
        Self {
            year,
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: of_day / 3_600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            nanos: unix_nanos.rem_euclid(SECOND),
            weekday: (days + 4).rem_euclid(7),
            year_day,
        }
    }

    pub(super) fn month_name(&self) -> &'static str {
        usize::try_from(self.month - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or("")
    }

    pub(super) fn day_name(&self) -> &'static str {
        usize::try_from(self.weekday).ok().and_then(|at| DAYS.get(at)).copied().unwrap_or("")
    }

    /// Digits behind the second, without zeros at the end: `.5`, nothing for whole seconds.
    fn fraction(&self) -> String {
        if self.nanos == 0 {
            return String::new();
        }
        format!(".{:09}", self.nanos).trim_end_matches('0').to_owned()
    }
}

/// As Go prints a time: `2009-11-10 23:00:00.5 +0000 UTC`.
pub(super) fn format_time(unix_nanos: i64) -> String {
    layout(unix_nanos, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// RFC 3339 with as many digits behind the second as are needed: `2009-11-10T23:00:00.5Z`.
pub(crate) fn rfc3339(unix_nanos: i64) -> String {
    layout(unix_nanos, "2006-01-02T15:04:05.999999999Z07:00")
}

/// As Go prints a duration: `1h0m0s`, `1.5s`, `12ms`.
pub(super) fn format_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let rest = nanos.unsigned_abs();
    let (unit, name) = match rest {
        0 => return "0s".into(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "\u{b5}s"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    if name != "s" {
        return format!("{sign}{}{name}", decimals(rest, unit));
    }
    let minutes = rest / 60_000_000_000;
    let seconds = decimals(rest % 60_000_000_000, unit);
    match minutes {
        0 => format!("{sign}{seconds}s"),
        1..60 => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{}h{}m{seconds}s", minutes / 60, minutes % 60),
    }
}

fn decimals(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// A time in one of Go's layouts: the reference time `Mon Jan 2 15:04:05 MST 2006`, in pieces.
pub(super) fn layout(unix_nanos: i64, layout: &str) -> String {
    let civil = Civil::of(unix_nanos);
    let mut written = String::with_capacity(layout.len());
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let (piece, bytes) = piece(&civil, rest).unwrap_or_else(|| (first.into(), first.len_utf8()));
        written.push_str(&piece);
        rest = &rest[bytes..];
    }
    written
}

/// The piece that a layout begins with, written, and its bytes in the layout.
fn piece(civil: &Civil, rest: &str) -> Option<(String, usize)> {
    let half = |hour: i64| if hour % 12 == 0 { 12 } else { hour % 12 };
    // Longer pieces stand before those that they begin with.
    type Write = fn(&Civil, fn(i64) -> i64) -> String;
    let pieces: [(&str, Write); 28] = [
        ("2006", |c, _| format!("{:04}", c.year)),
        ("January", |c, _| c.month_name().into()),
        ("Jan", |c, _| c.month_name().chars().take(3).collect()),
        ("Monday", |c, _| c.day_name().into()),
        ("Mon", |c, _| c.day_name().chars().take(3).collect()),
        ("MST", |_, _| "UTC".into()),
        ("002", |c, _| format!("{:03}", c.year_day)),
        ("__2", |c, _| format!("{:3}", c.year_day)),
        ("_2", |c, _| format!("{:2}", c.day)),
        ("01", |c, _| format!("{:02}", c.month)),
        ("02", |c, _| format!("{:02}", c.day)),
        ("03", |c, half| format!("{:02}", half(c.hour))),
        ("04", |c, _| format!("{:02}", c.minute)),
        ("05", |c, _| format!("{:02}", c.second)),
        ("06", |c, _| format!("{:02}", c.year.rem_euclid(100))),
        ("15", |c, _| format!("{:02}", c.hour)),
        ("PM", |c, _| if c.hour >= 12 { "PM" } else { "AM" }.into()),
        ("pm", |c, _| if c.hour >= 12 { "pm" } else { "am" }.into()),
        ("Z07:00", |_, _| "Z".into()),
        ("Z0700", |_, _| "Z".into()),
        ("-07:00", |_, _| "+00:00".into()),
        ("-0700", |_, _| "+0000".into()),
        ("-07", |_, _| "+00".into()),
        ("1", |c, _| c.month.to_string()),
        ("2", |c, _| c.day.to_string()),
        ("3", |c, half| half(c.hour).to_string()),
        ("4", |c, _| c.minute.to_string()),
        ("5", |c, _| c.second.to_string()),
    ];
    if let Some(fraction) = fraction(civil, rest) {
        return Some(fraction);
    }
    let (name, write) = pieces.into_iter().find(|(name, _)| rest.starts_with(name))?;
    Some((write(civil, half), name.len()))
}

/// `.000` keeps its digits, `.999` leaves zeros at the end out.
fn fraction(civil: &Civil, rest: &str) -> Option<(String, usize)> {
    let digits = rest.strip_prefix(['.', ','])?;
    let digit = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == digit).count();
    if digits[count..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digit == '9' && count >= 9 {
        return Some((civil.fraction(), 1 + count));
    }
    let shown: String = format!("{:09}", civil.nanos).chars().take(count.min(9)).collect();
    let shown = if digit == '9' { shown.trim_end_matches('0') } else { &shown };
    Some((if shown.is_empty() { String::new() } else { format!(".{shown}") }, 1 + count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (nanos, text, rfc) in [
            (0, "1970-01-01 00:00:00 +0000 UTC", "1970-01-01T00:00:00Z"),
            (1_257_894_000 * SECOND, "2009-11-10 23:00:00 +0000 UTC", "2009-11-10T23:00:00Z"),
            (1_709_210_096_500_000_000, "2024-02-29 12:34:56.5 +0000 UTC", "2024-02-29T12:34:56.5Z"),
            (-SECOND, "1969-12-31 23:59:59 +0000 UTC", "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(format_time(nanos), text);
            assert_eq!(rfc3339(nanos), rfc);
        }
        let leap_day = 1_709_210_096 * SECOND;
        assert_eq!(layout(leap_day, "Mon, 02 Jan 2006 03:04 PM MST"), "Thu, 29 Feb 2024 12:34 PM UTC");
        assert_eq!(layout(leap_day, "2/1/06 15h 002 .000"), "29/2/24 12h 060 .000");
        assert_eq!(Civil::of(1_735_603_200 * SECOND).year_day, 366);
        assert_eq!(Civil::of(0).year_day, 1);
    }

    #[test]
    fn durations() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5\u{b5}s"),
            (12_000_000, "12ms"),
            (1_500_000_000, "1.5s"),
            (3_600 * SECOND, "1h0m0s"),
            (-90 * SECOND, "-1m30s"),
        ] {
            assert_eq!(format_duration(nanos), text);
        }
    }
}
