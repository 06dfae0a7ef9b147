//! Counter-reset hints of samples that follow each other.

use super::{Histogram, ResetHint};

/// The hint that a sample has when it is read, given the sample before it in its series, `None`
/// after a stale marker, a float, or nothing.
///
/// Prometheus does not keep the hints of senders: its chunks say of their first sample nothing,
/// and of all others that they were not reset; where counts went down a chunk begins
/// (`tsdb/chunkenc`, `counterResetHint`, issue 15346). Aggregations that warn of hints that
/// contradict each other depend on this.
pub fn hint_after(before: Option<&Histogram>, sample: &Histogram) -> ResetHint {
    match (before, sample.reset_hint) {
        (_, ResetHint::Gauge) => ResetHint::Gauge,
        (None, _) | (_, ResetHint::Reset) => ResetHint::Unknown,
        (Some(before), _) if before.reset_hint == ResetHint::Gauge => ResetHint::Unknown,
        (Some(before), _) if went_down(before, sample) => ResetHint::Unknown,
        (Some(_), _) => ResetHint::NotReset,
    }
}

#[expect(clippy::float_cmp, reason = "another threshold is another layout")]
fn went_down(before: &Histogram, sample: &Histogram) -> bool {
    sample.schema != before.schema
        || sample.zero_threshold != before.zero_threshold
        || by_counts(before, sample)
}

/// Whether counts went down, whatever the hint says.
fn by_counts(before: &Histogram, sample: &Histogram) -> bool {
    let mut unhinted = sample.clone();
    unhinted.reset_hint = ResetHint::Unknown;
    unhinted.detect_reset(before)
}

/// The hint of a sample that says nothing, by comparing it with the one before it.
///
/// Prometheus does this where only counts and sums are wanted (`HistogramStatsIterator`).
pub fn compared_hint(before: &Histogram, sample: &Histogram) -> ResetHint {
    match sample.reset_hint {
        ResetHint::Unknown if by_counts(before, sample) => ResetHint::Reset,
        ResetHint::Unknown => ResetHint::NotReset,
        known => known,
    }
}
