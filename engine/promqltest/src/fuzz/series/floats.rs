//! Counters, gauges and series about others.

use isinglass_promql::Labels;

use super::times::Times;
use super::{Set, labels};
use crate::fuzz::random::Random;

pub(super) fn add(set: &mut Set) {
    counters(set);
    gauges(set);
    odd(set);
    infos(set);
    for name in ["single", "solo"] {
        let times = Times::random(&mut set.random, set.base_ms);
        let random = &mut set.random;
        let samples = times.floats(|| quarters(random));
        set.push(labels(name, &[], &[]), samples);
    }
}

fn counters(set: &mut Set) {
    for name in ["requests_total", "errors_total"] {
        for target in set.targets() {
            for code in ["200", "500"] {
                let times = Times::random(&mut set.random, set.base_ms);
                let mut counter = Counter::random(&mut set.random);
                let random = &mut set.random;
                let samples = times.floats(|| counter.next(random));
                set.push(labels(name, target, &[("code", code)]), samples);
            }
        }
    }
}

fn gauges(set: &mut Set) {
    for name in ["gauge_a", "gauge_b", "limit"] {
        for target in set.targets() {
            let times = Times::random(&mut set.random, set.base_ms);
            let random = &mut set.random;
            let width = random.one_of(&[0, 3, 100]);
            let samples = times.floats(|| random.between(-width, width * 2) as f64 / 4.0);
            set.push(labels(name, target, &[]), samples);
        }
    }
    let named = [("__name__", "ütf.8"), ("a.b", "c"), ("job", "api")];
    let times = Times::random(&mut set.random, set.base_ms);
    let random = &mut set.random;
    let samples = times.floats(|| quarters(random));
    set.push(Labels::new(named), samples);
}

/// Values that are no plain numbers, and very large and small ones.
fn odd(set: &mut Set) {
    const ODD: [f64; 12] =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1.0, -1.0, 1e300, -1e300, 1e-300, 0.1, 4e15];
    for target in set.targets() {
        let times = Times::random(&mut set.random, set.base_ms);
        let random = &mut set.random;
        let values: Vec<f64> = (0..=random.below(4)).map(|_| random.one_of(&ODD)).collect();
        let samples =
            times.floats(|| if random.percent(50) { random.one_of(&values) } else { quarters(random) });
        set.push(labels("odd", target, &[]), samples);
    }
}

/// Series of the value 1 whose labels tell more about targets; versions follow each other.
fn infos(set: &mut Set) {
    for name in ["target_info", "build_info"] {
        for target in set.targets() {
            let times = Times::random(&mut set.random, set.base_ms).samples;
            let change = if set.random.percent(50) { set.random.below(times.len()) } else { times.len() };
            for (version, times) in [("1", &times[..change]), ("2", &times[change..])] {
                let times = Times { samples: times.to_vec() };
                let more = [("version", version), ("data", "é")];
                set.push(labels(name, target, &more), times.floats(|| 1.0));
            }
        }
    }
}

fn quarters(random: &mut Random) -> f64 {
    random.between(-40, 400) as f64 / 4.0
}

/// A counter that begins again now and then.
struct Counter {
    value: f64,
    step_max: i64,
    resets: u64,
}

impl Counter {
    fn random(random: &mut Random) -> Self {
        let value = random.one_of(&[0.0, 0.0, 5.0, 1e6]);
        Self { value, step_max: random.one_of(&[0, 2, 50]), resets: random.one_of(&[0, 0, 2, 8]) }
    }

    fn next(&mut self, random: &mut Random) -> f64 {
        let step = random.between(0, self.step_max) as f64 / 2.0;
        self.value = if random.percent(self.resets) { step } else { self.value + step };
        self.value
    }
}
