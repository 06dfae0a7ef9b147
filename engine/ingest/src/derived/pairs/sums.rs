//! What pairs add up to, by label sets.

use hashbrown::HashMap;
use isinglass_model::deltas::{
    Deltas, DerivedExemplar, DerivedIncrements, DerivedLabel, DerivedMetric, ExponentialIncrements, PairRule,
    Pairing,
};

use super::super::counters::{Exemplar, bucket_of};
use super::super::exponential::{Exponential, SCALE};
use super::half::{Half, Point};
use super::sets::{Labels, SetId, Sets};
use super::{Joined, PointOf};

/// What became of halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// A pair, or one that counts alone.
    Counts,
    Unpaired,
    Dropped,
}

/// Sums of one batch or one expiry.
pub(super) struct Sums<'a> {
    pairing: &'a Pairing,
    metrics: &'a [DerivedMetric],
    point_of: PointOf<'a>,
    by_sets: HashMap<(Outcome, u64), usize, ahash::RandomState>,
    sums: Vec<Sum>,
}

/// Of halves with the same label sets.
struct Sum {
    outcome: Outcome,
    first: Option<SetId>,
    second: Option<SetId>,
    weight: f64,
    marked: f64,
    /// One per addition of the pairing; empty for counters and gauges.
    observed: Vec<Observed>,
}

#[derive(Default)]
struct Observed {
    sum: f64,
    buckets: Vec<f64>,
    exponential: Option<Exponential>,
    /// Of the last that has one. It is looked up when all have come: the others are for nothing.
    exemplar: Option<(f64, Point)>,
}

impl<'a> Sums<'a> {
    /// `point_of`: of halves of the batch that is taken.
    pub(super) fn new(pairing: &'a Pairing, metrics: &'a [DerivedMetric], point_of: PointOf<'a>) -> Self {
        Self { pairing, metrics, point_of, by_sets: HashMap::default(), sums: Vec::new() }
    }

    /// Counts a half that has no other.
    pub(super) fn add_lone(&mut self, outcome: Outcome, half: &Half) {
        match half.is_second() {
            true => self.add(outcome, None, Some(half)),
            false => self.add(outcome, Some(half), None),
        }
    }

    /// Counts a pair, or what there is of it.
    pub(super) fn add(&mut self, outcome: Outcome, first: Option<&Half>, second: Option<&Half>) {
        let (of_first, of_second) = (first.map(|half| half.set), second.map(|half| half.set));
        let at = *self.by_sets.entry((outcome, both(of_first, of_second))).or_insert_with(|| {
            let (first, second) = (of_first, of_second);
            let observed = self.pairing.additions.iter().map(|_| Observed::default()).collect();
            self.sums.push(Sum { outcome, first, second, weight: 0.0, marked: 0.0, observed });
            self.sums.len() - 1
        });
        let sum = &mut self.sums[at];
        let weight = second.or(first).map_or(0.0, |half| half.weight);
        sum.weight += weight;
        if [first, second].into_iter().flatten().any(Half::is_marked) {
            sum.marked += weight;
        }
        if outcome != Outcome::Counts {
            return;
        }
        for ((rule, metric), observed) in self.pairing.additions.iter().zip(&mut sum.observed) {
            let (value, of) = match rule {
                PairRule::FirstValue => (first.map(|half| half.value), first),
                PairRule::SecondValue => (second.map(|half| half.value), second),
                PairRule::Gap => (gap(first, second), second),
                _ => continue,
            };
            if let Some(value) = value {
                observed.observe(&self.metrics[usize::from(*metric)], value, weight);
                if let Some(point) = of.map(|half| half.point).filter(|point| *point != Point::None) {
                    observed.exemplar = Some((value, point));
                }
            }
        }
    }

    /// The increments.
    pub(super) fn finish(self, sets: &Sets, metrics: &[DerivedMetric]) -> Joined {
        let mut joined = Joined::default();
        for outcome in [Outcome::Counts, Outcome::Unpaired, Outcome::Dropped] {
            let sums: Vec<&Sum> = self.sums.iter().filter(|sum| sum.outcome == outcome).collect();
            if !sums.is_empty() {
                let additions = self.pairing.additions.iter().enumerate();
                let mut deltas = table(&sums, sets);
                for (at, (rule, metric)) in additions.filter(|(_, (rule, _))| of(*rule) == outcome) {
                    let points = (&mut joined.points, self.point_of);
                    add_metric(&mut deltas, points, &sums, at, *rule, (*metric, metrics));
                }
                joined.deltas.extend((!deltas.increments.is_empty()).then_some(deltas));
            }
        }
        joined
    }
}

impl Observed {
    fn observe(&mut self, metric: &DerivedMetric, value: f64, weight: f64) {
        self.sum += value * weight;
        if metric.classic {
            self.buckets.resize(metric.classic_buckets(), 0.0);
            self.buckets[bucket_of(&metric.bounds, value)] += weight;
        }
        if metric.exponential_buckets_max > 0 {
            self.exponential.get_or_insert_with(|| Exponential::new(SCALE)).observe(value, weight);
        }
    }
}

/// Two label sets, of which either may be missing, as one number.
fn both(first: Option<SetId>, second: Option<SetId>) -> u64 {
    // No set has the largest number: as many do not fit into memory.
    let of = |set: Option<SetId>| u64::from(set.unwrap_or(SetId::MAX));
    of(first) << 32 | of(second)
}

fn gap(first: Option<&Half>, second: Option<&Half>) -> Option<f64> {
    let (from, to) = (first?.time, second?.time);
    let nanos = to.checked_sub(from).filter(|nanos| from != 0 && to != 0 && *nanos >= 0)?;
    Some(nanos as f64 / 1e9)
}

/// Which outcome a rule is about.
fn of(rule: PairRule) -> Outcome {
    match rule {
        PairRule::Unpaired => Outcome::Unpaired,
        PairRule::Dropped => Outcome::Dropped,
        _ => Outcome::Counts,
    }
}

/// A table of the series without increments.
fn table(sums: &[&Sum], sets: &Sets) -> Deltas {
    let labels: Vec<Labels> = sums.iter().map(|sum| labels(sum, sets)).collect();
    let mut names: Vec<&str> = labels.iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let column = |name: &str| {
        let value = |labels: &Labels| {
            let found = labels.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        DerivedLabel {
            name: name.to_owned(),
            keys: (0..).take(labels.len()).collect(),
            values: labels.iter().map(value).collect(),
        }
    };
    Deltas {
        series: u32::try_from(sums.len()).unwrap_or(u32::MAX),
        labels: names.into_iter().map(column).collect(),
        ..Deltas::default()
    }
}

/// The labels of both halves, or those of one that is alone.
fn labels(sum: &Sum, sets: &Sets) -> Labels {
    let mut all = Labels::new();
    let given = [sum.first, sum.second];
    given.iter().flatten().for_each(|set| overlay(&mut all, &sets.get(*set).own));
    if let (Outcome::Counts, [Some(set), None] | [None, Some(set)]) = (sum.outcome, given) {
        overlay(&mut all, &sets.get(set).alone);
    }
    all
}

fn overlay(all: &mut Labels, more: &Labels) {
    for (name, value) in more {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => all.push((name.clone(), value.clone())),
        }
    }
}

fn add_metric(
    deltas: &mut Deltas,
    (points, point_of): (&mut Vec<Exemplar>, PointOf<'_>),
    sums: &[&Sum],
    addition: usize,
    rule: PairRule,
    (metric, metrics): (u16, &[DerivedMetric]),
) {
    let declared = &metrics[usize::from(metric)];
    let mut increments =
        DerivedIncrements { metric, values: Vec::new(), buckets: Vec::new(), exponential: None };
    for (series, sum) in (0..).zip(sums) {
        let observed = &sum.observed[addition];
        increments.values.push(match rule {
            PairRule::Presence => 1.0,
            PairRule::Marked => sum.marked,
            PairRule::FirstValue | PairRule::SecondValue | PairRule::Gap => observed.sum,
            PairRule::Pairs | PairRule::Unpaired | PairRule::Dropped => sum.weight,
        });
        let width = declared.classic_buckets();
        increments.buckets.extend_from_slice(&observed.buckets);
        increments.buckets.resize((series as usize + 1) * width, 0.0);
        if let Some(exponential) = &observed.exponential {
            let all = increments.exponential.get_or_insert_with(ExponentialIncrements::default);
            exponential.add_to(series, all);
        }
        let known = observed.exemplar.and_then(|(value, point)| Some((value, point.known(point_of)?)));
        if let Some((value, point)) = known {
            let row = u32::try_from(points.len()).unwrap_or(u32::MAX);
            points.push(point);
            deltas.exemplars.push(DerivedExemplar { metric, series, value, row });
        }
    }
    if let Some(exponential) = &mut increments.exponential {
        exponential.zeros.resize(sums.len(), 0.0);
    }
    deltas.increments.push(increments);
}
