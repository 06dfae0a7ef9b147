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
//! | `known` | what was found of a selection, for who asks for it again |

mod input;
mod known;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ahash::RandomState;
use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};
use isinglass_lang::promql::ast::Matcher;
use isinglass_model::Tenant;
use known::Selections;
use object_store::path::Path;
use xxhash_rust::xxh3::xxh3_128;

pub(super) use input::{Hits, Input, Recorded};
pub(super) use known::{Known, PartOf};

use super::scan::Span;
use super::series::Wanted;
use crate::caches::CacheFigures;

/// What an entry takes beside its samples, in the cache and in the allocator.
const ENTRY_BYTES: usize = 256;
/// One selection decodes at most this part of the cache into it.
const SHARE: usize = 4;
/// This part of the cache is for selections themselves.
const SELECTIONS_SHARE: usize = 8;
/// How far from where it should be a time is looked for first.
const NEAR: usize = 4;
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
    /// The first and the last of the times: most runs are wanted whole or not at all.
    ends: (i64, i64),
    /// Rising, milliseconds since the epoch.
    times: Arc<[i64]>,
    values: Box<[f64]>,
    /// Start times, 0 = unknown; empty where none is known.
    starts: Box<[i64]>,
    /// Whether the run before in the file holds the times, too, as series of one target do.
    shares_times: bool,
}

impl Run {
    fn new(times: Arc<[i64]>, values: Box<[f64]>, starts: Box<[i64]>, shares_times: bool) -> Arc<Self> {
        let ends = (times.first().copied().unwrap_or(i64::MAX), times.last().copied().unwrap_or(i64::MIN));
        Arc::new(Self { ends, times, values, starts, shares_times })
    }

    /// Its times and values within a span.
    pub(super) fn range(&self, span: Span) -> Range<usize> {
        let (first, last) = (span.first.div_euclid(1_000), span.last.div_euclid(1_000));
        if self.ends.1 < first || self.ends.0 > last {
            return 0..0;
        }
        let start = if self.ends.0 >= first { 0 } else { self.before(first) };
        let end = if self.ends.1 <= last { self.times.len() } else { self.before(last.saturating_add(1)) };
        start..end.max(start)
    }

    /// The last of its times within a span.
    fn latest(&self, span: Span) -> Range<usize> {
        let (first, last) = (span.first.div_euclid(1_000), span.last.div_euclid(1_000));
        let end = match self.ends {
            (from, _) if from > last => 0,
            (_, until) if until <= last => self.times.len(),
            _ => self.before(last.saturating_add(1)),
        };
        let time = if end == self.times.len() { self.ends.1 } else { self.times[end.saturating_sub(1)] };
        if end == 0 || time < first { 0..0 } else { end - 1..end }
    }

    /// How many of its times are before one that is between its ends. Most series have a sample
    /// every so often, so the place of a time can be told, and times around it were not looked at
    /// in vain.
    fn before(&self, time: i64) -> usize {
        let (first, last) = self.ends;
        let intervals = self.times.len().saturating_sub(1) as f64;
        let part = (time as f64 - first as f64) / (last as f64 - first as f64);
        let near = ((part * intervals) as usize).min(self.times.len());
        let (from, to) = (near.saturating_sub(NEAR), self.times.len().min(near + NEAR));
        let within =
            (from == 0 || self.times[from - 1] < time) && (to == self.times.len() || self.times[to] >= time);
        let (from, to) = if within { (from, to) } else { (0, self.times.len()) };
        from + self.times[from..to].partition_point(|one| *one < time)
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
        Self::new(Arc::default(), Box::default(), Box::default(), false)
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
    selections: Selections,
    bytes_max: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl SampleCache {
    /// Keeps at most so many bytes; 0 = none.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let selections = Selections::new(bytes_max / SELECTIONS_SHARE);
        let runs = CacheBuilder::new(bytes_max - bytes_max / SELECTIONS_SHARE)
            .with_name("promql_samples")
            .with_shards((bytes_max / SHARD_BYTES).clamp(1, SHARDS_MAX))
            .with_eviction_config(S3FifoConfig::default())
            .with_hash_builder(RandomState::new())
            .with_weighter(|_: &Id, run: &Arc<Run>| run.bytes())
            .build();
        Self { runs, selections, bytes_max, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(crate) fn figures(&self) -> CacheFigures {
        CacheFigures {
            name: "promql_samples",
            entries: Some(self.runs.entries() as u64),
            bytes: (self.runs.usage() + self.selections.bytes()) as u64,
            bytes_max: self.bytes_max as u64,
            hits: Some(self.hits.load(Ordering::Relaxed)),
            misses: Some(self.misses.load(Ordering::Relaxed)),
        }
    }

    fn get(&self, file: FileId, key: (i64, i64)) -> Option<Arc<Run>> {
        Some(Arc::clone(self.runs.get(&Id { file, key })?.value()))
    }

    /// What is known of a selection that was asked for before.
    pub(super) fn known(
        &self,
        tenant: &Tenant,
        matchers: &[Matcher],
        wanted: &Arc<[Wanted]>,
    ) -> Option<Arc<Known>> {
        self.selections.of(tenant, matchers, wanted)
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
    /// Of those who ask for the same again.
    known: Option<Arc<Known>>,
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
    pub(super) fn of(
        cache: &Arc<SampleCache>,
        known: Option<&Arc<Known>>,
        series: usize,
        files: usize,
    ) -> Option<Self> {
        let left = cache.bytes_max / SHARE;
        let least = series.saturating_mul(files).saturating_mul(ENTRY_BYTES);
        let left = (least <= left).then(|| AtomicUsize::new(left))?;
        Some(Self { cache: Arc::clone(cache), known: known.cloned(), left })
    }

    /// Looks for the series of a part.
    pub(super) fn find(&self, file: FileId, part: &PartOf<'_>) -> Found {
        let mut found = Found { hits: Vec::with_capacity(part.range.len()), missing: Vec::new() };
        let places = self.known.as_ref().map(|known| known.places(file));
        for (place, one) in part.places() {
            let known = places.as_ref().and_then(|places| places.run(place));
            let run = known.or_else(|| {
                let run = self.cache.get(file, one.key())?;
                if let Some(places) = &places {
                    places.set(place, &run);
                }
                Some(run)
            });
            match run {
                Some(run) if run.times.is_empty() => {}
                Some(run) => found.hits.push((one.key(), run)),
                None => found.missing.push(*one),
            }
        }
        let missing = found.missing.len();
        self.cache.hits.fetch_add((part.range.len() - missing) as u64, Ordering::Relaxed);
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
        Run::new(times.into(), values, Box::default(), false)
    }

    fn wanted(ids: std::ops::Range<i64>) -> Vec<Wanted> {
        ids.map(|series_id| Wanted { metric_id: 1, series_id, series: SeriesRef(0) }).collect()
    }

    fn find(keeping: &Keeping, file: FileId) -> Found {
        keeping.find(file, &PartOf { all: &wanted(0..3), range: 0..3 })
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
        check(20, 10, 0..0);
    }

    #[test]
    fn a_place_is_found_whether_times_are_even_or_not() {
        let even: Vec<i64> = (0..300).map(|at| at * 15_000).collect();
        let gap = even.iter().map(|time| if *time < 90_000 { *time } else { time + 86_400_000 });
        let bent = even.iter().map(|time| time * time / 1_000);
        for times in [even.clone(), gap.collect(), bent.collect(), vec![7], vec![7, 8]] {
            let run = run(&times);
            for (at, time) in times.iter().enumerate() {
                for (after, until) in
                    [(*time, i64::MAX / 4), (i64::MIN / 4, *time), (time - 1, time + 40_000)]
                {
                    let of = |end: i64| times.partition_point(|one| *one <= end);
                    let (span, want) = (Span::new(after, until), of(after)..of(until));
                    let check = |got: Range<usize>, want: Range<usize>| {
                        assert!(got == want || (got.is_empty() && want.is_empty()), "{got:?} {want:?} {at}");
                    };
                    check(run.range(span), want.clone());
                    check(run.latest(span), want.start.max(want.end.saturating_sub(1))..want.end);
                }
            }
        }
    }

    #[test]
    fn what_is_known_is_found() {
        let cache = Arc::new(SampleCache::new(1 << 20));
        let keeping = Keeping::of(&cache, None, 3, 1).unwrap();
        let (file, other) = (FileId(1), FileId(2));
        keeping.put(file, (1, 0), &run(&[7]));
        keeping.put(file, (1, 1), &run(&[]));
        let found = find(&keeping, file);
        assert_eq!(found.hits.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [(1, 0)]);
        assert_eq!(found.missing, wanted(2..3));
        assert_eq!(find(&keeping, other).missing.len(), 3);
        let figures = cache.figures();
        assert_eq!((figures.entries, figures.hits, figures.misses), (Some(2), Some(2), Some(4)));
    }

    #[test]
    fn a_selection_takes_a_share_and_all_together_no_more_than_all() {
        let cache = Arc::new(SampleCache::new(1 << 20));
        assert!(Keeping::of(&cache, None, 1_025, 1).is_none());
        assert!(Keeping::of(&Arc::new(SampleCache::new(0)), None, 1, 1).is_none());
        for file in 0..20 {
            let keeping = Keeping::of(&cache, None, 100, 1).unwrap();
            for series_id in 0..100 {
                keeping.put(FileId(file), (1, series_id), &run(&[1; 500]));
            }
            assert!(!keeping.is_open());
            let (used, most) = (cache.runs.usage(), (file as usize + 1) << 18);
            assert!(used <= most.min(1 << 20) && used > 0, "{used} bytes after {file}");
        }
    }
}
