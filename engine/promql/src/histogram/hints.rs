//! Counter-reset hints of samples that follow each other.

use super::{Histogram, ResetHint};

/// The hint that a sample has when it is read, given the sample before it in its series, `None`
/// after a stale marker, a float, or nothing.
///
/// Prometheus does not keep the hints of senders: its chunks say of their first sample what its
/// counts say, and of all others that nothing was reset (`tsdb/chunkenc`, `counterResetHint`).
/// Aggregations that warn of hints that contradict each other depend on this.
pub fn hint_after(before: Option<&Histogram>, sample: &Histogram) -> ResetHint {
    match (before, sample.reset_hint) {
        (_, ResetHint::Gauge) => ResetHint::Gauge,
        (_, ResetHint::Reset) => ResetHint::Reset,
        (None, _) => ResetHint::Unknown,
        (Some(before), _) if before.reset_hint == ResetHint::Gauge => ResetHint::Unknown,
        (Some(before), _) => by_counts(before, sample),
    }
}

#[expect(clippy::float_cmp, reason = "another threshold is another layout")]
fn by_counts(before: &Histogram, sample: &Histogram) -> ResetHint {
    if sample.count < before.count {
        return ResetHint::Reset;
    }
    if sample.schema != before.schema || sample.zero_threshold != before.zero_threshold {
        return ResetHint::Unknown;
    }
    let mut unhinted = sample.clone();
    unhinted.reset_hint = ResetHint::Unknown;
    if unhinted.detect_reset(before) { ResetHint::Reset } else { ResetHint::NotReset }
}
