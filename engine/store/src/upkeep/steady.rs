//! A wall clock that was not set for a while.
//!
//! Nothing is deleted by a clock that has just been changed, by hand or by NTP, or that
//! nobody has watched yet: what it says must have agreed with the monotonic clock for two
//! hours. A clock that is wrong for longer than that cannot be told from a right one.

use std::time::Duration;

use isinglass_model::Clock;

/// How long the two clocks must have agreed.
pub(crate) const STEADY_FOR: Duration = Duration::from_secs(2 * 3_600);

/// How far they may drift apart between two looks.
const DRIFT_MAX_MS: u64 = 60_000;

/// Watches the wall clock.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    /// Both clocks at the last look.
    last: Option<(Duration, i64)>,
    since: Duration,
}

impl Steady {
    /// Milliseconds since 1970, if they can be trusted.
    pub(crate) fn look(&mut self, clock: &dyn Clock) -> Option<i64> {
        let (now, wall_ms) = (clock.monotonic(), clock.now_unix_millis());
        let jumped = self.last.is_none_or(|(then, wall_then_ms)| {
            let passed = i64::try_from(now.saturating_sub(then).as_millis()).unwrap_or(i64::MAX);
            wall_ms.saturating_sub(wall_then_ms).abs_diff(passed) > DRIFT_MAX_MS
        });
        if jumped {
            if self.last.is_some() {
                tracing::warn!(wall_ms, "the wall clock was set: nothing is deleted for two hours");
            }
            self.since = now;
        }
        self.last = Some((now, wall_ms));
        (now.saturating_sub(self.since) >= STEADY_FOR).then_some(wall_ms)
    }
}

#[cfg(test)]
mod tests {
    use isinglass_model::clock::ManualClock;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_clock_is_trusted_after_two_steady_hours() {
        let (clock, mut steady) = (ManualClock::at(1_000_000_000), Steady::default());
        assert_eq!(steady.look(&clock), None);
        clock.advance(HOUR);
        assert_eq!(steady.look(&clock), None);
        clock.advance(HOUR);
        assert_eq!(steady.look(&clock), Some(7_201_000));
        for jump_hours in [1, -1, 87_600, -87_600] {
            clock.jump_to(clock.now_unix_nanos() + jump_hours * 3_600_000_000_000);
            assert_eq!(steady.look(&clock), None, "{jump_hours} h");
            clock.advance(HOUR);
            assert_eq!(steady.look(&clock), None, "{jump_hours} h");
            clock.advance(HOUR);
            assert!(steady.look(&clock).is_some(), "{jump_hours} h");
        }
    }
}
