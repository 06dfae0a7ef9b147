//! Warm instances of one binding.
//!
//! Instances differ by configuration only (a tenant may have its own), so they
//! are kept by variant. All variants together have a bound; at the bound an idle
//! instance of another variant makes room, else the caller waits for a while.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::failure::{Failure, FailureKind};
use crate::instance::Instance;

/// The instances of one binding.
pub(crate) struct Pool {
    state: Mutex<State>,
    freed: Condvar,
    instances_max: u32,
    wait: Duration,
    /// Whether instances outlive a call.
    keeps: bool,
}

struct State {
    idle: Vec<Vec<Instance>>,
    /// Idle and leased instances.
    live: u32,
}

/// An instance for one call. It goes back only by [`Lease::give_back`]; dropped
/// on any other way, the instance is gone.
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    variant: usize,
    instance: Option<Instance>,
}

impl Pool {
    /// A pool for `variants` configurations that has `first` idle for the first of them.
    pub(crate) fn new(variants: usize, instances_max: u32, wait: Duration, first: Instance) -> Self {
        let mut idle: Vec<Vec<Instance>> = (0..variants.max(1)).map(|_| Vec::new()).collect();
        idle[0].push(first);
        let state = Mutex::new(State { idle, live: 1 });
        Self { state, freed: Condvar::new(), instances_max, wait, keeps: true }
    }

    /// The same, whose instances are for one call each.
    pub(crate) fn of_fresh(self) -> Self {
        Self { keeps: false, ..self }
    }

    /// An idle instance of `variant`, or a new one from `start`.
    pub(crate) fn lease(
        &self,
        variant: usize,
        start: impl FnOnce() -> Result<Instance, Failure>,
    ) -> Result<Lease<'_>, Failure> {
        let mut evicted = None;
        let mut state = self.state.lock();
        let mut until = None;
        loop {
            if let Some(instance) = state.idle[variant].pop() {
                return Ok(Lease { pool: self, variant, instance: Some(instance) });
            }
            if state.live < self.instances_max {
                state.live += 1;
                break;
            }
            if let Some(other) = state.idle.iter_mut().find_map(Vec::pop) {
                evicted = Some(other);
                break;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + self.wait);
            if Instant::now() >= until {
                let (busy, wait) = (self.instances_max, self.wait);
                let message = format!("all {busy} instances were busy for {wait:?}");
                return Err(Failure::new(FailureKind::Busy, message));
            }
            self.freed.wait_until(&mut state, until);
        }
        drop(state);
        // Its memory slot is needed by the new one.
        drop(evicted);
        let mut lease = Lease { pool: self, variant, instance: None };
        // A failed start drops the lease, which frees the place.
        lease.instance = Some(start()?);
        Ok(lease)
    }
}

impl Lease<'_> {
    pub(crate) fn instance(&mut self) -> Result<&mut Instance, Failure> {
        self.instance.as_mut().ok_or_else(|| Failure::new(FailureKind::Start, "the instance is gone"))
    }

    /// Puts the instance back for the next call.
    pub(crate) fn give_back(mut self) {
        let keeps = self.pool.keeps;
        let Some(instance) = self.instance.take_if(|instance| keeps && !instance.is_worn()) else { return };
        self.pool.state.lock().idle[self.variant].push(instance);
        self.pool.freed.notify_one();
        std::mem::forget(self);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        // The instance first: its slot must be free before the place is.
        drop(self.instance.take());
        self.pool.state.lock().live -= 1;
        self.pool.freed.notify_one();
    }
}
