//! What the language has had only since a version after the reference's.
//!
//! Asked of Prometheus 3.5.3 itself: it does not parse any of these. Nor does it know `smoothed`,
//! `anchored`, the fill modifiers, `</` and `>/`, and `step()` or `range()` in durations.

/// Functions that 3.5 does not know, and since when they are there.
pub const NEWER_FUNCTIONS: [(&str, &str); 10] = [
    ("end", "3.10"),
    ("first_over_time", "3.7"),
    ("histogram_quantiles", "3.10"),
    ("max_of", "3.10"),
    ("min_of", "3.10"),
    ("range", "3.10"),
    ("start", "3.10"),
    ("start_timestamp", "3.14"),
    ("step", "3.10"),
    ("ts_of_first_over_time", "3.7"),
];

/// Whether the reference knows a function.
pub fn is_known(function: &str) -> bool {
    NEWER_FUNCTIONS.iter().all(|(name, _)| *name != function)
}
