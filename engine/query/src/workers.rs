//! Threads for queries, apart from those that take data in: a query that keeps a
//! core busy delays other queries, not intake.

use std::future::Future;

use isinglass_model::ErrorKind;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{AbortHandle, JoinHandle};

use crate::error::QueryError;
use crate::planning::Planning;

/// Stack of a query thread: the gate lets trees of some hundred levels through,
/// and planners recurse over them. Only pages that are touched take memory.
pub(crate) const STACK_BYTES: usize = 16 << 20;

/// The threads. They end when this is dropped, without waiting for queries.
pub(crate) struct Workers(Option<Runtime>);

impl Workers {
    /// So many threads run queries, and up to `planners` more plan them.
    pub(crate) fn start(threads: usize, planners: usize) -> Result<Self, QueryError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            // Reading files has its own, however many planners there are.
            .max_blocking_threads(threads.max(1) * 4 + planners)
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

    /// Plans a query on a thread that it has for itself. Dropping the handle leaves it there.
    pub(crate) fn plan<T: Send + 'static>(
        &self,
        planning: Planning,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<JoinHandle<T>> {
        let runtime = self.0.as_ref()?;
        let handle = runtime.handle().clone();
        Some(runtime.spawn_blocking(move || planning.run(|| handle.block_on(work))))
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
