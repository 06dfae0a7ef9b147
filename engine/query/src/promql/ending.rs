//! How the threads of a query are told to end.

use std::sync::Arc;
use std::time::Duration;

use isinglass_promql::EvalError;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::QueryError;
use crate::priority;

/// Why a query has to end, once it has to. Shared by its threads and whoever waits for it.
#[derive(Debug)]
pub(super) struct Ending {
    reason: watch::Sender<Option<EvalError>>,
    begun: Instant,
    until: Instant,
    deadline: Duration,
}

impl Ending {
    pub(super) fn new(until: Instant, deadline: Duration) -> Arc<Self> {
        Arc::new(Self { reason: watch::Sender::new(None), begun: Instant::now(), until, deadline })
    }

    /// Ends the query; of several reasons the first counts.
    pub(super) fn end(&self, error: &QueryError) {
        self.reason.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(error.to_promql());
            }
            first
        });
    }

    /// Why the query has to end, if it has to. Asked on the threads that it has for itself: if it
    /// goes on for long they stand back.
    pub(super) fn reason(&self) -> Option<EvalError> {
        let now = Instant::now();
        if now >= self.until {
            return Some(self.timeout().to_promql());
        }
        if now - self.begun >= priority::LONG {
            priority::stand_back();
        }
        self.reason.borrow().clone()
    }

    /// Returns when the query has to end.
    pub(super) async fn ended(&self) -> EvalError {
        let mut reason = self.reason.subscribe();
        tokio::select! {
            told = reason.wait_for(Option::is_some) => {
                told.ok().and_then(|reason| reason.clone()).unwrap_or_else(|| canceled().to_promql())
            }
            () = tokio::time::sleep_until(self.until) => self.timeout().to_promql(),
        }
    }

    pub(super) fn timeout(&self) -> QueryError {
        QueryError::timeout(self.deadline)
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }
}

/// Nobody waits any more.
pub(super) fn canceled() -> QueryError {
    QueryError::new(isinglass_model::ErrorKind::Unavailable, "the query was canceled")
}

/// Held by whoever waits for the answer.
pub(super) struct Waiting(pub(super) Arc<Ending>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.end(&canceled());
    }
}
