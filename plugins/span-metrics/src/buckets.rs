//! Which bucket a duration belongs to.

/// Bounds of a histogram in whole nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    /// The largest duration of each bucket; the last one takes everything.
    limits: Vec<i64>,
    /// The first bucket that a number of this many bits can belong to: so few
    /// comparisons are left, none or one where bounds double.
    first_of_bits: [u16; 65],
}

impl Buckets {
    /// From upper bounds in seconds, ascending.
    pub(crate) fn new(bounds: &[f64]) -> Self {
        let limits: Vec<i64> = bounds.iter().map(|bound| largest_nanos(*bound)).chain([i64::MAX]).collect();
        let mut first_of_bits = [0; 65];
        for (bits, first) in first_of_bits.iter_mut().enumerate().skip(1) {
            let least = 1_u64 << (bits - 1);
            let below = limits.partition_point(|limit| u64::try_from(*limit).unwrap_or(0) < least);
            // The last one takes everything.
            *first = below.min(limits.len() - 1) as u16;
        }
        Self { limits, first_of_bits }
    }

    /// Buckets of a series, the one for +Inf included.
    pub(crate) fn count(&self) -> usize {
        self.limits.len()
    }

    /// The bucket of a duration, which is not negative.
    #[inline]
    pub(crate) fn of(&self, nanos: i64) -> usize {
        let bits = 64 - nanos.leading_zeros();
        let mut bucket = usize::from(self.first_of_bits[bits as usize]);
        while nanos > self.limits[bucket] {
            bucket += 1;
        }
        bucket
    }
}

/// The largest number of nanoseconds that is, in seconds as a float, not above
/// `bound`: so that comparing integers gives what comparing seconds would.
fn largest_nanos(bound: f64) -> i64 {
    let seconds = |nanos: i64| nanos as f64 / 1e9;
    let mut nanos = (bound * 1e9) as i64;
    while nanos > i64::MIN && seconds(nanos) > bound {
        nanos -= 1;
    }
    while nanos < i64::MAX && seconds(nanos + 1) <= bound {
        nanos += 1;
    }
    nanos
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Prometheus: the first bucket whose bound is not below the value.
    fn naive(bounds: &[f64], nanos: i64) -> usize {
        bounds.iter().take_while(|bound| nanos as f64 / 1e9 > **bound).count()
    }

    fn check(bounds: &[f64], nanos: i64) {
        assert_eq!(Buckets::new(bounds).of(nanos), naive(bounds, nanos), "{nanos} ns in {bounds:?}");
    }

    #[test]
    fn bounds_are_inclusive() {
        let bounds: Vec<f64> = (0..14).map(|power| 0.002 * f64::from(1 << power)).collect();
        for bound in &bounds {
            let nanos = (bound * 1e9).round() as i64;
            for nanos in [nanos - 1, nanos, nanos + 1] {
                check(&bounds, nanos);
            }
        }
        for nanos in [0, 1, i64::MAX] {
            check(&bounds, nanos);
        }
    }

    #[test]
    fn odd_bounds() {
        for bounds in
            [vec![], vec![-1.0, 0.0], vec![1e-9, 2e-9, 3e-9], vec![1e9, 1e12, 1e300], vec![0.1, 0.3]]
        {
            for nanos in
                [0, 1, 2, 3, 4, 99_999_999, 100_000_000, 300_000_000, 300_000_001, i64::MAX - 1, i64::MAX]
            {
                check(&bounds, nanos);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bounds(bounds in proptest::collection::btree_set(0_u32..2_000_000, 0..40), nanos in 0_i64..3_000_000_000) {
            let bounds: Vec<f64> = bounds.into_iter().map(|bound| f64::from(bound) / 1000.0).collect();
            check(&bounds, nanos);
        }
    }
}
