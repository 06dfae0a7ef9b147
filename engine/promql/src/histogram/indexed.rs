//! Spans and counts read as pairs of index and count.

use super::BucketSpan;
use super::bounds::coarser_index;

/// The buckets of one side with their indices, from either end.
///
/// Spans and counts that do not fit each other are read as far as they do.
#[derive(Debug, Clone)]
pub(super) struct Indexed<'a, C> {
    spans: &'a [BucketSpan],
    cells: &'a [C],
    front: End,
    back: End,
}

/// How far one end has come.
#[derive(Debug, Clone, Default)]
struct End {
    /// At the front the index of the next bucket, at the back the one behind it.
    index: i64,
    /// At the front the span to go on with, at the back the one being read.
    span: usize,
    /// Buckets left in the span being read.
    left: u32,
}

impl<'a, C: Copy> Indexed<'a, C> {
    pub(super) fn new(spans: &'a [BucketSpan], cells: &'a [C]) -> Self {
        let mut back = End::default();
        let mut rest = cells.len();
        for (at, span) in spans.iter().enumerate() {
            if rest == 0 {
                break;
            }
            let taken = rest.min(span.length as usize);
            rest -= taken;
            back = End {
                index: back.index + i64::from(span.offset) + taken as i64,
                span: at,
                left: taken as u32,
            };
        }
        Indexed { spans, cells: &cells[..cells.len() - rest], front: End::default(), back }
    }
}

impl<C: Copy> Iterator for Indexed<'_, C> {
    type Item = (i64, C);

    #[inline]
    fn next(&mut self) -> Option<(i64, C)> {
        let (&cell, rest) = self.cells.split_first()?;
        while self.front.left == 0 {
            let span = self.spans.get(self.front.span)?;
            self.front.index += i64::from(span.offset);
            self.front.left = span.length;
            self.front.span += 1;
        }
        let index = self.front.index;
        self.front.index += 1;
        self.front.left -= 1;
        self.cells = rest;
        Some((index, cell))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.cells.len(), Some(self.cells.len()))
    }
}

impl<C: Copy> DoubleEndedIterator for Indexed<'_, C> {
    fn next_back(&mut self) -> Option<(i64, C)> {
        let (&cell, rest) = self.cells.split_last()?;
        while self.back.left == 0 {
            self.back.index -= i64::from(self.spans.get(self.back.span)?.offset);
            self.back.span = self.back.span.checked_sub(1)?;
            self.back.left = self.spans[self.back.span].length;
        }
        self.back.index -= 1;
        self.back.left -= 1;
        self.cells = rest;
        Some((self.back.index, cell))
    }
}

/// Buckets merged to a coarser schema: the counts that fall into one are added up, lowest index first.
#[derive(Debug, Clone)]
pub(super) struct Coarse<'a> {
    fine: Indexed<'a, f64>,
    shift: u32,
    held: Option<(i64, f64)>,
}

impl<'a> Coarse<'a> {
    /// Merged by `2^shift` buckets; 0 leaves them as they are.
    pub(super) fn new(fine: Indexed<'a, f64>, shift: u32) -> Self {
        Coarse { fine, shift, held: None }
    }

    fn pull(&mut self) -> Option<(i64, f64)> {
        let (index, count) = self.fine.next()?;
        Some((coarser_index(index, self.shift), count))
    }
}

impl Iterator for Coarse<'_> {
    type Item = (i64, f64);

    fn next(&mut self) -> Option<(i64, f64)> {
        if self.shift == 0 {
            return self.fine.next();
        }
        let (index, mut sum) = match self.held.take() {
            Some(held) => held,
            None => self.pull()?,
        };
        while let Some((next, count)) = self.pull() {
            if next != index {
                self.held = Some((next, count));
                break;
            }
            sum += count;
        }
        Some((index, sum))
    }
}
