//! The clock of epoch interruption.
//!
//! One thread per engine advances the epoch every few milliseconds. An epoch is only
//! the occasion to look at the time a call has used; whether the call may go on
//! is decided by thread CPU time ([`thread_cpu_nanos`]), because on a busy
//! machine wall time would stop innocent plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use crate::error::ChainError;

/// Length of an epoch: what a runaway may take beyond its limit. At 1 ms the thread took 1.4 % of
/// what intake takes.
const TICK: Duration = Duration::from_millis(4);

/// Ticks without a call after which the thread sleeps until the next one.
const IDLE_TICKS: u32 = 25;

/// Wall time after which an idle ticker looks whether its engine still exists.
const IDLE_CHECK: Duration = Duration::from_secs(1);

/// Nanoseconds that this thread has spent on a CPU.
pub(crate) fn thread_cpu_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.unsigned_abs())
}

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    asleep: AtomicBool,
}

/// The thread that advances the epoch while calls run. It ends with its engine.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

/// A call that needs epochs; ends on drop.
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Self, ChainError> {
        let shared = Arc::new(Shared::default());
        let (weak, state) = (engine.weak(), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("plugin-epochs".to_owned())
            .spawn(move || tick(&weak, &state))
            .map_err(|error| ChainError::Sandbox(format!("cannot start the epoch thread: {error}")))?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Keeps the epoch going until the result is dropped.
    pub(crate) fn run(&self) -> Running<'_> {
        // Counted before looking at `asleep`; the thread looks at the count
        // after it has set `asleep`. One of the two sees the other.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = 0;
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        drop(engine);
        idle = if shared.running.load(Ordering::SeqCst) > 0 { 0 } else { idle + 1 };
        if idle < IDLE_TICKS {
            thread::sleep(TICK);
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        if shared.running.load(Ordering::SeqCst) == 0 {
            thread::park_timeout(IDLE_CHECK);
        }
        shared.asleep.store(false, Ordering::SeqCst);
    }
}
