//! Values as scaled integers.
//!
//! Most metrics count, or measure to a few decimals; as doubles their bits look
//! random, as integers their differences are small. So each run of rows of one
//! series gets the smallest decimal scale at which its values are integers, and
//! what a reader computes, `value_int / pow(10, value_scale)` in doubles, has
//! the very bits of the value. What has no such integer (NaN, infinities,
//! minus zero, values of more digits) stays in `value`.

use isinglass_model::batch::STALE_NAN_BITS;

/// The greatest scale that is tried. Powers of ten are exact doubles up to 22;
/// beyond 15 digits a decimal does not tell doubles apart.
const SCALE_MAX: usize = 15;

/// Integers below this are exact as doubles.
const INT_MAX: f64 = 9_007_199_254_740_992.0;

const POW10: [f64; SCALE_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Of a run, one value in this many may stay a double before the whole run does.
const EXCEPTIONS: usize = 8;

/// How a run is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// As doubles.
    Double,
    /// As integers of this scale, with exceptions as doubles.
    Scaled(u8),
}

impl Split {
    /// What the column `value_scale` holds where there is an integer.
    pub(super) fn scale(self) -> i16 {
        match self {
            Self::Double => 0,
            Self::Scaled(scale) => i16::from(scale),
        }
    }
}

/// How a single value is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stored {
    /// A stale marker: nothing.
    Nothing,
    Double(f64),
    Int(i64),
}

/// The integer that stands for `value` at `scale`, if a reader gets the very
/// same bits back.
#[inline]
fn scaled(value: f64, scale: usize) -> Option<i64> {
    let power = POW10[scale];
    let rounded = (value * power).round_ties_even();
    // Saturates; NaN becomes 0. Back as a double, so that minus zero is seen.
    let int = rounded as i64;
    let exact = rounded.abs() < INT_MAX && (int as f64 / power).to_bits() == value.to_bits();
    exact.then_some(int)
}

/// Decides for a run.
///
/// A value that is an integer at one scale is one at each greater scale too, as
/// long as it has room, so the scale only grows. Values that ran out of room at
/// the final scale become exceptions when they are stored.
pub(super) fn of_run(values: &[f64]) -> Split {
    let exceptions_max = values.len() / EXCEPTIONS;
    let (mut scale, mut exceptions) = (0, 0);
    for &value in values {
        if scaled(value, scale).is_some() || value.to_bits() == STALE_NAN_BITS {
            continue;
        }
        match grown(value, scale) {
            Some(found) => scale = found,
            None => exceptions += 1,
        }
        if exceptions > exceptions_max {
            return Split::Double;
        }
    }
    Split::Scaled(scale as u8)
}

/// The least scale above `scale` at which `value` is an integer.
fn grown(value: f64, scale: usize) -> Option<usize> {
    // NaN and infinities have no integer at any scale, minus zero has plus zero's.
    if !value.is_finite() || value == 0.0 {
        return None;
    }
    (scale + 1..=SCALE_MAX).find(|&scale| scaled(value, scale).is_some())
}

/// What `value_int` and `value_scale` stand for, as any reader computes it:
/// also at scales that others may have written.
#[inline]
pub(in crate::files) fn unscaled(int: i64, scale: i16) -> f64 {
    let power = usize::try_from(scale).ok().and_then(|scale| POW10.get(scale).copied());
    int as f64 / power.unwrap_or_else(|| 10_f64.powf(f64::from(scale)))
}

/// Stores one value of a run.
#[inline]
pub(super) fn store(value: f64, split: Split) -> Stored {
    if let Split::Scaled(scale) = split
        && let Some(int) = scaled(value, usize::from(scale))
    {
        return Stored::Int(int);
    }
    if value.to_bits() == STALE_NAN_BITS { Stored::Nothing } else { Stored::Double(value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What an outside reader computes.
    fn read(stored: Stored, split: Split) -> u64 {
        match (stored, split) {
            (Stored::Nothing, _) => STALE_NAN_BITS,
            (Stored::Double(value), _) => value.to_bits(),
            (Stored::Int(int), Split::Scaled(scale)) => {
                let value = int as f64 / 10f64.powi(i32::from(scale));
                assert_eq!(unscaled(int, i16::from(scale)).to_bits(), value.to_bits());
                value.to_bits()
            }
            (Stored::Int(_), Split::Double) => unreachable!("an integer in a run of doubles"),
        }
    }

    fn check_bits(values: &[f64]) -> Split {
        let split = of_run(values);
        for &value in values {
            assert_eq!(read(store(value, split), split), value.to_bits(), "{value:?} in {split:?}");
        }
        split
    }

    fn check(values: &[f64], split: Split) {
        assert_eq!(check_bits(values), split, "{values:?}");
    }

    #[test]
    fn the_smallest_scale_of_a_run() {
        check(&[1.0, 2.0, 3.0], Split::Scaled(0));
        check(&[1.0, 2.5, 3.25, 7.0], Split::Scaled(2));
        check(&[0.1, 0.2, 0.3], Split::Scaled(1));
        check(&[4_503_599_627_370_495.5, 1.5], Split::Double);
        check(&[1e300], Split::Double);
        check(&[f64::NAN], Split::Double);
        check(&[f64::from_bits(STALE_NAN_BITS)], Split::Scaled(0));
        check(&[0.1 + 0.2], Split::Double);
        check(&[-0.0], Split::Double);
        check(&[], Split::Scaled(0));
    }

    #[test]
    fn a_few_exceptions_do_not_spoil_a_run() {
        let mut values = vec![2.5; 16];
        values[3] = f64::NAN;
        values[9] = -0.0;
        check(&values, Split::Scaled(1));
        values[10] = f64::INFINITY;
        check(&values, Split::Double);
    }

    #[test]
    fn a_value_without_room_at_the_final_scale_is_an_exception() {
        let mut values = vec![0.001; 16];
        values[0] = 9_007_199_254_740_991.0;
        check(&values, Split::Scaled(3));
        assert_eq!(store(values[0], Split::Scaled(3)), Stored::Double(values[0]));
    }

    #[test]
    fn every_power_is_the_one_a_reader_computes() {
        for (scale, power) in POW10.iter().enumerate() {
            assert_eq!(power.to_bits(), 10f64.powi(scale as i32).to_bits());
            assert_eq!(power.to_bits(), 10f64.powf(scale as f64).to_bits());
        }
    }

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i64>().prop_map(|int| int as f64),
            (any::<i32>(), 0u32..16).prop_map(|(int, scale)| f64::from(int) / 10f64.powi(scale as i32)),
            (-1_000_000i64..1_000_000, 0u32..6)
                .prop_map(|(int, scale)| int as f64 / 10f64.powi(scale as i32)),
            Just(-0.0),
            Just(f64::from_bits(STALE_NAN_BITS)),
            Just(f64::from_bits(1)),
            Just(INT_MAX),
            Just(-INT_MAX),
        ]
    }

    proptest! {
        #[test]
        fn values_keep_their_bits(values in prop::collection::vec(any_value(), 0..50)) {
            check_bits(&values);
        }
    }
}
