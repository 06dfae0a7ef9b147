//! A bounded set of pieces that forgets by S3-FIFO.
//!
//! New pieces wait in a small queue; one that is used again moves to the main queue, the
//! others leave after a short time. So a scan that reads each piece once takes the small queue
//! and leaves the rest alone (Yang et al., "FIFO queues are all you need for cache eviction",
//! SOSP 2023). `foyer-memory` has it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foyer_common::event::{Event, EventListener};
use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};

use super::{PIECE_BYTES, PieceId, TierStats};

/// A piece counts for at least this part of its tier, so that very many very small ones are
/// bounded, too.
const ENTRIES_MAX: u64 = 16_384;

/// In a large tier it counts for so much and no more: most pieces are larger, and the tier is
/// to hold what it may.
const LEAST_BYTES_MAX: u64 = 256 << 10;

/// A tier is divided in parts of about so much, each with a lock of its own.
const SHARD_BYTES: u64 = 64 << 20;
const SHARDS_MAX: u64 = 8;

/// The share of the small queue. Larger than the tenth of the paper, because the smallest tier
/// has room for a dozen pieces, and a file is read in several steps.
const SMALL_QUEUE: f64 = 0.25;

/// The tier. `V` is what is held of a piece.
pub(super) struct Tier<V: Send + Sync + 'static> {
    entries: Cache<PieceId, V>,
    bytes_max: u64,
    entry_bytes_max: u64,
    hits: AtomicU64,
    evictions: Arc<AtomicU64>,
}

/// Told of what leaves.
struct Leaving<V> {
    evictions: Arc<AtomicU64>,
    evicted: Box<dyn Fn(PieceId) + Send + Sync>,
    of: std::marker::PhantomData<fn(V)>,
}

impl<V: Send + Sync + 'static> EventListener for Leaving<V> {
    type Key = PieceId;
    type Value = V;

    fn on_leave(&self, reason: Event, id: &PieceId, _: &V) {
        if reason == Event::Evict {
            self.evictions.fetch_add(1, Ordering::Relaxed);
            (self.evicted)(*id);
        }
    }
}

impl<V: Clone + Send + Sync + 'static> Tier<V> {
    /// A tier of so many bytes, told how many an entry has; `evicted` hears of each that is
    /// thrown out, after it is.
    pub(super) fn new(
        bytes_max: u64,
        bytes_of: impl Fn(&V) -> u64 + Send + Sync + 'static,
        evicted: impl Fn(PieceId) + Send + Sync + 'static,
    ) -> Self {
        let shards = (bytes_max / SHARD_BYTES).clamp(1, SHARDS_MAX);
        let least = (bytes_max / ENTRIES_MAX).clamp(1, LEAST_BYTES_MAX);
        let evictions = Arc::new(AtomicU64::new(0));
        let leaving = Leaving {
            evictions: Arc::clone(&evictions),
            evicted: Box::new(evicted),
            of: std::marker::PhantomData,
        };
        let policy = S3FifoConfig { small_queue_capacity_ratio: SMALL_QUEUE, ..S3FifoConfig::default() };
        let entries = CacheBuilder::new(usize::try_from(bytes_max).unwrap_or(usize::MAX))
            .with_name("pieces")
            .with_shards(shards as usize)
            .with_eviction_config(policy)
            .with_weighter(move |_: &PieceId, value: &V| {
                usize::try_from(bytes_of(value).max(least)).unwrap_or(usize::MAX)
            })
            .with_event_listener(Arc::new(leaving))
            .build();
        let entry_bytes_max = bytes_max / shards;
        Self { entries, bytes_max, entry_bytes_max, hits: AtomicU64::new(0), evictions }
    }

    /// What is held of a piece; this is a use of it and counts as a hit.
    pub(super) fn get(&self, id: PieceId) -> Option<V> {
        let found = self.peek(id)?;
        self.hit();
        Some(found)
    }

    /// The same, not counted as a hit yet.
    pub(super) fn peek(&self, id: PieceId) -> Option<V> {
        Some(self.entries.get(&id)?.value().clone())
    }

    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn contains(&self, id: PieceId) -> bool {
        self.entries.contains(&id)
    }

    /// Takes a piece in. A tier that could not hold a whole piece takes none.
    pub(super) fn put(&self, id: PieceId, value: V) {
        if self.entry_bytes_max >= PIECE_BYTES {
            drop(self.entries.insert(id, value));
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&self, id: PieceId) -> bool {
        self.entries.remove(&id).is_some()
    }

    pub(super) fn stats(&self) -> TierStats {
        TierStats {
            entries: self.entries.entries() as u64,
            bytes: self.entries.usage() as u64,
            bytes_max: self.bytes_max,
            hits: self.hits.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Tier<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    fn id(number: u64) -> PieceId {
        PieceId { file: 1, number }
    }

    fn tier(mib: u64) -> Tier<u64> {
        Tier::new(mib << 20, |bytes| *bytes, |_| {})
    }

    #[test]
    fn bytes_are_bounded_and_what_leaves_is_told() {
        let gone = Arc::new(Mutex::new(Vec::new()));
        let tier = Tier::new(16 << 20, |bytes| *bytes, {
            let gone = Arc::clone(&gone);
            move |id: PieceId| gone.lock().push(id.number)
        });
        for number in 0..100 {
            tier.put(id(number), PIECE_BYTES);
            assert!(tier.stats().bytes <= 16 << 20, "{:?}", tier.stats());
        }
        let mut gone = gone.lock().clone();
        assert_eq!((gone.len(), tier.stats().entries, tier.stats().evictions), (84, 16, 84));
        gone.retain(|number| tier.contains(id(*number)));
        assert!(gone.is_empty(), "{gone:?} are there");
    }

    #[test]
    fn many_small_ones_are_bounded_too() {
        let tier = tier(16);
        for number in 0..3 * ENTRIES_MAX {
            tier.put(id(number), 1);
        }
        assert_eq!(tier.stats().entries, ENTRIES_MAX);
    }

    #[test]
    fn a_large_one_is_full_when_its_bytes_are() {
        let tier = tier(64 << 10);
        for number in 0..70_000 {
            tier.put(id(number), PIECE_BYTES);
        }
        assert_eq!(tier.stats().bytes, tier.stats().entries << 20);
        assert!(tier.stats().entries > 65_000, "{:?}", tier.stats());
    }

    #[test]
    fn a_scan_leaves_what_is_used_alone() {
        let tier = tier(64);
        for number in 0..32 {
            tier.put(id(number), PIECE_BYTES);
        }
        for _ in 0..2 {
            (0..32).for_each(|number| assert!(tier.get(id(number)).is_some()));
        }
        for number in 1_000..1_640 {
            tier.put(id(number), PIECE_BYTES);
        }
        let left = (0..32).filter(|number| tier.contains(id(*number))).count();
        assert_eq!(left, 32, "a scan of ten times its size threw out {}", 32 - left);
    }

    #[test]
    fn one_that_is_too_small_for_a_piece_is_empty() {
        let tier = tier(0);
        tier.put(id(1), 5);
        assert_eq!(tier.stats(), TierStats::default());
    }
}
