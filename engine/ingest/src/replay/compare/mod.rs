//! What is stored against what was derived again, series by series.
//!
//! Live counters count a row when it arrives, a replay at the time that stands in it. So samples
//! of both lie at other times, and what must be equal is by how much a series rose in all. The
//! samples themselves are compared too: after a replay was written they are the same. Of a native
//! histogram the count is such a sample, and its sum and buckets are compared besides.

mod native;
mod side;

use std::collections::{BTreeMap, HashMap};

use isinglass_model::batch::STALE_NAN_BITS;
use isinglass_model::labels::LabelSet;
use isinglass_store::StoredSample;

use native::Native;
use side::Side;

use super::histogram::Histogram;
use super::report::{Difference, MetricReport, NativeRise, SeriesCounts};
use super::{ReplayError, Sample};

/// Sums of floats depend on the order of their terms, by far less than this part of them.
const TOLERANCE: f64 = 1e-9;

/// Label of the series that takes what comes beyond the cap.
const OVERFLOW: &str = "metric_overflow";

struct Compared {
    metric: String,
    labels: LabelSet,
    overflow: bool,
    stored: Side,
    replayed: Side,
    identical: bool,
    /// Since when they differ: stored and replayed increase.
    since: Option<(i64, f64, f64)>,
    /// Of a native histogram, whose count is what rises.
    native: Option<Box<Native>>,
}

/// All series of both sides.
pub(super) struct Comparison {
    from_ms: i64,
    series_max: usize,
    by_labels: HashMap<Box<[u8]>, usize, ahash::RandomState>,
    series: Vec<Compared>,
}

/// Some samples and native histograms, by the place of their series.
#[derive(Debug, Default)]
pub(super) struct BySeries {
    pub(super) samples: HashMap<usize, Vec<Sample>, ahash::RandomState>,
    pub(super) histograms: HashMap<usize, Vec<Histogram>, ahash::RandomState>,
}

impl Comparison {
    pub(super) fn new(from_ms: i64, series_max: usize) -> Self {
        Self { from_ms, series_max, by_labels: HashMap::default(), series: Vec::new() }
    }

    /// The place of a series of samples.
    pub(super) fn place(&mut self, labels: &LabelSet) -> Result<usize, ReplayError> {
        self.place_of(labels, false)
    }

    /// The place of a series of native histograms.
    pub(super) fn native_place(&mut self, labels: &LabelSet) -> Result<usize, ReplayError> {
        self.place_of(labels, true)
    }

    fn place_of(&mut self, labels: &LabelSet, native: bool) -> Result<usize, ReplayError> {
        let mut key = labels.as_bytes().to_vec();
        key.push(u8::from(native));
        if let Some(at) = self.by_labels.get(key.as_slice()) {
            return Ok(*at);
        }
        let limit = self.series_max;
        if self.series.len() >= limit {
            return Err(ReplayError::TooManySeries { limit });
        }
        self.by_labels.insert(key.into(), self.series.len());
        self.series.push(Compared {
            metric: labels.metric().to_owned(),
            overflow: labels.get(OVERFLOW).is_some(),
            labels: labels.clone(),
            stored: Side::default(),
            replayed: Side::default(),
            identical: true,
            since: None,
            native: native.then(Box::default),
        });
        Ok(self.series.len() - 1)
    }

    /// Takes what both sides have of the same time, all of it later than what was taken before.
    pub(super) fn take(&mut self, mut stored: BySeries, mut replayed: BySeries) {
        for (at, one) in self.series.iter_mut().enumerate() {
            if one.native.is_some() {
                let stored = stored.histograms.remove(&at).unwrap_or_default();
                let replayed = replayed.histograms.remove(&at).unwrap_or_default();
                one.take_histograms(&stored, &replayed, self.from_ms);
                continue;
            }
            let stored = stored.samples.remove(&at).unwrap_or_default();
            let replayed = replayed.samples.remove(&at).unwrap_or_default();
            one.take(&stored, &replayed, self.from_ms);
        }
    }

    /// How many series have what.
    pub(super) fn counts(&self) -> SeriesCounts {
        let mut counts = SeriesCounts::default();
        for one in &self.series {
            match one.outcome() {
                Outcome::Identical => counts.identical += 1,
                Outcome::Equal => counts.equal += 1,
                Outcome::Different => counts.different += 1,
                Outcome::OnlyStored => counts.only_stored += 1,
                Outcome::OnlyReplayed => counts.only_replayed += 1,
                Outcome::Nothing => {}
            }
        }
        counts
    }

    /// Series that differ, by name, at most so many.
    pub(super) fn differences(&self, max: usize) -> Vec<Difference> {
        let mut found: Vec<Difference> = self.series.iter().filter_map(Compared::difference).collect();
        found.sort_by(|a, b| a.series.cmp(&b.series));
        found.truncate(max);
        found
    }

    /// What both sides say of each metric.
    pub(super) fn metrics(&self) -> Vec<MetricReport> {
        let mut metrics = BTreeMap::<&str, MetricReport>::new();
        for one in &self.series {
            let metric = metrics.entry(&one.metric).or_default();
            metric.name.clone_from(&one.metric);
            metric.stored += one.stored.increase;
            metric.replayed += one.replayed.increase;
            metric.lives = metric.lives.max(one.stored.lives);
            if let Some(native) = &one.native {
                let all = metric.native.get_or_insert_default();
                all.stored_sum += native.stored.increase;
                all.replayed_sum += native.replayed.increase;
                all.misplaced += native.misplaced();
            }
            if one.overflow {
                metric.stored_overflow += one.stored.increase;
                metric.replayed_overflow += one.replayed.increase;
            }
        }
        let mut metrics: Vec<MetricReport> = metrics.into_values().collect();
        for metric in &mut metrics {
            metric.equal = same(metric.stored, metric.replayed);
            if let Some(native) = &metric.native {
                metric.equal &= same(native.stored_sum, native.replayed_sum);
                metric.equal &= same(metric.stored + native.misplaced, metric.stored);
            }
        }
        metrics
    }

    /// Stored samples and native histograms within the range.
    pub(super) fn stored(&self) -> (u64, u64) {
        let of = |native: bool| {
            let series = self.series.iter().filter(|one| one.native.is_some() == native);
            series.map(|one| one.stored.samples).sum()
        };
        (of(false), of(true))
    }
}

enum Outcome {
    Identical,
    Equal,
    Different,
    OnlyStored,
    OnlyReplayed,
    /// Stored without a rise, as series are that nothing comes to any more.
    Nothing,
}

impl Compared {
    fn take(&mut self, stored: &[Sample], replayed: &[Sample], from_ms: i64) {
        let within = stored.iter().filter(|sample| sample.time_ms >= from_ms);
        self.identical &= within.map(Sample::bits).eq(replayed.iter().map(Sample::bits));
        let mut later = replayed.iter().peekable();
        for sample in stored {
            while let Some(before) = later.next_if(|one| one.time_ms <= sample.time_ms) {
                self.replayed.take(*before, from_ms);
            }
            self.stored.take(*sample, from_ms);
            if sample.time_ms >= from_ms {
                self.look(sample.time_ms);
            }
        }
        for sample in later {
            self.replayed.take(*sample, from_ms);
            self.look(sample.time_ms);
        }
    }

    /// Counts as samples are, and whatever else a native histogram has.
    fn take_histograms(&mut self, stored: &[Histogram], replayed: &[Histogram], from_ms: i64) {
        let within = stored.iter().filter(|one| one.time_ms >= from_ms);
        self.identical &= within.eq(replayed.iter());
        let mut later = replayed.iter().peekable();
        for histogram in stored {
            while let Some(before) = later.next_if(|one| one.time_ms <= histogram.time_ms) {
                self.take_histogram(before, false, from_ms);
            }
            self.take_histogram(histogram, true, from_ms);
            if histogram.time_ms >= from_ms {
                self.look(histogram.time_ms);
            }
        }
        for histogram in later {
            self.take_histogram(histogram, false, from_ms);
            self.look(histogram.time_ms);
        }
    }

    fn take_histogram(&mut self, histogram: &Histogram, stored: bool, from_ms: i64) {
        let side = if stored { &mut self.stored } else { &mut self.replayed };
        let base = side.take(histogram.into(), from_ms);
        if let Some(native) = &mut self.native {
            native.take(histogram, stored, base);
        }
    }

    /// Notes since when they differ.
    fn look(&mut self, time_ms: i64) {
        let (stored, replayed) = (self.stored.increase, self.replayed.increase);
        match same(stored, replayed) {
            true => self.since = None,
            false => _ = self.since.get_or_insert((time_ms, stored, replayed)),
        }
    }

    fn outcome(&self) -> Outcome {
        let native = self.native.as_ref().is_none_or(|native| native.is_same(self.stored.increase));
        let equal = native && same(self.stored.increase, self.replayed.increase);
        match (self.stored.samples, self.replayed.samples) {
            (0, 0) => Outcome::Nothing,
            (0, _) => Outcome::OnlyReplayed,
            (_, 0) if equal => Outcome::Nothing,
            (_, 0) => Outcome::OnlyStored,
            _ if self.identical => Outcome::Identical,
            _ if equal => Outcome::Equal,
            _ => Outcome::Different,
        }
    }

    fn difference(&self) -> Option<Difference> {
        let what = match self.outcome() {
            Outcome::Different => "different",
            Outcome::OnlyStored => "only_stored",
            Outcome::OnlyReplayed => "only_replayed",
            Outcome::Identical | Outcome::Equal | Outcome::Nothing => return None,
        };
        let first = self.stored.first.or(self.replayed.first).map_or(0, |(time, _)| time);
        let (time_ms, stored, replayed) = self.since.unwrap_or((first, 0.0, 0.0));
        Some(Difference {
            series: self.labels.to_string(),
            what,
            time_ms,
            stored_then: stored,
            replayed_then: replayed,
            stored: self.stored.increase,
            replayed: self.replayed.increase,
            native: self.native.as_ref().map(|native| NativeRise {
                stored_sum: native.stored.increase,
                replayed_sum: native.replayed.increase,
                misplaced: native.misplaced(),
            }),
        })
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0)
}

impl From<StoredSample> for Sample {
    fn from(stored: StoredSample) -> Self {
        let StoredSample { time_ms, value, start_ms, .. } = stored;
        Self { time_ms, value, start_ms }
    }
}

impl From<&Histogram> for Sample {
    fn from(histogram: &Histogram) -> Self {
        let Histogram { time_ms, count, start_ms, .. } = *histogram;
        Self { time_ms, value: count.unwrap_or(f64::from_bits(STALE_NAN_BITS)), start_ms }
    }
}

#[cfg(test)]
mod tests;
