//! Addition span by span, for sides of which one has room for all buckets of the other.
//!
//! After the first few histograms of an aggregation, the sum mostly has all buckets of those that follow.

use smallvec::SmallVec;

use super::BucketSpan;
use super::cell::Cell;
use super::side::Side;

/// A span by the indices of its buckets, and the position of its first count.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: i64,
    end: i64,
    position: usize,
}

/// The spans of a side as runs.
fn runs(spans: &[BucketSpan]) -> impl Iterator<Item = Run> + '_ {
    spans.iter().scan((0i64, 0usize), |(index, position), span| {
        let first = *index + i64::from(span.offset);
        let run = Run { first, end: first + i64::from(span.length), position: *position };
        *index = run.end;
        *position += span.length as usize;
        Some(run)
    })
}

fn buckets_of(spans: &[BucketSpan]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

impl<C: Cell> Side<C> {
    /// Adds `sign` times the counts, if each of their spans lies within one of this side's; otherwise changes
    /// nothing and returns `false`.
    pub(super) fn add_within_spans(&mut self, spans: &[BucketSpan], counts: &[f64], sign: f64) -> bool {
        if buckets_of(&self.spans) != self.cells.len() || buckets_of(spans) != counts.len() {
            return false;
        }
        let Some(positions) = self.positions_of(spans) else { return false };
        for (run, position) in runs(spans).zip(positions) {
            let counts = &counts[run.position..][..(run.end - run.first) as usize];
            for (cell, count) in self.cells[position..].iter_mut().zip(counts) {
                cell.add(sign * count);
            }
        }
        true
    }

    /// Where in this side the first bucket of each span stands.
    fn positions_of(&self, spans: &[BucketSpan]) -> Option<SmallVec<[usize; 8]>> {
        let mut own = runs(&self.spans);
        let mut current = Run { first: 0, end: 0, position: 0 };
        let mut positions = SmallVec::new();
        for run in runs(spans) {
            while run.end > run.first && current.end < run.end {
                current = own.next()?;
            }
            if run.end == run.first {
                positions.push(0);
            } else if run.first >= current.first {
                positions.push(current.position + (run.first - current.first) as usize);
            } else {
                return None;
            }
        }
        Some(positions)
    }
}
