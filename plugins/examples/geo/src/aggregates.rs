//! The states of the aggregates.

use isinglass_plugin::{State, read_floats, write_floats};

/// Count and sum of reciprocals.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Harmonic {
    count: f64,
    reciprocals: f64,
}

impl Harmonic {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.reciprocals += 1.0 / value;
    }

    pub(crate) fn value(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.count / self.reciprocals)
    }
}

impl State for Harmonic {
    fn write(&self, out: &mut Vec<u8>) {
        if self.count > 0.0 {
            write_floats(&[self.count, self.reciprocals], out);
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let [count, reciprocals] = read_floats(bytes)?.try_into().ok()?;
        Some(Self { count, reciprocals })
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.reciprocals += other.reciprocals;
    }
}

/// All values: their median is known at the end only.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Deviation(Vec<f64>);

impl Deviation {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn value(mut self) -> Option<f64> {
        let middle = median(&mut self.0)?;
        self.0.iter_mut().for_each(|value| *value = (*value - middle).abs());
        median(&mut self.0)
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() % 2 {
        1 => values.get(half).copied(),
        _ => Some((values.get(half.checked_sub(1)?)? + values.get(half)?) / 2.0),
    }
}

impl State for Deviation {
    fn write(&self, out: &mut Vec<u8>) {
        write_floats(&self.0, out);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        read_floats(bytes).map(Self)
    }

    fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}
