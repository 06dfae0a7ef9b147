//! Parts of a date, UTC, proleptic Gregorian.

use crate::plan::DatePart;

const SECONDS_OF_DAY: i64 = 86_400;

/// The first second of Go's calendar, in the year -292277022399; earlier ones are read as late ones.
const FIRST_SECOND: i64 = -9_223_372_028_741_760_000;

/// A part of the date at some seconds since the epoch. What is no time, or none that fits into 64
/// bits, gives what it gives in Prometheus on x86-64: there it becomes the smallest integer, and
/// that is in December of the year 292277026596.
pub(crate) fn part(part: DatePart, seconds: f64) -> f64 {
    let (days, of_day) = days_and_seconds(seconds);
    let date = Date::of_days(days);
    let value = match part {
        DatePart::Minute => of_day / 60 % 60,
        DatePart::Hour => of_day / 3_600,
        DatePart::DayOfMonth => date.day,
        // The epoch was a Thursday.
        DatePart::DayOfWeek => (days + 4).rem_euclid(7),
        DatePart::DayOfYear => days - days_before(date.year, 1) + 1,
        DatePart::DaysInMonth => date.days_in_month(),
        DatePart::Month => date.month,
        DatePart::Year => date.year,
    };
    value as f64
}

#[expect(clippy::cast_possible_truncation, reason = "checked before")]
fn days_and_seconds(seconds: f64) -> (i64, i64) {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    let whole = if seconds.abs() < TOO_LARGE { seconds as i64 } else { i64::MIN };
    let (days, of_day) = (whole.div_euclid(SECONDS_OF_DAY), whole.rem_euclid(SECONDS_OF_DAY));
    if whole >= FIRST_SECOND {
        return (days, of_day);
    }
    // All 2^64 seconds are so many days and seconds.
    const TURN: (i64, i64) = (213_503_982_334_601, 25_216);
    let of_day = of_day + TURN.1;
    (days + TURN.0 + of_day / SECONDS_OF_DAY, of_day % SECONDS_OF_DAY)
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// By Howard Hinnant's `civil_from_days`: years are counted from March, so that leap days are
    /// last.
    fn of_days(days: i64) -> Self {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day }
    }

    fn days_in_month(&self) -> i64 {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        days_before(year, month) - days_before(self.year, self.month)
    }
}

/// Days from the epoch to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: f64, wanted: [i64; 8]) {
        use DatePart as P;
        let parts = [
            P::Year,
            P::Month,
            P::DayOfMonth,
            P::Hour,
            P::Minute,
            P::DayOfWeek,
            P::DayOfYear,
            P::DaysInMonth,
        ];
        let got = parts.map(|one| part(one, seconds) as i64);
        assert_eq!(got, wanted, "{seconds}");
    }

    #[test]
    fn dates() {
        check(0.0, [1970, 1, 1, 0, 0, 4, 1, 31]);
        check(-1.0, [1969, 12, 31, 23, 59, 3, 365, 31]);
        check(951_782_400.0, [2000, 2, 29, 0, 0, 2, 60, 29]);
        check(1_709_251_199.9, [2024, 2, 29, 23, 59, 4, 60, 29]);
        check(1_709_251_200.0, [2024, 3, 1, 0, 0, 5, 61, 31]);
        check(4_107_542_399.0, [2100, 2, 28, 23, 59, 0, 59, 28]);
        check(1e18, [31_688_740_476, 10, 23, 1, 46, 5, 297, 31]);
    }

    #[test]
    fn what_is_no_time() {
        for seconds in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 9.3e18] {
            check(seconds, [292_277_026_596, 12, 4, 15, 30, 0, 339, 31]);
        }
    }
}
