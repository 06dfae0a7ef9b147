//! Records that wait for the writer.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::OwnedSemaphorePermit;

/// A record on its way into the log.
pub(crate) struct Job<T> {
    /// Its encoded body.
    pub(crate) body: Vec<u8>,
    /// Bytes of the body before its sections.
    pub(crate) head: usize,
    /// Handed on with its number.
    pub(crate) item: T,
    /// Its share of the queue's bound, given back when the item is handed on.
    pub(crate) permit: OwnedSemaphorePermit,
}

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
}

struct State<T> {
    jobs: VecDeque<Job<T>>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { jobs: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    /// Adds a job; gives it back if the queue is closed.
    pub(super) fn push(&self, job: Job<T>) -> Result<(), Job<T>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Takes jobs in order while `fits` says so, at least one. Waits for the first, at
    /// most `patience` if given (then the answer may be empty). `None`: closed and empty.
    pub(super) fn take(
        &self,
        patience: Option<Duration>,
        mut fits: impl FnMut(&Job<T>) -> bool,
    ) -> Option<Vec<Job<T>>> {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            match patience {
                None => self.wake.wait(&mut state),
                Some(patience) => {
                    if self.wake.wait_for(&mut state, patience).timed_out() {
                        return Some(Vec::new());
                    }
                }
            }
        }
        let count = state.jobs.iter().take_while(|job| fits(job)).count().max(1);
        Some(state.jobs.drain(..count).collect())
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
    }
}
