//! Sums and means of many histograms: `sum`, `avg` and their functions over time.

use super::{Added, Histogram, HistogramError};

/// Numbers below cannot overflow however many buckets of two histograms are merged.
const FAR_FROM_OVERFLOW: f64 = 1e290;

/// A sum with what rounding has taken from it.
#[derive(Debug, Clone)]
pub struct HistogramSum {
    sum: Histogram,
    lost: Option<Histogram>,
}

impl HistogramSum {
    /// Begins with the first histogram.
    pub fn new(first: Histogram) -> Self {
        HistogramSum { sum: first, lost: None }
    }

    /// Adds a histogram.
    ///
    /// # Errors
    ///
    /// As [`Histogram::add`]; the sum stays as it was.
    pub fn add(&mut self, other: &Histogram) -> Result<Added, HistogramError> {
        self.sum.kahan_add(other, &mut self.lost)
    }

    /// Takes the histograms of another sum in.
    ///
    /// # Errors
    ///
    /// As [`Histogram::add`]; the sum is of no use then.
    pub fn merge(&mut self, other: Self) -> Result<Added, HistogramError> {
        let mut added = self.add(&other.sum)?;
        if let Some(lost) = &other.lost {
            added.custom_buckets_reconciled |= self.add(lost)?.custom_buckets_reconciled;
        }
        Ok(added)
    }

    /// The sum. Its buckets are not compacted.
    pub fn total(mut self) -> Histogram {
        if let Some(lost) = &self.lost {
            // What was lost has the layout of the sum, so it can be added.
            let _ = self.sum.add(lost);
        }
        self.sum
    }

    fn scale(&mut self, change: impl Fn(&mut Histogram)) {
        change(&mut self.sum);
        self.lost.iter_mut().for_each(change);
    }
}

/// A mean: the sum by the number of histograms, or once the sum overflows, a mean carried on step by step.
#[derive(Debug, Clone)]
pub struct HistogramMean {
    /// The sum so far, or the mean so far.
    carried: HistogramSum,
    seen: f64,
    step_by_step: bool,
}

impl HistogramMean {
    /// Begins with the first histogram.
    pub fn new(first: Histogram) -> Self {
        HistogramMean { carried: HistogramSum::new(first), seen: 1.0, step_by_step: false }
    }

    /// Adds a histogram.
    ///
    /// # Errors
    ///
    /// As [`Histogram::add`]; the mean is of no use then.
    pub fn add(&mut self, other: &Histogram) -> Result<Added, HistogramError> {
        self.seen += 1.0;
        if !self.step_by_step {
            if let Some(added) = self.add_without_overflow(other)? {
                return Ok(added);
            }
            self.step_by_step = true;
            let before = self.seen - 1.0;
            self.carried.scale(|carried| carried.div(before));
        }
        let share = (self.seen - 1.0) / self.seen;
        self.carried.scale(|carried| carried.mul(share));
        let mut part = other.clone();
        part.div(self.seen);
        self.carried.add(&part)
    }

    /// Adds to the sum, or leaves it as it is if it would overflow.
    fn add_without_overflow(&mut self, other: &Histogram) -> Result<Option<Added>, HistogramError> {
        if self.carried.sum.all_numbers(is_far_from_overflow) && other.all_numbers(is_far_from_overflow) {
            return self.carried.add(other).map(Some);
        }
        let mut sum = self.carried.clone();
        let added = sum.add(other)?;
        if sum.sum.has_overflow() {
            return Ok(None);
        }
        self.carried = sum;
        Ok(Some(added))
    }

    /// Takes the histograms of another mean in.
    ///
    /// # Errors
    ///
    /// As [`Histogram::add`]; the mean is of no use then.
    pub fn merge(&mut self, mut other: Self) -> Result<Added, HistogramError> {
        let seen = self.seen + other.seen;
        if self.step_by_step || other.step_by_step {
            for part in [&mut *self, &mut other] {
                let share = if part.step_by_step { part.seen } else { 1.0 } / seen;
                part.carried.scale(|carried| carried.mul(share));
            }
            self.step_by_step = true;
        }
        self.seen = seen;
        self.carried.merge(other.carried)
    }

    /// The mean. Its buckets are not compacted.
    pub fn mean(mut self) -> Histogram {
        if !self.step_by_step {
            let seen = self.seen;
            self.carried.scale(|carried| carried.div(seen));
        }
        self.carried.total()
    }
}

fn is_far_from_overflow(number: f64) -> bool {
    number.abs() < FAR_FROM_OVERFLOW
}

impl Histogram {
    /// Whether any of its numbers is infinite, which tells a mean to be computed step by step.
    pub fn has_overflow(&self) -> bool {
        !self.all_numbers(|number| !number.is_infinite())
    }

    fn all_numbers(&self, holds: impl Fn(f64) -> bool) -> bool {
        let totals = [self.zero_count, self.count, self.sum];
        totals.iter().chain(&self.positive).chain(&self.negative).all(|number| holds(*number))
    }
}
