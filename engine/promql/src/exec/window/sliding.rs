//! Windows that slide over floats: each sample is looked at a few times, however long the window.
//!
//! Only floats without start times and without histograms among them; all else goes the general
//! way, window by window.

use std::ops::Range;

use super::floats::Average;
use super::moments::Moments;
use super::rate::Ends;
use super::{WindowFunction, sequence};
use crate::histogram::Compensated;

/// Beyond this, sums could overflow in one order of additions and not in another.
const SAFE: f64 = 1e150;

/// Floats of a series and the windows over them.
pub(super) struct Sliding<'a> {
    pub(super) times: &'a [i64],
    pub(super) values: &'a [f64],
    /// The end of the first window, milliseconds.
    pub(super) first_end_ms: i64,
    pub(super) step_ms: i64,
    pub(super) range_ms: i64,
}

impl Sliding<'_> {
    /// Fills `out` with a function of each window, where it has a fast way. Says whether it has.
    pub(super) fn fill(&self, function: WindowFunction, out: &mut [f64]) -> bool {
        use WindowFunction as F;
        match function {
            F::Rate | F::Increase | F::Delta => self.rates(function, out),
            F::Irate | F::Idelta => self.last_two(function == F::Irate, out),
            F::Count => self.each(out, |window| window.len() as f64),
            F::Present => self.each(out, |_| 1.0),
            F::Last => self.each(out, |window| self.values[window.end - 1]),
            F::First => self.each(out, |window| self.values[window.start]),
            F::TimeOfLast => self.each(out, |window| self.times[window.end - 1] as f64 / 1e3),
            F::TimeOfFirst => self.each(out, |window| self.times[window.start] as f64 / 1e3),
            F::Changes => self.counted(out, sequence::differ),
            F::Resets => self.counted(out, |before, now| now < before),
            F::Min => self.merged(out, |least: &Least| least.0),
            F::Max => self.merged(out, |greatest: &Greatest| greatest.0),
            F::Sum | F::Avg | F::Stddev | F::Stdvar => return self.totals(function, out),
            _ => return false,
        }
        true
    }

    /// Calls with each window that has samples.
    #[inline]
    fn windows(&self, steps: usize, mut of: impl FnMut(usize, Range<usize>)) {
        let (mut start, mut end) = (0, 0);
        for step in 0..steps {
            let until = self.first_end_ms + self.step_ms * step as i64;
            let after = until.saturating_sub(self.range_ms);
            if step == 0 {
                // The first one may be far, the others are near.
                start = self.times.partition_point(|time| *time <= after);
                end = start + self.times[start..].partition_point(|time| *time <= until);
            }
            while self.times.get(end).is_some_and(|time| *time <= until) {
                end += 1;
            }
            while self.times.get(start).is_some_and(|time| *time <= after) {
                start += 1;
            }
            if start < end {
                of(step, start..end);
            }
        }
    }

    #[inline]
    fn each(&self, out: &mut [f64], of: impl Fn(Range<usize>) -> f64) {
        self.windows(out.len(), |step, window| out[step] = of(window));
    }

    fn rates(&self, function: WindowFunction, out: &mut [f64]) {
        let resets = match function {
            WindowFunction::Delta => Vec::new(),
            _ => self.resets(),
        };
        let mut past = 0;
        self.windows(out.len(), |step, window| {
            let (first, last) = (window.start, window.end - 1);
            if first == last {
                return;
            }
            let mut increase = self.values[last] - self.values[first];
            while resets.get(past).is_some_and(|at| *at <= first) {
                past += 1;
            }
            // There are hardly ever any. Running sums would be off by what older resets lost.
            for at in resets[past..].iter().take_while(|at| **at <= last) {
                increase += self.values[at - 1];
            }
            let ends = Ends {
                first_ms: self.times[first],
                last_ms: self.times[last],
                gaps: last - first,
                first: self.values[first],
                increase,
            };
            let end_ms = self.first_end_ms + self.step_ms * step as i64;
            let bounds = (end_ms.saturating_sub(self.range_ms), end_ms);
            out[step] = increase * ends.factor(bounds, function, self.range_ms);
        });
    }

    /// Where values went down.
    fn resets(&self) -> Vec<usize> {
        let pairs = || self.values.iter().zip(self.values.iter().skip(1));
        // Counters hardly ever do and gauges every other time: a branch would be wrong as often.
        let down: usize = pairs().map(|(before, now)| usize::from(now < before)).sum();
        let mut resets = vec![0; if down == 0 { 0 } else { down + 1 }];
        if resets.is_empty() {
            return resets;
        }
        let mut found = 0;
        for (at, (before, now)) in pairs().enumerate() {
            resets[found] = at + 1;
            found += usize::from(now < before);
        }
        resets.truncate(found);
        resets
    }

    fn last_two(&self, counter: bool, out: &mut [f64]) {
        self.windows(out.len(), |step, window| {
            if window.len() < 2 {
                return;
            }
            let last = window.end - 1;
            let (before, now) = (self.values[last - 1], self.values[last]);
            let seconds = (self.times[last] - self.times[last - 1]) as f64 / 1e3;
            let difference = if counter && now < before { now } else { now - before };
            out[step] = if counter { difference / seconds } else { difference };
        });
    }

    /// How many pairs of neighbours a window has that count.
    fn counted(&self, out: &mut [f64], counts: impl Fn(f64, f64) -> bool) {
        let mut until = Vec::with_capacity(self.values.len());
        let mut count = 0_u32;
        for (at, value) in self.values.iter().enumerate() {
            count += u32::from(at > 0 && counts(self.values[at - 1], *value));
            until.push(count);
        }
        self.each(out, |window| f64::from(until[window.end - 1] - until[window.start]));
    }

    fn totals(&self, function: WindowFunction, out: &mut [f64]) -> bool {
        use WindowFunction as F;
        if self.values.iter().any(|value| value.abs() > SAFE) {
            return false;
        }
        match function {
            F::Sum => self.merged(out, |sum: &Compensated| sum.total()),
            F::Avg => self.merged(out, Average::mean),
            F::Stddev => self.merged(out, |moments: &Moments| moments.variance().sqrt()),
            _ => self.merged(out, Moments::variance),
        }
        true
    }

    /// By two stacks: what was merged of a window's beginning, from each of its samples to a
    /// place in the middle, and of everything after that place.
    fn merged<T: Merge>(&self, out: &mut [f64], result: impl Fn(&T) -> f64) {
        let mut beginnings: Vec<T> = Vec::new();
        let (mut middle, mut rest, mut taken) = (0, T::default(), 0);
        self.windows(out.len(), |step, window| {
            if window.start >= middle {
                // A new middle: the end of this window.
                beginnings.clear();
                let mut merged = T::default();
                for at in window.clone().rev() {
                    let mut one = T::default();
                    one.take(self.values[at]);
                    one.merge(&merged);
                    merged = one;
                    beginnings.push(merged);
                }
                (middle, rest, taken) = (window.end, T::default(), window.end);
            }
            for at in taken..window.end {
                rest.take(self.values[at]);
            }
            taken = window.end;
            let mut all = beginnings[middle - 1 - window.start];
            all.merge(&rest);
            out[step] = result(&all);
        });
    }
}

/// What two stretches of samples can be made one of.
trait Merge: Copy + Default {
    fn take(&mut self, value: f64);
    fn merge(&mut self, other: &Self);
}

/// The greatest value so far, NaN where there was nothing else. A queue of candidates would look at
/// a sample no more often, but its branches are wrong at every other sample of a noisy gauge.
#[derive(Clone, Copy)]
struct Greatest(f64);

/// The least, likewise.
#[derive(Clone, Copy)]
struct Least(f64);

impl Default for Greatest {
    fn default() -> Self {
        Self(f64::NAN)
    }
}

impl Default for Least {
    fn default() -> Self {
        Self(f64::NAN)
    }
}

impl Merge for Greatest {
    #[inline]
    fn take(&mut self, value: f64) {
        self.0 = if (value > self.0) | self.0.is_nan() { value } else { self.0 };
    }

    #[inline]
    fn merge(&mut self, other: &Self) {
        self.take(other.0);
    }
}

impl Merge for Least {
    #[inline]
    fn take(&mut self, value: f64) {
        self.0 = if (value < self.0) | self.0.is_nan() { value } else { self.0 };
    }

    #[inline]
    fn merge(&mut self, other: &Self) {
        self.take(other.0);
    }
}

impl Merge for Compensated {
    #[inline]
    fn take(&mut self, value: f64) {
        self.add(value);
    }

    #[inline]
    fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        self.lost += other.lost;
    }
}

impl Merge for Average {
    #[inline]
    fn take(&mut self, value: f64) {
        self.add(value);
    }

    #[inline]
    fn merge(&mut self, other: &Self) {
        Self::merge(self, other);
    }
}

impl Merge for Moments {
    #[inline]
    fn take(&mut self, value: f64) {
        self.add(value);
    }

    #[inline]
    fn merge(&mut self, other: &Self) {
        Self::merge(self, other);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::View;
    use super::*;
    use crate::block::{ABSENT, is_absent};

    /// The same, window by window, from the definitions.
    fn slowly(of: &Sliding<'_>, function: WindowFunction, steps: usize) -> Vec<f64> {
        let mut out = vec![ABSENT; steps];
        of.windows(steps, |step, window| {
            let end_ms = of.first_end_ms + of.step_ms * step as i64;
            let view = View {
                times: &of.times[window.clone()],
                values: &of.values[window],
                starts: &[],
                histograms: &[],
                start_ms: end_ms - of.range_ms,
                end_ms,
            };
            if let Some(value) = super::super::tests::of_floats(function, &view, of.range_ms) {
                out[step] = value;
            }
        });
        out
    }

    fn same(one: f64, other: f64, size: f64) -> bool {
        is_absent(one) == is_absent(other)
            && (one.is_nan() && other.is_nan()
                || one == other
                || (one - other).abs() <= 1e-9 * size.max(one.abs()))
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-100..100).prop_map(f64::from),
            2 => -1e6..1e6_f64,
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -0.0, 1e200]),
        ]
    }

    proptest! {
        #[test]
        fn fast_ways_give_what_the_definitions_do(
            gaps in prop::collection::vec((1..40_000_i64, value()), 0..60),
            first_end_ms in -50_000..400_000_i64,
            step_ms in 1..60_000_i64,
            range_ms in 1..200_000_i64,
        ) {
            use WindowFunction as F;
            let mut now = 0;
            let (times, values): (Vec<_>, Vec<_>) =
                gaps.into_iter().map(|(gap, value)| { now += gap; (now, value) }).unzip();
            let sliding = Sliding { times: &times, values: &values, first_end_ms, step_ms, range_ms };
            let finite = values.iter().filter(|value| value.is_finite());
            let size = finite.fold(1.0, |size: f64, value| size.max(value.abs()));
            for function in [
                F::Rate, F::Increase, F::Delta, F::Irate, F::Idelta, F::Sum, F::Avg, F::Count, F::Min,
                F::Max, F::Last, F::First, F::Present, F::Stddev, F::Stdvar, F::Changes, F::Resets,
                F::TimeOfFirst, F::TimeOfLast,
            ] {
                let mut out = vec![ABSENT; 40];
                if !sliding.fill(function, &mut out) {
                    continue;
                }
                // Squares of rounding errors, of sums of up to 60 squares.
                let size = if matches!(function, F::Stdvar | F::Stddev) { size * size } else { size };
                for (step, (fast, slow)) in out.iter().zip(slowly(&sliding, function, 40)).enumerate() {
                    prop_assert!(same(*fast, slow, size), "{function:?} at {step}: {fast} is not {slow}");
                }
            }
        }
    }
}
