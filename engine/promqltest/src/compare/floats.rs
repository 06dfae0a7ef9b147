//! Floats.

use isinglass_promql::value::is_stale;

/// The largest relative difference of two floats that count as equal.
const EPSILON: f64 = 1e-6;

/// Whether two floats are equal within a millionth of the sum of their sizes. NaN equals NaN, but
/// the stale marker only itself; nothing but the smallest numbers equals nought.
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

#[cfg(test)]
mod tests {
    use isinglass_promql::value::STALE;

    use super::*;

    fn check(a: f64, b: f64, equal: bool) {
        assert_eq!(almost_equal(a, b), equal, "{a} {b}");
        assert_eq!(almost_equal(b, a), equal, "{b} {a}");
    }

    #[test]
    fn floats() {
        check(1.0, 1.0, true);
        check(1.0, 1.000_001, true);
        check(1.0, 1.000_01, false);
        check(1.0, -1.0, false);
        check(0.0, -0.0, true);
        check(0.0, 1e-300, false);
        check(f64::NAN, f64::NAN, true);
        check(STALE, STALE, true);
        check(f64::NAN, STALE, false);
        check(1.0, STALE, false);
        check(f64::NAN, 0.0, false);
        check(f64::INFINITY, f64::INFINITY, true);
        check(f64::INFINITY, f64::NEG_INFINITY, false);
        check(f64::INFINITY, f64::MAX, false);
        check(f64::MAX, f64::MAX * (1.0 - 1e-7), true);
        check(f64::MAX, -f64::MAX, false);
    }
}
