//! Sums, averages and rates of native histograms.

use std::sync::Arc;

use super::samples::View;
use super::{Notes, Out, floats, rate};
use crate::histogram::{Added, Histogram, HistogramError, ResetHint};
use crate::source::HistogramSample;

/// What came up while histograms were added.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Remarks {
    reset: bool,
    not_reset: bool,
    /// Custom bounds differed.
    pub(crate) reconciled: bool,
    /// Exponential and custom buckets do not add up: there is no result.
    pub(crate) incompatible: bool,
}

impl Remarks {
    fn hint(&mut self, hint: ResetHint) {
        self.reset |= hint == ResetHint::Reset;
        self.not_reset |= hint == ResetHint::NotReset;
    }

    fn note(&mut self, added: Result<Added, HistogramError>) {
        match added {
            Ok(added) => self.reconciled |= added.custom_buckets_reconciled,
            Err(_) => self.incompatible = true,
        }
    }

    /// Some said that counts were reset, others that they were not.
    pub(crate) fn conflicting_resets(&self) -> bool {
        self.reset && self.not_reset
    }

    fn merge(&mut self, other: &Self) {
        self.reset |= other.reset;
        self.not_reset |= other.not_reset;
        self.reconciled |= other.reconciled;
        self.incompatible |= other.incompatible;
    }
}

/// A sum of histograms, rounding errors kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistogramSum {
    sum: Option<Histogram>,
    lost: Option<Histogram>,
    pub(crate) remarks: Remarks,
}

impl HistogramSum {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        self.remarks.hint(histogram.reset_hint);
        if self.remarks.incompatible {
            return;
        }
        match &mut self.sum {
            None => self.sum = Some(histogram.clone()),
            Some(sum) => self.remarks.note(sum.kahan_add(histogram, &mut self.lost)),
        }
    }

    /// Takes another sum in.
    pub(crate) fn merge(&mut self, other: Self) {
        self.remarks.merge(&other.remarks);
        for part in [other.sum, other.lost].into_iter().flatten() {
            if !self.remarks.incompatible {
                self.plus(&part);
            }
        }
    }

    fn plus(&mut self, part: &Histogram) {
        match &mut self.sum {
            None => self.sum = Some(part.clone()),
            Some(sum) => self.remarks.note(sum.kahan_add(part, &mut self.lost)),
        }
    }

    /// The sum, unless its parts do not add up.
    pub(crate) fn total(self) -> (Option<Histogram>, Remarks) {
        let mut remarks = self.remarks;
        let mut sum = self.sum.filter(|_| !remarks.incompatible);
        if let (Some(sum), Some(lost)) = (&mut sum, &self.lost) {
            let hint = sum.reset_hint;
            remarks.note(sum.add(lost));
            sum.reset_hint = hint;
        }
        if let Some(sum) = &mut sum {
            sum.compact(0);
        }
        (sum, remarks)
    }
}

/// An average of histograms: of their sum, unless that overflows, then of the means so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistogramAvg {
    sum: HistogramSum,
    count: f64,
    /// `sum` is a mean.
    incremental: bool,
}

/// Sums below this cannot overflow by one more addend below it.
const SAFE: f64 = f64::MAX / 4.0;

impl HistogramAvg {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        self.count += 1.0;
        if !self.incremental {
            if self.sum_is_safe(histogram) {
                self.sum.add(histogram);
                return;
            }
            let mut tried = self.sum.clone();
            tried.add(histogram);
            if tried.sum.as_ref().is_none_or(|sum| !sum.has_overflow()) || self.count < 1.5 {
                self.sum = tried;
                return;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.scale(|of| of.div(before));
        }
        let share = (self.count - 1.0) / self.count;
        self.scale(|of| of.mul(share));
        let mut part = histogram.clone();
        part.div(self.count);
        self.sum.add(&part);
    }

    fn sum_is_safe(&self, histogram: &Histogram) -> bool {
        let safe = |of: &Histogram| of.count.abs() < SAFE && of.sum.abs() < SAFE;
        safe(histogram) && self.sum.sum.as_ref().is_none_or(safe)
    }

    fn scale(&mut self, scale: impl Fn(&mut Histogram)) {
        let mut parts = [self.sum.sum.take(), self.sum.lost.take()];
        parts.iter_mut().flatten().for_each(scale);
        [self.sum.sum, self.sum.lost] = parts;
    }

    /// Takes another average in.
    pub(crate) fn merge(&mut self, mut other: Self) {
        let count = self.count + other.count;
        if self.incremental || other.incremental {
            for one in [&mut *self, &mut other] {
                let weight = if one.incremental { one.count / count } else { 1.0 / count.max(1.0) };
                one.scale(|of| of.mul(weight));
                one.incremental = true;
            }
        }
        self.incremental |= other.incremental;
        self.count = count;
        self.sum.merge(other.sum);
    }

    pub(crate) fn mean(mut self) -> (Option<Histogram>, Remarks) {
        if !self.incremental {
            let count = self.count;
            self.scale(|of| of.div(count));
        }
        self.sum.total()
    }
}

/// `sum_over_time` and `avg_over_time`.
pub(super) fn sum_or_avg(view: &View<'_>, avg: bool, notes: &Notes<'_>) -> Out {
    if view.histograms.is_empty() {
        let values = view.values;
        return Out::Float(if avg { floats::average(values) } else { floats::sum(values) });
    }
    if !view.values.is_empty() {
        notes.mixed();
        return Out::None;
    }
    let (result, remarks) = if avg {
        let mut average = HistogramAvg::default();
        view.histograms.iter().for_each(|one| average.add(&one.histogram));
        average.mean()
    } else {
        let mut sum = HistogramSum::default();
        view.histograms.iter().for_each(|one| sum.add(&one.histogram));
        sum.total()
    };
    if remarks.incompatible {
        notes.mixed_schemas();
    }
    if remarks.conflicting_resets() {
        notes.conflicting_resets("aggregation");
    }
    if remarks.reconciled {
        notes.reconciled("aggregation");
    }
    result.map_or(Out::None, Out::Histogram)
}

/// How much histograms grew from the first to the last, resets of counters added; `None` where
/// they do not go together. Prometheus, `histogramRate`.
pub(super) fn increase(samples: &[HistogramSample], counter: bool, notes: &Notes<'_>) -> Option<Histogram> {
    let [first, .., last] = samples else { return None };
    let gauge = |sample: &HistogramSample| sample.histogram.reset_hint == ResetHint::Gauge;
    if counter && samples.iter().any(gauge) {
        notes.warn_of("this native histogram metric is not a counter:");
    }
    // What came before a reset at the second sample does not matter, nor do its buckets.
    let mut before = Arc::clone(&first.histogram);
    if counter && resets(first, &samples[1], &before) {
        before = Arc::new(nothing_like(&samples[1].histogram));
    }
    let (schema, custom) = layout(samples, &before, counter);
    if custom.is_none() || last.histogram.uses_custom_buckets() != before.uses_custom_buckets() {
        notes.mixed_schemas();
        return None;
    }
    let mut growth = match last.histogram.copy_to_schema(schema) {
        Ok(growth) => growth,
        Err(_) => return None,
    };
    if !note(growth.sub(&before), "subtraction", notes) {
        return None;
    }
    if counter {
        let mut before_sample = first;
        for sample in &samples[1..] {
            if resets(before_sample, sample, &before) && !add(&mut growth, &before, notes) {
                return None;
            }
            before = Arc::clone(&sample.histogram);
            before_sample = sample;
        }
    } else if !gauge(first) || !gauge(last) {
        notes.warn_of("this native histogram metric is not a gauge:");
    }
    growth.reset_hint = ResetHint::Gauge;
    growth.compact(0);
    Some(growth)
}

fn resets(before_sample: &HistogramSample, sample: &HistogramSample, before: &Histogram) -> bool {
    sample.histogram.detect_reset(before)
        || rate::reset_by_start(
            (before_sample.start_ms, before_sample.time_ms),
            (sample.start_ms, sample.time_ms),
        )
}

fn nothing_like(histogram: &Histogram) -> Histogram {
    Histogram {
        reset_hint: ResetHint::Unknown,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 0.0,
        sum: 0.0,
        positive_spans: Vec::new(),
        positive: Vec::new(),
        negative_spans: Vec::new(),
        negative: Vec::new(),
        ..histogram.clone()
    }
}

/// The coarsest schema, and whether all have custom buckets; `None` where some have. Gauges are
/// judged by their ends.
fn layout(samples: &[HistogramSample], first: &Histogram, counter: bool) -> (i32, Option<bool>) {
    let last = &samples[samples.len() - 1].histogram;
    let mut schema = first.schema.min(last.schema);
    let custom = first.uses_custom_buckets();
    if counter {
        for sample in &samples[1..samples.len() - 1] {
            if sample.histogram.uses_custom_buckets() != custom {
                return (schema, None);
            }
            schema = schema.min(sample.histogram.schema);
        }
    }
    (schema, Some(custom))
}

/// Adds, with remarks. Says whether they go together.
pub(super) fn add(to: &mut Histogram, what: &Histogram, notes: &Notes<'_>) -> bool {
    note(to.add(what), "addition", notes)
}

pub(super) fn note(done: Result<Added, HistogramError>, doing: &str, notes: &Notes<'_>) -> bool {
    match done {
        Ok(added) => {
            if added.custom_buckets_reconciled {
                notes.reconciled(doing);
            }
            true
        }
        Err(HistogramError::IncompatibleSchemas) => {
            notes.mixed_schemas();
            false
        }
        Err(_) => false,
    }
}
