//! Layouts without needless empty buckets.

use super::Histogram;
use super::cell::Cell;
use super::side::Side;

/// A gap longer than any two finite numbers are apart in the finest schema is never filled with buckets:
/// only spans that no sender writes have one, and they could ask for gigabytes.
const GAP_FILLED_MAX: usize = 1 << 20;

impl Histogram {
    /// Cuts empty buckets from the ends of spans, and joins spans that are at most `max_empty` buckets apart,
    /// keeping the empty ones between them. With 0, equal contents have equal layouts.
    pub fn compact(&mut self, max_empty: usize) {
        self.with_plain_body(|body| {
            body.positive.compact(max_empty);
            body.negative.compact(max_empty);
        });
    }
}

impl<C: Cell> Side<C> {
    /// See [`Histogram::compact`].
    pub(super) fn compact(&mut self, max_empty: usize) {
        if self.is_compact(max_empty) {
            return;
        }
        let max_empty = max_empty.min(GAP_FILLED_MAX) as i64;
        let mut compact = Side::with_capacity(self.cells.len());
        for (index, cell) in self.iter().filter(|(_, cell)| !cell.is_empty()) {
            if !compact.spans.is_empty() && index - compact.end() <= max_empty {
                (compact.end()..index).for_each(|gap| compact.push(gap, C::default()));
            }
            compact.push(index, cell);
        }
        *self = compact;
    }

    /// Whether compacting would change nothing, as far as a cheap look can tell.
    fn is_compact(&self, max_empty: usize) -> bool {
        let apart = |offset: i32| usize::try_from(offset).is_ok_and(|gap| gap > max_empty);
        self.cells.iter().all(|cell| !cell.is_empty())
            && self.spans.iter().all(|span| span.length > 0)
            && self.spans.iter().skip(1).all(|span| apart(span.offset))
    }
}
