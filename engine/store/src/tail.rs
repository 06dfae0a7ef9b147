//! Who makes the newest records visible.
//!
//! Normally that is the applier, at once. While the log is read at start, and while tables
//! cannot be written and the head is full, records are acknowledged as soon as the log has
//! them, and the reader of the log brings them into the head in its own time. Either way
//! records become visible in WAL order, each once: the reader and the applier change places
//! only when the reader has come to the very last record that was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::Seq;

/// The end of the log, between the applier and the reader.
pub(crate) struct Tail {
    state: Mutex<State>,
    /// Whether anything waits for the reader, for those that look often.
    behind: Arc<AtomicBool>,
    /// Something happened that the applier waits for.
    changed: Condvar,
    /// Wakes the reader.
    wanted: Notify,
    /// Records became visible.
    progress: Notify,
}

struct State {
    mode: Mode,
    /// The last record that was acknowledged and left to the reader.
    logged: Seq,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The applier has every record.
    Live,
    /// The reader has them.
    Behind,
    /// The reader has nearly come to the end; the applier waits until it is there.
    Held,
}

impl Tail {
    /// `logged` is the last record that the reader has to bring, if there is one.
    pub(crate) fn new(logged: Option<Seq>, behind: Arc<AtomicBool>) -> Self {
        behind.store(logged.is_some(), Ordering::Release);
        let mode = if logged.is_some() { Mode::Behind } else { Mode::Live };
        let state = State { mode, logged: logged.unwrap_or(0), closed: false };
        Self {
            state: Mutex::new(state),
            behind,
            changed: Condvar::new(),
            wanted: Notify::new(),
            progress: Notify::new(),
        }
    }

    /// Whether the applier shall make this record visible; if not, the reader will.
    /// `no_room` says that the head cannot take it.
    pub(crate) fn admit(&self, seq: Seq, no_room: impl FnOnce() -> bool) -> bool {
        let mut state = self.state.lock();
        while state.mode == Mode::Held && !state.closed {
            self.changed.wait(&mut state);
        }
        if state.mode == Mode::Live && !state.closed && !no_room() {
            return true;
        }
        state.logged = seq;
        state.mode = Mode::Behind;
        self.behind.store(true, Ordering::Release);
        self.wanted.notify_one();
        false
    }

    /// Whether acknowledged records wait for the reader.
    pub(crate) fn is_behind(&self) -> bool {
        self.state.lock().mode != Mode::Live
    }

    /// The last record that the reader has to bring.
    pub(crate) fn logged(&self) -> Seq {
        self.state.lock().logged
    }

    /// The reader is at `done`: if that is the end, the applier goes on from here.
    pub(crate) fn go_live(&self, done: Seq) -> bool {
        let mut state = self.state.lock();
        if state.logged > done || state.closed {
            return false;
        }
        state.mode = Mode::Live;
        self.behind.store(false, Ordering::Release);
        self.changed.notify_all();
        drop(state);
        self.progress.notify_waiters();
        true
    }

    /// Little is left: the applier shall wait for the reader.
    pub(crate) fn hold(&self) {
        self.change(Mode::Behind, Mode::Held);
    }

    /// It takes longer after all: the applier shall not wait.
    pub(crate) fn release(&self) {
        self.change(Mode::Held, Mode::Behind);
    }

    fn change(&self, from: Mode, to: Mode) {
        let mut state = self.state.lock();
        if state.mode == from {
            state.mode = to;
            self.changed.notify_all();
        }
    }

    /// Ends all waiting.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
        self.wanted.notify_one();
        self.progress.notify_waiters();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Waits until there is something to read; `false` if there never will be.
    pub(crate) async fn wanted(&self) -> bool {
        loop {
            {
                let state = self.state.lock();
                if state.closed {
                    return false;
                }
                if state.mode != Mode::Live {
                    return true;
                }
            }
            self.wanted.notified().await;
        }
    }

    /// Tells those that wait for records.
    pub(crate) fn moved(&self) {
        self.progress.notify_waiters();
    }

    /// Waits until `there` holds; `false` if the store is closed first.
    pub(crate) async fn until(&self, there: impl Fn() -> bool) -> bool {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if there() {
                return true;
            }
            if self.is_closed() {
                return false;
            }
            progress.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tail(logged: Option<Seq>) -> Tail {
        Tail::new(logged, Arc::default())
    }

    #[test]
    fn the_reader_hands_over_at_the_last_acknowledged_record_only() {
        let tail = tail(Some(5));
        assert!(!tail.admit(6, || false));
        assert!(!tail.go_live(5));
        assert_eq!(tail.logged(), 6);
        assert!(tail.go_live(6));
        assert!(tail.admit(7, || false));
        assert!(!tail.is_behind());
    }

    #[test]
    fn a_full_head_leaves_records_to_the_reader() {
        let tail = tail(None);
        assert!(tail.admit(1, || false));
        assert!(!tail.admit(2, || true));
        assert!(!tail.admit(3, || false));
        assert!(!tail.go_live(2));
        assert!(tail.go_live(3));
    }

    #[test]
    fn a_held_applier_waits_for_the_reader_or_the_end() {
        for end in [false, true] {
            let tail = Arc::new(tail(Some(5)));
            tail.hold();
            let applier = std::thread::spawn({
                let tail = Arc::clone(&tail);
                move || tail.admit(6, || false)
            });
            std::thread::sleep(Duration::from_millis(20));
            assert!(!applier.is_finished());
            if end {
                tail.close();
            } else {
                assert!(tail.go_live(5));
            }
            assert_eq!(applier.join().unwrap(), !end);
        }
    }

    #[tokio::test]
    async fn who_waits_is_told_of_progress_and_of_the_end() {
        let tail = Arc::new(tail(Some(5)));
        let waiting = tokio::spawn({
            let tail = Arc::clone(&tail);
            async move { (tail.until(|| !tail.is_behind()).await, tail.until(|| false).await) }
        });
        tokio::task::yield_now().await;
        assert!(tail.wanted().await);
        assert!(tail.go_live(5));
        tokio::task::yield_now().await;
        tail.close();
        assert_eq!(waiting.await.unwrap(), (true, false));
        assert!(!tail.wanted().await);
    }
}
