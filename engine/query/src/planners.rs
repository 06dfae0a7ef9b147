//! Threads on which queries are planned, one query at a time.
//!
//! A planner may go on long after everybody has left ([`crate::planning`]), so each has a thread to
//! itself. A thread whose query is planned waits a while for the next: what an allocator and a stack
//! need at first is then there already, which is a tenth of what a small query takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use crate::workers::STACK_BYTES;

/// Threads that wait for the next query. More end at once.
const IDLE_MAX: usize = 4;
/// How long they wait.
const IDLE: Duration = Duration::from_secs(10);

/// What a thread is to do; says whether it is as good as new then.
type Job = Box<dyn FnOnce() -> bool + Send>;

/// The threads. Those that wait end when this is dropped.
#[derive(Default)]
pub(crate) struct PlanThreads {
    idle: Arc<Mutex<Vec<Waiting>>>,
    started: AtomicU64,
}

struct Waiting {
    number: u64,
    next: SyncSender<Job>,
}

impl PlanThreads {
    /// Does a job on a thread that has nothing else to do. `false` = there is none and can be none.
    pub(crate) fn run(&self, mut job: Job) -> bool {
        loop {
            let Some(waiting) = self.idle.lock().pop() else { break };
            match waiting.next.send(job) {
                Ok(()) => return true,
                Err(unsent) => job = unsent.0,
            }
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let idle = Arc::downgrade(&self.idle);
        let thread = std::thread::Builder::new().name("plan".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || work(number, job, &idle)).is_ok()
    }
}

/// One job after the other. A panic ends the thread.
fn work(number: u64, first: Job, idle: &Weak<Mutex<Vec<Waiting>>>) {
    let mut next = Some(first);
    while let Some(job) = next.take() {
        if !job() {
            return;
        }
        let (sender, jobs) = sync_channel(1);
        let Some(threads) = idle.upgrade() else { return };
        {
            let mut threads = threads.lock();
            if threads.len() >= IDLE_MAX {
                return;
            }
            threads.push(Waiting { number, next: sender });
        }
        drop(threads);
        next = wait(number, &jobs, idle);
    }
}

/// The next job, unless none comes for a while.
fn wait(number: u64, jobs: &Receiver<Job>, idle: &Weak<Mutex<Vec<Waiting>>>) -> Option<Job> {
    if let Ok(job) = jobs.recv_timeout(IDLE) {
        return Some(job);
    }
    let threads = idle.upgrade()?;
    let mut threads = threads.lock();
    let before = threads.len();
    threads.retain(|waiting| waiting.number != number);
    // Somebody took it from the list just now, and is about to send.
    let taken = threads.len() == before;
    drop(threads);
    taken.then(|| jobs.recv().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::{ThreadId, current};

    use super::*;

    fn on(threads: &PlanThreads, good: bool) -> ThreadId {
        let (sender, thread) = channel();
        assert!(threads.run(Box::new(move || {
            sender.send(current().id()).unwrap();
            good
        })));
        thread.recv().unwrap()
    }

    fn settled(threads: &PlanThreads, idle: usize) {
        for _ in 0..1_000 {
            if threads.idle.lock().len() == idle {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{} wait, wanted {idle}", threads.idle.lock().len());
    }

    #[test]
    fn a_thread_is_used_again_unless_it_is_worse_than_new() {
        let threads = PlanThreads::default();
        let first = on(&threads, true);
        settled(&threads, 1);
        assert_eq!(on(&threads, true), first);
        settled(&threads, 1);
        assert_eq!(on(&threads, false), first);
        assert_ne!(on(&threads, true), first);
    }

    #[test]
    fn jobs_wait_for_nobody_and_few_threads_stay() {
        let threads = PlanThreads::default();
        let (ends, ended) = channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let (sender, began) = channel();
        for _ in 0..IDLE_MAX + 3 {
            let (sender, ended) = (sender.clone(), Arc::clone(&ended));
            threads.run(Box::new(move || {
                sender.send(()).unwrap();
                ended.lock().recv().is_err()
            }));
        }
        (0..IDLE_MAX + 3).for_each(|_| began.recv().unwrap());
        drop(ends);
        settled(&threads, IDLE_MAX);
    }

    #[test]
    fn a_panic_ends_a_thread_and_nothing_else() {
        let threads = PlanThreads::default();
        threads.run(Box::new(|| panic!("a planner's")));
        let first = on(&threads, true);
        settled(&threads, 1);
        assert_eq!(on(&threads, true), first);
    }
}
