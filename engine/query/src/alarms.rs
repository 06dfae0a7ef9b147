//! Something is done about those who take long.
//!
//! One task looks at all of them every few milliseconds. A timer of its own for each query wakes
//! threads when it is set and when it is taken back, which is just when the query's threads start:
//! with the cores busy for a moment the system puts two of them on one core, and leaves them there.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// How late an alarm may be.
const TICK: Duration = Duration::from_millis(25);
/// Ticks without anybody to look at, after which there are none.
const IDLE_TICKS: u32 = 40;

/// Those who are looked at.
#[derive(Default)]
pub(crate) struct Alarms {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wanted: Notify,
}

#[derive(Default)]
struct State {
    next: u64,
    set: BTreeMap<u64, Set>,
    /// Nobody looks until `wanted`.
    asleep: bool,
}

struct Set {
    due: Instant,
    then: Box<dyn FnOnce() + Send>,
}

/// Held by whoever may turn out to take long; nothing is done once it is dropped.
pub(crate) struct Alarm {
    number: u64,
    shared: Arc<Shared>,
}

impl Alarms {
    /// Looked at by a task of `runtime`, which ends with it.
    pub(crate) fn start(runtime: &Handle) -> Self {
        let alarms = Self::default();
        runtime.spawn(look(Arc::clone(&alarms.shared)));
        alarms
    }

    /// Does something unless the alarm is dropped by then. It has to be quick.
    pub(crate) fn after(&self, time: Duration, then: impl FnOnce() + Send + 'static) -> Alarm {
        let set = Set { due: Instant::now() + time, then: Box::new(then) };
        let mut state = self.shared.state.lock();
        let number = state.next;
        state.next += 1;
        state.set.insert(number, set);
        if mem::take(&mut state.asleep) {
            self.shared.wanted.notify_one();
        }
        Alarm { number, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let set = self.shared.state.lock().set.remove(&self.number);
        // What it would have done may be anything, and is dropped without the lock.
        drop(set);
    }
}

async fn look(shared: Arc<Shared>) {
    let mut idle = 0;
    loop {
        tokio::time::sleep(TICK).await;
        let (due, left) = shared.state.lock().take_due();
        idle = if left { 0 } else { idle + 1 };
        due.into_iter().for_each(|set| (set.then)());
        if idle >= IDLE_TICKS && shared.state.lock().sleep() {
            shared.wanted.notified().await;
        }
    }
}

impl State {
    /// What is due, and whether there is more.
    fn take_due(&mut self) -> (Vec<Set>, bool) {
        let now = Instant::now();
        let due = self.set.extract_if(.., |_, set| set.due <= now).map(|(_, set)| set).collect();
        (due, !self.set.is_empty())
    }

    /// Whether nobody needs to look from now on.
    fn sleep(&mut self) -> bool {
        self.asleep = self.set.is_empty();
        self.asleep
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, TryRecvError, channel};

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    fn set(alarms: &Alarms, time: Duration) -> (Alarm, Receiver<()>) {
        let (sender, rang) = channel();
        (alarms.after(time, move || sender.send(()).unwrap()), rang)
    }

    async fn rings(rang: &Receiver<()>) {
        for _ in 0..2_000 {
            match rang.try_recv() {
                Ok(()) => return,
                Err(TryRecvError::Empty) => tokio::time::sleep(SOON).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("it does not ring");
    }

    #[tokio::test]
    async fn an_alarm_rings_once_and_not_after_it_was_dropped() {
        let alarms = Alarms::start(&Handle::current());
        let (dropped, silent) = set(&alarms, SOON);
        let (_late, later) = set(&alarms, Duration::from_secs(3_600));
        drop(dropped);
        assert_eq!(silent.try_recv(), Err(TryRecvError::Disconnected));
        let (_held, rang) = set(&alarms, SOON);
        rings(&rang).await;
        assert_eq!(rang.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(later.try_recv(), Err(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn it_rings_after_nobody_has_looked_for_long() {
        let alarms = Alarms::start(&Handle::current());
        for _ in 0..2 {
            while !alarms.shared.state.lock().asleep {
                tokio::time::sleep(SOON).await;
            }
            let (_held, rang) = set(&alarms, SOON);
            rings(&rang).await;
        }
    }
}
