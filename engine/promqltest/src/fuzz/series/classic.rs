//! Classic histograms, sound and broken.

use isinglass_promql::Sample;

use super::times::Times;
use super::{Set, labels};
use crate::fuzz::random::Random;

const BOUNDS: [&str; 6] = ["0.1", "0.5", "1", "5", "10", "+Inf"];

/// What can be wrong with a histogram.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    NoInfinity,
    OnlyInfinity,
    NotCumulative,
    NoNumber,
    Negative,
    TwoFormats,
}

pub(super) fn add(set: &mut Set) {
    use Fault::{Negative, NoInfinity, NoNumber, None, NotCumulative, OnlyInfinity, TwoFormats};
    for target in set.targets() {
        let fault = set.random.one_of(&[
            None,
            None,
            None,
            None,
            None,
            NoInfinity,
            OnlyInfinity,
            NotCumulative,
            NoNumber,
            Negative,
            TwoFormats,
        ]);
        histogram(set, target, fault);
    }
}

fn histogram(set: &mut Set, target: &[(&str, &str)], fault: Fault) {
    let bounds = bounds(fault);
    let times = Times::random(&mut set.random, set.base_ms).samples;
    let rows = cumulative(&mut set.random, bounds.len(), times.len(), fault);
    for (at, bound) in bounds.iter().enumerate() {
        let name = "latency_bucket";
        push(set, name, target, Some(bound), &times, rows.iter().map(|row| row[at]));
    }
    let last = bounds.len() - 1;
    push(set, "latency_count", target, None, &times, rows.iter().map(|row| row[last]));
    push(set, "latency_sum", target, None, &times, rows.iter().map(|row| row[last] * 0.75));
}

fn bounds(fault: Fault) -> Vec<&'static str> {
    let mut bounds = BOUNDS.to_vec();
    match fault {
        Fault::NoInfinity => drop(bounds.pop()),
        Fault::OnlyInfinity => drop(bounds.drain(..BOUNDS.len() - 1)),
        Fault::NoNumber => bounds.insert(0, "low"),
        Fault::Negative => bounds.splice(..2, ["-2", "-1"]).for_each(drop),
        Fault::TwoFormats => bounds.insert(3, "1.0"),
        Fault::None | Fault::NotCumulative => {}
    }
    bounds
}

/// Counts by time and bucket.
fn cumulative(random: &mut Random, buckets: usize, times: usize, fault: Fault) -> Vec<Vec<f64>> {
    let mut counts = vec![0_i64; buckets];
    let resets = random.one_of(&[0, 0, 3]);
    let mut rows = Vec::with_capacity(times);
    for _ in 0..times {
        if random.percent(resets) {
            counts.fill(0);
        }
        counts.iter_mut().for_each(|count| *count += random.one_of(&[0, 0, 1, 3]));
        let mut sum = 0;
        let mut row: Vec<f64> = counts
            .iter()
            .map(|count| {
                sum += count;
                sum as f64
            })
            .collect();
        if fault == Fault::NotCumulative && random.percent(30) {
            let at = random.below(buckets);
            row[at] += random.one_of(&[5.0, 1e-14]);
        }
        rows.push(row);
    }
    rows
}

fn push(
    set: &mut Set,
    name: &str,
    target: &[(&str, &str)],
    bound: Option<&str>,
    times: &[(i64, bool)],
    mut values: impl Iterator<Item = f64>,
) {
    let times = Times { samples: times.to_vec() };
    let samples: Vec<(i64, Sample)> = times.floats(|| values.next().unwrap_or_default());
    let bound = bound.map(|bound| ("le", bound));
    set.push(labels(name, target, bound.as_slice()), samples);
}
