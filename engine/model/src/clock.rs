//! Time as a value, so that tests and simulations own it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock and monotonic clock of the engine.
///
/// Ordering, leases and rate limits use [`Clock::monotonic`]; only time windows
/// and default timestamps use the wall clock.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Nanoseconds since 1970-01-01 UTC.
    fn now_unix_nanos(&self) -> i64;
    /// Time since an arbitrary, fixed start; never goes back.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since 1970-01-01 UTC.
    fn now_unix_millis(&self) -> i64 {
        self.now_unix_nanos() / 1_000_000
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts counting now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now_unix_nanos(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    unix_nanos: AtomicI64,
    monotonic_nanos: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `unix_nanos`.
    pub fn at(unix_nanos: i64) -> Self {
        Self { unix_nanos: AtomicI64::new(unix_nanos), monotonic_nanos: AtomicI64::new(0) }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.unix_nanos.fetch_add(nanos, Ordering::SeqCst);
        self.monotonic_nanos.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Sets the wall clock only, as an operator or NTP would.
    pub fn jump_to(&self, unix_nanos: i64) {
        self.unix_nanos.store(unix_nanos, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_unix_nanos(&self) -> i64 {
        self.unix_nanos.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_nanos.load(Ordering::SeqCst).unsigned_abs())
    }
}
