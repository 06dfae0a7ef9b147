//! How long somebody waited, and whether that is too long.

use std::fmt;

/// Beside a bomb, the slowest answers may take so many times what they take beside a query that
/// is merely large.
const TIMES: f64 = 2.0;

/// What a busy machine adds to a single answer now and then.
const NOISE_MS: f64 = 30.0;

/// How long the answers took, in milliseconds, and how often there was none because the memory
/// of the server was in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    pub(super) took_ms: Vec<f64>,
    pub(super) sent_away: usize,
}

impl Waits {
    /// The share `share` of all answers came within so many milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.took_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or_default()
    }

    pub(super) fn p99_ms(&self) -> f64 {
        self.quantile(0.99)
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.took_ms.extend(other.took_ms);
        self.sent_away += other.sent_away;
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [0.5, 0.99].map(|share| self.quantile(share));
        write!(f, "{:>4} answers, p50 {p50:.0} ms, p99 {p99:.0} ms", self.took_ms.len())?;
        if self.sent_away > 0 {
            write!(f, ", {} sent away", self.sent_away)?;
        }
        Ok(())
    }
}

/// What is usual on this machine today: how long somebody waits beside a query that keeps all
/// cores busy and does nothing wrong. A machine that is slow for a while is slow for that one, too,
/// so it is listened to again and again.
#[derive(Debug, Default)]
pub(super) struct Usual(Vec<f64>);

impl Usual {
    pub(super) fn heard(&mut self, waits: &Waits) {
        self.0.push(waits.p99_ms());
    }

    /// The middle of the 99th percentiles.
    fn p99_ms(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }

    /// Times of what is usual.
    pub(super) fn times(&self, waits: &Waits) -> f64 {
        waits.p99_ms() / self.p99_ms()
    }

    /// Whether others waited too long. Noise comes once and goes, who starves others does so
    /// whenever he is asked: whoever seems to is asked again before that is said of him.
    pub(super) fn is_too_long(&self, waits: &Waits) -> bool {
        let nobody = waits.took_ms.is_empty() && waits.sent_away == 0;
        nobody || waits.p99_ms() > self.too_long_ms()
    }

    pub(super) fn too_long_ms(&self) -> f64 {
        self.p99_ms() * TIMES + NOISE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(took_ms: &[f64]) -> Waits {
        Waits { took_ms: took_ms.to_vec(), sent_away: 0 }
    }

    #[test]
    fn twice_of_the_middle_is_too_long() {
        let mut usual = Usual::default();
        for p99 in [100.0, 5_000.0, 120.0] {
            usual.heard(&waits(&[1.0, p99]));
        }
        assert!(!usual.is_too_long(&waits(&[90.0, 250.0])));
        assert!(usual.is_too_long(&waits(&[90.0, 290.0])));
        assert!(usual.is_too_long(&waits(&[])), "who got no answer at all waited");
    }

    #[test]
    fn one_answer_of_hundreds_is_not_the_99th_percentile() {
        let mut many = vec![10.0; 300];
        many[7] = 900.0;
        assert_eq!(waits(&many).p99_ms(), 10.0);
        assert_eq!(waits(&many[..50]).p99_ms(), 900.0);
    }
}
