//! What every handler shares.

use std::sync::Arc;
use std::time::Duration;

use isinglass_ingest::Ingest;
use isinglass_model::{Clock, Tenant};
use isinglass_query::{QueryEngine, TenantTurns, Turn, Turns};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::body::BodyReader;
use crate::config::ServeConfig;
use crate::listen::Addresses;
use crate::problem::Problem;
use crate::prometheus::RulesView;
use crate::server::Reloads;
use crate::telemetry::Telemetry;

/// Shared by all handlers; cheap to clone.
pub(crate) type App = Arc<Shared>;

pub(crate) struct Shared {
    pub ingest: Ingest,
    pub query: QueryEngine,
    pub rules: Arc<dyn RulesView>,
    pub reloads: Reloads,
    pub clock: Arc<dyn Clock>,
    pub telemetry: Telemetry,
    pub addresses: Addresses,
    pub bodies: BodyReader,
    pub writes: Gate,
    pub queries: QueryGate,
    pub write_timeout: Duration,
    pub stopping: CancellationToken,
    /// On the monotonic clock.
    pub started: Duration,
}

impl Shared {
    pub(crate) fn new(
        config: &ServeConfig,
        addresses: Addresses,
        ingest: Ingest,
        query: QueryEngine,
        reloads: Reloads,
        clock: Arc<dyn Clock>,
        stopping: CancellationToken,
    ) -> Self {
        let rules = Arc::clone(&reloads.rules);
        let writes = Gate::new("writes", config.writes_max, config.queue_timeout());
        let queries = QueryGate::new(config.queries_max, config.queue_timeout());
        let gates = (writes.clone(), queries.clone());
        let bodies = BodyReader::new(
            config.body_bytes_max,
            config.inflight_bytes_max,
            config.body_timeout(),
            query.memory_limit().clone(),
        );
        Self {
            telemetry: Telemetry::new(
                (ingest.clone(), query.clone(), Arc::clone(&rules)),
                &clock,
                config.tenant_labels_max,
                gates,
            ),
            started: clock.monotonic(),
            ingest,
            query,
            rules,
            reloads,
            clock,
            addresses,
            bodies,
            writes,
            queries,
            write_timeout: config.write_timeout(),
            stopping,
        }
    }
}

/// Bounds how many queries are worked on, from their arrival until their answer is sent. Tenants
/// have turns one after the other, and none has more than three quarters of them.
#[derive(Debug, Clone)]
pub(crate) struct QueryGate {
    max: usize,
    own: TenantTurns,
    wait: Duration,
    turns: Turns,
}

impl QueryGate {
    pub(crate) fn new(max: usize, wait: Duration) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        // Connections bound how many wait.
        let own = TenantTurns { concurrent_max: max - max / 4, queue_max: usize::MAX };
        Self { max, own, wait, turns: Turns::new(max) }
    }

    /// Waits for a turn, but not for long.
    pub(crate) async fn enter(&self, tenant: &Tenant) -> Result<Turn, Problem> {
        let until = tokio::time::Instant::now() + self.wait;
        self.turns.take(tenant, self.own, until).await.map_err(|_| {
            Problem::unavailable(format!(
                "the server is busy: no turn came free within server.queue_timeout_ms = {}; of \
                 server.queries_max = {} queries a tenant has at most {}",
                self.wait.as_millis(),
                self.max,
                self.own.concurrent_max
            ))
        })
    }

    /// Turns taken now.
    pub(crate) fn taken(&self) -> usize {
        self.turns.running()
    }
}

/// Bounds how many requests of a kind are worked on. Reads and writes have
/// gates of their own, so that neither starves the other. Clones are the same gate.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    what: &'static str,
    max: usize,
    wait: Duration,
    turns: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new(what: &'static str, max: usize, wait: Duration) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Self { what, max, wait, turns: Arc::new(Semaphore::new(max)) }
    }

    /// Waits for a turn, but not for long: a sender that is told to come back
    /// keeps its batch, one that waits holds memory here.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        tokio::time::timeout(self.wait, Arc::clone(&self.turns).acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| {
                Problem::unavailable(format!(
                    "the server is busy: {} {} are being worked on",
                    self.max, self.what
                ))
            })
    }

    /// What is counted, in the plural.
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    /// Turns taken now.
    pub(crate) fn taken(&self) -> usize {
        self.max - self.turns.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use isinglass_model::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_full_gate_refuses_after_its_wait() {
        let gate = Gate::new("writes", 1, Duration::from_millis(20));
        let turn = gate.enter().await.unwrap();
        assert_eq!(gate.taken(), 1);
        let problem = gate.enter().await.unwrap_err();
        assert_eq!((problem.kind, problem.retry_after.is_some()), (ErrorKind::Unavailable, true));
        drop(turn);
        let _turn = gate.enter().await.unwrap();
    }
}
