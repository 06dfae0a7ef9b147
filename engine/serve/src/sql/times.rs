//! Times as JSON: the text that Arrow's writer makes, without its formatter.
//!
//! `to_rfc3339` of a calendar date for each value was half of writing rows of a time and a number.

use arrow_json::writer::Encoder;

const DAY_SECONDS: i64 = 86_400;

/// Writes nanoseconds since 1970, UTC, in RFC 3339 with as many threes of digits as it needs.
pub(super) struct TimeEncoder<'a> {
    values: &'a [i64],
    /// The day of the last value, and its date: the next one is mostly of the same.
    day: i64,
    date: [u8; 10],
}

impl<'a> TimeEncoder<'a> {
    pub(super) fn new(values: &'a [i64]) -> Self {
        Self { values, day: 0, date: *b"1970-01-01" }
    }
}

impl Encoder for TimeEncoder<'_> {
    fn encode(&mut self, at: usize, out: &mut Vec<u8>) {
        let nanos = self.values[at];
        let (seconds, fraction) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        let (day, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
        if day != self.day {
            (self.day, self.date) = (day, date(day));
        }
        out.push(b'"');
        out.extend_from_slice(&self.date);
        out.push(b'T');
        for (part, after) in [(second / 3_600, b':'), (second / 60 % 60, b':')] {
            out.extend_from_slice(&[digit(part / 10), digit(part), after]);
        }
        out.extend_from_slice(&[digit(second % 60 / 10), digit(second)]);
        write_fraction(fraction, out);
        out.extend_from_slice(b"Z\"");
    }
}

/// Nothing, or three, six or nine digits.
fn write_fraction(nanos: i64, out: &mut Vec<u8>) {
    let (mut rest, digits) = match nanos {
        0 => return,
        nanos if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        nanos if nanos % 1_000 == 0 => (nanos / 1_000, 6),
        nanos => (nanos, 9),
    };
    let mut text = [0; 9];
    for place in text[..digits].iter_mut().rev() {
        *place = digit(rest);
        rest /= 10;
    }
    out.push(b'.');
    out.extend_from_slice(&text[..digits]);
}

/// The last decimal digit.
fn digit(n: i64) -> u8 {
    b'0' + (n % 10) as u8
}

/// `2023-11-14` of days since 1970. What nanoseconds reach are years of four digits.
///
/// Counts from March, so that a leap day is the last of its year
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn date(day: i64) -> [u8; 10] {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let [a, b, c, d] = [digit(year / 1_000), digit(year / 100), digit(year / 10), digit(year)];
    [a, b, c, d, b'-', digit(month / 10), digit(month), b'-', digit(of_month / 10), digit(of_month)]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, RecordBatch, TimestampNanosecondArray};
    use arrow_json::writer::{LineDelimited, WriterBuilder};

    use super::*;
    use crate::sql::json;

    fn written(batch: &RecordBatch, builder: WriterBuilder) -> String {
        let mut writer = builder.build::<_, LineDelimited>(Vec::new());
        writer.write(batch).unwrap();
        writer.finish().unwrap();
        String::from_utf8(writer.into_inner()).unwrap()
    }

    /// As Arrow writes them: at the ends, around days, months, years, leap days and fractions.
    #[test]
    fn times_are_what_arrow_writes() {
        let second = 1_000_000_000;
        let mut times = vec![i64::MIN, i64::MIN + 1, -1, 0, 1, 999, 1_000, 1_000_000, i64::MAX];
        for day in (-100_000..100_000).step_by(17).chain([-719, 10_956, 11_015, 11_016, 47_540, 47_541]) {
            let midnight = day * DAY_SECONDS * second;
            times.extend(
                [-1, 0, 1, 45_296 * second + 7_000, 86_399 * second + 500_000_000].map(|t| midnight + t),
            );
        }
        let column: ArrayRef = Arc::new(TimestampNanosecondArray::from(times).with_timezone("UTC"));
        let batch = RecordBatch::try_from_iter([("t", column)]).unwrap();
        let ours = written(&batch, WriterBuilder::new().with_encoder_factory(json::factory()));
        assert_eq!(ours, written(&batch, WriterBuilder::new()));
    }
}
