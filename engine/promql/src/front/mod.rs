//! Range queries through a cache of results.
//!
//! A dashboard asks the same again and again, each time with a bit more at its end. A range is
//! cut into buckets of some steps, aligned so that the next question has the same ones. A bucket
//! is kept with the version of the samples that it was computed from ([`Versions`]): when a sample
//! comes late, the buckets that would see it are computed again, and no others. What no bucket
//! answers is evaluated, neighbouring buckets at once.
//!
//! | module | holds |
//! |---|---|
//! | [`reach`] | from when to when an expression looks for samples |
//! | [`cache`] | buckets, bounded by their bytes |

mod cache;
mod reach;

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::HashMap;
use isinglass_lang::promql::{parse, resolve_durations};

use crate::engine::{Answer, Ended, Options, Used, range};
use crate::error::Result;
use crate::grid::Grid;
use crate::labels::Labels;
use crate::source::Source;
use crate::value::{Series, Value};
use cache::{Bucket, Key};
pub use cache::{CacheFigures, ResultCache};
use reach::Reach;

/// Which version of the samples between two times (milliseconds since the epoch, both included) a
/// source shows. Two sources of a namespace with the same version there have the same samples
/// there.
pub type Versions<'a> = &'a dyn Fn(i64, i64) -> u64;

/// Steps of a bucket, at least and at most; within that, those of [`BUCKET_MS`].
const BUCKET_STEPS: (i64, i64) = (16, 128);
const BUCKET_MS: i64 = 600_000;

/// A range query, and where its results are kept.
pub struct Cached<'a> {
    /// Results.
    pub cache: &'a ResultCache,
    /// Whose samples: results of one namespace are never seen in another.
    pub namespace: &'a str,
    /// Which samples the source shows.
    pub versions: Versions<'a>,
}

impl Cached<'_> {
    /// As [`crate::range`] does.
    pub fn range(
        &self,
        text: &str,
        (start_ms, end_ms, step_ms): (i64, i64, i64),
        source: &dyn Source,
        options: &Options,
        ended: Ended<'_>,
    ) -> Result<Answer> {
        let evaluate = |from: i64, to: i64| range(text, (from, to, step_ms), source, options, ended);
        let grid = Grid::range(start_ms, end_ms, step_ms);
        let Some((normalised, reach)) = self.cacheable(text, &grid, options)? else {
            return evaluate(start_ms, end_ms);
        };
        let buckets = Buckets::new(&grid);
        let key = Key {
            namespace: self.namespace.to_owned(),
            text: normalised,
            step_ms: grid.step_ms,
            phase_ms: buckets.phase_ms,
            lookback_ms: options.lookback_ms,
        };
        let mut merged = Merged::default();
        let mut missing: Option<(i64, i64)> = None;
        for (number, from, to) in buckets.of(&grid) {
            let version = self.version(&reach, from, to);
            let whole = buckets.whole(number) == (from, to);
            let known = if whole { self.cache.get(&key, number, version) } else { None };
            let Some(bucket) = known else {
                merged.used.cache_misses += u64::from(whole);
                missing = Some((missing.map_or(from, |(first, _)| first), to));
                continue;
            };
            merged.used.cache_hits += 1;
            if let Some((first, last)) = missing.take() {
                self.fill(&key, &buckets, &reach, evaluate(first, last)?, (first, last), &mut merged);
            }
            merged.add(&bucket);
        }
        if let Some((first, last)) = missing {
            self.fill(&key, &buckets, &reach, evaluate(first, last)?, (first, last), &mut merged);
        }
        Ok(merged.answer())
    }

    /// The expression as it is written from its tree, and where it looks; `None` where results
    /// depend on the whole range of the query.
    fn cacheable(&self, text: &str, grid: &Grid, options: &Options) -> Result<Option<(String, Reach)>> {
        let mut expr = parse(text)?;
        if reach::depends_on_range(&expr) {
            return Ok(None);
        }
        resolve_durations(&mut expr, grid.step_ms, grid.end_ms() - grid.start_ms)?;
        let reach = Reach::of(&expr, options);
        // Annotations name places in the text, so texts that differ in spaces are not the same.
        Ok(reach.map(|reach| (text.to_owned(), reach)))
    }

    fn version(&self, reach: &Reach, from: i64, to: i64) -> u64 {
        let spans = reach.spans(from, to);
        spans.map(|(from, to)| (self.versions)(from, to)).max().unwrap_or_default()
    }

    /// Keeps the whole buckets of a stretch that was evaluated, and adds it to the answer.
    fn fill(
        &self,
        key: &Key,
        buckets: &Buckets,
        reach: &Reach,
        answer: Answer,
        (first, last): (i64, i64),
        merged: &mut Merged,
    ) {
        let stretch = Grid::range(first, last, key.step_ms);
        for (number, from, to) in buckets.of(&stretch) {
            if buckets.whole(number) == (from, to) {
                let bucket = Bucket::cut(&answer, from, to);
                self.cache.put(key, number, self.version(reach, from, to), Arc::new(bucket));
            }
        }
        merged.evaluated(answer);
    }
}

/// How the steps of a grid fall into buckets.
struct Buckets {
    phase_ms: i64,
    step_ms: i64,
    width_ms: i64,
}

impl Buckets {
    fn new(grid: &Grid) -> Self {
        let steps = (BUCKET_MS / grid.step_ms).clamp(BUCKET_STEPS.0, BUCKET_STEPS.1);
        let step_ms = grid.step_ms;
        let width_ms = step_ms.saturating_mul(steps);
        Self { phase_ms: grid.start_ms.rem_euclid(step_ms), step_ms, width_ms }
    }

    fn number(&self, time_ms: i64) -> i64 {
        (time_ms - self.phase_ms).div_euclid(self.width_ms)
    }

    /// First and last time of a bucket.
    fn whole(&self, number: i64) -> (i64, i64) {
        let first = number.saturating_mul(self.width_ms).saturating_add(self.phase_ms);
        (first, first.saturating_add(self.width_ms - self.step_ms))
    }

    /// The buckets of a grid, with its first and last time in each.
    fn of(&self, grid: &Grid) -> impl Iterator<Item = (i64, i64, i64)> {
        let (start, end) = (grid.start_ms, grid.end_ms());
        (self.number(start)..=self.number(end)).map(move |number| {
            let (first, last) = self.whole(number);
            (number, first.max(start), last.min(end))
        })
    }
}

/// An answer that comes in stretches, one after the other.
#[derive(Default)]
struct Merged {
    series: Vec<Series>,
    known: HashMap<Labels, usize>,
    warnings: BTreeSet<String>,
    infos: BTreeSet<String>,
    used: Used,
}

impl Merged {
    fn evaluated(&mut self, answer: Answer) {
        self.warnings.extend(answer.warnings);
        self.infos.extend(answer.infos);
        self.used.samples += answer.used.samples;
        self.used.series = self.used.series.max(answer.used.series);
        self.used.peak_bytes = self.used.peak_bytes.max(answer.used.peak_bytes);
        if let Value::Matrix(series) = answer.value {
            series.into_iter().for_each(|series| self.push(series));
        }
    }

    fn add(&mut self, bucket: &Bucket) {
        self.warnings.extend(bucket.warnings.iter().cloned());
        self.infos.extend(bucket.infos.iter().cloned());
        for series in &bucket.series {
            match self.known.get(&series.labels) {
                Some(at) => self.series[*at].points.extend_from_slice(&series.points),
                None => self.push(series.clone()),
            }
        }
    }

    fn push(&mut self, mut series: Series) {
        match self.known.get(&series.labels) {
            Some(at) => self.series[*at].points.append(&mut series.points),
            None => {
                self.known.insert(series.labels.clone(), self.series.len());
                self.series.push(series);
            }
        }
    }

    fn answer(mut self) -> Answer {
        self.series.sort_by(|one, other| one.labels.cmp(&other.labels));
        Answer {
            value: Value::Matrix(self.series),
            warnings: by_place(self.warnings),
            infos: by_place(self.infos),
            used: self.used,
        }
    }
}

/// Annotations in the order in which they stand in the text, as a query without a cache has them.
fn by_place(texts: BTreeSet<String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by_cached_key(|text| place(text));
    texts
}

/// Line and column at the end of an annotation, `… (1:25)`.
fn place(text: &str) -> Option<(u32, u32)> {
    let (_, place) = text.strip_suffix(')')?.rsplit_once('(')?;
    let (line, column) = place.split_once(':')?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests;
