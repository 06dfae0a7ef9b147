//! Buckets as the HTTP API writes them.

use super::{Bucket, Histogram};

impl Histogram {
    /// The populated buckets from the lowest to the highest as boundary rule, lower and upper bound and count.
    ///
    /// The rule says which bounds belong to the bucket: 0 the upper, 1 the lower, 2 none, 3 both.
    pub fn json_buckets(&self) -> impl Iterator<Item = (u8, f64, f64, f64)> + '_ {
        self.buckets()
            .filter(|bucket| bucket.count != 0.0)
            .map(|bucket| (boundary_rule(&bucket), bucket.lower, bucket.upper, bucket.count))
    }
}

fn boundary_rule(bucket: &Bucket) -> u8 {
    match (bucket.lower_inclusive, bucket.upper_inclusive) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    }
}
