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
use isinglass_rules::{HttpPost, Manager, Notifier, RuleClock, SystemRuleClock, TenantFiles};
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
    notifier: Arc<Notifier>,
    clock: Arc<dyn RuleClock>,
    /// As it was at the start, without files.
    started_with: RulesConfig,
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
        let post = Arc::new(HttpPost::direct().map_err(RulesError::Client)?);
        let notifier = Arc::new(Notifier::start(&config.notifier(), post, Arc::clone(&clock)));
        let (stopping, cut_off) = (CancellationToken::new(), CancellationToken::new());
        let evaluate = StoreEvaluate::new(query, ingest.clone(), stopping.clone(), cut_off.clone());
        let manager = Manager::new(
            config.manager(listen),
            Arc::new(evaluate),
            Arc::new(IngestWrite(ingest)),
            Arc::<Notifier>::clone(&notifier),
            Arc::clone(&clock),
        );
        manager.reload(files).await;
        let last = StateLock::new(LastReload { succeeded: true, success_at: clock.now() });
        Ok(Self(Arc::new(Inner {
            manager,
            notifier,
            clock,
            started_with: config.without_files(),
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
        let drain = Duration::from_millis(inner.started_with.alertmanagers.drain_timeout_ms);
        inner.notifier.shutdown(drain).await;
    }

    async fn reload_now(&self) -> Result<(), RulesError> {
        let inner = &*self.0;
        let _one_at_a_time = inner.reloading.lock().await;
        let loaded = self.load().await;
        if let Err(error) = &loaded {
            tracing::error!(%error, "rules were not reloaded; the old ones go on");
            inner.last.lock().succeeded = false;
        }
        let files = loaded?;
        let (tenants, groups) =
            (files.len(), files.values().flatten().map(|file| file.groups.len()).sum::<usize>());
        inner.manager.reload(files).await;
        *inner.last.lock() = LastReload { succeeded: true, success_at: inner.clock.now() };
        tracing::info!(tenants, groups, "rules reloaded");
        Ok(())
    }

    async fn load(&self) -> Result<TenantFiles, RulesError> {
        let this = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let config = (this.0.read)().map_err(RulesError::Config)?;
            let files = config.load()?;
            if config.without_files() != this.0.started_with {
                tracing::warn!("settings of rules have changed; all but the files wait for the next start");
            }
            Ok(files)
        });
        work.await.map_err(|error| RulesError::Internal(error.to_string()))?
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
        let last = inner.last.lock();
        RulesFigures {
            reload_succeeded: last.succeeded,
            reload_success_at: Some(last.success_at),
            groups: inner.manager.figures(),
            alertmanagers: inner.notifier.sent(),
            queue_alerts_max: inner.started_with.alertmanagers.queue_alerts_max,
        }
    }
}
