//! When a series has samples.

use isinglass_promql::Sample;
use isinglass_promql::value::STALE;

use super::SPAN_MS;
use crate::fuzz::random::Random;

/// Times of a series, and whether it goes stale there.
pub(super) struct Times {
    pub(super) samples: Vec<(i64, bool)>,
}

impl Times {
    /// Regular or not, with gaps and stale markers or not.
    pub(super) fn random(random: &mut Random, base_ms: i64) -> Self {
        let interval_ms = random.one_of(&[15_000, 30_000, 30_000, 60_000, 60_000, 150_000]);
        let jitter_ms = random.one_of(&[0, 0, 0, 3, 9_000]);
        let (gaps, stales) = (random.one_of(&[0, 0, 3, 10]), random.one_of(&[0, 0, 1, 4]));
        let mut time_ms = base_ms + random.one_of(&[0, 0, 1, 7_500, 1_200_000]);
        let end_ms = base_ms + SPAN_MS - random.one_of(&[0, 0, 0, 1_500_000]);
        let mut samples = Vec::new();
        while time_ms <= end_ms {
            samples.push((time_ms, random.percent(stales)));
            let missed = if random.percent(gaps) { random.between(1, 14) } else { 0 };
            time_ms += interval_ms * (1 + missed) + random.between(0, jitter_ms);
        }
        Self { samples }
    }

    /// A sample at each time.
    pub(super) fn fill(self, mut sample: impl FnMut() -> Sample) -> Vec<(i64, Sample)> {
        let fill = |(time_ms, stale)| (time_ms, if stale { Sample::Float(STALE) } else { sample() });
        self.samples.into_iter().map(fill).collect()
    }

    /// A float at each time.
    pub(super) fn floats(self, mut value: impl FnMut() -> f64) -> Vec<(i64, Sample)> {
        self.fill(|| Sample::Float(value()))
    }
}
