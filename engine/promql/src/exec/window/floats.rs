//! Functions of the floats of a window.

use super::samples::View;
use super::{Notes, Out, WindowFunction, moments, regression};
use crate::histogram::Compensated;

/// A function of floats. Where a window has histograms, too, they are left out.
pub(super) fn evaluate(function: WindowFunction, view: &View<'_>, notes: &Notes<'_>) -> Out {
    use WindowFunction as F;
    match function {
        F::Min => of_floats(view, notes, |view| extreme(view, |new, kept| new < kept)),
        F::Max => of_floats(view, notes, |view| extreme(view, |new, kept| new > kept)),
        F::TimeOfMin => of_floats(view, notes, |view| time_of(view, |new, kept| new <= kept)),
        F::TimeOfMax => of_floats(view, notes, |view| time_of(view, |new, kept| new >= kept)),
        F::Stddev => of_floats(view, notes, |view| moments::variance(view.values).sqrt()),
        F::Stdvar => of_floats(view, notes, |view| moments::variance(view.values)),
        F::Mad => of_floats(view, notes, |view| deviation(view.values)),
        F::Deriv => regression::deriv(view, notes),
        _ => Out::None,
    }
}

/// A number of the floats; none without floats.
pub(super) fn of_floats(view: &View<'_>, notes: &Notes<'_>, function: impl FnOnce(&View<'_>) -> f64) -> Out {
    if view.values.is_empty() {
        return Out::None;
    }
    if !view.histograms.is_empty() {
        notes.ignored_histograms();
    }
    Out::Float(function(view))
}

/// The number of the float that wins against all before it. Any number wins against NaN.
fn winner(view: &View<'_>, wins: impl Fn(f64, f64) -> bool) -> usize {
    let mut kept = 0;
    for (at, value) in view.values.iter().enumerate().skip(1) {
        if wins(*value, view.values[kept]) || view.values[kept].is_nan() {
            kept = at;
        }
    }
    kept
}

fn extreme(view: &View<'_>, wins: impl Fn(f64, f64) -> bool) -> f64 {
    view.values[winner(view, wins)]
}

fn time_of(view: &View<'_>, wins: impl Fn(f64, f64) -> bool) -> f64 {
    view.times[winner(view, wins)] as f64 / 1e3
}

/// The median distance from the median.
fn deviation(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let mut values = values.to_vec();
    let median = quantile(0.5, &mut values);
    for value in &mut values {
        *value = (*value - median).abs();
    }
    quantile(0.5, &mut values)
}

/// The quantile of values, which are sorted; between two of them it is interpolated. NaNs are
/// smallest. NaN without values, ±Inf beyond 0 and 1.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    let lower_at = (lower as usize).min(values.len() - 1);
    let upper_at = (lower_at + 1).min(values.len() - 1);
    let (_, lower_value, above) = values.select_nth_unstable_by(lower_at, nan_first);
    let lower_value = *lower_value;
    let upper_value = if upper_at == lower_at {
        lower_value
    } else {
        above.iter().copied().min_by(nan_first).unwrap_or(lower_value)
    };
    lower_value * (1.0 - weight) + upper_value * weight
}

fn nan_first(one: &f64, other: &f64) -> std::cmp::Ordering {
    match (one.is_nan(), other.is_nan()) {
        (false, false) => one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal),
        (one, other) => other.cmp(&one),
    }
}

/// An average: of the sum, unless that overflows, then of the means so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Average {
    sum: Compensated,
    count: f64,
    /// `sum` is a mean.
    incremental: bool,
}

impl Average {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count < 1.5 {
            self.sum.sum = value;
            return;
        }
        if !self.incremental {
            let mut sum = self.sum;
            sum.add(value);
            if !sum.sum.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            self.sum.sum /= self.count - 1.0;
            self.sum.lost /= self.count - 1.0;
        }
        let share = (self.count - 1.0) / self.count;
        self.sum = Compensated { sum: share * self.sum.sum, lost: share * self.sum.lost };
        self.sum.add(value / self.count);
    }

    pub(crate) fn mean(&self) -> f64 {
        if self.incremental {
            self.sum.total()
        } else {
            self.sum.sum / self.count + self.sum.lost / self.count
        }
    }

    /// Takes the values of another one in.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        if !self.incremental && !other.incremental {
            let mut sum = self.sum;
            sum.add(other.sum.sum);
            sum.add(other.sum.lost);
            if !sum.sum.is_infinite() {
                (self.sum, self.count) = (sum, self.count + other.count);
                return;
            }
        }
        let count = self.count + other.count;
        let mean = self.mean() * (self.count / count) + other.mean() * (other.count / count);
        *self = Self { sum: Compensated { sum: mean, lost: 0.0 }, count, incremental: true };
    }
}

/// The sum of floats.
pub(super) fn sum(values: &[f64]) -> f64 {
    let mut sum = Compensated::default();
    values.iter().for_each(|value| sum.add(*value));
    sum.total()
}

/// The average of floats.
pub(super) fn average(values: &[f64]) -> f64 {
    let mut average = Average::default();
    values.iter().for_each(|value| average.add(*value));
    average.mean()
}
