//! Messages to one Alertmanager, one after the other.

use std::sync::Arc;
use std::time::Duration;

use super::queue::{Queue, Queued, count};
use super::{ALERTS_PATH, NotifierConfig, Post, wire};
use crate::ports::RuleClock;

/// The task of one Alertmanager.
pub(super) struct Sender {
    pub(super) queue: Arc<Queue>,
    pub(super) post: Arc<dyn Post>,
    pub(super) clock: Arc<dyn RuleClock>,
    pub(super) config: NotifierConfig,
}

impl Sender {
    pub(super) async fn run(self) {
        let url = format!("{}{ALERTS_PATH}", self.queue.url().trim_end_matches('/'));
        while let Some(batch) = self.queue.next(self.config.batch_alerts_max).await {
            let alerts = count(batch.len());
            match self.send(&url, &batch).await {
                Ok(()) => self.queue.count(|sent| sent.sent += alerts),
                Err(error) => {
                    tracing::warn!(%url, alerts, %error, "alerts were not sent");
                    self.queue.count(|sent| sent.failed += alerts);
                }
            }
        }
    }

    /// Sends a message until it is taken. A refusal is not tried again: it would be the same.
    async fn send(&self, url: &str, batch: &[Queued]) -> Result<(), String> {
        let Some(first) = batch.first() else { return Ok(()) };
        let body = wire::body(batch).map_err(|error| error.to_string())?;
        let timeout = Duration::from_millis(self.config.timeout_ms);
        let mut attempt = 1;
        loop {
            let error = match self.post.post(url, &first.tenant, body.clone(), timeout).await {
                Ok(200..=299) => return Ok(()),
                Ok(status) if status != 429 && status < 500 => {
                    return Err(format!("bad response status {status}"));
                }
                Ok(status) => format!("bad response status {status}"),
                Err(error) => error,
            };
            // At shutdown there is no time for another one.
            if attempt >= self.config.attempts_max || self.queue.is_closed() {
                return Err(error);
            }
            self.queue.count(|sent| sent.retries += 1);
            self.pause(attempt).await;
            attempt += 1;
        }
    }

    async fn pause(&self, attempt: u32) {
        let doubled = self.config.retry_pause_ms.saturating_mul(1 << (attempt - 1).min(10));
        let nanos = i64::try_from(doubled.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        self.clock.sleep_until(self.clock.now().saturating_add(nanos)).await;
    }
}
