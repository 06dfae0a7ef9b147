//! Plugins that are tried out: what they would do with live traffic.
//!
//! ```text
//! request ─▶ ... ─▶ stored, answered
//!              └─▶ Seen ─▶ queue, bounded ─▶ one worker asks the plugins ─▶ Sums ─▶ table `shadow`
//! ```
//!
//! Nothing here is on the way of a request: what a plugin would see is remembered while the
//! enforced chain runs (columns are shared, not copied, but for samples), and looked at after the
//! request was answered. A plugin that is slow falls behind and is shown less, which is counted.
//!
//! They stand behind all transformers that are enforced, whatever their place in the list. So they
//! never see what one of those has taken out, and no row of `shadow` can tell it.
//!
//! | file | is |
//! |---|---|
//! | `seen.rs` | what is remembered of a request |
//! | `ask.rs` | asking each plugin about log records and spans, limiters and derivers |
//! | `series.rs` | the same of samples, by their label sets |
//! | `changes.rs` | a batch before and after a transformer, field by field |
//! | `derived.rs`, `pairs.rs` | what derivers add to metrics, and rows of theirs that wait for another |
//! | `senders.rs` | who sent a row |
//! | `sums.rs` | what was said, added up, with a few examples |
//! | `rows.rs` | sums as rows of the table |

mod ask;
mod changes;
mod derived;
mod pairs;
mod rows;
mod seen;
mod senders;
mod series;
mod sums;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use pairs::{Came, TrialPairs};
pub(crate) use seen::{Judged, Seen, SeenBatch, SeenMetrics, SeenRows};
use series::SeriesCache;
use sums::{Sums, TenantSums};

/// Requests that wait to be looked at.
const WAITING_MAX: usize = 1_024;
/// Their bytes, as they were on the wire.
const WAITING_BYTES_MAX: u64 = 64 << 20;

/// Counts about plugins that are tried out, since start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShadowStats {
    /// Requests that were shown to them.
    pub requests: u64,
    /// Requests that were not, because they were too far behind.
    pub skipped: u64,
    /// Rows written to `shadow`.
    pub rows: u64,
    /// Sums that were added to another one, because there were too many.
    pub folded: u64,
}

#[derive(Debug, Default)]
struct Counters {
    waiting_bytes: AtomicU64,
    requests: AtomicU64,
    skipped: AtomicU64,
    rows: AtomicU64,
}

enum Message {
    Seen(Box<Seen>),
    /// All before it was looked at.
    Settle(oneshot::Sender<()>),
}

/// The queue, and what was said so far.
pub(crate) struct Shadows {
    queue: mpsc::Sender<Message>,
    counters: Arc<Counters>,
    /// Locked before the sums.
    pairs: Arc<Mutex<TrialPairs>>,
    sums: Arc<Mutex<Sums>>,
}

impl Shadows {
    /// Starts the worker. It ends with the queue. Needs a tokio runtime.
    pub(crate) fn start() -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let (counters, sums) = (Arc::<Counters>::default(), Arc::<Mutex<Sums>>::default());
        let pairs = Arc::<Mutex<TrialPairs>>::default();
        let asking =
            Asking { counters: Arc::clone(&counters), pairs: Arc::clone(&pairs), sums: Arc::clone(&sums) };
        tokio::spawn(work(waiting, asking));
        Self { queue, counters, pairs, sums }
    }

    /// Deletions of tenants so far, for [`Seen::deletions`].
    pub(crate) fn deletions(&self) -> u64 {
        self.sums.lock().deletions()
    }

    /// Lets the plugins look at a request, if they are not too far behind.
    pub(crate) fn offer(&self, seen: Seen) {
        let (bytes, waiting) = (seen.bytes(), &self.counters.waiting_bytes);
        let room = waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES_MAX.max(bytes);
        let refused = match room {
            true => self.queue.try_send(Message::Seen(Box::new(seen))).err(),
            false => Some(mpsc::error::TrySendError::Full(Message::Seen(Box::new(seen)))),
        };
        if let Some(mpsc::error::TrySendError::Full(Message::Seen(seen))) = refused {
            waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.counters.skipped.fetch_add(1, Ordering::Relaxed);
            ask::skipped(&seen, &self.sums);
        }
    }

    /// Answers when all requests that were offered have been looked at, or after `wait`.
    pub(crate) async fn settle(&self, wait: Duration) {
        let (done, settled) = oneshot::channel();
        let settled = async {
            // The worker is gone only with the process.
            let _ = self.queue.send(Message::Settle(done)).await;
            let _ = settled.await;
        };
        let _ = tokio::time::timeout(wait, settled).await;
    }

    /// Ends the wait of rows for others that took too long, or of all; those of trials that are over
    /// are forgotten. `now` is of the monotonic clock.
    pub(crate) fn expire(&self, chain: &Chain, now: Duration, all: bool) {
        let mut pairs = self.pairs.lock();
        let came = pairs.expire(chain, now, all);
        let mut sums = self.sums.lock();
        for Came { tenant, about, metrics, deltas } in came {
            for deltas in &deltas {
                derived::add(&mut sums, (&tenant, &about), &metrics, deltas);
            }
        }
    }

    /// What was said since the last time, by tenant.
    pub(crate) fn take(&self) -> Vec<(Tenant, TenantSums)> {
        self.sums.lock().take()
    }

    /// Rows of the table.
    pub(crate) fn rows(&self, said: &TenantSums, time: i64) -> Result<RecordBatch, ArrowError> {
        rows::batch(said, time)
    }

    /// So many rows were written.
    pub(crate) fn written(&self, rows: usize) {
        self.counters.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// What could not be written is written next time.
    pub(crate) fn put_back(&self, tenant: &Tenant, said: TenantSums) {
        self.sums.lock().put_back(tenant, said);
    }

    /// Forgets what was said of a tenant's data: it is deleted.
    pub(crate) fn forget(&self, tenant: &Tenant) {
        let mut pairs = self.pairs.lock();
        self.sums.lock().forget(tenant);
        pairs.forget(tenant);
    }

    pub(crate) fn stats(&self) -> ShadowStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ShadowStats {
            requests: get(&self.counters.requests),
            skipped: get(&self.counters.skipped),
            rows: get(&self.counters.rows),
            folded: self.sums.lock().folded(),
        }
    }
}

/// What the worker adds to.
struct Asking {
    counters: Arc<Counters>,
    pairs: Arc<Mutex<TrialPairs>>,
    sums: Arc<Mutex<Sums>>,
}

async fn work(mut waiting: mpsc::Receiver<Message>, asking: Asking) {
    let cache = Arc::<Mutex<SeriesCache>>::default();
    while let Some(message) = waiting.recv().await {
        match message {
            Message::Settle(done) => {
                // Who asked may have given up.
                let _ = done.send(());
            }
            Message::Seen(seen) => {
                let bytes = seen.bytes();
                let (pairs, sums) = (Arc::clone(&asking.pairs), Arc::clone(&asking.sums));
                let cache = Arc::clone(&cache);
                let ask = move || ask::all(&seen, &mut cache.lock(), &pairs, &sums);
                let asked = tokio::task::spawn_blocking(ask);
                if let Err(error) = asked.await {
                    tracing::error!(%error, "plugins that are tried out were not asked");
                }
                let counters = &asking.counters;
                counters.requests.fetch_add(1, Ordering::Relaxed);
                counters.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray};
    use isinglass_model::batch::SpanBatch;
    use isinglass_model::clock::ManualClock;
    use isinglass_model::kind::Signal;
    use isinglass_model::verdict::Verdicts;
    use serde_json::json;

    use super::*;

    fn seen(chain: &Arc<Chain>, wire_bytes: u64) -> Seen {
        let service: ArrayRef = Arc::new(vec!["a", "a"].into_iter().collect::<DictionaryArray<Int32Type>>());
        let table = RecordBatch::try_from_iter([("service", service)]).unwrap();
        let batch = SeenBatch::Spans(SpanBatch { table, attributes: None });
        let of = (&Tenant::default(), Signal::Traces);
        let seen = Seen::new(chain, of, wire_bytes, &ManualClock::at(0));
        Seen { rows: Some(SeenRows { batch, verdicts: Verdicts::default() }), ..seen }
    }

    fn said(shadows: &Shadows) -> Vec<(&'static str, u64)> {
        let mut said: Vec<_> = shadows
            .take()
            .into_iter()
            .flat_map(|(_, said)| said.groups.into_iter())
            .map(|(group, sum)| (group.what, sum.items))
            .collect();
        said.sort_unstable();
        said
    }

    /// One thread for all: the worker runs only while the test waits.
    #[tokio::test]
    async fn what_comes_too_fast_is_counted_and_not_shown() {
        let binding =
            json!({ "name": "v", "source": "builtin:validate", "world": "validator", "shadow": true });
        let config = serde_json::from_value(json!({ "bindings": [binding] })).unwrap();
        let chain = Arc::new(Chain::load(&config, Arc::new(ManualClock::at(0))).unwrap());
        let shadows = Shadows::start();
        for _ in 0..WAITING_MAX + 100 {
            shadows.offer(seen(&chain, 1));
        }
        shadows.settle(Duration::from_secs(60)).await;
        assert_eq!(said(&shadows), [("seen", 2 * WAITING_MAX as u64), ("skipped", 200)]);
        // By their bytes, too; one that is larger than the bound has its turn when nobody waits.
        for _ in 0..3 {
            shadows.offer(seen(&chain, WAITING_BYTES_MAX / 2));
        }
        shadows.settle(Duration::from_secs(60)).await;
        shadows.offer(seen(&chain, 2 * WAITING_BYTES_MAX));
        shadows.settle(Duration::from_secs(60)).await;
        assert_eq!(said(&shadows), [("seen", 6), ("skipped", 2)]);
        // Of a tenant that is deleted nothing is said any more, but of what comes later.
        shadows.offer(seen(&chain, 1));
        shadows.forget(&Tenant::default());
        shadows.offer(Seen { deletions: shadows.deletions(), ..seen(&chain, 1) });
        shadows.settle(Duration::from_secs(60)).await;
        assert_eq!(said(&shadows), [("seen", 2)]);
        let stats = shadows.stats();
        assert_eq!((stats.requests, stats.skipped, stats.folded), (WAITING_MAX as u64 + 5, 101, 0));
        assert_eq!(shadows.counters.waiting_bytes.load(Ordering::Relaxed), 0);
    }
}
