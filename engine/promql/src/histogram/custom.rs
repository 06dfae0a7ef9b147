//! Custom bounds that differ.
//!
//! Two histograms are mapped to the bounds that both have: each bucket goes to the first of those bounds that
//! is not below its own upper bound, or to the last bucket, which ends at infinity.

use std::sync::Arc;

use super::Histogram;
use super::body::Body;
use super::cell::Cell;
use super::indexed::Indexed;
use super::side::Side;

impl<C: Cell> Body<C> {
    /// Adds `sign` times the buckets; returns whether bounds differed.
    pub(super) fn add_custom(&mut self, other: &Histogram, sign: f64) -> bool {
        let other_buckets = Indexed::new(&other.positive_spans, &other.positive);
        if same_bounds(&self.custom_bounds, &other.custom_bounds) {
            if !self.positive.add_within_spans(&other.positive_spans, &other.positive, sign) {
                self.positive.add(other_buckets.map(|(index, count)| (index, sign * count)));
            }
            return false;
        }
        let common = common_bounds(&self.custom_bounds, &other.custom_bounds);
        let mut cells = mapped(self.positive.iter(), &self.custom_bounds, &common, C::absorb);
        let theirs = other_buckets.map(|(index, count)| (index, sign * count));
        add_mapped(&mut cells, theirs, &other.custom_bounds, &common, C::add);
        let populated = cells.iter().filter(|cell| !cell.is_empty()).count();
        self.positive = Side::with_capacity(populated);
        for (index, cell) in cells.into_iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            self.positive.push(index as i64, cell);
        }
        self.custom_bounds = Arc::from(common);
        true
    }
}

impl Histogram {
    /// The counts by the bounds in `common`, which are some of this histogram's own, and the last bucket.
    pub(super) fn counts_by_bounds(&self, common: &[f64]) -> Vec<f64> {
        let own = Indexed::new(&self.positive_spans, &self.positive);
        mapped(own, &self.custom_bounds, common, |sum, count| *sum += count)
    }
}

/// Whether two lists of bounds are equal.
pub(super) fn same_bounds(one: &Arc<[f64]>, other: &Arc<[f64]>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// The bounds that stand in both of two rising lists.
pub(super) fn common_bounds(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut others = other.iter().copied().peekable();
    let in_other = |bound: &f64| {
        while others.next_if(|next| next < bound).is_some() {}
        others.next_if(|next| next == bound).is_some()
    };
    one.iter().copied().filter(in_other).collect()
}

fn mapped<C: Copy, D: Default + Clone>(
    buckets: impl Iterator<Item = (i64, C)>,
    bounds: &[f64],
    common: &[f64],
    add: impl Fn(&mut D, C),
) -> Vec<D> {
    let mut targets = vec![D::default(); common.len() + 1];
    add_mapped(&mut targets, buckets, bounds, common, add);
    targets
}

fn add_mapped<C: Copy, D>(
    targets: &mut [D],
    buckets: impl Iterator<Item = (i64, C)>,
    bounds: &[f64],
    common: &[f64],
    add: impl Fn(&mut D, C),
) {
    // Both lists rise, so the search goes on where it stopped.
    let mut target = 0;
    for (index, count) in buckets {
        let upper = usize::try_from(index).ok().and_then(|index| bounds.get(index));
        let at = match upper {
            Some(upper) => {
                target += common[target..].partition_point(|bound| bound < upper);
                target
            }
            None => common.len(),
        };
        add(&mut targets[at], count);
    }
}
