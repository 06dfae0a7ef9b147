//! Native histograms as the HTTP API shows them: buckets with their bounds, and no schema, no
//! counter-reset hint, no bounds of empty buckets.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#native-histograms>

use isinglass_promql::Histogram;

use super::floats::almost_equal;

/// A histogram as the HTTP API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct WireHistogram {
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Its buckets from the lowest; empty ones may be there or not.
    pub buckets: Vec<WireBucket>,
}

/// A bucket as the HTTP API shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WireBucket {
    /// 0: open at its lower bound, 1: open at its upper bound, 2: at both, 3: at none.
    pub boundaries: u8,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Observations.
    pub count: f64,
}

impl WireHistogram {
    /// Whether the buckets are as many as the count says.
    pub(crate) fn adds_up(&self) -> bool {
        let sum: f64 = self.buckets.iter().map(|bucket| bucket.count).sum();
        (sum - self.count).abs() <= self.count.abs() * 1e-6
    }

    /// Whether they look the same once both have the wider of their two zero buckets.
    pub(crate) fn differs_in_width_of_zero(&self, other: &Self) -> bool {
        let width = self.width_of_zero().max(other.width_of_zero());
        self.widened(width).almost_equals(&other.widened(width))
    }

    /// The bucket around zero is the one that is closed at both ends.
    fn width_of_zero(&self) -> f64 {
        let zero = |bucket: &&WireBucket| bucket.boundaries == 3 && bucket.lower == -bucket.upper;
        self.buckets.iter().find(zero).map_or(0.0, |bucket| bucket.upper)
    }

    fn widened(&self, width: f64) -> Self {
        let is_within = |bucket: &WireBucket| -width <= bucket.lower && bucket.upper <= width;
        let (within, mut buckets): (Vec<_>, Vec<_>) =
            self.buckets.iter().copied().partition(|bucket| is_within(bucket));
        let count = within.iter().map(|bucket| bucket.count).sum();
        let at = buckets.partition_point(|bucket| bucket.upper <= -width);
        buckets.insert(at, WireBucket { boundaries: 3, lower: -width, upper: width, count });
        Self { count: self.count, sum: self.sum, buckets }
    }

    /// Whether two histograms look the same but for empty buckets.
    pub fn almost_equals(&self, other: &Self) -> bool {
        let filled = |histogram: &Self| -> Vec<_> {
            histogram.buckets.iter().copied().filter(|bucket| bucket.count != 0.0).collect()
        };
        let (ours, theirs) = (filled(self), filled(other));
        almost_equal(self.count, other.count)
            && almost_equal(self.sum, other.sum)
            && ours.len() == theirs.len()
            && ours.iter().zip(&theirs).all(|(a, b)| a.almost_equals(b))
    }
}

impl WireBucket {
    fn almost_equals(&self, other: &Self) -> bool {
        self.boundaries == other.boundaries
            && almost_equal(self.lower, other.lower)
            && almost_equal(self.upper, other.upper)
            && almost_equal(self.count, other.count)
    }
}

impl From<&Histogram> for WireHistogram {
    fn from(histogram: &Histogram) -> Self {
        let bucket = |(boundaries, lower, upper, count)| WireBucket { boundaries, lower, upper, count };
        Self {
            count: histogram.count,
            sum: histogram.sum,
            buckets: histogram.json_buckets().map(bucket).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::points::{self, Slot};

    use super::*;

    fn wire(text: &str) -> WireHistogram {
        match points::parse(text).unwrap().pop() {
            Some(Slot::Histogram { histogram, .. }) => (&*histogram).into(),
            other => panic!("{other:?}"),
        }
    }

    fn check(text: &str, expected: &[(u8, f64, f64, f64)]) {
        let buckets: Vec<_> =
            wire(text).buckets.iter().map(|b| (b.boundaries, b.lower, b.upper, b.count)).collect();
        assert_eq!(buckets, expected, "{text}");
    }

    #[test]
    fn buckets_as_the_http_api_shows_them() {
        check("{{count:1 sum:1}}", &[]);
        check("{{schema:0 buckets:[1 0 2]}}", &[(0, 0.5, 1.0, 1.0), (0, 2.0, 4.0, 2.0)]);
        check(
            "{{schema:0 z_bucket:3 z_bucket_w:0.5 buckets:[1] n_buckets:[2 4] offset:1}}",
            &[(1, -2.0, -1.0, 4.0), (1, -1.0, -0.5, 2.0), (3, -0.5, 0.5, 3.0), (0, 1.0, 2.0, 1.0)],
        );
        check("{{schema:-1 buckets:[1] offset:1}}", &[(0, 1.0, 4.0, 1.0)]);
        check(
            "{{schema:-53 custom_values:[5 10] buckets:[1 2 3]}}",
            &[(3, f64::NEG_INFINITY, 5.0, 1.0), (0, 5.0, 10.0, 2.0), (0, 10.0, f64::INFINITY, 3.0)],
        );
        check(
            "{{schema:0 offset:1024 buckets:[1 2]}}",
            &[(0, f64::exp2(1023.0), f64::MAX, 1.0), (0, f64::MAX, f64::INFINITY, 2.0)],
        );
    }

    #[test]
    fn widths_of_zero() {
        let check = |a: &str, b: &str, expected: bool| {
            assert_eq!(wire(a).differs_in_width_of_zero(&wire(b)), expected, "{a} {b}");
        };
        let narrow =
            "{{schema:0 count:10 sum:1 z_bucket:3 z_bucket_w:0.5 buckets:[1 2] n_buckets:[4] offset:0}}";
        check(narrow, "{{schema:0 count:10 sum:1 z_bucket:8 z_bucket_w:1 buckets:[2] offset:1}}", true);
        check(narrow, "{{schema:0 count:10 sum:1 z_bucket:7 z_bucket_w:1 buckets:[3] offset:1}}", false);
        check(narrow, narrow, true);
        check(narrow, "{{schema:0 count:10 sum:2 z_bucket:8 z_bucket_w:1 buckets:[2] offset:1}}", false);
        assert!(wire(narrow).adds_up() && !wire("{{count:10 sum:1 buckets:[1 2]}}").adds_up());
    }

    #[test]
    fn what_the_http_api_does_not_show_makes_no_difference() {
        let check = |a: &str, b: &str, equal: bool| {
            assert_eq!(wire(a).almost_equals(&wire(b)), equal, "{a} {b}");
        };
        check("{{schema:0 sum:1 count:2}}", "{{schema:3 sum:1 count:2 counter_reset_hint:gauge}}", true);
        check("{{buckets:[1 0 0]}}", "{{buckets:[1.0000001]}}", true);
        check(
            "{{schema:-53 custom_values:[5 10] buckets:[1]}}",
            "{{schema:-53 custom_values:[5] buckets:[1]}}",
            true,
        );
        check("{{count:1}}", "{{count:2}}", false);
        check("{{sum:1}}", "{{sum:2}}", false);
        check("{{buckets:[1]}}", "{{buckets:[2]}}", false);
        check("{{buckets:[1]}}", "{{buckets:[1] offset:1}}", false);
        check("{{buckets:[1]}}", "{{n_buckets:[1]}}", false);
        check("{{buckets:[1]}}", "{{buckets:[1 1]}}", false);
    }
}
