//! Samples of series in files, decoded, for who asks again.
//!
//! A dashboard wants few series of many, again and again. Each lies in another page of thousands
//! of rows, which is decompressed and decoded for the hundreds that are wanted; so those are kept,
//! all that the file has of the series, whatever times were asked for.
//!
//! **Why an entry never becomes wrong.** A data file is written once, under a name that nothing
//! else ever has, and an entry belongs to a file. Nobody asks for files that no view names; what
//! is kept of them ages out.
//!
//! **What is not kept.** What a selection decodes beyond a share of the cache, and anything of one
//! that is larger than that: it would only take the place of what is asked for again. What a
//! file has of a series over so many pages that times ruled half of them out.
//!
//! | module | holds |
//! |---|---|
//! | this one | the cache, bounded by its bytes |
//! | `input` | samples from the cache, and samples that go into it |

mod input;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ahash::RandomState;
use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};
use object_store::path::Path;
use xxhash_rust::xxh3::xxh3_128;

pub(super) use input::{Hits, Input, Recorded};

use super::scan::Span;
use super::series::Wanted;
use crate::caches::CacheFigures;

/// What an entry takes beside its samples, in the cache and in the allocator.
const ENTRY_BYTES: usize = 256;
/// One selection decodes at most this part of the cache into it.
const SHARE: usize = 4;
/// The cache is divided in parts of at least so much, each with a lock of its own.
const SHARD_BYTES: usize = 16 << 20;
const SHARDS_MAX: usize = 8;

/// A file is known by a hash of its path: 128 bits of names that are random themselves do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId(u128);

impl FileId {
    pub(super) fn of(path: &Path) -> Self {
        Self(xxh3_128(path.as_ref().as_bytes()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Id {
    file: FileId,
    key: (i64, i64),
}

/// All samples of a series in a file; none if the file has none of it.
#[derive(Debug)]
pub(super) struct Run {
    /// Rising, milliseconds since the epoch.
    times: Arc<[i64]>,
    values: Box<[f64]>,
    /// Start times, 0 = unknown; empty where none is known.
    starts: Box<[i64]>,
    /// Whether the run before in the file holds the times, too, as series of one target do.
    shares_times: bool,
}

impl Run {
    /// Its times and values within a span.
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let (first, last) = (span.first.div_euclid(1_000), span.last.div_euclid(1_000));
        let start = self.times.partition_point(|time| *time < first);
        start..self.times.partition_point(|time| *time <= last).max(start)
    }

    /// Whether they are in the same place.
    fn has_times_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.times, &other.times)
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// Empty where none is known.
    pub(super) fn starts(&self) -> &[i64] {
        &self.starts
    }

    fn none() -> Arc<Self> {
        let (times, values, starts) = (Arc::default(), Box::default(), Box::default());
        Arc::new(Self { times, values, starts, shares_times: false })
    }

    fn bytes(&self) -> usize {
        let times = if self.shares_times { 0 } else { size_of_val(&*self.times) };
        ENTRY_BYTES + size_of_val(&*self.values) + size_of_val(&*self.starts) + times
    }
}

/// Decoded samples of series in files. Beyond its bytes those go first that were not asked for
/// again.
pub(crate) struct SampleCache {
    runs: Cache<Id, Arc<Run>, RandomState>,
    bytes_max: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl SampleCache {
    /// Keeps at most so many bytes; 0 = none.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let runs = CacheBuilder::new(bytes_max)
            .with_name("promql_samples")
            .with_shards((bytes_max / SHARD_BYTES).clamp(1, SHARDS_MAX))
            .with_eviction_config(S3FifoConfig::default())
            .with_hash_builder(RandomState::new())
            .with_weighter(|_: &Id, run: &Arc<Run>| run.bytes())
            .build();
        Self { runs, bytes_max, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(crate) fn figures(&self) -> CacheFigures {
        CacheFigures {
            name: "promql_samples",
            entries: Some(self.runs.entries() as u64),
            bytes: self.runs.usage() as u64,
            bytes_max: self.bytes_max as u64,
            hits: Some(self.hits.load(Ordering::Relaxed)),
            misses: Some(self.misses.load(Ordering::Relaxed)),
        }
    }

    fn get(&self, file: FileId, key: (i64, i64)) -> Option<Arc<Run>> {
        Some(Arc::clone(self.runs.get(&Id { file, key })?.value()))
    }

    fn put(&self, file: FileId, key: (i64, i64), run: Arc<Run>) {
        drop(self.runs.insert(Id { file, key }, run));
    }
}

impl fmt::Debug for SampleCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleCache").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

/// The cache, for one selection.
pub(super) struct Keeping {
    cache: Arc<SampleCache>,
    /// Bytes that the selection may still put into it.
    left: AtomicUsize,
}

/// What the cache has of a file.
pub(super) struct Found {
    /// Series with samples, in the order of files.
    pub(super) hits: Vec<((i64, i64), Arc<Run>)>,
    /// Series of which nothing is known.
    pub(super) missing: Vec<Wanted>,
}

impl Keeping {
    /// `None` of a selection that would wash out what is there, had each series one sample.
    pub(super) fn of(cache: &Arc<SampleCache>, series: usize, files: usize) -> Option<Self> {
        let left = cache.bytes_max / SHARE;
        let least = series.saturating_mul(files).saturating_mul(ENTRY_BYTES);
        (least <= left).then(|| Self { cache: Arc::clone(cache), left: AtomicUsize::new(left) })
    }

    /// Looks for wanted series, which are sorted.
    pub(super) fn find(&self, file: FileId, wanted: &[Wanted]) -> Found {
        let mut found = Found { hits: Vec::new(), missing: Vec::new() };
        for one in wanted {
            match self.cache.get(file, one.key()) {
                Some(run) if run.times.is_empty() => {}
                Some(run) => found.hits.push((one.key(), run)),
                None => found.missing.push(*one),
            }
        }
        let missing = found.missing.len();
        self.cache.hits.fetch_add((wanted.len() - missing) as u64, Ordering::Relaxed);
        self.cache.misses.fetch_add(missing as u64, Ordering::Relaxed);
        found
    }

    /// Whether there is room for more.
    pub(super) fn is_open(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// A file has no rows of these series.
    pub(super) fn put_none(&self, file: FileId, series: &[Wanted]) {
        for one in series {
            self.put(file, one.key(), &Run::none());
        }
    }

    fn put(&self, file: FileId, key: (i64, i64), run: &Arc<Run>) {
        let bytes = run.bytes();
        let take = |left: usize| Some(left.checked_sub(bytes).unwrap_or_default());
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if before.is_ok_and(|left| left >= bytes) {
            self.cache.put(file, key, Arc::clone(run));
        }
    }
}

#[cfg(test)]
mod tests {
    use isinglass_model::series::SeriesRef;

    use super::*;

    fn run(times: &[i64]) -> Arc<Run> {
        let values = times.iter().map(|time| *time as f64).collect();
        Arc::new(Run { times: times.into(), values, starts: Box::default(), shares_times: false })
    }

    fn wanted(ids: std::ops::Range<i64>) -> Vec<Wanted> {
        ids.map(|series_id| Wanted { metric_id: 1, series_id, series: SeriesRef(0) }).collect()
    }

    #[test]
    fn a_run_is_cut_to_milliseconds() {
        let check = |after_ms, until_ms, want| {
            assert_eq!(run(&[-5, 0, 5, 10]).range(Span::new(after_ms, until_ms)), want);
        };
        check(-6, 10, 0..4);
        check(-5, 9, 1..3);
        check(5, 9, 3..3);
        check(i64::MIN, i64::MAX, 0..4);
        check(20, 10, 4..4);
    }

    #[test]
    fn what_is_known_is_found() {
        let cache = Arc::new(SampleCache::new(1 << 20));
        let keeping = Keeping::of(&cache, 3, 1).unwrap();
        let (file, other) = (FileId(1), FileId(2));
        keeping.put(file, (1, 0), &run(&[7]));
        keeping.put(file, (1, 1), &run(&[]));
        let found = keeping.find(file, &wanted(0..3));
        assert_eq!(found.hits.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [(1, 0)]);
        assert_eq!(found.missing, wanted(2..3));
        assert_eq!(keeping.find(other, &wanted(0..3)).missing.len(), 3);
        let figures = cache.figures();
        assert_eq!((figures.entries, figures.hits, figures.misses), (Some(2), Some(2), Some(4)));
    }

    #[test]
    fn a_selection_takes_a_share_and_all_together_no_more_than_all() {
        let cache = Arc::new(SampleCache::new(1 << 20));
        assert!(Keeping::of(&cache, 1_025, 1).is_none());
        assert!(Keeping::of(&Arc::new(SampleCache::new(0)), 1, 1).is_none());
        for file in 0..20 {
            let keeping = Keeping::of(&cache, 100, 1).unwrap();
            for series_id in 0..100 {
                keeping.put(FileId(file), (1, series_id), &run(&[1; 500]));
            }
            assert!(!keeping.is_open());
            let (used, most) = (cache.runs.usage(), (file as usize + 1) << 18);
            assert!(used <= most.min(1 << 20) && used > 0, "{used} bytes after {file}");
        }
    }
}
