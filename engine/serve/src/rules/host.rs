//! Start, reload and stop of rules.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isinglass_ingest::Ingest;
use isinglass_model::Tenant;
use isinglass_query::QueryEngine;
use isinglass_rules::view::GroupView;
use isinglass_rules::{
    HttpPost, Manager, ManagerConfig, Notification, Notifier, Notify, RuleClock, SystemRuleClock, TenantFiles,
};
use parking_lot::Mutex as StateLock;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::config::RulesConfig;
use super::error::RulesError;
use super::evaluate::StoreEvaluate;
use super::write::IngestWrite;
use crate::prometheus::{RulesFigures, RulesView};

/// Reads `[rules]` of the configuration again. Blocking.
pub type ReadConfig = Arc<dyn Fn() -> Result<RulesConfig, String> + Send + Sync>;

/// Rules that are evaluated. Cheap to clone.
#[derive(Clone)]
pub struct Rules(Arc<Inner>);

struct Inner {
    manager: Manager,
    /// Absent where there is nobody to tell.
    notifier: StateLock<Option<Arc<Notifier>>>,
    clock: Arc<dyn RuleClock>,
    listen: SocketAddr,
    /// What holds now, without files.
    config: StateLock<RulesConfig>,
    read: ReadConfig,
    /// One reload at a time.
    reloading: Mutex<()>,
    last: StateLock<LastReload>,
    stopping: CancellationToken,
    cut_off: CancellationToken,
}

struct LastReload {
    succeeded: bool,
    success_at: i64,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

impl Rules {
    /// Evaluates files that [`RulesConfig::load`] has read. Expressions wait until everything that
    /// was acknowledged before can be seen. Needs a tokio runtime.
    ///
    /// # Errors
    /// There is no client for Alertmanagers.
    pub async fn start(
        config: &RulesConfig,
        files: TenantFiles,
        read: ReadConfig,
        (ingest, query): (Ingest, QueryEngine),
        listen: SocketAddr,
    ) -> Result<Self, RulesError> {
        let clock: Arc<dyn RuleClock> = Arc::new(SystemRuleClock::default());
        let notifier = notifier(config, &clock)?;
        let (stopping, cut_off) = (CancellationToken::new(), CancellationToken::new());
        let evaluate = StoreEvaluate::new(query, ingest.clone(), stopping.clone(), cut_off.clone());
        let manager = Manager::new(
            config.manager(listen),
            Arc::new(evaluate),
            Arc::new(IngestWrite(ingest)),
            told(notifier.as_ref()),
            Arc::clone(&clock),
        );
        manager.reload(files).await;
        let last = StateLock::new(LastReload { succeeded: true, success_at: clock.now() });
        Ok(Self(Arc::new(Inner {
            manager,
            notifier: StateLock::new(notifier),
            clock,
            listen,
            config: StateLock::new(config.without_files()),
            read,
            reloading: Mutex::default(),
            last,
            stopping,
            cut_off,
        })))
    }

    /// Ends evaluations and sends what waits for Alertmanagers. A query that runs has so much time
    /// to end by itself.
    pub async fn stop(&self, grace: Duration) {
        let inner = &*self.0;
        inner.stopping.cancel();
        let ended = inner.manager.shutdown();
        tokio::pin!(ended);
        if tokio::time::timeout(grace, ended.as_mut()).await.is_err() {
            inner.cut_off.cancel();
            ended.await;
        }
        // A reload may be about to put another one there.
        let _no_reload = inner.reloading.lock().await;
        let (notifier, config) = (inner.notifier.lock().take(), inner.config.lock().clone());
        end(notifier, &config).await;
    }

    async fn reload_now(&self) -> Result<(), RulesError> {
        let inner = &*self.0;
        let _one_at_a_time = inner.reloading.lock().await;
        let done = self.take_over().await;
        match &done {
            Ok(()) => *inner.last.lock() = LastReload { succeeded: true, success_at: inner.clock.now() },
            Err(error) => {
                tracing::error!(%error, "rules were not reloaded; the old ones go on");
                inner.last.lock().succeeded = false;
            }
        }
        done
    }

    /// Everything that can fail comes before anything is changed.
    async fn take_over(&self) -> Result<(), RulesError> {
        let inner = &*self.0;
        let (config, files) = self.load().await?;
        let groups: usize = files.values().flatten().map(|file| file.groups.len()).sum();
        let (new, old) = (config.without_files(), inner.config.lock().clone());
        if new == old {
            inner.manager.reload(files).await;
        } else {
            self.take_over_settings(&new, &old, files).await?;
        }
        tracing::info!(groups, "rules reloaded");
        Ok(())
    }

    async fn take_over_settings(
        &self,
        new: &RulesConfig,
        old: &RulesConfig,
        files: TenantFiles,
    ) -> Result<(), RulesError> {
        let inner = &*self.0;
        let before = inner.notifier.lock().clone();
        let notifier = match new.notifier() == old.notifier() {
            true => before.clone(),
            false => notifier(new, &inner.clock)?,
        };
        let ManagerConfig { settings, concurrent_groups_max } = new.manager(inner.listen);
        if concurrent_groups_max != old.concurrent_groups_max {
            tracing::warn!("rules.concurrent_groups_max has changed; it waits for the next start");
        }
        inner.manager.reload_with(files, settings, told(notifier.as_ref())).await;
        *inner.config.lock() = new.clone();
        *inner.notifier.lock() = notifier;
        if new.notifier() != old.notifier() {
            end(before, old).await;
        }
        Ok(())
    }

    async fn load(&self) -> Result<(RulesConfig, TenantFiles), RulesError> {
        let read = Arc::clone(&self.0.read);
        let work = tokio::task::spawn_blocking(move || {
            let config = read().map_err(RulesError::Config)?;
            let files = config.load()?;
            Ok((config, files))
        });
        work.await.map_err(|error| RulesError::Internal(error.to_string()))?
    }
}

/// Tells nobody.
struct Nobody;

impl Notify for Nobody {
    fn notify(&self, _tenant: &Tenant, _alerts: Vec<Notification>) {}
}

fn told(notifier: Option<&Arc<Notifier>>) -> Arc<dyn Notify> {
    match notifier {
        Some(notifier) => Arc::<Notifier>::clone(notifier),
        None => Arc::new(Nobody),
    }
}

/// A client looks for certificates, which takes time that a start without Alertmanagers has not.
fn notifier(config: &RulesConfig, clock: &Arc<dyn RuleClock>) -> Result<Option<Arc<Notifier>>, RulesError> {
    if config.alertmanagers.urls.is_empty() {
        return Ok(None);
    }
    let post = Arc::new(HttpPost::direct().map_err(RulesError::Client)?);
    Ok(Some(Arc::new(Notifier::start(&config.notifier(), post, Arc::clone(clock)))))
}

/// What waits is sent, for as long as a stop may take.
async fn end(notifier: Option<Arc<Notifier>>, config: &RulesConfig) {
    if let Some(notifier) = notifier {
        notifier.shutdown(Duration::from_millis(config.alertmanagers.drain_timeout_ms)).await;
    }
}

#[async_trait]
impl RulesView for Rules {
    fn groups(&self, tenant: &Tenant) -> Vec<Arc<GroupView>> {
        self.0.manager.groups(tenant)
    }

    /// Goes on to its end when the caller goes away.
    async fn reload(&self) -> Result<(), RulesError> {
        let this = self.clone();
        let work = tokio::spawn(async move { this.reload_now().await });
        work.await.map_err(|error| RulesError::Internal(error.to_string()))?
    }

    fn figures(&self) -> RulesFigures {
        let inner = &*self.0;
        let (reload_succeeded, success_at) = {
            let last = inner.last.lock();
            (last.succeeded, last.success_at)
        };
        let notifier = inner.notifier.lock().clone();
        RulesFigures {
            reload_succeeded,
            reload_success_at: Some(success_at),
            groups: inner.manager.figures(),
            alertmanagers: notifier.map(|notifier| notifier.sent()).unwrap_or_default(),
            queue_alerts_max: inner.config.lock().alertmanagers.queue_alerts_max,
        }
    }
}
