//! Which values expressions match, for who asks the same again.
//!
//! Dashboards ask the same matchers every few seconds. Values of a label only come, and series
//! never lose theirs, so what was found of the first so many values stays right, and only those
//! that came since are asked about. As long as no series has come at all, the series that were
//! found are the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};
use roaring::RoaringBitmap;

/// Labels with fewer values are asked each time.
pub(super) const VALUES_MIN: usize = if cfg!(test) { 1 } else { 4_096 };

/// Bytes of all answers for each series that there may be. A series takes 160 of the 260 bytes that
/// [`StoreConfig::series_max`](crate::StoreConfig::series_max) counts for it.
const BYTES_PER_SERIES: usize = 8;

/// What an entry takes besides its texts and bitmaps.
const ENTRY_BYTES: usize = 256;

/// One answer takes at most this part of the room.
const SHARE: usize = 4;

/// Answers of all tenants. Those that nobody asks for go first.
pub(crate) struct Answers {
    held: Cache<Asked, Arc<Answer>, RandomState>,
    bytes_max: usize,
    tables: AtomicU64,
}

/// An expression on the values of a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// Which series table.
    pub(super) table: u64,
    pub(super) name: String,
    pub(super) expression: String,
    /// Whether the series are those whose values match, or those whose do not.
    pub(super) wanted: bool,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Answer {
    /// How many values were asked about, from the first on.
    pub(super) asked: u32,
    /// Numbers of those that match.
    pub(super) matching: RoaringBitmap,
    /// How many series there were.
    pub(super) of: u64,
    /// Those of them that are wanted. There may be some that came since.
    pub(super) series: Arc<RoaringBitmap>,
}

impl Answer {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.matching.serialized_size() + self.series.serialized_size()
    }
}

impl Answers {
    /// With room that fits so many series.
    pub(crate) fn new(series_max: usize) -> Arc<Self> {
        let bytes_max = series_max.saturating_mul(BYTES_PER_SERIES);
        let held = CacheBuilder::new(bytes_max)
            .with_name("matchers")
            .with_shards(1)
            .with_eviction_config(S3FifoConfig::default())
            .with_hash_builder(RandomState::new())
            .with_weighter(|asked: &Asked, answer: &Arc<Answer>| {
                asked.name.len() + asked.expression.len() + answer.bytes()
            })
            .build();
        Arc::new(Self { held, bytes_max, tables: AtomicU64::new(0) })
    }

    /// A number for a series table.
    pub(super) fn table(&self) -> u64 {
        self.tables.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn get(&self, asked: &Asked) -> Option<Arc<Answer>> {
        self.held.get(asked).map(|entry| Arc::clone(entry.value()))
    }

    pub(super) fn keep(&self, asked: Asked, answer: Answer) {
        if asked.expression.len() + answer.bytes() <= self.bytes_max / SHARE {
            self.held.insert(asked, Arc::new(answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_a_bound() {
        let answers = Answers::new(10_000);
        let asked = |n: u32| Asked {
            table: answers.table(),
            name: "pod".into(),
            expression: n.to_string(),
            wanted: true,
        };
        let answer = |count: u32| Answer {
            asked: count * 3,
            matching: (0..count).map(|n| n * 3).collect(),
            of: 1,
            series: Arc::default(),
        };
        for n in 0..1_000 {
            let asked = asked(n);
            answers.keep(asked.clone(), answer(1_000));
            assert!(answers.held.usage() <= 80_000);
            assert_eq!(answers.get(&asked).map(|answer| answer.matching.len()), Some(1_000));
        }
        let large = asked(0);
        answers.keep(large.clone(), answer(50_000));
        assert!(answers.get(&large).is_none());
    }
}
