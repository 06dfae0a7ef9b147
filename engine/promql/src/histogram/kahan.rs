//! Sums that keep what rounding takes away.

use std::sync::Arc;

use super::add::Added;
use super::{Histogram, HistogramError};

/// A sum and the part of it that rounding lost; their total is the better sum.
///
/// Kahan's summation as improved by Neumaier. An infinite sum has lost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Compensated {
    /// The sum as floats add up.
    pub sum: f64,
    /// What is missing from it.
    pub lost: f64,
}

impl Compensated {
    /// Adds a number.
    #[inline]
    pub fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - sum) + value;
        } else {
            self.lost += (value - sum) + self.sum;
        }
        self.sum = sum;
    }

    /// The sum with what was lost.
    #[inline]
    pub fn total(self) -> f64 {
        self.sum + self.lost
    }
}

/// Adds to a sum whose lost part stands elsewhere.
#[inline]
fn add_apart(sum: &mut f64, lost: &mut f64, value: f64) {
    let mut cell = Compensated { sum: *sum, lost: *lost };
    cell.add(value);
    (*sum, *lost) = (cell.sum, cell.lost);
}

fn add_all_apart(sums: &mut [f64], lost: &mut [f64], values: &[f64]) {
    for ((sum, lost), value) in sums.iter_mut().zip(lost).zip(values) {
        add_apart(sum, lost, *value);
    }
}

impl Histogram {
    /// Adds as [`Histogram::add`] does, and collects in `compensation` what rounding takes away.
    ///
    /// Start with `None` and hand the same histogram in for each addition; scale both alike. In the end
    /// [`Histogram::add`] the compensation to the sum.
    ///
    /// # Errors
    ///
    /// As [`Histogram::add`]; nothing has changed then.
    pub fn kahan_add(
        &mut self,
        other: &Histogram,
        compensation: &mut Option<Histogram>,
    ) -> Result<Added, HistogramError> {
        self.check_same_kind(other)?;
        let mut lost = match compensation.take() {
            Some(lost) if self.has_layout_of(&lost) => lost,
            // It belongs to another histogram: what it holds is not lost, but no longer kept apart.
            Some(foreign) => {
                let empty = self.empty_of_same_layout();
                self.add(&foreign).map(|_| empty)?
            }
            None => self.empty_of_same_layout(),
        };
        let counter_reset_collision = self.adjust_reset_hint(other.reset_hint);
        add_apart(&mut self.count, &mut lost.count, other.count);
        add_apart(&mut self.sum, &mut lost.sum, other.sum);
        let custom_buckets_reconciled = self.kahan_add_buckets(other, &mut lost);
        *compensation = Some(lost);
        Ok(Added { counter_reset_collision, custom_buckets_reconciled })
    }

    fn kahan_add_buckets(&mut self, other: &Histogram, lost: &mut Histogram) -> bool {
        if !self.lines_up_with(other) {
            return self.with_compensated_body(lost, |body| body.add(other, 1.0));
        }
        add_apart(&mut self.zero_count, &mut lost.zero_count, other.zero_count);
        add_all_apart(&mut self.positive, &mut lost.positive, &other.positive);
        add_all_apart(&mut self.negative, &mut lost.negative, &other.negative);
        false
    }

    fn empty_of_same_layout(&self) -> Histogram {
        Histogram {
            schema: self.schema,
            reset_hint: self.reset_hint,
            zero_threshold: self.zero_threshold,
            positive_spans: self.positive_spans.clone(),
            positive: vec![0.0; self.positive.len()],
            negative_spans: self.negative_spans.clone(),
            negative: vec![0.0; self.negative.len()],
            custom_bounds: Arc::clone(&self.custom_bounds),
            ..Histogram::default()
        }
    }
}
