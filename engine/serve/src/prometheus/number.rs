//! Numbers and times as Prometheus writes them into JSON.

use isinglass_lang::shortest::{Shortest, write_plain};

/// Below this a value has an exponent, and from [`PLAIN_END`] on.
const PLAIN_BEGIN: f64 = 1e-6;
const PLAIN_END: f64 = 1e21;
/// Integers below this are written without the machinery for floats.
const SMALL: f64 = 1e15;

/// A value: the shortest digits that read back the same, with an exponent only where it is below
/// 1e-6 or from 1e21 on, which then has two digits or more. As Prometheus' `util/jsonutil`.
pub(super) fn write_value(value: f64, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    if magnitude < SMALL && value.trunc() == value && !(value == 0.0 && value.is_sign_negative()) {
        write_integer(value as i64, out);
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if magnitude != 0.0 && !(PLAIN_BEGIN..PLAIN_END).contains(&magnitude) {
        out.extend_from_slice(Shortest::of(value).scientific().as_bytes());
    } else {
        write_plain(value, out);
    }
}

/// A value in quotes.
pub(super) fn write_quoted(value: f64, out: &mut Vec<u8>) {
    out.push(b'"');
    write_value(value, out);
    out.push(b'"');
}

/// Milliseconds as seconds with three decimals, or none where they are zero.
pub(super) fn write_seconds(time_ms: i64, out: &mut Vec<u8>) {
    if time_ms < 0 {
        out.push(b'-');
    }
    let millis = time_ms.unsigned_abs();
    out.extend_from_slice(itoa::Buffer::new().format(millis / 1_000).as_bytes());
    let fraction = millis % 1_000;
    if fraction != 0 {
        let digit = |unit: u64| b'0' + (fraction / unit % 10) as u8;
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: f64) -> String {
        let mut out = Vec::new();
        write_value(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What Go 1.19 writes for these bits; see the head of the file.
    #[test]
    fn values_as_go_writes_them() {
        let table = include_str!("testdata/numbers.txt");
        let rows: Vec<_> = table.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(rows.len() >= 60, "{} rows", rows.len());
        for row in rows {
            let (bits, text) = row.split_once(' ').unwrap();
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(written(value), text, "{bits}");
        }
    }

    #[test]
    fn times_have_three_decimals_or_none() {
        for (time_ms, text) in [
            (0, "0"),
            (1, "0.001"),
            (-1, "-0.001"),
            (10, "0.010"),
            (1_435_781_451_781, "1435781451.781"),
            (1_435_781_451_000, "1435781451"),
            (-1_500, "-1.500"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            let mut out = Vec::new();
            write_seconds(time_ms, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(bits: u64) {
            let value = f64::from_bits(bits);
            let text = written(value);
            if value.is_nan() {
                prop_assert_eq!(text, "NaN");
            } else {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{}", text);
            }
        }

        #[test]
        fn integers_too(value in -10_000_000_000_000_000_i64..10_000_000_000_000_000) {
            prop_assert_eq!(written(value as f64), format!("{}", value as f64));
        }
    }
}
