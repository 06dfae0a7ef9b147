//! What is stored against what was derived again, series by series.
//!
//! Live counters count a row when it arrives, a replay at the time that stands in it. So samples
//! of both lie at other times, and what must be equal is by how much a series rose in all. The
//! samples themselves are compared too: after a replay was written they are the same.

use std::collections::{BTreeMap, HashMap};

use isinglass_model::batch::STALE_NAN_BITS;
use isinglass_model::labels::LabelSet;
use isinglass_store::StoredSample;

use super::report::{Difference, MetricReport, SeriesCounts};
use super::{ReplayError, Sample};

/// Sums of floats depend on the order of their terms, by far less than this part of them.
const TOLERANCE: f64 = 1e-9;

/// Label of the series that takes what comes beyond the cap.
const OVERFLOW: &str = "metric_overflow";

/// How a series rose.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    samples: u64,
    increase: f64,
    /// How often it began at 0.
    lives: u64,
    last: Option<(f64, i64)>,
    first: Option<(i64, f64)>,
    ended: bool,
}

impl Side {
    /// Takes the next sample. One from before the range says only where the range begins.
    fn take(&mut self, sample: Sample, from_ms: i64) {
        let within = sample.time_ms >= from_ms;
        if within {
            self.samples += 1;
            self.first.get_or_insert((sample.time_ms, sample.value));
        }
        if sample.value.to_bits() == STALE_NAN_BITS {
            (self.last, self.ended) = (None, true);
            return;
        }
        let goes_on = |(value, start): &(f64, i64)| {
            *start == sample.start_ms && (*start != 0 || sample.value >= *value)
        };
        let base = match self.last.filter(goes_on) {
            Some((value, _)) => value,
            None => {
                self.lives += u64::from(within);
                let began_here = self.ended || self.last.is_some() || sample.start_ms >= from_ms;
                // Of one that began before and had no sample since, nobody knows what it had.
                if began_here { 0.0 } else { sample.value }
            }
        };
        if within {
            self.increase += sample.value - base;
        }
        self.last = Some((sample.value, sample.start_ms));
    }
}

struct Compared {
    metric: String,
    labels: LabelSet,
    overflow: bool,
    stored: Side,
    replayed: Side,
    identical: bool,
    /// Since when they differ: stored and replayed increase.
    since: Option<(i64, f64, f64)>,
}

/// All series of both sides.
pub(super) struct Comparison {
    from_ms: i64,
    series_max: usize,
    by_labels: HashMap<Box<[u8]>, usize, ahash::RandomState>,
    series: Vec<Compared>,
}

/// Some samples, by the place of their series.
pub(super) type BySeries = HashMap<usize, Vec<Sample>, ahash::RandomState>;

impl Comparison {
    pub(super) fn new(from_ms: i64, series_max: usize) -> Self {
        Self { from_ms, series_max, by_labels: HashMap::default(), series: Vec::new() }
    }

    /// The place of a series.
    pub(super) fn place(&mut self, labels: &LabelSet) -> Result<usize, ReplayError> {
        if let Some(at) = self.by_labels.get(labels.as_bytes()) {
            return Ok(*at);
        }
        let limit = self.series_max;
        if self.series.len() >= limit {
            return Err(ReplayError::TooManySeries { limit });
        }
        self.by_labels.insert(labels.as_bytes().into(), self.series.len());
        self.series.push(Compared {
            metric: labels.metric().to_owned(),
            overflow: labels.get(OVERFLOW).is_some(),
            labels: labels.clone(),
            stored: Side::default(),
            replayed: Side::default(),
            identical: true,
            since: None,
        });
        Ok(self.series.len() - 1)
    }

    /// Takes what both sides have of the same time, all of it later than what was taken before.
    pub(super) fn take(&mut self, mut stored: BySeries, mut replayed: BySeries) {
        for (at, one) in self.series.iter_mut().enumerate() {
            let (stored, replayed) =
                (stored.remove(&at).unwrap_or_default(), replayed.remove(&at).unwrap_or_default());
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
            if one.overflow {
                metric.stored_overflow += one.stored.increase;
                metric.replayed_overflow += one.replayed.increase;
            }
        }
        let mut metrics: Vec<MetricReport> = metrics.into_values().collect();
        metrics.iter_mut().for_each(|metric| metric.equal = same(metric.stored, metric.replayed));
        metrics
    }

    /// Stored samples within the range.
    pub(super) fn stored_samples(&self) -> u64 {
        self.series.iter().map(|one| one.stored.samples).sum()
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

    /// Notes since when they differ.
    fn look(&mut self, time_ms: i64) {
        let (stored, replayed) = (self.stored.increase, self.replayed.increase);
        match same(stored, replayed) {
            true => self.since = None,
            false => _ = self.since.get_or_insert((time_ms, stored, replayed)),
        }
    }

    fn outcome(&self) -> Outcome {
        let equal = same(self.stored.increase, self.replayed.increase);
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

#[cfg(test)]
mod tests {
    use isinglass_model::labels::Temporality;

    use super::*;

    fn sample(time_ms: i64, value: f64, start_ms: i64) -> Sample {
        Sample { time_ms, value, start_ms }
    }

    /// Compares the samples of one series from 100 ms on.
    fn compared(stored: &[Sample], replayed: &[Sample]) -> (SeriesCounts, Vec<Difference>) {
        let mut comparison = Comparison::new(100, 10);
        let labels = LabelSet::new(&mut [("__name__", "calls_total")], Temporality::Unspecified).unwrap();
        let at = comparison.place(&labels).unwrap();
        let of = |samples: &[Sample]| BySeries::from_iter([(at, samples.to_vec())]);
        comparison.take(of(stored), of(replayed));
        (comparison.counts(), comparison.differences(9))
    }

    #[test]
    fn what_counts_is_by_how_much_a_series_rose() {
        let before = [sample(50, 7.0, 10), sample(150, 9.0, 10), sample(200, 12.0, 10)];
        let (counts, _) = compared(&before, &[sample(100, 0.0, 100), sample(149, 5.0, 100)]);
        assert_eq!(counts, SeriesCounts { equal: 1, ..SeriesCounts::default() });
        let restarted =
            [sample(50, 7.0, 10), sample(150, 9.0, 10), sample(160, 0.0, 160), sample(170, 3.0, 160)];
        let (counts, _) = compared(&restarted, &[sample(100, 0.0, 100), sample(149, 5.0, 100)]);
        assert_eq!(counts, SeriesCounts { equal: 1, ..SeriesCounts::default() });
        let idle = [sample(50, 7.0, 10), sample(150, 7.0, 10)];
        assert_eq!(compared(&idle, &[]).0, SeriesCounts::default());
        let same = [sample(100, 0.0, 100), sample(149, 5.0, 100)];
        assert_eq!(compared(&same, &same).0, SeriesCounts { identical: 1, ..SeriesCounts::default() });
    }

    #[test]
    fn a_difference_names_the_first_sample_from_which_on_it_stays() {
        let stored =
            [sample(100, 0.0, 100), sample(150, 2.0, 100), sample(200, 4.0, 100), sample(250, 5.0, 100)];
        let replayed =
            [sample(100, 0.0, 100), sample(140, 2.0, 100), sample(190, 5.0, 100), sample(240, 7.0, 100)];
        let (counts, differences) = compared(&stored, &replayed);
        assert_eq!((counts.different, differences.len()), (1, 1));
        let Difference { time_ms, stored_then, replayed_then, stored, replayed, .. } = differences[0];
        assert_eq!((time_ms, stored_then, replayed_then, stored, replayed), (200, 4.0, 5.0, 5.0, 7.0));
        assert_eq!(compared(&[], &[sample(100, 0.0, 100)]).1[0].what, "only_replayed");
        assert_eq!(compared(&[sample(100, 0.0, 100), sample(101, 1.0, 100)], &[]).1[0].what, "only_stored");
    }
}
