//! News of alerts to Alertmanagers.
//!
//! ```text
//! notify ─▶ external labels ─┬▶ queue (bounded, oldest dropped) ─▶ batches of 64 ─▶ POST, tried again
//!                            └▶ queue … one for each Alertmanager
//! ```
//!
//! Each Alertmanager has a queue and a task of its own, so that a slow one holds up no other.
//! <https://prometheus.io/docs/alerting/latest/alerts_api/>

mod http;
mod queue;
mod send;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isinglass_model::tenant::Tenant;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::ports::{Notification, Notify, RuleClock};

pub use http::HttpPost;

/// Where alerts are posted, below the URL of an Alertmanager.
pub const ALERTS_PATH: &str = "/api/v2/alerts";

use queue::{Queue, Queued};
use send::Sender;

/// Posts a body to a URL.
#[async_trait]
pub trait Post: Send + Sync {
    /// Posts JSON in the name of a tenant and returns the status of the answer.
    ///
    /// # Errors
    /// Why there is no answer; also none within `timeout`.
    async fn post(&self, url: &str, tenant: &Tenant, body: Vec<u8>, timeout: Duration)
    -> Result<u16, String>;
}

/// How alerts are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifierConfig {
    /// Base URLs of Alertmanagers; `/api/v2/alerts` is added to each.
    pub alertmanagers: Vec<String>,
    /// Labels that each alert gets where it does not have them.
    pub external_labels: BTreeMap<String, String>,
    /// Alerts that wait for an Alertmanager, at most; the oldest make room.
    pub queue_alerts_max: usize,
    /// Alerts of one message, at most.
    pub batch_alerts_max: usize,
    /// Times that a message is sent; the last failure drops it.
    pub attempts_max: u32,
    /// Pause after the first failure, milliseconds; it doubles with each one.
    pub retry_pause_ms: u64,
    /// How long an answer may take, milliseconds.
    pub timeout_ms: u64,
}

impl Default for NotifierConfig {
    fn default() -> Self {
        Self {
            alertmanagers: Vec::new(),
            external_labels: BTreeMap::new(),
            queue_alerts_max: 10_000,
            batch_alerts_max: 64,
            attempts_max: 3,
            retry_pause_ms: 500,
            timeout_ms: 10_000,
        }
    }
}

/// What became of the alerts for one Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// Its URL.
    pub url: String,
    /// Alerts that it took.
    pub sent: u64,
    /// Alerts of messages that failed.
    pub failed: u64,
    /// Messages that were sent again.
    pub retries: u64,
    /// Alerts that made room for newer ones, or were left at shutdown.
    pub dropped: u64,
    /// Alerts that wait.
    pub waiting: u64,
}

/// Sends alerts to Alertmanagers.
pub struct Notifier {
    external_labels: BTreeMap<String, String>,
    queues: Vec<Arc<Queue>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Notifier {
    /// Starts a task for each Alertmanager; needs a runtime of tokio.
    pub fn start(config: &NotifierConfig, post: Arc<dyn Post>, clock: Arc<dyn RuleClock>) -> Self {
        let queue = |url: &String| Arc::new(Queue::new(url, config.queue_alerts_max));
        let queues: Vec<_> = config.alertmanagers.iter().map(queue).collect();
        let task = |queue: &Arc<Queue>| {
            let sender = Sender {
                queue: Arc::clone(queue),
                post: Arc::clone(&post),
                clock: Arc::clone(&clock),
                config: config.clone(),
            };
            tokio::spawn(sender.run())
        };
        let tasks = Mutex::new(queues.iter().map(task).collect());
        Self { external_labels: config.external_labels.clone(), queues, tasks }
    }

    /// What became of the alerts, for each Alertmanager.
    pub fn sent(&self) -> Vec<Sent> {
        self.queues.iter().map(|queue| queue.sent()).collect()
    }

    /// Sends what waits, each message once, and ends; at most `within` is waited for it. What is
    /// left then is dropped and counted.
    pub async fn shutdown(&self, within: Duration) {
        for queue in &self.queues {
            queue.close();
        }
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for task in tasks {
                // A task that was ended has nothing more to say.
                let _ = task.await;
            }
        };
        if tokio::time::timeout(within, all).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        self.queues.iter().for_each(|queue| queue.drop_rest());
    }

    fn with_external(&self, mut alert: Notification) -> Notification {
        let mut builder = alert.labels.builder();
        for (name, value) in &self.external_labels {
            if alert.labels.get(name).is_empty() {
                builder.set(name, value);
            }
        }
        alert.labels = builder.build();
        alert
    }
}

impl Notify for Notifier {
    fn notify(&self, tenant: &Tenant, alerts: Vec<Notification>) {
        let alert = |alert| Queued { tenant: tenant.clone(), alert: Arc::new(self.with_external(alert)) };
        let alerts: Vec<_> = alerts.into_iter().map(alert).collect();
        for queue in &self.queues {
            queue.push(&alerts);
        }
    }
}
