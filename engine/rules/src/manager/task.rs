//! The task of one group.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::file::GroupSpec;
use crate::group::{Environment, Group};
use crate::manager::GroupFigures;
use crate::schedule::{Schedule, group_hash};
use crate::view::GroupView;

/// A group that runs.
pub(super) struct Running {
    spec: Arc<GroupSpec>,
    stop: watch::Sender<bool>,
    shown: Shown,
    task: JoinHandle<Group>,
}

/// The latest view of a group, and what it has done.
#[derive(Clone)]
pub(super) struct Shown(Arc<Mutex<Latest>>);

struct Latest {
    view: Arc<GroupView>,
    figures: GroupFigures,
}

impl Shown {
    pub(super) fn view(&self) -> Arc<GroupView> {
        Arc::clone(&self.0.lock().view)
    }

    pub(super) fn figures(&self) -> GroupFigures {
        self.0.lock().figures.clone()
    }

    fn show(&self, group: &Group) {
        let latest = Latest::of(group);
        *self.0.lock() = latest;
    }
}

impl Latest {
    fn of(group: &Group) -> Self {
        Self { view: Arc::new(GroupView::from(group)), figures: GroupFigures::from(group) }
    }
}

impl Running {
    pub(super) fn start(group: Group, env: Environment, permits: Arc<Semaphore>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let shown = Shown(Arc::new(Mutex::new(Latest::of(&group))));
        let spec = Arc::clone(&group.spec);
        let task = Task { group, env, permits, stopped, shown: shown.clone() };
        Self { spec, stop, shown, task: tokio::spawn(task.run()) }
    }

    pub(super) fn is(&self, spec: &GroupSpec) -> bool {
        *self.spec == *spec
    }

    pub(super) fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Asks it to end; see [`Running::stop`].
    pub(super) fn signal(&self) {
        self.stop.send_replace(true);
    }

    /// Ends it once its current rule is done. `None` where it has failed.
    pub(super) async fn stop(self) -> Option<Group> {
        self.signal();
        let group = self.task.await;
        group.inspect_err(|error| tracing::error!(group = %self.spec.name, %error, "rule group failed")).ok()
    }
}

struct Task {
    group: Group,
    env: Environment,
    permits: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
    shown: Shown,
}

impl Task {
    async fn run(mut self) -> Group {
        let hash = group_hash(&self.group.tenant, &self.group.file, &self.group.spec.name);
        let mut schedule = Schedule::new(self.group.interval, hash, self.env.clock.now());
        let mut evaluated = 0_u32;
        while self.sleep(schedule.next()).await {
            let Some(due) = schedule.due(self.env.clock.now()) else { continue };
            self.group.counts.iterations += due.missed;
            self.group.counts.iterations_missed += due.missed;
            if !self.evaluate(due.time).await {
                break;
            }
            evaluated = evaluated.saturating_add(1);
            // What alerts build on may be there only after the first evaluation.
            if self.group.restores() && evaluated >= 2 {
                self.group.restore(self.env.clock.now(), &self.env).await;
            }
        }
        self.group
    }

    /// False where it is to end.
    async fn sleep(&mut self, until: i64) -> bool {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stopped| *stopped) => false,
            () = self.env.clock.sleep_until(until) => true,
        }
    }

    /// Waits until there is room, and evaluates. False where it is to end.
    async fn evaluate(&mut self, time: i64) -> bool {
        let mut stopped = self.stopped.clone();
        let permit = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return false,
            permit = self.permits.acquire() => permit,
        };
        let signal = self.stopped.clone();
        self.group.evaluate(time, &self.env, move || *signal.borrow()).await;
        drop(permit);
        self.shown.show(&self.group);
        true
    }
}
