//! Work that stands back behind everything that somebody waits for.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::process::{getpid, getpriority_process, setpriority_process};
use rustix::thread::gettid;
use tokio::sync::oneshot;

use super::ReplayError;

/// A third of the share of a thread that does not stand back.
const NICER: i32 = 5;
const NICE_MAX: i32 = 19;

type Job = Box<dyn FnOnce() + Send>;

/// A thread of a low priority that ends with its handle.
pub(super) struct Background(SyncSender<Job>);

impl Background {
    pub(super) fn start() -> Result<Self, ReplayError> {
        let (sender, jobs): (_, Receiver<Job>) = sync_channel(1);
        let thread = std::thread::Builder::new().name("isinglass-replay".to_owned());
        let run = move || {
            // Where the system does not allow it the work goes on as it is.
            let own = getpriority_process(Some(getpid())).unwrap_or_default();
            let _ = setpriority_process(Some(gettid()), own.saturating_add(NICER).min(NICE_MAX));
            jobs.into_iter().for_each(|job| job());
        };
        thread
            .spawn(run)
            .map_err(|error| ReplayError::Internal(format!("cannot start a thread: {error}")))?;
        Ok(Self(sender))
    }

    /// Runs `work` there.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReplayError> {
        let (sender, result) = oneshot::channel();
        // Nobody waits if the replay was given up.
        let job: Job = Box::new(move || drop(sender.send(work())));
        let ended = || ReplayError::Internal("the thread of a replay has ended".to_owned());
        self.0.try_send(job).map_err(|_| ended())?;
        result.await.map_err(|_| ended())
    }
}
