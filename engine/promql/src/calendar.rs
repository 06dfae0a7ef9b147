//! Parts of a date, UTC, proleptic Gregorian.

use crate::plan::DatePart;

const SECONDS_OF_DAY: i64 = 86_400;

/// A part of the date at some seconds since the epoch. What is no time gives what the largest or
/// smallest time gives.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, NaN becomes 0")]
pub(crate) fn part(part: DatePart, seconds: f64) -> f64 {
    // Years beyond these have no date in any calendar of interest, and would overflow.
    let seconds = (seconds as i64).clamp(-(1 << 52), 1 << 52);
    let days = seconds.div_euclid(SECONDS_OF_DAY);
    let of_day = seconds.rem_euclid(SECONDS_OF_DAY);
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
        check(f64::NAN, [1970, 1, 1, 0, 0, 4, 1, 31]);
    }
}
