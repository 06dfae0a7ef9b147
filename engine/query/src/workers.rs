//! Threads for queries, apart from those that take data in: a query that keeps a core busy delays
//! other queries, not intake.
//!
//! A runtime's thread is given back when a task pauses, and a join of two large batches does not
//! pause for as long as it takes. On shared threads everybody else would wait for that. So each
//! query has a lane, a small runtime, for itself: the system divides the cores among lanes every
//! few milliseconds, whatever runs on them.
//!
//! ```text
//! lane 0   query B ──▶  query C ──▶           as many threads as cores each, started when
//! lane 1   query D ────▶                      first needed; the first free lane is taken, so
//!                                             that few queries keep to few threads
//! retired  query A ─────────────────────▶     threads that stand back and end with their query
//! ```
//!
//! The lane of a query that takes long is retired ([`crate::priority`]).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use isinglass_model::ErrorKind;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::alarms::{Alarm, Alarms};
use crate::error::QueryError;
use crate::planners::PlanThreads;
use crate::planning::Planning;
use crate::priority::{self, Crew};

/// Stack of a query thread: the gate lets trees of some hundred levels through,
/// and planners recurse over them. Only pages that are touched take memory.
pub(crate) const STACK_BYTES: usize = 16 << 20;

/// More queries at the same time than this share lanes.
const LANES_MAX: usize = 32;

/// The threads. They end when this is dropped, without waiting for queries.
pub(crate) struct Workers {
    shape: Shape,
    lanes_max: usize,
    lanes: Arc<Mutex<Vec<Arc<Lane>>>>,
    /// Waits for files and objects in the name of threads that are no runtime's, and looks how
    /// long queries take. None computes here.
    aside: Option<Runtime>,
    planners: PlanThreads,
    /// For those who take long.
    alarms: Alarms,
}

/// Threads of a lane.
#[derive(Debug, Clone, Copy)]
struct Shape {
    threads: usize,
    /// For reading files.
    blocking: usize,
}

struct Lane {
    runtime: Option<Runtime>,
    crew: Arc<Crew>,
    queries: AtomicUsize,
}

impl Workers {
    /// Lanes for `queries` at the same time with so many threads each.
    pub(crate) fn start(threads: usize, queries: usize) -> Result<Self, QueryError> {
        let threads = threads.max(1);
        let shape = Shape { threads, blocking: threads * 4 };
        let aside = shape.start(&Arc::default())?;
        let lanes = Arc::new(Mutex::new(vec![Lane::start(shape)?]));
        let alarms = Alarms::start(aside.handle());
        Ok(Self {
            shape,
            lanes_max: queries.clamp(1, LANES_MAX),
            lanes,
            aside: Some(aside),
            planners: PlanThreads::default(),
            alarms,
        })
    }

    /// Plans a query on a thread that it has for itself. Dropping the receiver leaves it there;
    /// it ends without a value if planning panics.
    ///
    /// The thread is to sleep as soon as the value is on its way: the query's threads start at
    /// that moment, and the system puts two of them on one core, for all of a short query, if
    /// this one still keeps the other busy.
    pub(crate) fn plan<T: Send + 'static>(
        &self,
        planning: Planning,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let handle = self.handle()?;
        let crew = Arc::new(Crew::default());
        let alarm = self.alarms.after(priority::LONG, {
            let crew = Arc::clone(&crew);
            move || crew.stand_back()
        });
        let (sender, planned) = oneshot::channel();
        let plan = move || {
            crew.join();
            let done = planning.run(|| handle.block_on(work));
            drop(alarm);
            let stands_back = crew.leave();
            // Nobody may wait any more.
            let _ = sender.send(done);
            !stands_back
        };
        self.planners.run(Box::new(plan)).then_some(planned)
    }

    /// Runs a query on a lane; the handle ends it at its next pause.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let lane = self.lane()?;
        let runtime = lane.runtime.as_ref()?.handle().clone();
        let (lanes, of) = (Arc::downgrade(&self.lanes), Arc::downgrade(&lane));
        let alarm = self.alarms.after(priority::LONG, move || {
            if let (Some(lanes), Some(lane)) = (lanes.upgrade(), of.upgrade()) {
                retire(&lanes, &lane);
            }
        });
        let taken = Taken { lane, _alarm: alarm };
        let task = async move {
            let _taken = taken;
            task.await;
        };
        Some(runtime.spawn(task).abort_handle())
    }

    /// For other threads to wait for what they read.
    pub(crate) fn handle(&self) -> Option<Handle> {
        self.aside.as_ref().map(|runtime| runtime.handle().clone())
    }

    /// The first lane without a query, or else that with the fewest, with one more.
    fn lane(&self) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes.lock();
        let idlest = |lanes: &[Arc<Lane>]| (0..lanes.len()).min_by_key(|at| lanes[*at].load());
        let free = idlest(&lanes).is_some_and(|at| lanes[at].load() == 0);
        if !free && lanes.len() < self.lanes_max {
            // Without threads for one more those that there are do.
            lanes.extend(Lane::start(self.shape).ok());
        }
        let lane = Arc::clone(&lanes[idlest(&lanes)?]);
        lane.queries.fetch_add(1, Ordering::Relaxed);
        Some(lane)
    }
}

/// No further query takes this lane, whose threads stand back.
fn retire(lanes: &Mutex<Vec<Arc<Lane>>>, lane: &Arc<Lane>) {
    lanes.lock().retain(|other| !Arc::ptr_eq(other, lane));
    lane.crew.stand_back();
}

impl Lane {
    fn start(shape: Shape) -> Result<Arc<Self>, QueryError> {
        let crew = Arc::default();
        let runtime = Some(shape.start(&crew)?);
        Ok(Arc::new(Self { runtime, crew, queries: AtomicUsize::new(0) }))
    }

    fn load(&self) -> usize {
        self.queries.load(Ordering::Relaxed)
    }
}

impl Shape {
    fn start(self, crew: &Arc<Crew>) -> Result<Runtime, QueryError> {
        let [joins, leaves] = [Arc::clone(crew), Arc::clone(crew)];
        let runtime = Builder::new_multi_thread()
            .worker_threads(self.threads)
            .max_blocking_threads(self.blocking)
            .thread_stack_size(STACK_BYTES)
            .thread_name("query")
            .on_thread_start(move || joins.join())
            .on_thread_stop(move || _ = leaves.leave())
            .enable_all()
            .build();
        runtime.map_err(|error| {
            QueryError::new(ErrorKind::Internal, format!("cannot start threads for queries: {error}"))
        })
    }
}

/// A query's place on a lane, until it really ended.
struct Taken {
    lane: Arc<Lane>,
    _alarm: Alarm,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.lane.queries.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Its last query may be dropped on one of its own threads.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // A runtime must not wait for its threads inside another one.
        if let Some(runtime) = self.aside.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lanes(workers: &Workers) -> Vec<usize> {
        workers.lanes.lock().iter().map(|lane| lane.load()).collect()
    }

    async fn settle(workers: &Workers, wanted: &[usize]) {
        for _ in 0..1_000 {
            if lanes(workers) == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{:?}, wanted {wanted:?}", lanes(workers));
    }

    /// A query that pauses only when it is told to end.
    fn waiting(workers: &Workers) -> oneshot::Sender<()> {
        let (end, ended) = oneshot::channel::<()>();
        workers.spawn(async move { drop(ended.await) });
        end
    }

    #[tokio::test]
    async fn who_never_pauses_keeps_nobody_waiting() {
        let workers = Workers::start(1, 2).unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        workers.spawn(async move { ended.recv().unwrap_or_default() });
        let (answer, answered) = oneshot::channel();
        workers.spawn(async move { answer.send(7).unwrap() });
        assert_eq!(tokio::time::timeout(Duration::from_secs(60), answered).await.unwrap(), Ok(7));
        drop(end);
        settle(&workers, &[0, 0]).await;
    }

    #[tokio::test]
    async fn lanes_are_made_when_needed_and_used_again() {
        let workers = Workers::start(1, 2).unwrap();
        for _ in 0..3 {
            drop(waiting(&workers));
            settle(&workers, &[0]).await;
        }
        let all: Vec<_> = (0..4).map(|_| waiting(&workers)).collect();
        assert_eq!(lanes(&workers), [2, 2], "two are all that there may be");
        drop(all);
        settle(&workers, &[0, 0]).await;
    }

    #[tokio::test]
    async fn who_takes_long_stands_back_and_leaves_room() {
        let workers = Workers::start(1, 1).unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (answer, answered) = oneshot::channel();
        let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        workers.spawn(async move {
            ended.recv().unwrap_or_default();
            answer.send(nice()).unwrap();
        });
        settle(&workers, &[]).await;
        let (other, others) = oneshot::channel();
        workers.spawn(async move { other.send(nice()).unwrap() });
        assert_eq!(others.await, Ok(nice()));
        drop(end);
        assert!(answered.await.unwrap() > nice());
        settle(&workers, &[0]).await;
    }
}
