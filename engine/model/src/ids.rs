//! Stable ids: the same on every machine and in every release.

use xxhash_rust::xxh3::xxh3_64;

use crate::labels::LabelSet;

/// `metric_id` of a metric name: xxh3-64 of its bytes, as a signed integer
/// because Delta has no unsigned ones.
pub fn metric_id(name: &str) -> i64 {
    xxh3_64(name.as_bytes()).cast_signed()
}

/// The `series_id` that a label set asks for: xxh3-64 of its packed bytes
/// ([`LabelSet::as_bytes`]). The series index compares label sets on insert;
/// of two label sets with the same hash the later one takes the next free id.
pub fn series_id(labels: &LabelSet) -> i64 {
    xxh3_64(labels.as_bytes()).cast_signed()
}

/// Days since 1970-01-01 of a time in milliseconds.
pub fn day_of_millis(time_ms: i64) -> i32 {
    i32::try_from(time_ms.div_euclid(86_400_000)).unwrap_or(if time_ms < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_change() {
        // The reference implementation's xxh3_64("up").
        assert_eq!(metric_id("up"), -2_510_317_042_598_219_420);
        assert_eq!(day_of_millis(-1), -1);
        assert_eq!(day_of_millis(86_400_000), 1);
    }
}
