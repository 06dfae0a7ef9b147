//! Batches that were sent before.
//!
//! A sender that lost our answer sends the batch again. Its key is remembered for
//! some minutes, with what the first answer said. A second sender with the same key
//! waits while the first is still being stored.

use std::collections::VecDeque;
use std::collections::hash_map::Entry as MapEntry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isinglass_model::{Clock, Counts, Tenant};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::append::BatchKey;

type Id = (Tenant, BatchKey);

/// What is known of a batch key.
#[derive(Debug)]
pub enum Begin {
    /// It was stored before; this is what its sender was told. Nothing to be done.
    Duplicate(Counts),
    /// It is new: put the ticket into the [`crate::Append`].
    First(Ticket),
}

/// Holds a batch key while its batch is on its way. Dropped without an append, it
/// gives the key free.
pub struct Ticket {
    shared: Arc<Shared>,
    id: Option<Id>,
}

impl Ticket {
    /// The key.
    pub fn key(&self) -> BatchKey {
        self.id.as_ref().map_or(BatchKey(0), |(_, key)| *key)
    }

    /// The batch is stored: from now on its key is answered with `counts`.
    pub(crate) fn complete(mut self, counts: Counts) {
        if let Some(id) = self.id.take() {
            self.shared.finish(id, counts, Duration::ZERO);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(id) = self.id.take()
            && let Some(Entry::InFlight(waiters)) = self.shared.inner.lock().entries.remove(&id)
        {
            waiters.notify_waiters();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.id)
    }
}

/// The batch keys of all tenants.
#[derive(Clone)]
pub(crate) struct Dedup {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    remember: Duration,
    keys_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: std::collections::HashMap<Id, Entry, ahash::RandomState>,
    /// Finished keys by the time at which they are forgotten, nearly ascending.
    expiring: VecDeque<(Duration, Id)>,
    duplicates: u64,
}

enum Entry {
    InFlight(Arc<Notify>),
    Done(Counts),
}

impl Dedup {
    pub(crate) fn new(clock: Arc<dyn Clock>, remember: Duration, keys_max: usize) -> Self {
        let inner = Mutex::new(Inner::default());
        Self { shared: Arc::new(Shared { clock, remember, keys_max, inner }) }
    }

    /// Takes the key, or says what became of it; waits while another has it.
    pub(crate) async fn begin(&self, tenant: &Tenant, key: BatchKey) -> Begin {
        let id = (tenant.clone(), key);
        loop {
            let waiting = {
                let mut inner = self.shared.inner.lock();
                inner.forget(self.shared.clock.monotonic(), self.shared.keys_max);
                match inner.entries.get(&id) {
                    None => {
                        inner.entries.insert(id.clone(), Entry::InFlight(Arc::new(Notify::new())));
                        return Begin::First(Ticket { shared: Arc::clone(&self.shared), id: Some(id) });
                    }
                    Some(Entry::Done(counts)) => {
                        let counts = counts.clone();
                        inner.duplicates += 1;
                        return Begin::Duplicate(counts);
                    }
                    // Made under the lock, so that it cannot miss its wake-up.
                    Some(Entry::InFlight(waiters)) => Arc::clone(waiters).notified_owned(),
                }
            };
            waiting.await;
        }
    }

    /// Remembers a key that the WAL holds, written `age` ago.
    pub(crate) fn restore(&self, tenant: &Tenant, key: BatchKey, counts: Counts, age: Duration) {
        if age < self.shared.remember {
            self.shared.finish((tenant.clone(), key), counts, age);
        }
    }

    /// Forgets the batches of a tenant that were stored: it was deleted, and they with it.
    pub(crate) fn forget(&self, tenant: &Tenant) {
        let mut inner = self.shared.inner.lock();
        inner.entries.retain(|(of, _), entry| of != tenant || matches!(entry, Entry::InFlight(_)));
    }

    /// Batches answered as sent before.
    pub(crate) fn duplicates(&self) -> u64 {
        self.shared.inner.lock().duplicates
    }
}

impl Shared {
    fn finish(&self, id: Id, counts: Counts, age: Duration) {
        let now = self.clock.monotonic();
        let mut inner = self.inner.lock();
        inner.expiring.push_back((now + self.remember.saturating_sub(age), id.clone()));
        let before = match inner.entries.entry(id) {
            MapEntry::Occupied(mut entry) => Some(entry.insert(Entry::Done(counts))),
            MapEntry::Vacant(entry) => {
                entry.insert(Entry::Done(counts));
                None
            }
        };
        if let Some(Entry::InFlight(waiters)) = before {
            waiters.notify_waiters();
        }
        inner.forget(now, self.keys_max);
    }
}

impl Inner {
    fn forget(&mut self, now: Duration, keys_max: usize) {
        while let Some((at, _)) = self.expiring.front()
            && (*at <= now || self.expiring.len() > keys_max)
        {
            if let Some((_, id)) = self.expiring.pop_front()
                && matches!(self.entries.get(&id), Some(Entry::Done(_)))
            {
                self.entries.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use isinglass_model::clock::ManualClock;

    use super::*;

    fn counts(stored: u64) -> Counts {
        Counts { received: stored, stored, ..Counts::default() }
    }

    fn dedup(keys_max: usize) -> (Arc<ManualClock>, Dedup) {
        let clock = Arc::new(ManualClock::at(0));
        let dedup = Dedup::new(Arc::<ManualClock>::clone(&clock), Duration::from_secs(600), keys_max);
        (clock, dedup)
    }

    async fn ticket(dedup: &Dedup, key: u128) -> Ticket {
        match dedup.begin(&Tenant::default(), BatchKey(key)).await {
            Begin::First(ticket) => ticket,
            Begin::Duplicate(counts) => panic!("known already: {counts:?}"),
        }
    }

    async fn known(dedup: &Dedup, key: u128) -> Option<u64> {
        match dedup.begin(&Tenant::default(), BatchKey(key)).await {
            Begin::First(_) => None,
            Begin::Duplicate(counts) => Some(counts.stored),
        }
    }

    #[tokio::test]
    async fn remembered_for_ten_minutes() {
        let (clock, dedup) = dedup(10);
        ticket(&dedup, 1).await.complete(counts(7));
        clock.advance(Duration::from_secs(599));
        assert_eq!(known(&dedup, 1).await, Some(7));
        assert_eq!(known(&dedup, 2).await, None);
        clock.advance(Duration::from_secs(1));
        assert_eq!(known(&dedup, 1).await, None);
    }

    #[tokio::test]
    async fn tenants_do_not_share_keys() {
        let (_, dedup) = dedup(10);
        ticket(&dedup, 1).await.complete(counts(7));
        let other = Tenant::new("other").unwrap();
        assert!(matches!(dedup.begin(&other, BatchKey(1)).await, Begin::First(_)));
    }

    #[tokio::test]
    async fn the_number_of_keys_is_bounded() {
        let (_, dedup) = dedup(2);
        for key in 0..3 {
            ticket(&dedup, key).await.complete(counts(1));
        }
        assert_eq!(known(&dedup, 0).await, None);
        assert_eq!(known(&dedup, 1).await, Some(1));
    }

    #[tokio::test]
    async fn a_second_sender_waits_for_the_first() {
        let (_, dedup) = dedup(10);
        let first = ticket(&dedup, 1).await;
        let waiter = tokio::spawn({
            let dedup = dedup.clone();
            async move { known(&dedup, 1).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        first.complete(counts(3));
        assert_eq!(waiter.await.unwrap(), Some(3));
    }

    #[tokio::test]
    async fn a_failed_first_leaves_the_second_to_try() {
        let (_, dedup) = dedup(10);
        let first = ticket(&dedup, 1).await;
        let waiter = tokio::spawn({
            let dedup = dedup.clone();
            async move { known(&dedup, 1).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(waiter.await.unwrap(), None);
    }

    #[tokio::test]
    async fn restored_keys_keep_their_age() {
        let (clock, dedup) = dedup(10);
        dedup.restore(&Tenant::default(), BatchKey(1), counts(1), Duration::from_secs(500));
        dedup.restore(&Tenant::default(), BatchKey(2), counts(1), Duration::from_secs(600));
        assert_eq!(known(&dedup, 2).await, None);
        clock.advance(Duration::from_secs(99));
        assert_eq!(known(&dedup, 1).await, Some(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(known(&dedup, 1).await, None);
    }
}
