//! Native histograms.

use std::sync::Arc;

use isinglass_promql::histogram::{BucketSpan, CUSTOM_BUCKETS, ResetHint};
use isinglass_promql::{Histogram, Sample};

use super::times::Times;
use super::{Set, labels};
use crate::fuzz::random::Random;

const POSITIVE: usize = 8;
const NEGATIVE: usize = 3;
const BOUNDS: [f64; 4] = [0.5, 1.0, 5.0, 10.0];

pub(super) fn add(set: &mut Set) {
    for (name, layout) in [
        ("native", Layout::Exponential),
        ("native_gauge", Layout::Gauge),
        ("custom", Layout::Custom),
        ("mixed", Layout::Mixed),
    ] {
        for target in set.targets() {
            let times = Times::random(&mut set.random, set.base_ms);
            let mut growing = Growing::random(&mut set.random, layout);
            let random = &mut set.random;
            let samples = times.fill(|| growing.sample(random));
            set.push(labels(name, target, &[]), samples);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Exponential,
    Gauge,
    Custom,
    /// Floats in between.
    Mixed,
}

/// A histogram that observes more and more.
struct Growing {
    layout: Layout,
    schema: i32,
    zero_threshold: f64,
    first: i32,
    zero: f64,
    positive: Vec<f64>,
    negative: Vec<f64>,
    sum: f64,
    resets: u64,
    fraction: f64,
    /// Observations after a reset. Counters have many, so that rates are not limited by where
    /// they would have begun at zero, which 3.5 does not do.
    base: Vec<f64>,
}

impl Growing {
    fn random(random: &mut Random, layout: Layout) -> Self {
        let custom = layout == Layout::Custom;
        let buckets = if custom { BOUNDS.len() + 1 } else { POSITIVE };
        let is_gauge = layout == Layout::Gauge;
        let base = |at| match at {
            _ if is_gauge => 0.0,
            0 => 5000.0,
            _ => random.one_of(&[0.0, 300.0]),
        };
        let base: Vec<f64> = (0..buckets).map(base).collect();
        Self {
            layout,
            schema: if custom { CUSTOM_BUCKETS } else { random.one_of(&[0, 0, 1, 2, 3, -1, 8]) },
            zero_threshold: if custom { 0.0 } else { random.one_of(&[0.0, 0.001, 0.001, 0.5]) },
            first: random.one_of(&[-3, 0, 0, 2]),
            zero: 0.0,
            positive: base.clone(),
            negative: vec![0.0; if custom { 0 } else { random.one_of(&[0, NEGATIVE]) }],
            sum: 0.0,
            resets: random.one_of(&[0, 0, 3]),
            fraction: random.one_of(&[1.0, 1.0, 0.25]),
            base,
        }
    }

    fn sample(&mut self, random: &mut Random) -> Sample {
        if self.layout == Layout::Mixed && random.percent(30) {
            return Sample::Float(random.between(0, 20) as f64);
        }
        if self.layout == Layout::Gauge || random.percent(self.resets) {
            self.forget();
        }
        self.observe(random);
        Sample::Histogram(Arc::new(self.histogram()))
    }

    fn forget(&mut self) {
        self.positive.clone_from(&self.base);
        self.negative.fill(0.0);
        (self.zero, self.sum) = (0.0, 0.0);
    }

    fn observe(&mut self, random: &mut Random) {
        for count in self.positive.iter_mut().chain(&mut self.negative) {
            *count += random.one_of(&[0.0, 0.0, 1.0, 4.0]) * self.fraction;
        }
        if self.layout != Layout::Custom {
            self.zero += random.one_of(&[0.0, 1.0]) * self.fraction;
        }
        self.sum += random.between(-4, 40) as f64 / 4.0;
    }

    fn histogram(&self) -> Histogram {
        let (positive_spans, positive) = self.side(&self.positive);
        let (negative_spans, negative) = self.side(&self.negative);
        let counts = positive.iter().chain(&negative).sum::<f64>();
        Histogram {
            schema: self.schema,
            reset_hint: if self.layout == Layout::Gauge { ResetHint::Gauge } else { ResetHint::Unknown },
            zero_threshold: self.zero_threshold,
            zero_count: self.zero,
            count: counts + self.zero,
            sum: self.sum,
            positive_spans,
            positive,
            negative_spans,
            negative,
            custom_bounds: if self.layout == Layout::Custom { Arc::from(BOUNDS) } else { Arc::from([]) },
        }
    }

    /// Only the buckets that have observations, as clients send them.
    fn side(&self, counts: &[f64]) -> (Vec<BucketSpan>, Vec<f64>) {
        let first = if self.layout == Layout::Custom { 0 } else { self.first };
        let mut spans: Vec<BucketSpan> = Vec::new();
        let mut gap = first;
        for count in counts {
            match spans.last_mut() {
                _ if *count == 0.0 => gap += 1,
                Some(span) if gap == 0 => span.length += 1,
                _ => {
                    spans.push(BucketSpan { offset: gap, length: 1 });
                    gap = 0;
                }
            }
        }
        (spans, counts.iter().copied().filter(|count| *count != 0.0).collect())
    }
}
