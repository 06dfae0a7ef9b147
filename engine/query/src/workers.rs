//! Threads for queries, apart from those that take data in: a query that keeps a
//! core busy delays other queries, not intake.

use std::future::Future;

use isinglass_model::ErrorKind;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

use crate::error::QueryError;

/// Stack of a query thread: the gate lets trees of some hundred levels through,
/// and planners recurse over them. Only pages that are touched take memory.
pub(crate) const STACK_BYTES: usize = 16 << 20;

/// The threads. They end when this is dropped, without waiting for queries.
pub(crate) struct Workers(Option<Runtime>);

impl Workers {
    pub(crate) fn start(threads: usize) -> Result<Self, QueryError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(threads.max(1) * 4)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => Ok(Self(Some(runtime))),
            Err(error) => Err(QueryError::new(
                ErrorKind::Internal,
                format!("cannot start threads for queries: {error}"),
            )),
        }
    }

    /// Runs a task; the handle ends it at its next pause.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        self.0.as_ref().map(|runtime| runtime.spawn(task).abort_handle())
    }

    /// For other threads to wait for what these do.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // A runtime must not wait for its threads inside another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
