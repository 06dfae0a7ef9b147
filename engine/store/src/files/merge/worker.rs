//! The thread that decodes, encodes and compresses for a merge.
//!
//! One thread for all of it: zstd's contexts and Parquet's buffers are tens of MiB
//! that come and go, and an allocator keeps what a thread has freed for that
//! thread. Over the threads of a pool, 121 MiB in use were measured as 540 resident.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tokio::sync::oneshot;

use crate::files::{FilesError, Result};

type Job = Box<dyn FnOnce() + Send>;

/// Work that waits: a merge does one thing after the other.
const QUEUE_MAX: usize = 4;

/// A thread that ends with its last handle.
#[derive(Debug, Clone)]
pub(super) struct Worker(SyncSender<Job>);

impl Worker {
    pub(super) fn start() -> Result<Self> {
        let (sender, jobs): (_, Receiver<Job>) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new().name("isinglass-merge".to_owned());
        thread.spawn(move || jobs.into_iter().for_each(|job| job())).map_err(FilesError::Thread)?;
        Ok(Self(sender))
    }

    /// Runs `work` there.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, result) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody waits if the merge was given up.
            let _ = sender.send(work());
        });
        // The queue is never full: each merge waits for its one job.
        self.0.try_send(job).map_err(|_| FilesError::ThreadEnded)?;
        result.await.map_err(|_| FilesError::ThreadEnded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_on_one_thread() {
        let worker = Worker::start().unwrap();
        let first = worker.run(|| std::thread::current().id()).await.unwrap();
        assert_eq!(worker.clone().run(|| std::thread::current().id()).await.unwrap(), first);
        assert_ne!(first, std::thread::current().id());
    }

    #[tokio::test]
    async fn a_panic_ends_the_merge_and_not_the_process() {
        let worker = Worker::start().unwrap();
        assert!(matches!(worker.run(|| panic!("bad page")).await, Err(FilesError::ThreadEnded)));
        assert!(matches!(worker.run(|| ()).await, Err(FilesError::ThreadEnded)));
    }
}
