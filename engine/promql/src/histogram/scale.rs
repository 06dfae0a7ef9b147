//! Multiplication and division by a number.

use super::{Histogram, ResetHint};

impl Histogram {
    /// Multiplies all counts and the sum. A negative factor makes it a gauge.
    pub fn mul(&mut self, factor: f64) {
        self.scale(|value| *value *= factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. A negative divisor makes it a gauge.
    ///
    /// Division by zero leaves no buckets: count, sum and zero count become infinite or NaN.
    pub fn div(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.drop_buckets();
        }
        self.scale(|value| *value /= divisor);
        if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Reverses the sign of all counts and the sum, which makes it a gauge.
    pub fn neg(&mut self) {
        self.mul(-1.0);
    }

    fn scale(&mut self, change: impl Fn(&mut f64)) {
        change(&mut self.zero_count);
        change(&mut self.count);
        change(&mut self.sum);
        self.positive.iter_mut().for_each(&change);
        self.negative.iter_mut().for_each(&change);
    }

    fn drop_buckets(&mut self) {
        self.positive_spans.clear();
        self.positive.clear();
        self.negative_spans.clear();
        self.negative.clear();
    }
}
