//! Groups of all tenants: each is a task that evaluates when it is due.

mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

use isinglass_model::tenant::Tenant;
use parking_lot::Mutex as StateLock;
use tokio::sync::{Mutex, Semaphore, watch};

use crate::file::{GroupSpec, RuleFile};
use crate::group::{Counts, Environment, Group, Settings};
use crate::ports::UnixNanos;
use crate::ports::{Evaluate, Notify, RuleClock, Write};
use crate::view::{Alerts, GroupView, Rules};

use task::{Running, Shown};

/// Rule files of each tenant.
pub type TenantFiles = BTreeMap<Tenant, Vec<RuleFile>>;

/// How rules are run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ManagerConfig {
    /// Times, labels and addresses.
    pub settings: Settings,
    /// Groups that are evaluated at the same time, at most; others wait. 0 = 20.
    pub concurrent_groups_max: usize,
}

const CONCURRENT_GROUPS: usize = 20;

/// What a group has done, for metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupFigures {
    /// Whose it is.
    pub tenant: Tenant,
    /// The file it stands in.
    pub file: Arc<str>,
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: usize,
    /// How often it is evaluated, nanoseconds.
    pub interval: i64,
    /// How long its last evaluation took, nanoseconds.
    pub evaluation_nanos: i64,
    /// When it was evaluated last.
    pub last_evaluation: Option<UnixNanos>,
    /// What was done since it began.
    pub counts: Counts,
}

impl From<&Group> for GroupFigures {
    fn from(group: &Group) -> Self {
        Self {
            tenant: group.tenant.clone(),
            file: Arc::clone(&group.file),
            name: group.spec.name.clone(),
            rules: group.rules.len(),
            interval: group.interval,
            evaluation_nanos: group.evaluation_nanos,
            last_evaluation: group.last_evaluation,
            counts: group.counts,
        }
    }
}

/// Tenant, file and name of a group.
type GroupKey = (Tenant, String, String);

#[derive(Default)]
struct Control {
    groups: BTreeMap<GroupKey, Running>,
    /// Groups of the first load restore the `for` of their alerts.
    was_loaded: bool,
}

/// Runs the groups of all tenants.
pub struct Manager {
    env: StateLock<Environment>,
    permits: Arc<Semaphore>,
    /// What runs. A reload holds it to its end.
    running: Mutex<Control>,
    /// What is shown meanwhile.
    shown: StateLock<BTreeMap<GroupKey, Shown>>,
    /// Set at shutdown: what waits to write stale markers gives up.
    ended: watch::Sender<bool>,
}

impl Manager {
    /// A manager without groups. Its tasks need a runtime of tokio.
    pub fn new(
        config: ManagerConfig,
        evaluate: Arc<dyn Evaluate>,
        write: Arc<dyn Write>,
        notify: Arc<dyn Notify>,
        clock: Arc<dyn RuleClock>,
    ) -> Self {
        let permits = match config.concurrent_groups_max {
            0 => CONCURRENT_GROUPS,
            max => max.min(Semaphore::MAX_PERMITS),
        };
        Self {
            env: StateLock::new(Environment {
                evaluate,
                write,
                notify,
                clock,
                settings: Arc::new(config.settings),
            }),
            permits: Arc::new(Semaphore::new(permits)),
            running: Mutex::default(),
            shown: StateLock::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// Runs these groups from now on. Groups that say the same go on undisturbed; those that have
    /// changed end their evaluation, and what is known of their rules is taken over; what groups
    /// that are no more have written gets stale markers after two of their intervals, so that
    /// rules which have moved come in between.
    ///
    /// The groups of the first call restore the `for` of their alerts.
    pub async fn reload(&self, files: TenantFiles) {
        self.reload_groups(files, None).await;
    }

    /// As [`Manager::reload`], with other settings and somebody else to tell of alerts. All groups
    /// end their evaluation and begin anew with what is known of their rules.
    pub async fn reload_with(&self, files: TenantFiles, settings: Settings, notify: Arc<dyn Notify>) {
        self.reload_groups(files, Some((settings, notify))).await;
    }

    async fn reload_groups(&self, files: TenantFiles, other: Option<(Settings, Arc<dyn Notify>)>) {
        let mut control = self.running.lock().await;
        if *self.ended.borrow() {
            return;
        }
        let same = other.is_none();
        if let Some((settings, notify)) = other {
            let mut env = self.env.lock();
            (env.settings, env.notify) = (Arc::new(settings), notify);
        }
        let mut old = std::mem::take(&mut control.groups);
        for (tenant, file, spec) in specs(files) {
            let key = (tenant, file, spec.name.clone());
            let running = match old.remove(&key) {
                Some(running) if same && running.is(&spec) => running,
                before => self.replace(before, &key, spec, !control.was_loaded).await,
            };
            control.groups.insert(key, running);
        }
        let shown = control.groups.iter().map(|(key, running)| (key.clone(), running.shown()));
        *self.shown.lock() = shown.collect();
        for running in old.into_values() {
            if let Some(group) = running.stop().await {
                self.end_later(group);
            }
        }
        control.was_loaded = true;
    }

    /// A group in the place of another one, or of none.
    async fn replace(
        &self,
        before: Option<Running>,
        (tenant, file, _): &GroupKey,
        spec: GroupSpec,
        restores: bool,
    ) -> Running {
        let env = self.env();
        let mut group = Group::new(tenant.clone(), file.as_str().into(), spec, &env.settings, restores);
        if let Some(before) = before
            && let Some(stopped) = before.stop().await
        {
            group.carry_over(stopped);
        }
        Running::start(group, env, Arc::clone(&self.permits))
    }

    fn env(&self) -> Environment {
        self.env.lock().clone()
    }

    /// Stale markers for all that a group has written, after two of its intervals.
    fn end_later(&self, mut group: Group) {
        let env = self.env();
        let mut ended = self.ended.subscribe();
        let now = env.clock.now();
        let then = now.saturating_add(group.interval.saturating_mul(2));
        tokio::spawn(async move {
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => return,
                () = env.clock.sleep_until(then) => {}
            }
            group.end();
            group.mark_gone(now, &env).await;
        });
    }

    /// Ends all groups once their current rule is done. Nothing gets stale markers: they go on
    /// after a restart.
    pub async fn shutdown(&self) {
        let mut control = self.running.lock().await;
        self.ended.send_replace(true);
        let groups = std::mem::take(&mut control.groups);
        groups.values().for_each(Running::signal);
        for running in groups.into_values() {
            running.stop().await;
        }
        self.shown.lock().clear();
    }

    /// What `/api/v1/rules` shows a tenant: groups by file and name.
    pub fn rules(&self, tenant: &Tenant) -> Rules {
        Rules { groups: self.groups(tenant).iter().map(|view| GroupView::clone(view)).collect() }
    }

    /// The groups of a tenant by file and name, as `/api/v1/rules` shows them.
    pub fn groups(&self, tenant: &Tenant) -> Vec<Arc<GroupView>> {
        let shown = self.shown.lock();
        shown.iter().filter(|((owner, ..), _)| owner == tenant).map(|(_, shown)| shown.view()).collect()
    }

    /// What `/api/v1/alerts` shows a tenant.
    pub fn alerts(&self, tenant: &Tenant) -> Alerts {
        let groups = self.groups(tenant);
        Alerts { alerts: groups.iter().flat_map(|group| group.alerts()).cloned().collect() }
    }

    /// What was done, by tenant, file and group.
    pub fn figures(&self) -> Vec<GroupFigures> {
        self.shown.lock().values().map(Shown::figures).collect()
    }
}

/// Groups of all files. Of two files with the same name and group the last one counts.
fn specs(files: TenantFiles) -> Vec<(Tenant, String, GroupSpec)> {
    let mut specs = BTreeMap::new();
    for (tenant, files) in files {
        for file in files {
            for spec in file.groups {
                specs.insert((tenant.clone(), file.name.clone(), spec.name.clone()), spec);
            }
        }
    }
    specs.into_iter().map(|((tenant, file, _), spec)| (tenant, file, spec)).collect()
}
