//! Alerts that wait for one Alertmanager.

use std::collections::VecDeque;
use std::sync::Arc;

use isinglass_model::tenant::Tenant;
use parking_lot::Mutex;
use tokio::sync::Notify as Wake;

use super::Sent;
use crate::ports::Notification;

/// An alert and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Queued {
    pub(super) tenant: Tenant,
    pub(super) alert: Arc<Notification>,
}

/// A queue that is bounded: the oldest make room, as news is worth more the newer it is.
#[derive(Debug)]
pub(super) struct Queue {
    alerts_max: usize,
    state: Mutex<State>,
    wake: Wake,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Queued>,
    closed: bool,
    sent: Sent,
}

impl Queue {
    pub(super) fn new(url: &str, alerts_max: usize) -> Self {
        let sent = Sent { url: url.to_owned(), ..Sent::default() };
        let state = Mutex::new(State { sent, ..State::default() });
        Self { alerts_max: alerts_max.max(1), state, wake: Wake::new() }
    }

    pub(super) fn push(&self, alerts: &[Queued]) {
        let mut state = self.state.lock();
        state.waiting.extend(alerts.iter().cloned());
        let excess = state.waiting.len().saturating_sub(self.alerts_max);
        state.waiting.drain(..excess);
        state.sent.dropped += count(excess);
        drop(state);
        if excess > 0 {
            tracing::warn!(dropped = excess, "alerts were dropped: the notification queue is full");
        }
        self.wake.notify_one();
    }

    /// The next message: alerts of one tenant, in order. `None` once the queue is closed and empty.
    pub(super) async fn next(&self, alerts_max: usize) -> Option<Vec<Queued>> {
        loop {
            let woken = self.wake.notified();
            if let Some(batch) = self.take(alerts_max) {
                return Some(batch);
            }
            if self.is_closed() {
                return None;
            }
            woken.await;
        }
    }

    fn take(&self, alerts_max: usize) -> Option<Vec<Queued>> {
        let mut state = self.state.lock();
        let tenant = state.waiting.front()?.tenant.clone();
        let same =
            state.waiting.iter().take(alerts_max.max(1)).take_while(|one| one.tenant == tenant).count();
        Some(state.waiting.drain(..same).collect())
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    pub(super) fn drop_rest(&self) {
        let mut state = self.state.lock();
        let left = state.waiting.len();
        state.waiting.clear();
        state.sent.dropped += count(left);
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Sent)) {
        change(&mut self.state.lock().sent);
    }

    pub(super) fn url(&self) -> String {
        self.state.lock().sent.url.clone()
    }

    pub(super) fn sent(&self) -> Sent {
        let state = self.state.lock();
        Sent { waiting: count(state.waiting.len()), ..state.sent.clone() }
    }
}

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
