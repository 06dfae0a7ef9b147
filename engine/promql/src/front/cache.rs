//! Buckets of results, bounded by their bytes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::HashMap;

use crate::engine::Answer;
use crate::value::{Point, Sample, Series, Value};

/// What results depend on besides samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) text: String,
    pub(super) step_ms: i64,
    /// Where steps lie between multiples of `step_ms`.
    pub(super) phase_ms: i64,
    pub(super) lookback_ms: i64,
}

/// Results of some steps.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) series: Vec<Series>,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

impl Bucket {
    /// The part of an answer between two times, both included.
    pub(super) fn cut(answer: &Answer, from_ms: i64, to_ms: i64) -> Self {
        let Value::Matrix(series) = &answer.value else { return Self::default() };
        let cut = |series: &Series| {
            let start = series.points.partition_point(|point| point.time_ms < from_ms);
            let end = series.points.partition_point(|point| point.time_ms <= to_ms);
            let points = series.points.get(start..end).unwrap_or_default();
            let labels = series.labels.clone();
            (!points.is_empty()).then(|| Series { labels, points: points.to_vec() })
        };
        Self {
            series: series.iter().filter_map(cut).collect(),
            warnings: answer.warnings.clone(),
            infos: answer.infos.clone(),
        }
    }

    fn bytes(&self) -> usize {
        let histogram = |point: &Point| match &point.sample {
            Sample::Float(_) => 0,
            Sample::Histogram(histogram) => histogram.size_bytes(),
        };
        let of = |series: &Series| {
            let points = series.points.capacity() * size_of::<Point>();
            // Labels are shared by all buckets of a series, most of the time.
            size_of::<Series>() + points + series.points.iter().map(histogram).sum::<usize>()
        };
        let texts = self.warnings.iter().chain(&self.infos).map(String::len).sum::<usize>();
        size_of::<Self>() + self.series.iter().map(of).sum::<usize>() + texts
    }
}

/// Results of range queries. Beyond its bytes, the expressions that were asked for longest ago
/// are forgotten.
#[derive(Debug)]
pub struct ResultCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    expressions: HashMap<Key, Expression>,
    bytes: usize,
    now: u64,
}

#[derive(Debug, Default)]
struct Expression {
    /// By their numbers, with the versions of the samples that they saw.
    buckets: BTreeMap<i64, (u64, usize, Arc<Bucket>)>,
    bytes: usize,
    asked: u64,
}

/// What a cache of results does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheFigures {
    /// Buckets that were found.
    pub hits: u64,
    /// Buckets that were not found, or saw other samples.
    pub misses: u64,
    /// Bytes of results.
    pub bytes: usize,
    /// Bytes that it may have.
    pub bytes_max: usize,
}

/// A bucket larger than this share of the cache is not kept.
const SHARE_MAX: usize = 8;

impl ResultCache {
    /// Keeps at most so many bytes of results; 0 = none.
    pub fn new(bytes_max: usize) -> Self {
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { bytes_max, kept: Mutex::default(), hits, misses }
    }

    /// What it does.
    pub fn figures(&self) -> CacheFigures {
        CacheFigures {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            bytes: self.lock().bytes,
            bytes_max: self.bytes_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bucket that saw these samples.
    pub(super) fn get(&self, key: &Key, number: i64, version: u64) -> Option<Arc<Bucket>> {
        let mut kept = self.lock();
        kept.now += 1;
        let now = kept.now;
        let found = kept.expressions.get_mut(key).and_then(|expression| {
            expression.asked = now;
            let (seen, _, bucket) = expression.buckets.get(&number)?;
            (*seen == version).then(|| Arc::clone(bucket))
        });
        let counted = if found.is_some() { &self.hits } else { &self.misses };
        counted.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a bucket that saw these samples.
    pub(super) fn put(&self, key: &Key, number: i64, version: u64, bucket: Arc<Bucket>) {
        let bytes = bucket.bytes();
        if bytes > self.bytes_max / SHARE_MAX {
            return;
        }
        let mut kept = self.lock();
        kept.now += 1;
        let now = kept.now;
        let expression = kept.expressions.entry(key.clone()).or_default();
        expression.asked = now;
        let before = expression.buckets.insert(number, (version, bytes, bucket));
        let before = before.map_or(0, |(_, bytes, _)| bytes);
        expression.bytes = expression.bytes + bytes - before;
        kept.bytes = kept.bytes + bytes - before;
        kept.shrink_to(self.bytes_max);
    }
}

impl Kept {
    /// Forgets whole expressions, and of the last one its oldest buckets.
    fn shrink_to(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max && self.expressions.len() > 1 {
            let oldest = self.expressions.iter().min_by_key(|(_, expression)| expression.asked);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            let gone = self.expressions.remove(&key).map_or(0, |expression| expression.bytes);
            self.bytes -= gone;
        }
        for expression in self.expressions.values_mut() {
            while self.bytes > bytes_max {
                let Some((_, (_, bytes, _))) = expression.buckets.pop_first() else { break };
                expression.bytes -= bytes;
                self.bytes -= bytes;
            }
        }
    }
}
