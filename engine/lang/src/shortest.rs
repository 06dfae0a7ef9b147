//! Floats in the fewest digits that read back the same, as Go writes them.
//!
//! Where two such texts are equally near, Go takes the one whose last digit is even, and the
//! standard library the greater one: `954883296645621.25` is `954883296645621.2` there. So the
//! digits are those of `zmij`, which does as Go.

/// Digits of a finite float: `d.ddd × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortest {
    negative: bool,
    /// Neither begins nor ends with a zero, but for zero itself.
    digits: [u8; DIGITS_MAX],
    len: usize,
    exponent: i32,
}

/// What a double needs at most.
const DIGITS_MAX: usize = 17;

/// Writes a finite float without an exponent, as Go's `FormatFloat(value, 'f', -1, 64)`.
pub fn write_plain(value: f64, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if text.contains('e') {
        out.extend_from_slice(Shortest::read(text).plain().as_bytes());
    } else {
        out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
    }
}

impl Shortest {
    /// Those of a finite float; of others there are none that mean anything.
    pub fn of(value: f64) -> Self {
        Self::read(zmij::Buffer::new().format_finite(value))
    }

    /// Takes apart what `zmij` wrote: `-1.5`, `0.001`, `1.5e-7`, `1e21`.
    fn read(text: &str) -> Self {
        let (text, negative) = text.strip_prefix('-').map_or((text, false), |text| (text, true));
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut found = Self { negative, digits: [b'0'; DIGITS_MAX], len: 0, exponent: 0 };
        let (mut leading, mut last) = (0, 0);
        for digit in whole.bytes().chain(fraction.bytes()) {
            if found.len == 0 && digit == b'0' {
                leading += 1;
            } else if let Some(place) = found.digits.get_mut(found.len) {
                *place = digit;
                found.len += 1;
                last = if digit == b'0' { last } else { found.len };
            }
        }
        let point = whole.len() as i32 - leading - 1;
        found.exponent = if last == 0 { 0 } else { exponent.parse().unwrap_or(0) + point };
        found.len = last.max(1);
        found
    }

    /// The power of ten of the first digit.
    pub fn exponent(&self) -> i32 {
        self.exponent
    }

    fn digits(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len]).unwrap_or_default()
    }

    /// Without an exponent: `0.00000015`.
    pub fn plain(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let (digits, point) = (self.digits(), self.exponent + 1);
        match usize::try_from(point) {
            Ok(0) | Err(_) => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
            Ok(point) if point >= digits.len() => {
                format!("{sign}{digits}{}", "0".repeat(point - digits.len()))
            }
            Ok(point) => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        }
    }

    /// With an exponent of two digits or more, as Go's `'e'`: `1.5e-07`, `1e+21`.
    pub fn scientific(&self) -> String {
        let (first, rest) = self.digits().split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if self.negative { "-" } else { "" };
        let of_exponent = if self.exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{point}{rest}e{of_exponent}{:02}", self.exponent.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_as_go_writes_them() {
        let check = |value: f64, plain: &str, scientific: &str| {
            let found = Shortest::of(value);
            assert_eq!((found.plain().as_str(), found.scientific().as_str()), (plain, scientific));
            let mut out = Vec::new();
            write_plain(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), plain);
        };
        check(0.0, "0", "0e+00");
        check(-0.0, "-0", "-0e+00");
        check(1.0, "1", "1e+00");
        check(-100.0, "-100", "-1e+02");
        check(0.001, "0.001", "1e-03");
        check(-1.5e-7, "-0.00000015", "-1.5e-07");
        check(123.456, "123.456", "1.23456e+02");
        check(1e21, "1000000000000000000000", "1e+21");
        check(9_007_199_254_740_993.0, "9007199254740992", "9.007199254740992e+15");
        check(
            f64::MIN_POSITIVE,
            &format!("0.{}22250738585072014", "0".repeat(307)),
            "2.2250738585072014e-308",
        );
        check(5e-324, &format!("0.{}5", "0".repeat(323)), "5e-324");
        // Halfway: Prometheus 3.5.3 was asked.
        check(954_883_296_645_621.25, "954883296645621.2", "9.548832966456212e+14");
        check(954_883_296_645_621.75, "954883296645621.8", "9.548832966456218e+14");
        check(562_949_953_421_312.25, "562949953421312.2", "5.629499534213122e+14");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_is_short(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let found = Shortest::of(value);
            for text in [found.plain(), found.scientific()] {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{}", text);
            }
            prop_assert_eq!(found.plain().len(), value.to_string().len());
        }
    }
}
