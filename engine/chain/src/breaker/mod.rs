//! A plugin that fails again and again for a tenant is left alone by that tenant's batches for a
//! while. Other tenants do not notice: what fails may be their configuration, or what they send.
//!
//! ```text
//! closed ──5 failures in 10 s, or more than 5 % of calls──▶ open ──pause over──▶ trying
//!    ▲                                                       ▲                     │
//!    │                                                       ├──the call failed────┤
//!    └──10 s without a failure── probation ◀──the call ended well──────────────────┘
//! ```
//!
//! While it is open, calls fail at once and the binding's `on_error` says what becomes of their
//! batches, as after any failure. Each pause is twice as long as the one before it, until the
//! plugin has done well for [`WINDOW`] again. A call that found no free instance says nothing
//! about the plugin. (Nygard, "Release It!", "Circuit Breaker".)

mod tenants;

use std::time::Duration;

pub(crate) use tenants::Breakers;

/// Failures are counted over this time, and after a pause it takes so long to be trusted again.
const WINDOW: Duration = Duration::from_secs(10);
/// So many failures open it, however many calls there are.
const FAILURES_MAX: u64 = 5;
/// A greater part than one of so many calls opens it.
const CALLS_PER_FAILURE: u64 = 20;
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Whether a plugin is called, of one binding for one tenant.
#[derive(Debug)]
struct Breaker {
    phase: Phase,
    /// Since the first failure of a window.
    window: Duration,
    calls: u64,
    failures: u64,
    /// The next pause.
    pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    /// No call until then.
    Open(Duration),
    /// One call shows whether it does well again.
    Trying,
    /// It did; one failure until then opens it.
    Probation(Duration),
}

/// What a failure led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Led {
    /// Calls go on.
    Nowhere,
    /// There are none for so long.
    Opened(Duration),
}

impl Breaker {
    fn new() -> Self {
        Self { phase: Phase::Closed, window: Duration::ZERO, calls: 0, failures: 0, pause: PAUSE_MIN }
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_) | Phase::Trying)
    }

    /// Whether it is as if it were new.
    fn is_idle(&self, now: Duration) -> bool {
        match self.phase {
            Phase::Closed => now >= self.window + WINDOW,
            Phase::Probation(until) => now >= until,
            Phase::Open(_) | Phase::Trying => false,
        }
    }

    /// Before a call; the error is the time until one is tried.
    fn ask(&mut self, now: Duration) -> Result<(), Duration> {
        match self.phase {
            Phase::Open(until) if now < until => Err(until - now),
            Phase::Open(_) => {
                self.phase = Phase::Trying;
                Ok(())
            }
            Phase::Trying => Err(Duration::ZERO),
            Phase::Closed | Phase::Probation(_) => Ok(()),
        }
    }

    /// A call ended well. Says whether it ended a pause.
    fn succeeded(&mut self, now: Duration) -> bool {
        self.calls += 1;
        let ends = self.phase == Phase::Trying;
        if ends {
            self.phase = Phase::Probation(now + WINDOW);
        }
        ends
    }

    /// A call was not made after all.
    fn not_called(&mut self, now: Duration) {
        if self.phase == Phase::Trying {
            self.phase = Phase::Open(now);
        }
    }

    /// A call failed, or what it answered could not be used.
    fn failed(&mut self, now: Duration) -> Led {
        if matches!(self.phase, Phase::Probation(until) if now >= until) {
            (self.phase, self.pause, self.failures) = (Phase::Closed, PAUSE_MIN, 0);
        }
        match self.phase {
            // One that began before.
            Phase::Open(_) => return Led::Nowhere,
            Phase::Trying | Phase::Probation(_) => return self.open(now),
            Phase::Closed => {}
        }
        if now >= self.window + WINDOW || self.failures == 0 {
            (self.window, self.calls, self.failures) = (now, 0, 0);
        }
        self.failures += 1;
        let all = self.calls + self.failures;
        let many = all >= CALLS_PER_FAILURE && self.failures * CALLS_PER_FAILURE > all;
        if self.failures >= FAILURES_MAX || many { self.open(now) } else { Led::Nowhere }
    }

    fn open(&mut self, now: Duration) -> Led {
        let pause = self.pause;
        (self.phase, self.failures) = (Phase::Open(now + pause), 0);
        self.pause = (pause * 2).min(PAUSE_MAX);
        Led::Opened(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Fails until it opens, the last time at `seconds`.
    fn opened(seconds: f64) -> Breaker {
        let mut breaker = Breaker::new();
        for n in (1..FAILURES_MAX).rev() {
            assert_eq!(breaker.failed(at(seconds - n as f64)), Led::Nowhere);
        }
        assert_eq!(breaker.failed(at(seconds)), Led::Opened(PAUSE_MIN));
        breaker
    }

    #[test]
    fn five_failures_in_ten_seconds_open_it() {
        let mut breaker = opened(10.0);
        assert_eq!(breaker.ask(at(10.25)), Err(at(0.75)));
        assert!(breaker.is_open());

        let mut slow = Breaker::new();
        for n in 0..100 {
            assert_eq!(slow.failed(at(3.0 * f64::from(n))), Led::Nowhere, "{n}");
        }
    }

    #[test]
    fn one_of_twenty_calls_may_fail() {
        let mut breaker = Breaker::new();
        assert_eq!(breaker.failed(at(1.0)), Led::Nowhere);
        for _ in 0..38 {
            breaker.succeeded(at(1.0));
        }
        assert_eq!(breaker.failed(at(1.0)), Led::Nowhere, "2 of 40");
        assert_eq!(breaker.failed(at(1.0)), Led::Opened(PAUSE_MIN), "3 of 41");
    }

    #[test]
    fn one_call_is_tried_after_a_pause() {
        let mut breaker = opened(10.0);
        assert_eq!(breaker.ask(at(11.0)), Ok(()));
        assert_eq!(breaker.ask(at(11.0)), Err(Duration::ZERO), "one at a time");
        // It found no instance.
        breaker.not_called(at(11.0));
        assert_eq!(breaker.ask(at(11.0)), Ok(()));
        assert!(breaker.succeeded(at(11.0)));
        assert!(!breaker.is_open() && breaker.ask(at(11.0)).is_ok());
        assert!(!breaker.succeeded(at(11.0)), "only the first one ends the pause");
    }

    #[test]
    fn pauses_double_until_it_has_done_well_for_a_while() {
        let mut breaker = opened(10.0);
        let (mut now, mut pause) = (at(10.0), PAUSE_MIN);
        for n in 0..12 {
            now += pause;
            assert_eq!(breaker.ask(now), Ok(()));
            // Whether it fails at once, or after a call that ended well.
            if n % 2 == 0 {
                breaker.succeeded(now);
            }
            pause = (pause * 2).min(PAUSE_MAX);
            assert_eq!(breaker.failed(now), Led::Opened(pause));
        }
        assert_eq!(pause, PAUSE_MAX);
        now += pause;
        assert_eq!(breaker.ask(now), Ok(()));
        assert!(breaker.succeeded(now));
        for _ in 1..FAILURES_MAX {
            assert_eq!(breaker.failed(now + WINDOW), Led::Nowhere);
        }
        assert_eq!(breaker.failed(now + WINDOW), Led::Opened(PAUSE_MIN));
    }

    #[test]
    fn a_call_that_began_before_the_pause_changes_nothing() {
        let mut breaker = opened(10.0);
        assert_eq!(breaker.failed(at(10.5)), Led::Nowhere);
        assert!(!breaker.succeeded(at(10.5)));
        assert_eq!(breaker.ask(at(10.5)), Err(at(0.5)));
    }
}
