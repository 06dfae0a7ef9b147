//! Queries that take long stand back for those that do not.
//!
//! The system gives all threads the same share of the cores. A question that is answered in
//! milliseconds would wait for as many as there are long ones; threads of queries that run for a
//! while have a lower priority, and it waits for none of them. Alone, they are as fast as before.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, setpriority_process};
use rustix::thread::gettid;

/// A query that takes longer than this stands back.
pub(crate) const LONG: Duration = Duration::from_millis(250);

/// A third of the share of a thread that does not stand back: enough for others, and not nothing on
/// a machine where programs of others are busy, too.
const NICE: i32 = 5;

/// Threads that work for the same queries.
#[derive(Debug, Default)]
pub(crate) struct Crew(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    threads: HashSet<Pid>,
    back: bool,
}

impl Crew {
    /// This thread belongs to the crew from now on.
    pub(crate) fn join(&self) {
        let mut members = self.0.lock();
        let thread = gettid();
        members.threads.insert(thread);
        if members.back {
            lower(thread);
        }
    }

    /// This thread ends.
    pub(crate) fn leave(&self) {
        self.0.lock().threads.remove(&gettid());
    }

    /// All of them stand back, and those that join later. There is no way forward again: raising
    /// a priority takes a right that a server should not have.
    pub(crate) fn stand_back(&self) {
        let mut members = self.0.lock();
        members.back = true;
        members.threads.iter().copied().for_each(lower);
    }
}

thread_local! {
    static BACK: Cell<bool> = const { Cell::new(false) };
}

/// This thread, which works for one query only, stands back.
pub(crate) fn stand_back() {
    if !BACK.replace(true) {
        lower(gettid());
    }
}

fn lower(thread: Pid) {
    // A system that does not allow it goes on as it did.
    let _ = setpriority_process(Some(thread), NICE);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use rustix::process::getpriority_process;

    use super::*;

    fn nice() -> i32 {
        getpriority_process(Some(gettid())).unwrap()
    }

    #[test]
    fn a_crew_stands_back_with_those_that_come_later_and_nobody_else() {
        let (crew, before) = (Arc::new(Crew::default()), nice());
        let (told, tell) = mpsc::channel::<()>();
        let (ready, joined) = mpsc::channel();
        let member = std::thread::spawn({
            let crew = Arc::clone(&crew);
            move || {
                crew.join();
                ready.send(()).unwrap();
                tell.recv().unwrap();
                let nice = nice();
                crew.leave();
                nice
            }
        });
        joined.recv().unwrap();
        crew.stand_back();
        told.send(()).unwrap();
        assert_eq!(member.join().unwrap(), NICE);
        let later = std::thread::spawn({
            let crew = Arc::clone(&crew);
            move || {
                crew.join();
                nice()
            }
        });
        assert_eq!(later.join().unwrap(), NICE);
        assert_eq!(nice(), before);
    }

    #[test]
    fn a_thread_stands_back_alone() {
        let alone = || {
            stand_back();
            stand_back();
            nice()
        };
        assert_eq!(std::thread::spawn(alone).join().unwrap(), NICE);
        assert_ne!(nice(), NICE);
    }
}
