//! Queries that take long stand back for those that do not.
//!
//! The system gives all threads the same share of the cores. A question that is answered in
//! milliseconds would wait for as many as there are long ones; threads of queries that run for a
//! while have a lower priority, and it waits for none of them. Alone, they are as fast as before.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, getpid, getpriority_process, setpriority_process};
use rustix::thread::gettid;

/// A query that takes longer than this stands back.
pub(crate) const LONG: Duration = Duration::from_millis(250);

/// A third of the share of a thread that does not stand back: enough for others, and not nothing on
/// a machine where programs of others are busy, too.
const NICER: i32 = 5;

/// The lowest priority that there is.
const NICE_MAX: i32 = 19;

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

    /// This thread ends, or works for others from now on; says whether it stands back.
    pub(crate) fn leave(&self) -> bool {
        let mut members = self.0.lock();
        members.threads.remove(&gettid());
        members.back || BACK.get()
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
    // From where the program was started, which is the priority of its main thread: a thread that
    // was started by one that stands back does already. A system that does not allow it goes on as
    // it did.
    let own = getpriority_process(Some(getpid())).unwrap_or_default();
    let _ = setpriority_process(Some(thread), own.saturating_add(NICER).min(NICE_MAX));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

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
        assert_eq!(member.join().unwrap(), before + NICER);
        let later = std::thread::spawn({
            let crew = Arc::clone(&crew);
            move || {
                crew.join();
                nice()
            }
        });
        assert_eq!(later.join().unwrap(), before + NICER);
        assert_eq!(nice(), before);
    }

    #[test]
    fn a_thread_stands_back_alone() {
        let alone = || {
            stand_back();
            stand_back();
            nice()
        };
        let before = nice();
        assert_eq!(std::thread::spawn(alone).join().unwrap(), before + NICER);
        assert_eq!(nice(), before);
    }
}
