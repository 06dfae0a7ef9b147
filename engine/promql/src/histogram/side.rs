//! The buckets of one sign, and what changes their layout.

use super::BucketSpan;
use super::bounds::coarser_index;
use super::cell::Cell;
use super::indexed::Indexed;

/// Spans and the content of their buckets.
#[derive(Debug, Clone, Default)]
pub(super) struct Side<C> {
    pub(super) spans: Vec<BucketSpan>,
    pub(super) cells: Vec<C>,
    /// One behind the index of the last bucket pushed.
    end: i64,
}

impl<C: Cell> Side<C> {
    /// A side of buckets that exist.
    pub(super) fn of(spans: Vec<BucketSpan>, cells: Vec<C>) -> Self {
        Side { spans, cells, end: 0 }
    }

    /// An empty side to push to.
    pub(super) fn with_capacity(buckets: usize) -> Self {
        Side { spans: Vec::new(), cells: Vec::with_capacity(buckets), end: 0 }
    }

    pub(super) fn iter(&self) -> Indexed<'_, C> {
        Indexed::new(&self.spans, &self.cells)
    }

    /// Appends a bucket behind all others of a side that was built by pushing.
    pub(super) fn push(&mut self, index: i64, cell: C) {
        match self.spans.last_mut() {
            Some(span) if index == self.end => span.length += 1,
            _ => {
                let offset = (index - self.end).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                self.spans.push(BucketSpan { offset, length: 1 });
            }
        }
        self.cells.push(cell);
        self.end = index + 1;
    }

    /// One behind the index of the last bucket of a side that was built by pushing.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Adds counts to the buckets of their indices, which must rise; buckets that are missing are made.
    pub(super) fn add(&mut self, counts: impl Iterator<Item = (i64, f64)> + Clone) {
        if self.covers(counts.clone()) {
            self.add_to_existing(counts);
        } else {
            *self = self.united(counts);
        }
    }

    fn covers(&self, mut counts: impl Iterator<Item = (i64, f64)>) -> bool {
        let mut own = self.iter();
        counts.all(|(index, _)| own.by_ref().any(|(at, _)| at == index))
    }

    fn add_to_existing(&mut self, counts: impl Iterator<Item = (i64, f64)>) {
        // Units take no memory: only the indices of the spans are wanted here.
        let units = vec![(); self.cells.len()];
        let mut own = Indexed::new(&self.spans, &units).enumerate();
        for (index, count) in counts {
            if let Some((at, _)) = own.find(|(_, (at, ()))| *at == index) {
                self.cells[at].add(count);
            }
        }
    }

    fn united(&self, counts: impl Iterator<Item = (i64, f64)>) -> Self {
        let mut united = Side::with_capacity(self.cells.len() + counts.size_hint().0);
        let mut own = self.iter().peekable();
        for (index, count) in counts {
            while let Some((at, cell)) = own.next_if(|(at, _)| *at < index) {
                united.push(at, cell);
            }
            let mut cell = own.next_if(|(at, _)| *at == index).map_or_else(C::default, |(_, cell)| cell);
            cell.add(count);
            united.push(index, cell);
        }
        own.for_each(|(at, cell)| united.push(at, cell));
        united
    }

    /// Merges the buckets to a schema that is coarser by `shift`.
    pub(super) fn coarsen(&mut self, shift: u32) {
        let mut coarse = Side::<C>::with_capacity(self.cells.len());
        for (index, cell) in self.iter() {
            let index = coarser_index(index, shift);
            match coarse.cells.last_mut() {
                Some(last) if index + 1 == coarse.end => last.absorb(cell),
                _ => coarse.push(index, cell),
            }
        }
        *self = coarse;
    }

    /// Keeps the buckets whose index and content `keep` accepts.
    pub(super) fn retain(&mut self, keep: impl Fn(i64, &C) -> bool) {
        let mut kept = Side::with_capacity(self.cells.len());
        for (index, cell) in self.iter().filter(|(index, cell)| keep(*index, cell)) {
            kept.push(index, cell);
        }
        *self = kept;
    }
}
